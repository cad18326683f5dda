"""Flags: huge numbers, home folders, hints for what is nearly right, and usage lines that can be typed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import train
from options import read_command_line
from supervised import sweep as supervised_sweep
from supervised import train as supervised_train
from sweep import grid
from tests.killed import program as carry_out
from tests.test_command_line import refuse
from tests.toy_run import TOY

ROOT = Path(__file__).parent.parent
HUGE = ["1000000000000", "1e20", "1e300", "inf", "nan", "-1", "9" * 5000]
COUNTS = ["--num-lanes", "--eval-episodes", "--hessian-rounds", "--log-every", "--checkpoint-every"]


@pytest.mark.parametrize(
    ("flag", "value"),
    [("--env-steps", value) for value in HUGE]
    + [(flag, value) for flag in COUNTS for value in ("1000000000000", "-1")]
    + [("--seed", value) for value in ("9" * 5000, "1e20", "-1")],
)
def test_huge_numbers_are_refused(
    flag: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = refuse(train.main, [*TOY, flag, value, "--out", str(tmp_path)], capsys, monkeypatch)
    assert told.count("\n") == 0
    assert flag in told
    assert len(told) < 300
    assert not list(tmp_path.iterdir())


@pytest.mark.smoke
def test_a_home_folder_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_command_line(["--out=~/runs"]).folder.is_relative_to(tmp_path / "runs")
    grid.main(["--agents", "der", "--games", "Pong", "--out=~/runs"])
    told = capsys.readouterr()
    assert f"--out {tmp_path}/runs" in told.out
    assert f"der in {tmp_path}/runs: 1 missing" in told.err
    told = refuse(train.main, [*TOY, "--out=~nobody-of-this-name/runs"], capsys, monkeypatch)
    assert told.startswith("program: ~nobody-of-this-name/runs: ")
    assert "\n" not in told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("--agent der --resets.every 2000", "unknown flag --resets.every: der has no resets; agents with it: der_ht, der_head"),
        ("--agent spr --target.end.n 3", "unknown flag --target.end.n: spr has no target.end; agents with it: bbf"),
        ("--agent der --prediction.jumps=3", "unknown flag --prediction.jumps: der has no prediction; agents with it: spr"),
        ("--lr 3", "unknown flag --lr: did you mean --optimizer.learning-rate?"),
        ("--optimizer.lr=3", "unknown flag --optimizer.lr: did you mean --optimizer.learning-rate?"),
        ("--batch-size 3", "unknown flag --batch-size: did you mean --replay.batch-size?"),
        ("--env-steps -5", "program: --env-steps must lie in [0, 100_000_000], not -5"),
        ("--replay.ratio 0", "program: --replay.ratio must lie in (0, 1_024], not 0.0"),
        ("--num-lanes 7", "program: --env-steps must divide into --num-lanes"),
    ],
)
def test_a_hint_says_what_is_right(
    line: str, told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = refuse(train.main, line.split(), capsys, monkeypatch)
    assert told in found
    assert "Error parsing" not in found


@pytest.mark.parametrize(
    ("program", "usage"),
    [
        ("train.py", "usage: train.py "),
        ("-m sweep.grid", "usage: python -m sweep.grid "),
        ("-m supervised.train", "usage: python -m supervised.train "),
        ("-m supervised.sweep", "usage: python -m supervised.sweep "),
    ],
)
def test_usage_lines_can_be_typed(program: str, usage: str, tmp_path: Path) -> None:
    out, err = tmp_path / "out", tmp_path / "err"
    assert carry_out(f"{program} --help", out, err) == 0
    assert out.read_text().startswith(usage)
    err.unlink()
    assert carry_out(f"{program} {BAD}", out, err) == 2
    check_one_line(err.read_text(), usage)


BAD = "--agents der --seed x --seeds x"


def check_one_line(told: str, usage: str) -> None:
    assert told.count("\n") == 1
    assert told.startswith(usage.removeprefix("usage: ").strip() + ": ")
    assert "--seed" in told
    assert "---" not in told


def test_a_mistake_is_one_line_where_no_box_can_be_drawn() -> None:
    """tyro looks at the encoding when it is imported."""
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "train.py", *BAD.split()]
    bad = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert bad.returncode == 2
    check_one_line(bad.stderr, "usage: train.py ")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("--seeds x", "argument --seeds: invalid int value: 'x'"),
        ("--seeds", "argument --seeds: expected one argument"),
        ("--methods none --foo 3", "unknown flag --foo"),
        ("--dataset cifar", "unknown --dataset 'cifar'"),
    ],
)
def test_a_bad_supervised_sweep_is_one_line(
    line: str, told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = refuse(supervised_sweep.main, line.split(), capsys, monkeypatch)
    assert told in found
    assert "\n" not in found


def test_a_game_without_a_number_is_found_before_the_listing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = refuse(grid.main, ["--agents", "der", "--games", "Pong", "Catch"], capsys, monkeypatch)
    assert found == "program: Catch is not one of the 26 games that array tasks are numbered by; use --commands"


@pytest.mark.parametrize("flag", ["--seed", "--images", "--evaluations", "--hessian-rounds", "--checkpoint-every"])
@pytest.mark.parametrize("value", ["100000000000000000000", "1e20", "-1"])
def test_huge_numbers_are_refused_in_the_study(
    flag: str, value: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = refuse(supervised_train.main, [flag, value], capsys, monkeypatch)
    assert flag in found
    assert "\n" not in found
