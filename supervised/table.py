"""From run folders to two small tables, and from these to means with intervals over seeds. No torch here."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

from experiment import sums
from experiment.command import UserError
from experiment.files import csv_text, locked, number, read_table, read_text, shown
from experiment.files import whole as integer
from experiment.folder import SCORE
from supervised.finished import SETTING, Finished, check_accuracies, check_names, read_finished

FINAL = (*SETTING, "method", "seed", "images", "held_out", "judged", "task", "update", "test", "test_hare", "test_tortoise")
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
NOTES = "notes.md"  # what is known to be mistaken in a table of tasks, after a line with the checksum of that
COURSE = (*SETTING, "method", "seed", "task", "update", "test_hare", "test_tortoise", "train_hare")
WHO = (*SETTING, "method", "seed")  # what names a run
LARGEST = 10**12  # of whole numbers in a table

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
    half = stdtrit(len(found) - 1, 0.975) * found.std(ddof=1) / len(found) ** 0.5
    return Mean(float(found.mean()), float(half), len(found))


def collect(runs: Path, out: Path) -> int:
    """Write the tables of all finished runs below `runs` into `out`; how many.

    UserError, before anything is written, for none, twins or damage, and if the tables in `out` hold more runs.
    """
    finals: list[Row] = []
    curves: list[Row] = []
    seen: dict[tuple[Any, ...], Path] = {}
    settings: dict[tuple[Any, ...], tuple[Any, Path]] = {}
    for run in filter(None, map(read_finished, sorted(runs.rglob(SCORE)))):
        other = seen.setdefault(tuple(str(run.about[name]) for name in WHO), run.folder)
        if other != run.folder:  # flags that differ are not in the key, and a mean over them would be of nothing
            raise UserError(f"{other} and {run.folder} are two runs of one method and seed; collect them apart")
        about = run.about | {"held_out": run.protocol["held_out"]}
        tasks = [_cells((*FINAL, *MEASURED, "commit"), about | task | {"commit": run.commit}) for task in run.tasks]
        finals += _checked([(row, str(run.folder / SCORE)) for row in tasks])
        _require_same_settings(run, settings)
        curves += [_cells(COURSE, about | row) for row in run.evaluations]
    if not seen:
        raise UserError(f"there is no finished run in {runs}")
    _require_whole_runs(finals, str(runs))
    with locked(out):
        sums.check(out, [])
        if (out / TASKS).exists():
            more = {tuple(row[name] for name in WHO) for row in _read(out / TASKS)} - seen.keys()
            if more:
                raise UserError(f"{out} holds {len(more)} more runs, which are not in {runs}; collect into another folder")
        sums.write(out, {TASKS: csv_text((*FINAL, *MEASURED, "commit"), finals), CURVES: csv_text(COURSE, curves)})
    return len(seen)


def _require_same_settings(run: Finished, seen: dict[tuple[Any, ...], tuple[Any, Path]]) -> None:
    """UserError if `run` differs from one of its method in more than the seed, or from one of its setting in the tasks."""
    protocol = {name: value for name, value in run.protocol.items() if name not in ("last_only", "memory")}
    setting = tuple(run.about[name] for name in SETTING)
    whole = {k: v for k, v in run.settings.items() if k != "seed"}
    alike = {(*setting, "method", run.about["method"]): whole, (*setting, "tasks"): (run.settings["images"], protocol)}
    if not run.protocol["last_only"]:  # fresh networks have all images whatever the others remember
        alike[*setting, "memory"] = run.protocol["memory"]
    for key, value in alike.items():
        theirs, other = seen.setdefault(key, (value, run.folder))
        if theirs != value:
            raise UserError(f"{other} and {run.folder} are of different settings, and no mean is of both; collect them apart")


def _cells(names: tuple[str, ...], row: dict[str, Any]) -> Row:
    return {name: _plain(row.get(name)) for name in names}


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else ""
    return "" if value is None else str(value)


def read(folder: Path, name: str) -> list[Row]:
    """The rows of a table that `collect` wrote into `folder` or into its subfolder supervised. UserError if it is not whole."""
    for place in (folder / name, folder / "supervised" / name):
        if place.exists():
            return _read(place)
    raise UserError(f"there is no {name} in {folder}; --collect makes it from runs")


def notes(folder: Path) -> str:
    """What the notes in `folder` say of the table of tasks there; nothing if they are of another, or a user's own."""
    if not (folder / NOTES).exists():
        return ""
    about, _, text = read_text(folder / NOTES).partition("\n")
    return text.strip() if about == f"Of {TASKS} with the SHA-256 {sums.checksum(folder / TASKS)}:" else ""


def _read(path: Path) -> list[Row]:
    """The rows of the table of tasks at `path`. UserError, naming file and line, if it is not whole or not as listed."""
    needed = tuple(name for name in FINAL if name != "held_out")  # which older tables do not have
    sums.check(path.parent, [path.name])
    found = _checked(read_table(path, (*needed, *MEASURED, "commit")).rows)
    _require_whole_runs(found, str(path))
    return found


def _checked(rows: Iterable[tuple[Row, str]]) -> list[Row]:
    """`rows` of a table of tasks, each with where it is from. UserError unless they have known names, numbers, and no twin."""
    seen: set[tuple[str, ...]] = set()
    found = []
    for row, where in rows:
        row.setdefault("held_out", "0")
        check_names(row, where)
        check_accuracies(row, where)
        for name in ("seed", "task", "update", "held_out", *(["images"] if row["images"] else [])):
            if not 0 <= integer(row[name], f"{where}: {name}") < (1 << 63 if name == "seed" else LARGEST):
                raise UserError(f"{where}: {name} cannot be {shown(row[name])}")
        for name in (name for name in MEASURED if row[name]):
            number(row[name], f"{where}: {name}")
        key = tuple(row[name] for name in (*WHO, "task"))
        if key in seen:
            raise UserError(f"{where} is the second of one run and task")
        seen.add(key)
        found.append(row)
    return found


def _require_whole_runs(rows: Iterable[Row], where: str) -> None:
    """UserError, beginning with `where`, unless each run has the last task of its setting, and all before it or none."""
    for setting, inside in by_setting(rows).items():
        runs: dict[tuple[str, str], set[int]] = defaultdict(set)
        for row in inside:
            runs[row["method"], row["seed"]].add(int(row["task"]))
        last = max(map(max, runs.values()))
        for (method, seed), tasks in runs.items():
            if tasks != {last} and len(tasks) <= last:
                lost = next(task for task in count() if task not in tasks)
                told = f"{' '.join(setting)}, {method}, seed {seed} has no row of task {lost}"
                raise UserError(f"{where}: {told}, which others have; are rows lost?")


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


def final(rows: Sequence[Row], column: str = "test") -> dict[str, dict[int, float]]:
    """Method -> seed -> what `column` of `rows` of one setting holds at the end of the last task."""
    last = max(int(row["task"]) for row in rows)
    return {method: tasks[last] for method, tasks in accuracies(rows, column).items() if last in tasks}


def against(values: dict[int, float], base: dict[int, float]) -> Mean | None:
    """Mean difference of two methods over the seeds that both have, seed by seed; None if there are none."""
    seeds = sorted(values.keys() & base.keys())
    return summary([values[seed] - base[seed] for seed in seeds]) if seeds else None
