"""Gather finished runs into small tables: scores.csv, one row a run; curves.csv, one row a finished training game;
plasticity.csv, one row a measurement; agents.csv, one row a setting of each agent.

    python -m analysis.collect runs --out results

Tables that are there already keep the rows of other runs, whose folders may be gone or elsewhere; a run in both is taken
from its folder, and refused if it is of another length.
"""

import os
from collections import defaultdict
from pathlib import Path
from typing import Any

from analysis.curves import CURVES, PLASTICITY, Course, add, read_metrics
from analysis.folders import runs_below
from analysis.labels import AGENTS, LONGEST, identity, rows_of
from analysis.labels import COLUMNS as SETTINGS
from analysis.scores import not_negative, read_run, read_table, table_rows, unique
from experiment import sums
from experiment.command import UserError, run
from experiment.files import csv_text, header, locked, number, read_json, shown, whole
from experiment.folder import CONFIG, METRICS, SCORE
from experiment.parser import Parser, user_path

WHO = ("agent", "flags", "game", "seed")  # what names a run
SCORES = (*WHO, "env_steps", "episodes", "score", "standard_error", "hns", "commit", "device", "hours")

FORMULA = ("=", "+", "@", "-")  # what a spreadsheet would run, if it is no number; flags are ours

Who = tuple[str, str, str, int]


def score_row(run: Path) -> dict[str, Any]:
    """The row of scores.csv for the run folder `run`. UserError, naming the file, if it could not be read again."""
    read_run(run, None)
    row = identity(run) | {"standard_error": None} | read_json(run / SCORE)
    not_negative(row["standard_error"], f"{run / SCORE}: standard_error")
    counts = {name: whole(row[name], name) for name in ("seed", "env_steps", "episodes")}
    return checked({name: row[name] for name in SCORES} | identity(run) | counts, str(run / SCORE))


def course_rows(run: Path, kind: str) -> list[dict[str, Any]]:
    """A row for each row of metrics of `kind` in the run folder `run`: a game finished in training, or a measurement.

    UserError, naming file and line, for one that could not be read again.
    """
    who, course, found = identity(run), Course(), []
    for row, where in read_metrics(run / METRICS, (kind,)):
        add(course, row, where)
        if kind == "episode":
            not_negative(row.get("length"), f"{where}: length")
            row = {name: row.get(name) for name in CURVES}
        found.append(checked({name: value for name, value in row.items() if name != "kind"} | who, where))
    return found


def checked(row: dict[str, Any], where: str) -> dict[str, Any]:
    """`row`, if a CSV file of it can be read again, by a spreadsheet too. UserError, beginning with `where`, if not."""
    for name, cell in row.items():
        texts = [name, cell] if isinstance(cell, str) else [name]
        bad = any(len(text) > LONGEST or not text.isprintable() for text in texts)
        runs = any(text.startswith(FORMULA) and not _is_number(text) for text in texts) and name != "flags"
        if bad or runs or not isinstance(cell, str | int | float | None):
            raise UserError(f"{where}: {shown(name)} is {shown(cell)}, which no table can hold")
    return row


def _is_number(text: str) -> bool:
    try:
        number(text, "", finite=False)
    except UserError:
        return False
    return True


def who(row: dict[str, Any]) -> Who:
    """The run that a row of a table is of, in the tables' order."""
    return row["agent"], row["flags"], row["game"], whole(row["seed"], "seed")


def earlier_rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """The rows of the table `path`, none if it is not there. UserError, naming file and line, for what cannot be read again."""
    if not path.exists():
        return []
    more = [name for name in header(path) if name not in columns]
    if more and columns != PLASTICITY:
        raise UserError(f"{path} has columns of others, which would be lost: {', '.join(map(shown, more))}")
    if columns == SCORES:
        unique(read_table(path, None))
    rows, courses = list(table_rows(path, columns)), defaultdict[Who, Course](Course)
    for row, where in rows:
        for name in {"standard_error", "length"}.intersection(columns):
            not_negative(row[name], f"{where}: {name}")
        if "env_step" in columns:
            add(courses[who(row)], row, where)
    return [row for row, _ in rows]


