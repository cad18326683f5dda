"""Gather finished runs into small tables: scores.csv, one row a run; curves.csv, one row a finished training game;
plasticity.csv, one row a measurement; agents.csv, one row a setting of each agent.

    python -m analysis.collect runs --out results

Tables that are there already keep the rows of other runs, whose folders may be gone or elsewhere; a run in both is taken
from its folder, and refused if it is of another length.
"""

import os
from pathlib import Path
from typing import Any

from agents.catalogue import TABLES, fill
from analysis.read.courses import CURVES, PLASTICITY, RUN, checked, read_log
from analysis.read.folders import runs_below
from analysis.read.scores import OPTIONAL, is_number, not_negative, read_run, read_table, table_rows, unique
from analysis.read.settings import AGENTS, LONGEST, identity, rows_of
from analysis.read.settings import COLUMNS as SETTINGS
from experiment import sums
from experiment.command import UserError
from experiment.command import run as run_program
from experiment.files import csv_text, header, locked, number, read_json, shown, whole
from experiment.folder import CONFIG, METRICS, SCORE
from experiment.outside import add_flag, bring_in
from experiment.parser import Parser, user_path

SCORES = (*RUN, "env_steps", "episodes", "score", "standard_error", "hns", "commit", "device", "hours", "memory_gb")
UNKNOWN = dict.fromkeys(("standard_error", *OPTIONAL))  # what scores did not always tell

FORMULA = ("=", "+", "@", "-")  # what a spreadsheet would run, if it is no number; flags are ours

Row = dict[str, Any]
Run = tuple[str, str, str, int]  # agent, flags, game, seed


def score_row(folder: Path) -> Row:
    """The row of scores.csv for the run in `folder`. UserError, naming the file, if it could not be read again."""
    read_run(folder, None)
    row = UNKNOWN | read_json(folder / SCORE) | identity(folder)
    _check_error(row, str(folder / SCORE))
    row |= {name: whole(row[name], name) for name in ("seed", "env_steps", "episodes")}
    return writable({name: row[name] for name in SCORES}, str(folder / SCORE))


def course_rows(folder: Path, kind: str) -> list[Row]:
    """A row for each row of metrics of `kind` of the run in `folder`: a game finished in training, or a measurement.

    UserError, naming file and line, for one that could not be read again.
    """
    run, rows = identity(folder), read_log(folder / METRICS, kind)
    if kind == "episode":
        rows = [({name: row.get(name) for name in CURVES}, where) for row, where in rows]
    list(checked(rows, (run["agent"], run["game"], run["seed"])))
    return [writable(row | run, where) for row, where in rows]


def _check_error(row: Row, where: str) -> None:
    """UserError, beginning with `where`, unless the score has a standard error; that of one game has none."""
    if row["standard_error"] not in (None, "") or number(row["episodes"], f"{where}: episodes") != 1:
        not_negative(row["standard_error"], f"{where}: standard_error")


def writable(row: Row, where: str) -> Row:
    """`row`, if a CSV file of it can be read again, by a spreadsheet too. UserError, beginning with `where`, if not."""
    for name, cell in row.items():
        texts = [name, cell] if isinstance(cell, str) else [name]
        bad = any(len(text) > LONGEST or not text.isprintable() for text in texts)
        runs = any(text.startswith(FORMULA) and not is_number(text) for text in texts) and name != "flags"
        if bad or runs or not isinstance(cell, str | int | float | None):
            raise UserError(f"{where}: {shown(name)} is {shown(cell)}, which no table can hold")
    return row


def run_of(row: Row) -> Run:
    """The run that a row of a table is of, in the tables' order."""
    return row["agent"], row["flags"], row["game"], whole(row["seed"], "seed")


def earlier_rows(path: Path, columns: tuple[str, ...]) -> list[Row]:
    """The rows of the table `path`, none if it is not there. UserError, naming file and line, for what cannot be read again."""
    if not path.exists():
        return []
    more = [name for name in header(path) if name not in columns]
    if more and columns != PLASTICITY:
        raise UserError(f"{path} has columns of others, which would be lost: {', '.join(map(shown, more))}")
    rows = list(table_rows(path, [name for name in columns if name not in OPTIONAL]))
    if columns == SCORES:
        unique(read_table(path, None))
        for row, where in rows:
            _check_error(row, where)
    elif columns != SETTINGS:
        list(checked(rows))
    return [row for row, _ in rows]


