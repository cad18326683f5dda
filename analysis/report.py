"""One HTML page of everything that runs show, and beside it every figure as SVG, PNG and CSV.

    python -m analysis.report runs/ results/ --out report.html
    python -m analysis.report runs/ --incomplete --agents der der_ht --out report.html
    python -m analysis.report runs/ --per-run "DER=DER.json" --per-run "BBF=BBF.csv" --out report.html

Intervals are of 95 %, and those that are drawn have a seed of their own for each agent: the same files give the same page.
"""

import argparse
import os
import shlex
from collections.abc import Callable
from pathlib import Path

from analysis import tables
from analysis.curves import read_courses
from analysis.grid import Grid, build_grid
from analysis.page import LONG, Section, page
from analysis.request import Runs, read_command_line, read_runs
from analysis.scores import Score
from analysis.standing import standing
from analysis.statistics import RESAMPLES
from analysis.tables import CURVE_RESAMPLES, Table
from experiment import sums
from experiment.command import UserError, run
from experiment.files import csv_text, locked, write_text
from experiment.folder import commit

# Name, title, words, and which rows are shown of a long table.
WORDS: dict[str, tuple[str, str]] = {
    "aggregates": (
        "Aggregates",
        "Human-normalised: 0 is the random policy, 1 the human. Filled marks are computed from single runs, ours or "
        "published ones (--per-run), with their interval (one run has none). Over all 26 games there are hollow marks for "
        "published figures, computed anew from published scores, and crosses for those recalled from papers and not checked; "
        "the table has the sources. IQM is the mean of the middle half of all runs.",
    ),
    "profiles": ("Performance profiles", "The share of runs, over all games, that score above a threshold. Higher is better."),
    "improvement": (
        "Probability of improvement",
        "How probable it is that a run of the row's agent beats one of the column's on a game drawn at random. Bold: one half "
        "is outside the interval. Where an agent has one run of each game, the interval is over games (Wilson's). Unadjusted.",
    ),
    "pairs": (
        "Hare & Tortoise against its base",
        "Differences in human-normalised score between runs of the same game and seed. Right of 0: Hare & Tortoise is better. "
        "The interval over all games that both agents have is over the pairs of each; where a game has a single one, it is "
        "over games: what to expect of games like these.",
    ),
    "games": (
        "Games",
        "Raw scores. Bars begin at the random score (dotted line); the solid line is the human's, and an arrow says that it "
        "lies beyond the scale. Hollow marks are published means.",
    ),
    "standing": (
        "Among published runs",
        "The share of published runs of the same game that each run is above. If ours came from the same distribution as the "
        "published ones, every share would be equally likely: the mean of n shares would be 0.5 ± 0.57 / root of n, and, with "
        "40 published runs or more, 19 of 20 would lie in the shaded part. Beside the published median: the middle 95 %.",
    ),
    "learning": (
        "Learning, all games",
        "Returns of training games, the mean of the last 10 of each run, as IQM over games and runs.",
    ),
    "learning_games": (
        "Learning, game by game",
        "Returns of training games, the mean of the last 10 of each run, mean over runs.",
    ),
    "plasticity": (
        "Plasticity",
        "What the network can still learn, measured on states drawn from replay as for updates: mean over games and runs.",
    ),
    "cost": ("Cost", "Training alone, without evaluation: mean over runs, bars from the least to the most."),
    "runs": ("Runs", "Every run, its commit, and what its configuration changes of the catalogue's agent (flags)."),
    "missing": ("Missing", "Runs that other games have, and runs that are not finished."),
}

ABSENT = {"missing": "Nothing.", "standing": "--per-run adds published scores of single runs."}


def compute(asked: argparse.Namespace) -> tuple[dict[str, Table], Grid, Runs]:
    """Every table of the report by its name."""
    runs = read_runs(asked)
    scores = runs.scores
    grid = build_grid(scores, asked.games, asked.incomplete)
    known = {(score.label, score.game, score.seed) for score in scores}
    courses = read_courses(runs.in_folders, runs.courses, known)
    learning, learning_games = tables.returns(courses, grid, asked.env_steps)
    files = {score.label: f"published runs, {Path(score.where).name}" for score in scores if not score.ours}
    found = {
        "aggregates": tables.agents(grid, files),
        "profiles": tables.profiles(grid),
        "improvement": tables.improvements(grid),
        "pairs": tables.pairs(grid),
        "games": tables.games(grid),
        "standing": standing(scores),
        "learning": learning,
        "learning_games": learning_games,
        "plasticity": tables.plasticity(courses, grid, asked.env_steps),
        "cost": tables.cost(scores),
        "runs": tables.runs(scores),
        "missing": tables.missing(grid, runs.unfinished),
    }
    return found, grid, runs


