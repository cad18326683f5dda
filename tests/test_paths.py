"""An empty path is refused before anything is made: it would be the current folder."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

import options
from evaluation import Evaluation
from experiment.command import UserError, parse
from supervised import options as supervised_options
from sweep.cells import Sweep, read


@pytest.mark.parametrize(
    ("reads", "argv", "said"),
    [
        (options.read_command_line, ["--out", ""], "--out: a path is empty"),
        (options.read_command_line, ["--out="], "--out: a path is empty"),
        (options.read_command_line, ["--seed", "1", "--out", "", "--game", "Catch"], "--out: a path is empty"),
        (supervised_options.read_command_line, ["--data-dir", ""], "--data-dir: a path is empty"),
        (supervised_options.read_command_line, ["--data_dir", ""], "--data-dir: a path is empty"),
        (supervised_options.read_command_line, ["--data_dir="], "--data-dir: a path is empty"),
        (lambda argv: read(Sweep, argv), ["--agents", "spr", "--out", "", "--", "--name", ""], "--out: a path is empty"),
        (lambda argv: read(Sweep, argv), ["--agents", "spr", ""], "an argument is empty"),
        (lambda argv: parse(Evaluation, argv), [""], "an argument is empty"),
        (lambda argv: parse(Evaluation, argv), ["--device=cpu", ""], "an argument is empty"),
    ],
)
def test_an_empty_path_is_refused(reads: Callable[[Sequence[str]], Any], argv: list[str], said: str) -> None:
    with pytest.raises(UserError) as refused:
        reads(argv)
    assert str(refused.value) == said


def test_other_flags_may_be_empty() -> None:
    assert options.read_command_line(["--game", "Catch", "--name", "", "--out", "a"]).name == ""
    assert read(Sweep, ["--agents", "spr", "--", "--name", ""])[1] == ["--name", ""]
