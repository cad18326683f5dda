"""What a report is asked for: its command line, and the runs that this names."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from agents.catalogue import TABLES, fill
from analysis.read.folders import find
from analysis.read.load import Loaded, loaded, read_scores
from analysis.read.scores import Protocol, Score, unique
from analysis.read.settings import identity, printable
from analysis.read.single_runs import read_single_runs
from envs.games import GAMES, find_game
from experiment.command import UserError, nearest, say, user_errors
from experiment.folder import METRICS
from experiment.outside import add_flag, bring_in
from experiment.parser import Parser, user_path
from experiment.rows import diverged


class Answer(NamedTuple):
    """What is asked for: runs and their courses; label and game, "" if not known, of runs without a score and how that shows;
    and what was left out.
    """

    runs: Loaded
    unfinished: list[tuple[str, str, str]]
    notes: list[str]


def read_command_line(argv: Sequence[str], description: str | None) -> argparse.Namespace:
    """What `argv` asks for. UserError for what cannot be."""
    parser = Parser("analysis.report", description)
    parser.add_argument(
        "paths", nargs="*", type=user_path, help="run folders, folders of tables that analysis.collect wrote, tables"
    )
    parser.add_argument(
        "--out", type=user_path, default=Path("report.html"), help="the page; its figures go to a folder beside it"
    )
    parser.add_argument("--incomplete", action="store_true", help="report a grid that lacks runs; every figure says so")
    parser.add_argument("--agents", nargs="+", metavar="AGENT", help="report these alone: der_ht 'der_ht --replay.ratio 2'")
    parser.add_argument("--games", nargs="+", metavar="GAME", help="report these alone, instead of the 26")
    parser.add_argument(
        "--per-run", action="append", default=[], metavar="NAME=FILE", help="add published scores of single runs"
    )
    add_protocol(parser)
    add_flag(parser)
    asked = parser.parse_args(argv)
    bring_in(asked.imports, TABLES, fill)
    asked.agents = list(dict.fromkeys(asked.agents or ()))
    with user_errors("--games"):
        asked.games = tuple(dict.fromkeys(find_game(game).name for game in asked.games or GAMES))
    if asked.out.suffix != ".html":
        raise UserError(f"--out must name an .html file, not {asked.out}")
    folder = asked.out.absolute().parent
    if not os.path.isdir(folder):
        raise UserError(f"--out: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise UserError(f"--out: cannot write to {folder}")
    return asked


def add_protocol(parser: argparse.ArgumentParser) -> None:
    """Add the flags --env-steps and --episodes: what runs must share to be compared."""
    parser.add_argument("--env-steps", type=int, default=Protocol.env_steps, help="of training that runs must have had")
    parser.add_argument("--episodes", type=int, default=Protocol.episodes, help="of evaluation that runs must have had")


def answer(asked: argparse.Namespace) -> Answer:
    """All that is asked for; what was left out is said. UserError, naming the file, for what cannot be read."""
    contents = find(asked.paths)
    scores, notes = read_scores(contents, Protocol(asked.env_steps, asked.episodes)), [contents.note()]
    names: dict[tuple[tuple[str, float], ...], str] = {}  # of published runs, by their games and scores
    for text in asked.per_run:
        name, _, file = text.partition("=")
        if not (name and file):
            raise UserError(f"--per-run must be NAME=FILE, not {text}")
        name = printable(os.fsencode(name).decode(errors="replace"))  # whatever the locale
        if any(score.label == name for score in scores):
            raise UserError(f"--per-run: there is an agent {name} already; choose another name")
        published = read_single_runs(name, user_path(file))
        held = tuple(sorted((score.game, score.score) for score in published.scores))
        if names.setdefault(held, name) != name and len(held) > 1:  # a single score may be shared by chance
            raise UserError(f"--per-run: {names[held]} and {name} are the same runs; give each file once")
        scores += published.scores
        notes.append(published.note)
    notes = [note for note in notes if note]
    for note in notes:
        say(note)
    known = list(dict.fromkeys(score.label for score in scores))
    for agent in asked.agents:
        if known and agent not in known:
            raise UserError(f"--agents: there is no run of {agent!r}; {nearest(agent, known)}")
    begun = [run for run in map(_unfinished, contents.unfinished) if _is_wanted(asked, *run[:2])]
    return Answer(loaded(unique(_wanted(scores, asked)), contents.courses), begun, notes)


def _wanted(scores: list[Score], asked: argparse.Namespace) -> list[Score]:
    """The scores of the agents and games that are asked for. UserError for a game outside the benchmark that is not."""
    for score in scores:
        if score.game not in GAMES and score.game not in asked.games:
            raise UserError(f"{score.where}: {score.game} is no game of Atari-100k; --games {score.game} reports it alone")
    return [score for score in scores if _is_wanted(asked, score.label if score.ours else "", score.game)]


def _unfinished(folder: Path) -> tuple[str, str, str]:
    """A run that is begun and not finished; which it is is not known if its configuration is damaged."""
    try:
        run = identity(folder)
    except UserError as error:
        return "", "", str(error)
    update = diverged(folder / METRICS)
    why = "is not finished" if update is None else f"diverged: the loss of update {update:,} was not finite"
    return f"{run['agent']} {run['flags']}".strip(), run["game"], f"{folder} {why}"


def _is_wanted(asked: argparse.Namespace, label: str, game: str) -> bool:
    """Whether a run of an agent on a game, "" for any, is asked for."""
    return (not game or game in asked.games) and (not label or label in (asked.agents or (label,)))
