"""Gather finished runs into two small tables: scores.csv, one row a run, and curves.csv, one row a finished training game.

python -m analysis.collect runs --out results
"""

import argparse
import csv
import json
from pathlib import Path
from typing import Any

SCORES = ("agent", "game", "seed", "env_steps", "episodes", "score", "standard_error", "hns", "commit", "device", "hours")
CURVES = ("agent", "game", "seed", "env_step", "return", "length")


def runs_below(folder: Path) -> list[Path]:
    """The finished runs somewhere below `folder`, in order."""
    return sorted(path.parent for path in folder.rglob("score.json"))


def score_row(run: Path) -> dict[str, Any]:
    """The row of scores.csv for the run folder `run`."""
    score = json.loads((run / "score.json").read_text())
    return {name: score[name] for name in SCORES}


def curve_rows(run: Path) -> list[dict[str, Any]]:
    """A row of curves.csv for each game that was finished while the run folder `run` was trained."""
    settings = json.loads((run / "config.json").read_text())["settings"]
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{**settings, **row} for row in rows if row["kind"] == "episode"]


def write(path: Path, names: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    """Write the columns `names` of `rows` as CSV."""
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, names, extrasaction="ignore", lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def main() -> None:
    """Write both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path("results"))
    asked = parser.parse_args()
    found = [run for folder in asked.runs for run in runs_below(folder)]
    asked.out.mkdir(parents=True, exist_ok=True)
    write(asked.out / "scores.csv", SCORES, [score_row(run) for run in found])
    write(asked.out / "curves.csv", CURVES, [row for run in found for row in curve_rows(run)])
    print(f"{len(found)} finished runs in {asked.out / 'scores.csv'} and {asked.out / 'curves.csv'}")


if __name__ == "__main__":
    main()