def measurements(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    """The columns of the table of the measurements `rows`, which of old runs may be fewer."""
    return tuple(dict.fromkeys((*PLASTICITY, *(name for row in rows for name in row if name != "kind"))))


def unique_runs(folders: list[Path]) -> list[Path]:
    """The finished runs below `folders`. UserError if there are none, or two of the same agent, flags, game and seed."""
    for folder in folders:
        if not os.path.isdir(folder):
            raise UserError(f"there is no folder {folder}")
    found: dict[str, Path] = {}
    for path in (path for folder in folders for path in runs_below(folder)):
        other = found.setdefault(str(sorted(identity(path).items())), path)
        if other != path:
            raise UserError(f"{other} and {path} are of one agent, game and seed; collect one of them")
    if not found:
        raise UserError(f"there is no finished run in {', '.join(map(str, folders))}")
    return list(found.values())


def require_same_protocol(earlier: list[dict[str, str]], new: list[dict[str, Any]], out: Path) -> None:
    """UserError if a run of the tables in `out` would be replaced by one with other env steps or games of evaluation."""
    known = {who(row): row for row in earlier}
    for row in new:
        for name in ("env_steps", "episodes"):
            was = int(known.get(who(row), row)[name])
            if was != row[name]:
                told = f"{row['agent']} on {row['game']}, seed {row['seed']}, with {was:,} {name}, not {row[name]:,}"
                raise UserError(f"{out} holds {told}; collect this run into another --out")


def collect(found: list[Path], out: Path) -> list[str]:
    """Add the runs `found` to the tables in `out`, which nobody else writes to meanwhile; a line for each score that changes.

    The last line says what is there. UserError before anything is written.
    """
    tables = {
        "scores.csv": (SCORES, [score_row(run) for run in found]),
        "curves.csv": (CURVES, [row for run in found for row in course_rows(run, "episode")]),
        "plasticity.csv": (PLASTICITY, [row for run in found for row in course_rows(run, "plasticity")]),
    }
    sums.check(out, [])
    earlier = {name: earlier_rows(out / name, columns) for name, (columns, _) in tables.items()}
    settings = {(row["agent"], row["flags"], row["setting"]): row for row in earlier_rows(out / AGENTS, SETTINGS)}
    rows = rows_of(run / CONFIG for run in found)
    settings |= {(row["agent"], row["flags"], row["setting"]): checked(row, AGENTS) for row in rows}
    require_same_protocol(earlier["scores.csv"], tables["scores.csv"][1], out)
    new = {who(row): row["score"] for row in tables["scores.csv"][1]}
    old = {who(row): float(row["score"]) for row in earlier["scores.csv"]}
    # What explains scores is written before them: whoever reads meanwhile finds it.
    texts = {AGENTS: csv_text(SETTINGS, [row for _, row in sorted(settings.items())])}
    for name, (columns, rows) in reversed(tables.items()):
        rows = sorted([row for row in earlier[name] if who(row) not in new] + rows, key=who)
        texts[name] = csv_text(columns if columns is not PLASTICITY else measurements(rows), rows)
    sums.write(out, texts)
    changed = [one for one in sorted(new.keys() & old.keys()) if new[one] != old[one]]
    more = f", {len(old.keys() - new.keys())} more of earlier tables" if old.keys() - new.keys() else ""
    return [f"{' '.join(map(str, one))}: {old[one]:g} is now {new[one]:g}" for one in changed] + [
        f"{len(found)} finished runs in {out}{more}: {', '.join((*tables, AGENTS))}"
    ]


def main(argv: list[str]) -> None:
    """Write the tables."""
    parser = Parser("analysis.collect", __doc__)
    parser.add_argument("runs", nargs="+", type=user_path)
    parser.add_argument("--out", type=user_path, default=Path("results"))
    asked = parser.parse_args(argv)
    found = unique_runs(asked.runs)
    with locked(asked.out):
        lines = collect(found, asked.out)
    print("\n".join(lines))


if __name__ == "__main__":
    run(main)
