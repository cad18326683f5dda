"""Gather finished runs into small tables: scores.csv, one row a run; curves.csv, one row a finished training game;
plasticity.csv, one row a measurement.

python -m analysis.collect runs --out results
"""

import argparse
import csv
import io
from pathlib import Path
from typing import Any

from analysis.curves import CURVES, PLASTICITY, read_metrics
from analysis.scores import flags_of, read_json, runs_below
from experiment.command import UserError, run
from experiment.folder import CONFIG, METRICS, SCORE, atomic

SCORES = ("agent", "flags", "game", "seed", "env_steps", "episodes", "score", "standard_error", "hns")
SCORES += ("commit", "device", "hours")


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


def write(path: Path, names: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    """Write the columns `names` of `rows` as CSV, atomically."""
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    with atomic(path) as file:
        file.write(text.getvalue().encode())


def unique_runs(folders: list[Path]) -> list[Path]:
    """The finished runs below `folders`. UserError if there are none, or two of the same agent, flags, game and seed."""
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"there is no folder {folder}")
    found: dict[str, Path] = {}
    for path in (path for folder in folders for path in runs_below(folder)):
        other = found.setdefault(str(sorted(identity(path).items())), path)
        if other != path:
            raise UserError(f"{other} and {path} are the same run, made twice")
    if not found:
        raise UserError(f"there is no finished run in {', '.join(map(str, folders))}")
    return list(found.values())


def main(argv: list[str]) -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path("results"))
    asked = parser.parse_args(argv)
    found = unique_runs(asked.runs)
    asked.out.mkdir(parents=True, exist_ok=True)
    write(asked.out / "scores.csv", SCORES, [score_row(run) for run in found])
    write(asked.out / "curves.csv", CURVES, [row for run in found for row in course_rows(run, "episode")])
    measured = [row for run in found for row in course_rows(run, "plasticity")]
    names = dict.fromkeys(name for row in measured for name in row if name not in (*PLASTICITY, "kind"))
    write(asked.out / "plasticity.csv", (*PLASTICITY, *names), measured)
    print(f"{len(found)} finished runs in {asked.out}: scores.csv, curves.csv, plasticity.csv")


if __name__ == "__main__":
    run(main)