def unique_runs(folders: list[Path]) -> list[Path]:
    """The finished runs below `folders`. UserError if there are none, or two of the same agent, flags, game and seed."""
    for folder in folders:
        if not os.path.isdir(folder):
            raise UserError(f"there is no folder {folder}")
    folder_of: dict[Run, Path] = {}
    for path in (path for folder in folders for path in runs_below(folder)):
        other = folder_of.setdefault(run_of(identity(path)), path)
        if other != path:
            raise UserError(f"{other} and {path} are of one agent, game and seed; collect one of them")
    if not folder_of:
        raise UserError(f"there is no finished run in {', '.join(map(str, folders))}")
    return list(folder_of.values())


def require_same_protocol(earlier: dict[Run, Row], new: dict[Run, Row], out: Path) -> None:
    """UserError if a run of the tables in `out` would be replaced by one with other env steps or games of evaluation."""
    for run in sorted(new.keys() & earlier.keys()):
        for name in ("env_steps", "episodes"):
            was, now = int(earlier[run][name]), new[run][name]
            if was != now:
                held = f"{run[0]} on {run[2]}, seed {run[3]}, with {was:,} {name}, not {now:,}"
                raise UserError(f"{out} holds {held}; collect this run into another --out")


def collect(folders: list[Path], out: Path) -> list[str]:
    """Add the runs `folders` to the tables in `out`, which nobody else writes to meanwhile; a line for each score that changes.

    The last line says what is there. UserError before anything is written.
    """
    tables = {
        "scores.csv": (SCORES, [score_row(run) for run in folders]),
        "curves.csv": (CURVES, [row for run in folders for row in course_rows(run, "episode")]),
        "plasticity.csv": (PLASTICITY, [row for run in folders for row in course_rows(run, "plasticity")]),
    }
    sums.check(out, [])
    earlier = {name: earlier_rows(out / name, columns) for name, (columns, _) in tables.items()}
    settings = [
        *earlier_rows(out / AGENTS, SETTINGS),
        *(writable(row, AGENTS) for row in rows_of(run / CONFIG for run in folders)),
    ]
    new, old = ({run_of(row): row for row in rows} for rows in (tables["scores.csv"][1], earlier["scores.csv"]))
    require_same_protocol(old, new, out)
    # What explains scores is written before them: whoever reads meanwhile finds it.
    latest = {(row["agent"], row["flags"], row["setting"]): row for row in settings}
    texts = {AGENTS: csv_text(SETTINGS, [row for _, row in sorted(latest.items())])}
    for name, (columns, rows) in reversed(tables.items()):
        rows = sorted([row for row in earlier[name] if run_of(row) not in new] + rows, key=run_of)
        if columns is PLASTICITY:  # measurements of old runs may be fewer
            columns = tuple(dict.fromkeys((*PLASTICITY, *(name for row in rows for name in row))))
        texts[name] = csv_text(columns, rows)
    sums.write(out, texts)
    scores = [(run, float(old[run]["score"]), new[run]["score"]) for run in sorted(new.keys() & old.keys())]
    changed = [f"{' '.join(map(str, run))}: {was:g} is now {now:g}" for run, was, now in scores if was != now]
    more = f", {len(old.keys() - new.keys())} more of earlier tables" if old.keys() - new.keys() else ""
    return [*changed, f"{len(folders)} finished runs in {out}{more}: {', '.join((*tables, AGENTS))}"]


def main(argv: list[str]) -> None:
    """Write the tables."""
    parser = Parser("analysis.collect", __doc__)
    parser.add_argument("runs", nargs="+", type=user_path)
    parser.add_argument("--out", type=user_path, default=Path("results"))
    add_flag(parser)
    asked = parser.parse_args(argv)
    bring_in(asked.imports, TABLES, fill)
    folders = unique_runs(asked.runs)
    with locked(asked.out):
        lines = collect(folders, asked.out)
    print("\n".join(lines))


if __name__ == "__main__":
    run_program(main)
