"""Collect writes nothing that could not be read again, and says in one line why not."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from analysis import collect, report, summary
from analysis.read import scores
from experiment.command import UserError
from tests.fake_runs import fake_run, score_table


def changed(run: Path, name: str, change: dict[str, Any]) -> None:
    """Lay `change` over a JSON file of a run folder; for config.json, over its settings."""
    content = json.loads((run / name).read_text())
    place = content["settings"] if name == "config.json" else content
    place |= change
    (run / name).write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("score.json", {"game": "Foreign"}, "its game is not that of the run"),
        ("config.json", {"game": "Foreign"}, "unknown game 'Foreign'"),
        ("score.json", {"seed": 1.5}, "its seed is not that of the run"),
        ("config.json", {"seed": 1.5}, "seed is 1.5, not a whole number"),
        ("config.json", {"seed": 1}, "its seed is not that of the run"),
        ("score.json", {"env_steps": -1}, "seed, env_steps and hours must be 0 or more"),
        ("score.json", {"agent": "der_ht"}, "its agent is not that of the run"),
        ("config.json", {"config": {"note": "x" * 200_000}}, "characters of changed settings, more than 1,000"),
        ("config.json", {"config": []}, "holds no settings of a run"),
        ("config.json", {"config": {"encoder": 3, "encoder.kind": "x"}}, "is of a piece that is none"),
        ("config.json", {"execution": None}, "holds no settings of a run"),
        ("score.json", {"device": '=HYPERLINK("http://x", "y")'}, "'device' is '=HYPERLINK.*', which no table can hold"),
        ("score.json", {"device": "a\nb"}, "which no table can hold"),
        ("score.json", {"device": "-1+cmd|/C calc!A0"}, "'device' is '-1.cmd.*', which no table can hold"),
        ("score.json", {"device": ["a"]}, "'device' is .'a'., which no table can hold"),
        ("score.json", {"standard_error": -3}, "standard_error is -3, less than 0"),
        ("score.json", {"commit": "c" * 2000}, "which no table can hold"),
        ("score.json", {"returns": None}, "it has not the returns of 2 games"),
        ("score.json", {"returns": [None, -9.5]}, "one of its returns is None, not a number"),
        ("score.json", {"score": 10**400}, "its score is a number of over 40 digits, not a number"),
        ("score.json", {"memory_gb": "many"}, "memory_gb is 'many', not a number"),
        ("score.json", {"standard_error": "many"}, "standard_error is 'many', not a number"),
        ("score.json", {"repeat_action_probability": 0.25}, "sticky actions"),
        ("score.json", {"repeat_action_probability": "x"}, "repeat_action_probability is 'x', not a number"),
    ],
)
def test_a_run_that_could_not_be_read_again_is_refused(name: str, change: dict[str, Any], told: str, tmp_path: Path) -> None:
    run = fake_run(tmp_path / "runs", "der", "Pong", 0, -10.0)
    changed(run, name, change)
    with pytest.raises(UserError, match=told) as error:
        collect.main([str(tmp_path / "runs"), "--out", str(tmp_path / "results")])
    assert str(run / name) in str(error.value) or "of the run" in told
    assert "\n" not in str(error.value)
    assert not (tmp_path / "results/scores.csv").exists()


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"kind": "episode", "env_step": 100, "return": "many", "length": 9}, "return is 'many', not a number"),
        ({"kind": "episode", "env_step": 100, "return": 1.0}, "length is None, not a number"),
        ({"kind": "episode", "env_step": 1.5, "return": 1.0, "length": 9}, "env_step is 1.5, not a whole number"),
        ({"kind": "episode", "env_step": 9, "return": 1.0, "length": 9}, "env step 9 comes after 100"),
        ({"kind": "plasticity", "srank": 3.0}, "env_step is None, not a number"),
        ({"kind": "plasticity", "env_step": 100, "srank": [3.0]}, r"srank is \[3.0\], not a number"),
        ({"kind": "plasticity", "env_step": 100, "=1+1": 3.0}, "'=1.1' is 3.0, which no table can hold"),
    ],
)
def test_a_row_that_could_not_be_read_again_is_refused(row: dict[str, Any], told: str, tmp_path: Path) -> None:
    run = fake_run(tmp_path / "runs", "der", "Pong", 0, -10.0)
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    with pytest.raises(UserError, match=f"metrics.jsonl, line 31: {told}"):
        collect.main([str(tmp_path / "runs"), "--out", str(tmp_path / "results")])
    assert not (tmp_path / "results/scores.csv").exists()


@pytest.mark.parametrize("seed", [0, 2**60 + 1])
def test_what_is_not_finite_or_large_is_kept(seed: int, tmp_path: Path) -> None:
    """A measurement of a network that diverged; a seed that no double holds."""
    run = fake_run(tmp_path / "runs", "der", "Pong", seed, -10.0)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "plasticity", "env_step": 100, "srank": NaN, "weight_norm": Infinity}\n')
    for _ in range(2):  # what stands there is read again
        collect.main([str(tmp_path / "runs"), "--out", str(tmp_path / "results")])
    assert (tmp_path / "results/scores.csv").read_text().splitlines()[1].startswith(f"der,,Pong,{seed},100,2,-10.0")
    last = (tmp_path / "results/plasticity.csv").read_text().splitlines()[-1]
    assert last == f"der,,Pong,{seed},100,,,,nan,,inf,"


@pytest.mark.parametrize(
    ("program", "flags", "told"),
    [
        (collect, ["runs", "--out", "file"], "cannot write file: File exists"),
        (collect, ["runs", "--out", "file/below"], "cannot write file/below: Not a directory"),
        (collect, ["runs", "--colour", "a\nb"], "unrecognized arguments: --colour a b; see --help"),
        (collect, [], "the following arguments are required: runs; see --help"),
        (collect, ["runs", "--out", "~nobody-here/x"], "~nobody-here/x: Could not determine home directory"),
        (collect, ["a" * 5000], "there is no folder a"),
        (summary, ["r_files", "--into", "absent.md"], "there is no r_files/games.csv"),
        (summary, ["r_files", "--inta"], "unrecognized arguments: --inta; see --help"),
        (report, ["runs", "--out", "/proc/r.html"], "cannot write|there is no folder"),
        (report, ["runs", "--out", "a" * 5000 + "/r.html"], "--out: there is no folder"),
    ],
)
def test_a_place_that_cannot_be_written_is_one_line(
    program: Any, flags: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fake_run(tmp_path / "runs", "der", "Pong", 0, -10.0)
    (tmp_path / "file").write_text("kept")
    more = ["--games", "Pong", "--env-steps", "100", "--episodes", "2"] if program is report else []
    with pytest.raises(UserError, match=told) as error:
        program.main([*flags, *more])
    assert "\n" not in str(error.value)
    assert (tmp_path / "file").read_text() == "kept"


def test_the_home_folder_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    fake_run(tmp_path / "runs", "der", "Pong", 0, -10.0)
    collect.main(["~/runs", "--out=~/results"])
    assert (tmp_path / "results/scores.csv").is_file()
    assert not (tmp_path / "~").exists()
    capsys.readouterr()
    for program in (collect, report, summary):
        with pytest.raises(SystemExit):
            program.main(["--help"])
        assert capsys.readouterr().out.startswith(f"usage: python -m {program.__name__} ")


def test_a_column_of_others_is_not_dropped(tmp_path: Path) -> None:
    fake_run(tmp_path / "runs", "der", "Catch", 0, 0.5)
    table = score_table(tmp_path / "results/scores.csv", [("der", "", "Catch", 1, 0.25)])
    text = table.read_text().replace("\n", ",by hand\n")
    table.write_text(text)
    with pytest.raises(UserError, match=r"scores.csv has columns of others, which would be lost: 'by hand'"):
        collect.main([str(tmp_path / "runs"), "--out", str(tmp_path / "results")])
    assert table.read_text() == text


def test_a_run_that_is_spelt_otherwise_is_the_same_run(tmp_path: Path) -> None:
    fake_run(tmp_path / "runs", "der", "Catch", 0, 0.5)
    table = score_table(tmp_path / "results/scores.csv", [("der", "", "Catch", 0, 0.25), ("der", "", "Catch", 1, 0.25)])
    table.write_text(table.read_text().replace("Catch,0", "catch,0.0"))
    collect.main([str(tmp_path / "runs"), "--out", str(tmp_path / "results")])
    found = [line.split(",")[2:7] for line in table.read_text().splitlines()[1:]]
    assert found == [["Catch", "0", "100", "2", "0.5"], ["Catch", "1", "100", "2", "0.25"]]


def test_the_score_of_one_game_has_no_standard_error(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "runs", "der", "Pong", 0, -10.0)
    for name, change in {"config.json": {"eval_episodes": 1}, "score.json": {}}.items():
        content = json.loads((folder / name).read_text())
        if name == "config.json":
            content["settings"] |= change
        else:
            content |= {"episodes": 1, "returns": [-10.0], "standard_error": None}
        (folder / name).write_text(json.dumps(content))
    for _ in range(2):  # the second reads what the first wrote
        collect.main([str(tmp_path / "runs"), "--out", str(tmp_path / "out")])
    header, row = (tmp_path / "out" / "scores.csv").read_text().splitlines()
    assert dict(zip(header.split(","), row.split(","), strict=False))["standard_error"] == ""


def test_runs_are_added_to_a_table_from_before_memory_was_told(tmp_path: Path) -> None:
    fake_run(tmp_path / "runs", "der", "Catch", 0, 0.5)
    table = score_table(tmp_path / "results/scores.csv", [("der", "", "Catch", 1, 0.25)])
    table.write_text("".join(f"{line.rpartition(',')[0]}\n" for line in table.read_text().splitlines()))
    assert "memory" not in table.read_text()
    collect.main([str(tmp_path / "runs"), "--out", str(tmp_path / "results")])
    ends = [line.split(",")[-2:] for line in table.read_text().splitlines()]
    assert ends == [["hours", "memory_gb"], ["0.1", "1.5"], ["0.1", ""]]
    assert [score.memory_gb for score in scores.read_table(table, None)] == pytest.approx([1.5, math.nan], nan_ok=True)