def in_short(name: str, table: Table) -> Table | None:
    """The rows that the page shows of a long table: the last point of each curve, a few thresholds. None for all."""
    if len(table.rows) <= LONG:
        return None
    if name == "profiles":
        return Table(table.columns, tuple(row for row in table.rows if row[1] in ("0.250", "0.500", "1.000", "2.000", "4.000")))
    if "env_step" in table.columns and name != "runs":
        index = table.columns.index("env_step")
        last: dict[tuple[str, ...], tuple[str, ...]] = {row[:index]: row for row in table.rows}
        return Table(table.columns, tuple(last.values()))
    return None


def sections(found: dict[str, Table], grid: Grid, scores: list[Score], folder: Path) -> list[Section]:
    """Write every table and figure to `folder`; the parts of the page."""
    from analysis import canvas, drawings  # takes a second to import

    families = {score.label: tables.without_ht(score.agent) or score.agent for score in scores}
    looks = canvas.styles(families)
    drawn: dict[str, Callable[[Table, drawings.Looks], canvas.Canvas]] = {
        "aggregates": drawings.aggregates,
        "profiles": drawings.profiles,
        "improvement": drawings.improvements,
        "pairs": drawings.pairs,
        "games": drawings.games,
        "standing": drawings.standing,
        "learning": drawings.learning,
        "learning_games": drawings.learning_games,
        "plasticity": drawings.plasticity,
        "cost": drawings.cost,
    }
    parts = []
    sums.write(folder, {f"{name}.csv": csv_text(table.columns, table.where()) for name, table in found.items()})
    for name, table in found.items():
        figure = drawn[name](table, looks) if name in drawn and table.rows else None
        panels, width = (figure.save(folder / name, grid.note), figure.cell[0]) if figure else ((), 0)
        title, words = WORDS[name]
        absent = "" if table.rows else ABSENT.get(name, "No runs here have such data.")
        parts.append(Section(name, title, words, table, panels, width, in_short(name, table), absent))
    return parts


def main(argv: list[str]) -> None:
    """Write the page that the command line asks for."""
    asked = read_command_line(argv, __doc__)
    folder = asked.out.with_name(f"{asked.out.stem}_files")
    if os.path.isdir(folder):
        sums.listed(folder)  # a damaged list is told of before anything is computed
    made_by = commit()  # before its own figures differ from the committed ones
    found, grid, runs = compute(asked)
    facts = {
        "Agents": ", ".join(grid.scores),
        "Games": f"{len(asked.games)}; aggregates over {len(grid.shared)}",
        "Runs": f"{len(found['runs'].rows):,}",
        "Protocol": f"{asked.env_steps:,} env steps of training, {asked.episodes} games of evaluation, no sticky actions"
        + "; of published runs their files do not tell it" * bool(asked.per_run),
        "Intervals": "95 %, over the runs of each game. Means, optimality gaps and differences: Student's t. IQM: Student's t "
        f"times the standard error of a stratified bootstrap of {RESAMPLES:,} draws ({CURVE_RESAMPLES} for curves). Medians: "
        f"{RESAMPLES:,} draws of each game's mean from Student's t. Profiles and probabilities of improvement: Wilson's, with "
        "the variance between runs and between their placements. Comparisons of single runs are over games instead",
        "Made by": f"python -m analysis.report {shlex.join(argv)}",
        "Commit": made_by,
        **({"Notes": "; ".join(runs.notes)} if runs.notes else {}),
    }
    with locked(folder):
        try:
            parts = sections(found, grid, runs.scores, folder)
        except ModuleNotFoundError as error:
            raise UserError("the report needs matplotlib: pip install -e '.[report]'") from error
        write_text(asked.out, page(facts, grid.note, parts, folder.name))
    print(f"{asked.out}, and its figures in {folder}")


if __name__ == "__main__":
    run(main)
