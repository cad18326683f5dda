"""Gather finished runs into small tables: scores.csv, one row a run; curves.csv, one row a finished training game;
plasticity.csv, one row a measurement; agents.csv, one row a setting of each agent.

    python -m analysis.collect runs --out results

Tables that are there already keep the rows of other runs, whose folders may be gone or elsewhere; a run in both is taken
from its folder, and refused if it is of another length.
"""

import argparse
import csv
import io
from pathlib import Path
from typing import Any

from analysis.curves import CURVES, PLASTICITY, read_metrics
from analysis.labels import AGENTS, flags_of, read_json, rows_of
from analysis.labels import COLUMNS as SETTINGS
from analysis.scores import runs_below, table_rows
from experiment.command import UserError, run
from experiment.files import atomic
from experiment.folder import CONFIG, METRICS, SCORE

WHO = ("agent", "flags", "game", "seed")  # what names a run
SCORES = (*WHO, "env_steps", "episodes", "score", "standard_error", "hns", "commit", "device", "hours")

Who = tuple[str, str, str, int]


def identity(run: Path) -> dict[str, Any]:
    """Agent, flags, game and seed of the run folder `run`: `flags` is what differs from the catalogue's agent."""
    settings = read_json(run / CONFIG)["settings"]
    return {**{name: settings[name] for name in ("agent", "game", "seed")}, "flags": flags_of(run / CONFIG)}


def score_row(run: Path) -> dict[str, Any]:
    """The row of scores.csv for the run folder `run`."""
    row = identity(run) | read_json(run / SCORE)
    return {name: row[name] for name in SCORES}


def course_rows(run: Path, kind: str) -> list[dict[str, Any]]:
    """A row for each row of metrics of `kind` in the run folder `run`: a game finished in training, or a measurement."""
    who = identity(run)
    return [who | row for row in read_metrics(run / METRICS, (kind,))]


def who(row: dict[str, Any]) -> Who:
    """The run that a row of a table is of, in the tables' order."""
    return row["agent"], row["flags"], row["game"], int(row["seed"])


def earlier_rows(path: Path, columns: tuple[str, ...] = WHO) -> list[dict[str, str]]:
    """The rows of the table `path`, none if it is not there. UserError, naming file and line, if it is no whole table."""
    return [row for row, _ in table_rows(path, columns)] if path.exists() else []


def write(path: Path, names: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    """Write the columns `names` of `rows` as CSV, atomically."""
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    with atomic(path) as file:
        file.write(text.getvalue().encode())


def measurements(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    """The columns of the table of the measurements `rows`, which of old runs may be fewer."""
    return tuple(dict.fromkeys((*PLASTICITY, *(name for row in rows for name in row if name != "kind"))))


def unique_runs(folders: list[Path]) -> list[Path]:
    """The finished runs below `folders`. UserError if there are none, or two of the same agent, flags, game and seed."""
    for folder in folders:
        if not folder.is_dir():
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


def main(argv: list[str]) -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path("results"))
    asked = parser.parse_args(argv)
    found = unique_runs(asked.runs)
    tables = {
        "scores.csv": (SCORES, [score_row(run) for run in found]),
        "curves.csv": (CURVES, [row for run in found for row in course_rows(run, "episode")]),
        "plasticity.csv": (PLASTICITY, [row for run in found for row in course_rows(run, "plasticity")]),
    }
    # A damaged one stops it before anything is written.
    earlier = {name: earlier_rows(asked.out / name) for name in tables}
    settings = {(row["agent"], row["flags"], row["setting"]): row for row in earlier_rows(asked.out / AGENTS, SETTINGS)}
    settings |= {(row["agent"], row["flags"], row["setting"]): row for row in rows_of(run / CONFIG for run in found)}
    require_same_protocol(earlier["scores.csv"], tables["scores.csv"][1], asked.out)
    asked.out.mkdir(parents=True, exist_ok=True)
    new = {who(row): row["score"] for row in tables["scores.csv"][1]}
    old = {who(row): float(row["score"]) for row in earlier["scores.csv"]}
    for name, (columns, rows) in tables.items():
        rows = sorted([row for row in earlier[name] if who(row) not in new] + rows, key=who)
        write(asked.out / name, columns if columns is not PLASTICITY else measurements(rows), rows)
    write(asked.out / AGENTS, SETTINGS, [row for _, row in sorted(settings.items())])
    for one in sorted(new.keys() & old.keys()):
        if new[one] != old[one]:
            print(f"{' '.join(map(str, one))}: {old[one]:g} is now {new[one]:g}")
    more = f", {len(old.keys() - new.keys())} more of earlier tables" if old.keys() - new.keys() else ""
    print(f"{len(found)} finished runs in {asked.out}{more}: {', '.join((*tables, AGENTS))}")


if __name__ == "__main__":
    run(main)
