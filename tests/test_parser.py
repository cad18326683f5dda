"""Flags of programs that are started as modules: errors in one line, and `~` is the home folder."""

from pathlib import Path

import pytest

from experiment.command import UserError
from experiment.parser import Parser, user_path


def test_errors_are_one_line_and_usage_names_the_module(capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser("room.program", "What it does.")
    parser.add_argument("--count", type=int)
    with pytest.raises(UserError, match=r"^argument --count: invalid int value: 'a\\nb'; see --help$") as error:
        parser.parse_args(["--count", "a\nb"])
    assert error.value.code == 2
    with pytest.raises(UserError, match=r"^unrecognized arguments: --colour a b; see --help$"):
        parser.parse_args(["--colour", "a\nb"])
    with pytest.raises(UserError, match=r"^unrecognized arguments: --co 3; see --help$"):  # and no short form of a flag
        parser.parse_args(["--co", "3"])
    with pytest.raises(SystemExit) as end:
        parser.parse_args(["--help"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("usage: python -m room.program [-h] [--count COUNT]\n\nWhat it does.")


def test_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    parser = Parser("room.program", None)
    parser.add_argument("--out", type=user_path)
    assert parser.parse_args(["--out=~/runs"]).out == Path("/somewhere/runs")
    assert parser.parse_args(["--out=a~b"]).out == Path("a~b")
    with pytest.raises(UserError, match=r"^argument --out: ~nobody-of-that-name/x: .*; see --help$"):
        parser.parse_args(["--out=~nobody-of-that-name/x"])
