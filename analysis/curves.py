"""What happened during training: returns and plasticity of each run, sampled at common env steps."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from analysis.scores import Score, header, number, table_rows
from experiment.command import UserError
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


def read_metrics(path: Path, kinds: Iterable[str]) -> list[dict[str, Any]]:
    """The rows of metrics.jsonl that are of one of `kinds`. UserError, naming file and line, for a broken one."""
    starts = tuple(f'{{"kind": "{kind}"' for kind in kinds)  # most rows need not be parsed
    found = []
    for index, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith(starts) or not (line.startswith('{"kind": "') and line.endswith("}")):
            try:
                row = json.loads(line)
                if row["kind"] in kinds:
                    found.append(row)
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(f"{path}, line {index} cannot be read; is it half-written?") from error
    return found


def read_courses(runs: Iterable[tuple[Score, Path]], tables: Iterable[Path], known: set[Key]) -> dict[Key, Course]:
    """The courses of the `known` runs, from run folders or, for those in none, from `tables` that collect wrote."""
    found: dict[Key, Course] = {}
    for score, folder in runs:
        path = folder / METRICS
        if (score.label, score.game, score.seed) in known and path.exists():
            course = found[score.label, score.game, score.seed] = Course()
            for row in read_metrics(path, ("episode", "plasticity")):
                _add(course, row, str(path))
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
        key = (f"{row['agent']} {row['flags']}".strip(), row["game"], int(row["seed"]))
        if key in known:
            _add(found.setdefault(key, Course()), row, where)
    return found


def course_tables(paths: Iterable[Path]) -> list[Path]:
    """The tables of returns and of plasticity in the folders `paths`."""
    files = [file for path in paths if path.is_dir() for file in sorted(path.rglob("*.csv"))]
    return [file for file in files if set(PLASTICITY) <= set(header(file)) and "score" not in header(file)]


def _add(course: Course, row: dict[str, Any], where: str) -> None:
    """Add a row of an episode or of a measurement; a measurement may be nan, a return may not."""
    step = number(row, "env_step", where)
    if "return" in row:
        course.returns.append((step, number(row, "return", where)))
        return
    for name, value in row.items():
        if name not in NO_MEASUREMENT and value != "":
            course.measured.setdefault(name, []).append((step, float(value)))


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
