"""What happened during training: returns and plasticity of each run, sampled at common env steps."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from analysis.labels import printable
from analysis.scores import Score, table_rows
from experiment.command import UserError
from experiment.files import number, parse_json, read_text, whole
from experiment.folder import METRICS

WINDOW = 10  # games of the running mean
POINTS = 40  # places at which curves are sampled

CURVES = ("agent", "flags", "game", "seed", "env_step", "return", "length")  # columns of a table of returns
PLASTICITY = ("agent", "flags", "game", "seed", "env_step")  # first columns of a table of plasticity

NO_MEASUREMENT = {*PLASTICITY, "kind"}

Key = tuple[str, str, int]  # label, game, seed


@dataclass
class Course:
    """The course of a run, by env step: returns of its finished games, and measurements by name. Pairs (env step, value)."""

    returns: list[tuple[float, float]] = field(default_factory=list)
    measured: dict[str, list[tuple[float, float]]] = field(default_factory=dict)


def read_metrics(path: Path, kinds: Iterable[str]) -> list[tuple[dict[str, Any], str]]:
    """The rows of metrics.jsonl that are of one of `kinds`, each with its file and line. UserError for a broken one."""
    starts = tuple(f'{{"kind": "{kind}"' for kind in kinds)  # most rows need not be parsed
    found = []
    text = read_text(path).removesuffix("\n")
    for index, line in enumerate(text.split("\n") if text else (), 1):
        if line.startswith(starts) or not (line.startswith('{"kind": "') and line.endswith("}")):
            where = f"{path}, line {index}"
            row = parse_json(line, where)
            if not isinstance(row, dict) or "kind" not in row:
                raise UserError(f"{where} is no row of metrics")
            if row["kind"] in kinds:
                found.append((row, where))
    return found


def read_courses(runs: Iterable[tuple[Score, Path]], tables: Iterable[Path], known: set[Key]) -> dict[Key, Course]:
    """The courses of the `known` runs, from run folders or, for those in none, from `tables` that collect wrote."""
    found: dict[Key, Course] = {}
    for score, folder in runs:
        path = folder / METRICS
        if (score.label, score.game, score.seed) in known and path.exists():
            course = found[score.label, score.game, score.seed] = Course()
            for row, where in read_metrics(path, ("episode", "plasticity")):
                add(course, row, where)
    from_folders = set(found)
    for table in tables:
        for key, course in _courses(table, known - from_folders).items():
            kept = found.setdefault(key, Course())  # what another table told already is not told twice
            kept.returns = kept.returns or course.returns
            kept.measured = course.measured | kept.measured
    return found


def _courses(table: Path, known: set[Key]) -> dict[Key, Course]:
    found: dict[Key, Course] = {}
    for row, where in table_rows(table, PLASTICITY):
        key = (printable(f"{row['agent']} {row['flags']}".strip()), row["game"], whole(row["seed"], f"{where}: seed"))
        if key in known:
            add(found.setdefault(key, Course()), row, where)
    return found


def add(course: Course, row: dict[str, Any], where: str) -> None:
    """Add a row of an episode or of a measurement; a measurement may be nan, a return may not.

    UserError for any other, and for an env step before that of the last row.
    """
    step = float(whole(row.get("env_step"), f"{where}: env_step"))
    if "return" in row:
        found = {"return": number(row["return"], f"{where}: return")}
    else:
        values = {name: value for name, value in row.items() if name not in NO_MEASUREMENT and value != ""}
        found = {name: number(value, f"{where}: {name}", finite=False) for name, value in values.items()}
    for name, value in found.items():
        points = course.returns if "return" in row else course.measured.setdefault(printable(name), [])
        if points and step < points[-1][0]:
            raise UserError(f"{where}: env step {step:.0f} comes after {points[-1][0]:.0f}")
        points.append((step, value))


def sampled(points: list[tuple[float, float]], places: np.ndarray, window: int) -> np.ndarray:
    """At each env step of `places` [T] the mean of the last `window` values up to it, nan before the first. float64 [T]."""
    if not points:
        return np.full(len(places), np.nan)
    steps, values = np.array(points).T
    count = np.searchsorted(steps, places, side="right")
    means = np.concatenate(([np.nan], running_mean(values, window)))
    return means[count]


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of each value and up to `window` - 1 before it; float64, as long as `values`.

    Not a difference of sums, in which one huge value or nan would spoil all that come later.
    """
    first = values[: window - 1]
    head = np.cumsum(first) / np.arange(1, len(first) + 1)
    tail = sliding_window_view(values, window).mean(-1) if len(values) >= window else values[:0]
    return np.concatenate((head, tail))


def places(env_steps: int) -> np.ndarray:
    """The env steps at which curves are sampled, whole numbers: float64 [POINTS]."""
    return np.linspace(env_steps / POINTS, env_steps, POINTS).round()
