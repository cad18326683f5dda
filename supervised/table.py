"""From run folders to two small tables, and from these to means with intervals over seeds. No torch here."""

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiment.command import UserError
from experiment.files import atomic
from experiment.folder import CONFIG, METRICS, SCORE
from experiment.student import quantile

SETTING = ("dataset", "model", "study", "point")
FINAL = (*SETTING, "method", "seed", "images", "judged", "task", "update", "test", "test_hare", "test_tortoise")
MEASURED = (
    "train_hare",
    "train_tortoise",
    "loss",
    "weight_norm",
    "initial_distance",
    "dormant",
    "zero_activations",
    "srank",
    "zero_gradients",
    "hessian",
)
TASKS = "tasks.csv"  # a row for the end of each task of each run
CURVES = "curves.csv"  # a row for each evaluation

Row = dict[str, str]


class Mean(NamedTuple):
    """A mean over seeds, and half of its 95 % interval (Student's t); that is None for one seed."""

    mean: float
    half: float | None
    count: int

    def __str__(self) -> str:
        """In percent."""
        return f"{100 * self.mean:.2f}" + (f" ± {100 * self.half:.2f}" if self.half is not None else "")


def summary(values: Sequence[float]) -> Mean:
    """The mean of `values`, one for each seed, with its interval."""
    found = np.asarray(values, np.float64)
    if len(found) < 2:
        return Mean(float(found.mean()), None, len(found))
    half = quantile(len(found) - 1) * found.std(ddof=1) / len(found) ** 0.5
    return Mean(float(found.mean()), float(half), len(found))


def collect(runs: Path, out: Path) -> int:
    """Write the tables of all finished runs below `runs` into the folder `out`; how many. UserError for none or twins."""
    finals: list[dict[str, Any]] = []
    curves: list[dict[str, Any]] = []
    seen: dict[tuple[Any, ...], Path] = {}
    settings: dict[tuple[Any, ...], tuple[Any, Path]] = {}
    for path in sorted(runs.rglob(SCORE)):
        score = json.loads(path.read_text())
        if "tasks" not in score:
            continue  # of another program
        other = seen.setdefault(tuple(score[name] for name in (*SETTING, "method", "seed")), path)
        if other != path:  # flags that differ are not in the key, and a mean over them would be of nothing
            raise UserError(f"{other.parent} and {path.parent} are two runs of one method and seed; collect them apart")
        _require_same_settings(path.parent, score, settings)
        about = {name: score[name] for name in (*SETTING, "method", "seed", "images", "judged")}
        finals += [about | task | {"commit": score["commit"]} for task in score["tasks"]]
        rows = map(json.loads, (path.parent / METRICS).read_text().splitlines())
        curves += [about | row for row in rows if row["kind"] == "evaluation"]
    if not seen:
        raise UserError(f"there is no finished run in {runs}")
    out.mkdir(parents=True, exist_ok=True)
    _write(out / TASKS, (*FINAL, *MEASURED, "commit"), finals)
    _write(out / CURVES, (*SETTING, "method", "seed", "task", "update", "test_hare", "test_tortoise", "train_hare"), curves)
    return len(seen)


def _require_same_settings(run: Path, score: dict[str, Any], seen: dict[tuple[Any, ...], tuple[Any, Path]]) -> None:
    """UserError if `run` differs from one of its method in more than the seed, or from one of its setting in the tasks."""
    ours = json.loads((run / CONFIG).read_text())["settings"]
    protocol = dict(ours["config"]["protocol"])
    fresh, memory = protocol.pop("last_only"), protocol.pop("memory")
    setting = tuple(score[name] for name in SETTING)
    whole = {k: v for k, v in ours.items() if k != "seed"}
    alike = {(*setting, "method", score["method"]): whole, (*setting, "tasks"): (ours["images"], protocol)}
    if not fresh:  # which have all images whatever the others remember
        alike[*setting, "memory"] = memory
    for key, value in alike.items():
        theirs, other = seen.setdefault(key, (value, run))
        if theirs != value:
            raise UserError(f"{other} and {run} are of different settings, and no mean is of both; collect them apart")


def _write(path: Path, names: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    lines = [names, *[tuple(_plain(row.get(name)) for name in names) for row in rows]]
    with atomic(path) as file:
        file.write("".join(",".join(line) + "\n" for line in lines).encode())


def _plain(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def read(folder: Path, name: str) -> list[Row]:
    """The rows of a table that `collect` wrote into `folder` or into its subfolder supervised. UserError without one."""
    for place in (folder / name, folder / "supervised" / name):
        if place.exists():
            with place.open(newline="") as file:
                return list(csv.DictReader(file))
    raise UserError(f"there is no {name} in {folder}; python -m supervised.report RUNS --collect {folder} makes it")


def by_setting(rows: Iterable[Row]) -> dict[tuple[str, ...], list[Row]]:
    """`rows` by data set, model, study and point, in the order in which these come."""
    found: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        found[tuple(row[name] for name in SETTING)].append(row)
    return dict(found)


def accuracies(rows: Iterable[Row], column: str = "test") -> dict[str, dict[int, dict[int, float]]]:
    """Method -> task -> seed -> what `column` holds."""
    found: dict[str, dict[int, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        if row[column]:
            found[row["method"]][int(row["task"])][int(row["seed"])] = float(row[column])
    return {method: dict(tasks) for method, tasks in found.items()}


def final(tasks: dict[int, dict[int, float]]) -> dict[int, float]:
    """Seed -> value at the end of the last task."""
    return tasks[max(tasks)]


def against(values: dict[int, float], base: dict[int, float]) -> Mean | None:
    """Mean difference of two methods over the seeds that both have, seed by seed; None if there are none."""
    seeds = sorted(values.keys() & base.keys())
    return summary([values[seed] - base[seed] for seed in seeds]) if seeds else None
