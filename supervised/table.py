"""From run folders to two small tables, and from these to means with intervals over seeds. No torch here."""

import math
import os
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from analysis.compute.statistics import interval
from experiment import sums
from experiment.command import UserError
from experiment.files import csv_text, locked, number, read_table, read_text, shown
from experiment.files import whole as integer
from experiment.folder import SCORE
from supervised.finished import SETTING, Finished, check_accuracies, check_names, read_finished
from supervised.methods import FORMER

FINAL = (*SETTING, "method", "seed", "images", "held_out", "judged", "task", "update", "test", "test_hare", "test_tortoise")
PLASTICITY = ("weight_norm", "initial_distance", "dormant", "zero_activations", "srank", "zero_gradients", "hessian")
NORMS = tuple(f"{norm}_{part}" for norm in ("weight_norm", "gradient_norm_eval") for part in ("body", "neck", "head"))
MEASURED = ("train_hare", "train_tortoise", "loss", *PLASTICITY, "gradient_norm_eval", *NORMS)
COLUMNS = (*FINAL, *MEASURED, "commit", "flags")  # what a run's settings change of what its names mean
LACKING = {"held_out": "0"} | dict.fromkeys(
    ("gradient_norm_eval", *NORMS, "flags"), ""
)  # columns of later tables, as older ones are read
TASKS = "tasks.csv"  # a row for the end of each task of each run
CURVES = "curves.csv"  # a row for each evaluation
NOTES = "notes.md"  # what is known to be mistaken in a table of tasks, after a line with the checksum of that
COURSE = (*SETTING, "method", "seed", "task", "update", "test_hare", "test_tortoise", "train_hare")
RUN = (*SETTING, "method", "seed")  # what names a run
COUNTS = ("seed", "task", "update", "held_out")
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


def summary(values: pd.Series) -> Mean:
    """The mean of `values`, one for each seed, with its interval."""
    low, high = interval([values.to_numpy(float)])
    return Mean(float(values.mean()), None if len(values) < 2 else (high - low) / 2, len(values))


def collect(runs: Path, out: Path) -> int:
    """Write the tables of all finished runs below `runs` into `out`; how many.

    UserError, before anything is written, for none, twins or damage, and if the tables in `out` hold more runs.
    """
    finals: list[Row] = []
    curves: list[Row] = []
    seen: dict[tuple[Any, ...], Path] = {}
    settings: dict[tuple[Any, ...], tuple[Any, Path]] = {}
    for run in filter(None, map(read_finished, sorted(runs.rglob(SCORE)))):
        other = seen.setdefault(tuple(str(run.about[name]) for name in RUN), run.folder)
        if other != run.folder:  # flags that differ are not in the key, and a mean over them would be of nothing
            raise UserError(f"{other} and {run.folder} are two runs of one method and seed; collect them apart")
        about = run.about | {"held_out": run.protocol["held_out"]}
        tasks = [_cells(COLUMNS, about | task | {"commit": run.commit}) for task in run.tasks]
        finals += [row | {"flags": run.flags} for row in _checked([(row, str(run.folder / SCORE)) for row in tasks])]
        _require_same_settings(run, settings)
        curves += [_cells(COURSE, about | row) for row in run.evaluations]
    if not seen:
        raise UserError(f"there is no finished run in {runs}")
    _require_whole_runs(_frame(finals), str(runs))
    with locked(out):
        sums.check(out, [])
        if (out / TASKS).exists():
            more = set(read(out)[list(RUN)].astype(str).itertuples(index=False, name=None)) - seen.keys()
            if more:
                raise UserError(f"{out} holds {len(more)} more runs, which are not in {runs}; collect into another folder")
        sums.write(out, {TASKS: csv_text(COLUMNS, finals), CURVES: csv_text(COURSE, curves)})
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


def tables_in(folder: Path) -> Path:
    """Where the tables are: `folder`, or its subfolder supervised. UserError if in neither."""
    for place in (folder, folder / "supervised"):
        if os.path.exists(place / TASKS):
            return place
    raise UserError(f"there is no {TASKS} in {folder}; --collect makes it from runs")


def read(folder: Path) -> pd.DataFrame:
    """The table of tasks that `collect` wrote into `folder`. UserError, naming file and line, if it is not whole.

    Seeds, tasks and updates are whole numbers, accuracies and measurements floats, nan if a run has them not.
    """
    path, needed = folder / TASKS, [name for name in COLUMNS if name not in LACKING]
    sums.check(folder, [TASKS])
    found = _frame(_checked(read_table(path, needed).rows))
    _require_whole_runs(found, str(path))
    return found


def notes(folder: Path) -> str:
    """What the notes in `folder` say of the table of tasks there; nothing if they are of another, or a user's own."""
    if not (folder / NOTES).exists():
        return ""
    about, _, text = read_text(folder / NOTES).partition("\n")
    return text.strip() if about == f"Of {TASKS} with the SHA-256 {sums.checksum(folder / TASKS)}:" else ""


def _frame(rows: list[Row]) -> pd.DataFrame:
    """Checked `rows` with numbers in place of their text."""
    floats = ("test", "test_hare", "test_tortoise", *MEASURED)
    typed = [row | {n: int(row[n]) for n in COUNTS} | {n: float(row[n] or "nan") for n in floats} for row in rows]
    return pd.DataFrame(typed, columns=list(COLUMNS))


def _checked(rows: Iterable[tuple[Row, str]]) -> list[Row]:
    """`rows` of a table of tasks, each with where it is from. UserError unless they have known names, numbers, and no twin."""
    seen: set[tuple[str, ...]] = set()
    found = []
    for row, where in rows:
        row = LACKING | row | {"method": FORMER.get(row["method"], row["method"])}
        check_names(row, where)
        check_accuracies(row, where)
        for name in (*COUNTS, *(["images"] if row["images"] else [])):
            if not 0 <= integer(row[name], f"{where}: {name}") < (1 << 63 if name == "seed" else LARGEST):
                raise UserError(f"{where}: {name} cannot be {shown(row[name])}")
        for name in (name for name in MEASURED if row[name]):
            number(row[name], f"{where}: {name}")
        key = tuple(row[name] for name in (*RUN, "task"))
        if key in seen:
            raise UserError(f"{where} is the second of one run and task")
        seen.add(key)
        found.append(row)
    return found


def _require_whole_runs(found: pd.DataFrame, where: str) -> None:
    """UserError, beginning with `where`, unless each run has the last task of its setting, and all before it or none."""
    for setting, rows in found.groupby(list(SETTING), sort=False):
        last = rows["task"].max()
        for (method, seed), run in rows.groupby(["method", "seed"], sort=False):
            tasks = set(run["task"])
            if tasks != {last} and len(tasks) <= last:
                lost = next(task for task in count() if task not in tasks)
                mistake = f"{' '.join(setting)}, {method}, seed {seed} has no row of task {lost}"
                raise UserError(f"{where}: {mistake}, which others have; are rows lost?")


def final(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of one setting at the end of the last task, by method and, within, by seed."""
    last = rows[rows["task"] == rows["task"].max()].set_index("seed")
    return dict(iter(last.groupby("method", sort=False)))


def against(values: pd.Series, base: pd.Series) -> Mean | None:
    """Mean difference of two methods over the seeds that both have, seed by seed; None if there are none."""
    differences = (values - base).dropna()
    return summary(differences) if len(differences) else None
