"""A benchmark answers a mistake with a line, before it measures anything."""

import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import env, kills, replay, run, update
from experiment.command import UserError


@pytest.mark.parametrize(
    ("module", "flags", "said"),
    [
        (env, ["--lanes", "0"], "'0' is no whole number of 1 or more"),
        (env, ["--games", "Foo"], "unknown game 'Foo'"),
        (env, ["--games", "Catch"], "--games Catch: there is no emulator"),
        (update, ["--agents", "random"], "random does not learn"),
        (update, ["--rounds", "-1"], "'-1' is no whole number of 1 or more"),
        (replay, ["--rounds", "1.5"], "'1.5' is no whole number"),
        (run, ["--", "--agent", "random"], "such a run makes no update"),
        (kills, ["--out", "new", "--kills", "0", "--", "--game", "Catch"], "'0' is no whole number"),
        (kills, ["--out", "new", "--", "--gam", "Catch"], "unknown flag --gam"),
        (kills, ["--out", "file", "--", "--game", "Catch"], "cannot write file: File exists"),
        (replay, ["--rows", "9"], "--rows: 9 rows in 1 lanes are too few"),
        (kills, ["--out", "old", "--", "--game", "Catch"], "old holds an earlier comparison"),
    ],
)
def test_a_mistake_is_one_line(
    module: Any, flags: list[str], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old/killed").mkdir(parents=True)
    (tmp_path / "file").touch()
    with pytest.raises(UserError) as refused:
        list(module.main(flags) or [])
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_run_that_fails_is_one_line_and_its_reason_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kills, "TRAIN", [sys.executable, "-c", "raise SystemExit('the reason')"])
    with pytest.raises(UserError, match=r"^train\.py ends with 1: .*log says why$"):
        kills.main(["--out", str(tmp_path), "--", "--game", "Catch"])
    assert (tmp_path / "log").read_text() == "the reason\n"
