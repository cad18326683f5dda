"""score.json: what a whole one is. It is written with a checksum, and what was written before there was one is read as well."""

import hashlib
import json
import math
from pathlib import Path
from statistics import fmean
from typing import Any

from experiment.command import UserError
from experiment.files import number, read_json

CHECKSUM = "checksum"


def sealed(score: dict[str, Any]) -> dict[str, Any]:
    """`score` with a checksum of all else that it holds."""
    rest = {name: value for name, value in score.items() if name != CHECKSUM}
    text = json.dumps(rest, sort_keys=True)
    return {**rest, CHECKSUM: hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}


def read_score(path: Path, settings: dict[str, Any] | None = None) -> dict[str, Any]:
    """The score in the file `path`, of a run with `settings` if these are given.

    UserError, naming it and what is wrong, if it is not whole: its checksum (if it has one), its mean, or what it is of.
    """
    score = read_json(path)
    try:
        _require_whole(score, settings or {})
    except UserError as error:
        raise UserError(f"{path} is damaged: {error}") from error
    return score


def _require_whole(score: Any, settings: dict[str, Any]) -> None:
    """UserError, with what is wrong, unless `score` is that of an evaluation, or of a run of the supervised study."""
    if not isinstance(score, dict):
        raise UserError("it is no table")
    if CHECKSUM in score and sealed(score) != score:
        raise UserError("its checksum is wrong")
    for name in ("hours", "evaluation_hours"):
        _number(score.get(name, 0), f"its {name}")
    for name in score.keys() & settings.keys():
        if score[name] != settings[name]:
            raise UserError(f"its {name} is not that of the run")
    if "tasks" in score:
        _require_last(score)
    else:
        _require_mean(score, settings.get("eval_episodes", score.get("episodes")))


def _require_mean(score: dict[str, Any], games: int | None) -> None:
    """UserError unless the score is the mean of its returns, of which there are `games`, or some if that is None."""
    found, _ = (_number(score.get(name), f"its {name}") for name in ("score", "hns"))
    returns = score.get("returns")
    if not isinstance(returns, list) or not returns or games not in (None, len(returns)):
        raise UserError(f"it has not the returns of {'any' if games is None else games} games")
    mean = fmean(_number(value, "one of its returns") for value in returns)
    if not math.isclose(found, mean, rel_tol=1e-9, abs_tol=1e-9):
        raise UserError(f"its score {found:g} is not the mean of its returns, {mean:g}")


def _require_last(score: dict[str, Any]) -> None:
    """UserError unless the test accuracy is that of the last task."""
    tasks = score["tasks"]
    if not isinstance(tasks, list) or not tasks or not all(isinstance(task, dict) for task in tasks):
        raise UserError("its tasks are no tables")
    accuracies = [_number(task.get("test"), "the test accuracy of a task") for task in tasks]
    if _number(score.get("test"), "its test accuracy") != accuracies[-1]:
        raise UserError("its test accuracy is not that of its last task")


def _number(value: Any, what: str) -> float:
    """`value` as a finite float. UserError, beginning with `what`, if it is none, or its text."""
    return number(None if isinstance(value, str) else value, what)
