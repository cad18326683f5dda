"""What a report is asked for: its command line, and the runs that this names."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.folders import find
from analysis.labels import identity, printable
from analysis.perrun import read_per_run
from analysis.scores import Protocol, Score, read_run, read_table, unique
from analysis.tables import Unfinished
from envs.games import GAMES, find_game
from experiment.command import UserError, nearest, say
from experiment.parser import Parser, user_path


@dataclass(frozen=True)
class Runs:
    """All scores that are asked for; those of run folders with their folders; tables of their courses; what lacks a score.

    `notes` say what was left out.
    """

    scores: list[Score]
    in_folders: list[tuple[Score, Path]]
    courses: list[Path]
    unfinished: list[Unfinished]
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
    parser.add_argument("--env-steps", type=int, default=Protocol.env_steps, help="of training that runs must have had")
    parser.add_argument("--episodes", type=int, default=Protocol.episodes, help="of evaluation that runs must have had")
    asked = parser.parse_args(argv)
    asked.agents = list(dict.fromkeys(asked.agents or ()))
    try:
        asked.games = tuple(dict.fromkeys(find_game(game).name for game in asked.games or GAMES))
    except ValueError as error:
        raise UserError(f"--games: {error}") from error
    if asked.out.suffix != ".html":
        raise UserError(f"--out must name an .html file, not {asked.out}")
    folder = asked.out.absolute().parent
    if not os.path.isdir(folder):
        raise UserError(f"--out: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise UserError(f"--out: cannot write to {folder}")
    return asked


def read_runs(asked: argparse.Namespace) -> Runs:
    """All that is asked for; what was left out is said. UserError, naming the file, for what cannot be read."""
    protocol = Protocol(asked.env_steps, asked.episodes)
    found = find(asked.paths)
    in_folders = [(read_run(folder, protocol), folder) for folder in found.finished]
    scores = [score for score, _ in in_folders] + [score for file in found.scores for score in read_table(file, protocol)]
    notes = [found.note()]
    for text in asked.per_run:
        name, _, file = text.partition("=")
        if not (name and file):
            raise UserError(f"--per-run must be NAME=FILE, not {text}")
        name = printable(os.fsencode(name).decode(errors="replace"))  # whatever the locale
        if any(score.label == name for score in scores):
            raise UserError(f"--per-run: there is an agent {name} already; choose another name")
        published = read_per_run(name, user_path(file))
        scores += published.scores
        notes.append(published.note)
    notes = [note for note in notes if note]
    for note in notes:
        say(note)
    known = list(dict.fromkeys(score.label for score in scores))
    for agent in asked.agents:
        if known and agent not in known:
            raise UserError(f"--agents: there is no run of {agent!r}; {nearest(agent, known)}")
    begun = [run for run in map(_unfinished, found.unfinished) if _wanted(run, asked)]
    return Runs(unique(_asked(scores, asked)), in_folders, found.courses, begun, notes)


def _asked(scores: list[Score], asked: argparse.Namespace) -> list[Score]:
    """The scores of the agents and games that are asked for. UserError for a game outside the benchmark that is not."""
    for score in scores:
        if score.game not in GAMES and score.game not in asked.games:
            raise UserError(f"{score.where}: {score.game} is no game of Atari-100k; --games {score.game} reports it alone")
    wanted = asked.agents or {score.label for score in scores}
    return [score for score in scores if score.game in asked.games and (score.label in wanted or not score.ours)]


def _unfinished(folder: Path) -> Unfinished:
    """A run that is begun and not finished; who it is is not known if its configuration is damaged."""
    try:
        who = identity(folder)
    except UserError as error:
        return Unfinished("", "", str(error))
    return Unfinished(f"{who['agent']} {who['flags']}".strip(), who["game"], f"{folder} is not finished")


def _wanted(run: Unfinished, asked: argparse.Namespace) -> bool:
    return not run.label or (run.game in asked.games and run.label in (asked.agents or (run.label,)))
