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

import pandas as pd

from analysis.compute import curves, tables
from analysis.compute.comparison import Comparison, compare
from analysis.compute.methods import methods
from analysis.compute.ranks import ranks
from analysis.compute.rounding import as_text
from analysis.compute.statistics import RESAMPLES
from analysis.draw import canvas, figures, many
from analysis.draw.page import LONG, Section, page
from analysis.draw.sentences import sentences
from analysis.request import Answer, answer, read_command_line
from experiment import sums
from experiment.command import run
from experiment.files import csv_text, locked, write_text
from experiment.folder import commit

# Title, words and figure of each part.
PARTS: dict[str, tuple[str, str, Callable[[pd.DataFrame, figures.Looks], canvas.Canvas] | None]] = {
    "aggregates": (
        "Aggregates",
        "Human-normalised: 0 is the random policy, 1 the human. Filled marks are computed from single runs, ours or "
        "published ones (--per-run), with their interval (one run has none). Over all 26 games there are hollow marks for "
        "published figures, computed anew from published scores, and crosses for those recalled from papers and not checked; "
        "the table has the sources. IQM is the mean of the middle half of all runs.",
        figures.aggregates,
    ),
    "profiles": (
        "Performance profiles",
        "The share of runs, over all games, that score above a threshold. Higher is better.",
        figures.profiles,
    ),
    "improvement": (
        "Probability of improvement",
        "How probable it is that a run of the row's agent beats one of the column's on a game drawn at random. Bold: one half "
        "is outside the interval. Where an agent has one run of each game, the interval is over games (Wilson's). Unadjusted.",
        figures.improvements,
    ),
    "pairs": (
        "Hare & Tortoise against its base",
        "Differences in human-normalised score between runs of the same game and seed. Right of 0: Hare & Tortoise is better. "
        "The interval over all games that both agents have is over the pairs of each; where a game has a single one, it is "
        "over games: what to expect of games like these.",
        figures.pairs,
    ),
    "methods": (
        "Methods against their bases",
        "Differences in human-normalised score between runs of the same game and seed, mean over games. Right of 0: the method "
        "is better. By family of methods, the best first. Triangles: the interval leaves out 0. Unadjusted: of twenty methods "
        "that do nothing, one has such an interval by chance. What lies far beyond a scale is told by its number.",
        many.methods,
    ),
    "games": (
        "Games",
        "Raw scores. Bars begin at the random score (dotted line); the solid line is the human's, and an arrow says that it "
        "lies beyond the scale. Hollow marks are published means.",
        figures.games,
    ),
    "ranks": (
        "Among published runs",
        "The share of published runs of the same game that each run is above. If ours came from the same distribution as the "
        "published ones, every share would be equally likely: the mean of n shares would be 0.5 ± 0.57 / root of n, and, with "
        "40 published runs or more, 19 of 20 would lie in the shaded part. Beside the published median: the middle 95 %.",
        figures.ranks,
    ),
    "learning": (
        "Learning, all games",
        "Returns of training games, the mean of the last 10 of each run, as IQM over games and runs.",
        figures.learning,
    ),
    "learning_games": (
        "Learning, game by game",
        "Returns of training games, the mean of the last 10 of each run, mean over runs.",
        figures.learning_games,
    ),
    "plasticity": (
        "Plasticity",
        "What the network can still learn, measured on states drawn from replay as for updates: mean over games and runs.",
        figures.plasticity,
    ),
    "cost": ("Cost", "Training alone, without evaluation: mean over runs, bars from the least to the most.", figures.cost),
    "runs": ("Runs", "Every run, its commit, and what its configuration changes of the catalogue's agent (flags).", None),
    "missing": ("Missing", "Runs that other games have, and runs that are not finished.", None),
}

ABSENT = {"missing": "Nothing.", "ranks": "--per-run adds published scores of single runs."}
THRESHOLDS = (0.25, 0.5, 1, 2, 4)  # of profiles, that the page shows


