"""Variants of one agent: a folder, a log and a row of the report each, and what is said where two would share a folder."""

import json
from pathlib import Path

import pytest

import eval as evaluation
import train
from analysis import collect, load
from experiment.folder import RunFolder
from options import Run, read_command_line
from sweep import grid
from sweep.cells import cells
from sweep.states import log_of
from tests.killed import finish
from tests.test_command_line import refuse
from tests.toy_run import TOY, run_folder

ANOTHER = ["--tortoise.decay", "0.5"]


def test_a_refusal_shows_both_values_and_its_advice_is_good(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In processes of their own: the run of before stays, the other gets a folder beside it, and each is recognised there."""
    line, log = [*TOY, "--out", str(tmp_path)], tmp_path / "log"
    before = {path.name: path.read_bytes() for path in finished.iterdir()}
    assert finish([*line, *ANOTHER], log) == 2
    differing = "--tortoise.decay (0.0 there, 0.5 here)"
    told = f"train.py: {finished} holds a run with another {differing}; --name TAG keeps both, --fresh replaces it\n"
    assert log.read_text() == told

    log.unlink()
    named = [*line, *ANOTHER, "--name", "slow"]
    assert finish(named, log) == 0
    folder = tmp_path / "der+slow" / "Catch" / "seed0"
    assert {path.name: path.read_bytes() for path in finished.iterdir()} == before
    assert json.loads((folder / "config.json").read_text())["settings"]["name"] == "slow"
    assert "name" not in json.loads((finished / "config.json").read_text())["settings"]
    assert "der+slow on Catch: score " in log.read_text()

    capsys.readouterr()
    train.main(named)
    assert "finished on " in capsys.readouterr().err
    told = refuse(train.main, [*line, "--name", "slow"], capsys, monkeypatch)
    assert f"{folder} holds a run with another --tortoise.decay (0.5 there, 0.0 here); --name TAG" in told
    evaluation.main([str(folder), "--device", "cpu"])
    assert "Catch: score" in capsys.readouterr().out


def test_a_report_has_a_row_for_each_variant_whatever_its_settings(tmp_path: Path) -> None:
    """From run folders, and from the tables that are collected from them."""
    for name, score in (("", 1.0), ("again", 2.0)):
        flags = ["--name", name, "--out", str(tmp_path / "runs"), "--execution.precision", "float32"]
        (run,) = cells("der", [("Pong", 0)], flags if name else flags[2:])
        with RunFolder(run.folder) as folder:
            folder.begin(run.identity(), {})
            (run.folder / "metrics.jsonl").touch()
            whole = {"agent": "der", "game": "Pong", "seed": 0, "env_steps": 100_000, "score": score, "episodes": 100}
            whole |= {"hns": (score + 20.7) / 35.3, "returns": [score] * 100, "commit": "abc", "device": "a CPU", "hours": 1.0}
            folder.write_score(whole | {"standard_error": 0.0})
    collect.main([str(tmp_path / "runs"), "--out", str(tmp_path / "tables")])
    for place in ("runs", "tables"):
        rows = load(tmp_path / place).runs
        assert rows[["label", "agent", "score"]].values.tolist() == [["der", "der", 1.0], ["der --name again", "der", 2.0]]


@pytest.mark.parametrize("name", ["a/b", "..", "a b", "-x", "a+b", ".a", "a.", "a--b", "ä", "a\nb", "x" * 61, "$(rm)", "~"])
def test_a_name_that_is_none_of_a_folder_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = refuse(train.main, [*TOY, f"--name={name}", "--out", str(tmp_path)], capsys, monkeypatch)
    assert "--name must be letters and digits with single . _ - between them, at most 60, not " in told
    assert "\n" not in told
    assert not list(tmp_path.iterdir())


def test_two_variants_share_no_folder_and_no_log(tmp_path: Path) -> None:
    names = ("", "a", "A", "a-Pong", "ht", "a_b", "a.b", "1")
    places = [(agent, game) for agent in ("der", "der_ht") for game in ("Pong", "Alien")]
    runs = [Run(agent=agent, game=game, name=name) for agent, game in places for name in names]
    for place in (lambda run: run.folder, log_of, lambda run: run.title, lambda run: run.mirror()["name"]):
        assert len({place(run) for run in runs}) == len(runs)
    assert runs[0].folder == Path("runs/der/Pong/seed0")  # as it always was


def test_a_sweep_of_a_variant(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--agents", "der", "--games", "Pong", "--out", str(tmp_path), "--commands", "--", "--name", "fast"]
    grid.main(words)
    told = capsys.readouterr()
    assert f"der+fast in {tmp_path}: 1 missing" in told.err
    line = told.out.split()
    assert line[:2] == ["python", "train.py"]
    assert read_command_line(line[2:]).folder == tmp_path / "der+fast/Pong/seed0"


def test_a_folder_that_was_moved_is_not_the_variant_of_that_name(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_folder(tmp_path).parents[1].rename(tmp_path / "der+old")
    told = refuse(train.main, [*TOY, "--name", "old", "--out", str(tmp_path)], capsys, monkeypatch)
    assert "holds a run with another --name ('' there, 'old' here)" in told
