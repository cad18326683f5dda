"""Scores of single runs in files that rliable, other projects and the report read."""

import json
from pathlib import Path

import pytest

from analysis import collect, export, load
from analysis.read.single_runs import read_single_runs
from envs.games import GAMES
from experiment.command import UserError
from tests.fake_runs import fake_run

RESULTS = Path(__file__).parent.parent / "results"
SHORT = ("--env-steps", 100, "--episodes", 2)  # as made-up runs are


def exported(*argv: object) -> dict[str, dict[str, list[float]]]:
    """What is in the files that a command line writes, by their names."""
    *_, out = argv
    export.main([str(word) for word in argv])
    return {path.name: json.loads(path.read_text()) for path in Path(str(out)).iterdir()}


def test_every_run_is_in_the_file_of_its_agent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the order of games and seeds; from folders as from tables, and from both."""
    runs, tables, out = (tmp_path / name for name in ("runs", "tables", "new/exports"))
    for seed in (10, 9):
        fake_run(runs, "der", "RoadRunner", seed, 100.0 + seed)
    fake_run(runs, "der", "Alien", 0, 0.1)
    fake_run(runs, "der_ht", "Pong", 0, -5.0, config={"tortoise": {"decay": 0.5}})
    expected = {
        "der.json": {"Alien": [0.1], "RoadRunner": [109.0, 110.0]},
        "der_ht_--tortoise.decay_0.5.json": {"Pong": [-5.0]},
    }
    assert exported(runs, *SHORT, "--out", out) == expected
    assert list(json.loads((out / "der.json").read_text())) == ["Alien", "RoadRunner"]
    assert f"{out}/der.json: der, 2 games, runs of each: 1 or 2\n" in capsys.readouterr().out
    collect.main([str(runs), "--out", str(tables)])
    assert exported(tables, *SHORT, "--out", out) == exported(runs, tables, *SHORT, "--out", out) == expected


def test_agents_whose_flags_are_longer_than_a_files_name_have_files(tmp_path: Path) -> None:
    runs, replay = tmp_path / "runs", {"ratio": 3.0, "warmup_steps": 1234, "capacity": 54321}
    rest = {
        "optimizer": {"eps": 3.21e-05, "learning_rate": 1.23e-4},
        "target": {"n_step": 7},
        "exploration": {"evaluation": 0.01},
    }
    for decay in (0.98765, 0.98764):
        config = {"replay": replay, "tortoise": {"decay": decay}, **rest}
        fake_run(runs / str(decay), "spr_ht", "Pong", 0, -decay, config=config)
    labels = load(runs).runs["label"]
    assert min(map(len, labels)) > 200
    assert sorted(exported(runs, *SHORT, "--out", tmp_path / "out").values(), key=str) == [
        {"Pong": [-0.98764]},
        {"Pong": [-0.98765]},
    ]
    assert len(export.file_name("der --name " + "a" * 900)) < 230


def test_the_report_reads_back_what_the_project_holds(tmp_path: Path) -> None:
    frame = load(RESULTS).runs
    files = exported(RESULTS, "--out", tmp_path)
    assert files == {path.name: json.loads(path.read_text()) for path in (RESULTS / "exports").iterdir()}
    for name, games in files.items():
        read = read_single_runs("again", tmp_path / name).scores
        (label,) = {label for label in frame["label"] if export.file_name(label) == name}
        mine = frame[frame["label"] == label]
        assert {(score.game, score.score) for score in read} == set(zip(mine["game"], mine["score"], strict=True))
        assert set(games) <= set(GAMES)


def test_what_cannot_be_exported_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs, empty, out = (tmp_path / name for name in ("runs", "empty", "out"))
    empty.mkdir()
    for agent in ("der", "spr"):
        fake_run(runs, agent, "Pong", 0, 1.0)
    with pytest.raises(UserError, match=f"there is no finished run in {empty}"):
        exported(empty, "--out", out)
    with pytest.raises(UserError, match="--env-steps compares such runs"):
        exported(runs, "--out", out)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        exported(runs, *SHORT, "--out", tmp_path / "file")
    monkeypatch.setattr(export, "file_name", lambda _: "x.json")
    with pytest.raises(UserError, match="'der' and 'spr' would both be"):
        exported(runs, *SHORT, "--out", out)
    assert not out.exists()