def compute(asked: argparse.Namespace) -> tuple[dict[str, pd.DataFrame], Comparison, Answer]:
    """Every table of the report by its name."""
    answered = answer(asked)
    runs = answered.runs.runs
    compared = compare(runs, asked.games, asked.incomplete)
    learning, learning_games = curves.returns(answered.runs.curves, compared, asked.env_steps)
    theirs = runs[~runs["ours"]].drop_duplicates("label")
    files = {row.label: f"published runs, {Path(row.where).name}" for row in theirs.itertuples()}
    made = {
        "aggregates": tables.aggregates(compared, files),
        "profiles": tables.profiles(compared),
        "improvement": tables.improvements(compared),
        "pairs": tables.pairs(compared),
        "methods": methods(compared),
        "games": tables.games(compared),
        "ranks": ranks(runs),
        "learning": learning,
        "learning_games": learning_games,
        "plasticity": curves.plasticity(answered.runs.plasticity, compared, asked.env_steps),
        "cost": tables.cost(runs),
        "runs": tables.runs(runs),
        "missing": tables.missing(compared, answered.unfinished),
    }
    if made["methods"].empty:  # there is nothing to set apart
        del made["methods"]
    return made, compared, answered


def in_short(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """The rows that the page shows: of a long table the last point of each curve, or a few thresholds."""
    if len(table) > LONG and name == "profiles":
        return table[table["threshold"].isin(THRESHOLDS)]
    if len(table) > LONG and "env_step" in table:
        return table.groupby(list(table.columns[: table.columns.get_loc("env_step")]), sort=False).tail(1)
    return table


def sections(made: dict[str, pd.DataFrame], compared: Comparison, folder: Path) -> list[Section]:
    """Write every table and figure to `folder`; the parts of the page."""
    agents = compared.runs.drop_duplicates("label")
    by_family = "methods" in made and len(agents) > many.MANY
    families = {row.label: tables.without_ht(row.agent) or row.agent for row in agents.itertuples()}
    looks = many.looks(compared.labels) if by_family else canvas.styles(families)
    parts = []
    texts = {f"{name}.csv": csv_text(list(table), as_text(table).to_dict("records")) for name, table in made.items()}
    sums.write(folder, texts)
    for name, table in made.items():
        title, words, draw = PARTS[name]
        draw = many.FIGURES.get(name, draw) if by_family and draw else draw
        if table.empty:
            parts.append(Section(name, title, ABSENT.get(name, "No runs here have such data."), table, table))
            continue
        figure = draw(table, looks) if draw else None
        panels, width = (figure.save(folder / name, compared.note), figure.width) if figure else ((), 0)
        key = [(text, canvas.sample(style, f"{name} {text}")) for text, style in figure.key.items()] if figure else ()
        parts.append(Section(name, title, words, table, in_short(name, table), panels, width, key))
    return parts


def facts(asked: argparse.Namespace, argv: list[str], compared: Comparison, notes: list[str]) -> dict[str, str]:
    """What a report is of and how it was made."""
    return {
        "Agents": ", ".join(compared.labels),
        "Games": f"{len(asked.games)}; aggregates over {len(compared.shared)}",
        "Runs": f"{compared.runs['ours'].sum():,}",
        "Protocol": f"{asked.env_steps:,} env steps of training, {asked.episodes} games of evaluation, no sticky actions"
        + "; of published runs their files do not tell it" * bool(asked.per_run),
        "Intervals": "95 %, over the runs of each game. Means, optimality gaps and differences: Student's t. IQM: Student's t "
        f"times the standard error of a stratified bootstrap of {RESAMPLES:,} draws ({curves.RESAMPLES} for curves). Medians: "
        f"{RESAMPLES:,} draws of each game's mean from Student's t. Profiles and probabilities of improvement: the outer "
        "ends of Student's t and of Wilson's, with the variance between runs and between their placements. Comparisons of "
        "single runs are over games instead",
        "Made by": f"python -m analysis.report {shlex.join(argv)}",
        **({"Notes": "; ".join(notes)} if notes else {}),
    }


def main(argv: list[str]) -> None:
    """Write the page that the command line asks for."""
    asked = read_command_line(argv, __doc__)
    folder = asked.out.with_name(f"{asked.out.stem}_files")
    if os.path.isdir(folder):
        sums.listed(folder)  # a damaged list is told of before anything is computed
    made_by = {"Commit": commit()}  # before its own figures differ from the committed ones
    made, compared, answered = compute(asked)
    said = sentences(made, compared, len(answered.unfinished))
    with locked(folder):
        parts = sections(made, compared, folder)
        write_text(asked.out, page(said, facts(asked, argv, compared, answered.notes) | made_by, parts, folder.name))
    print(f"{asked.out}, and its figures in {folder}")


if __name__ == "__main__":
    run(main)
