"""Score files become checked scores: one value a run, and every doubt about it is one line that names the file."""

import csv
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.catalogue import find_agent
from analysis.labels import flags_now, flags_of, read_json
from envs.games import GAMES, find_game
from experiment.command import UserError
from experiment.folder import CONFIG, SCORE

COLUMNS = ("agent", "game", "seed", "env_steps", "episodes", "score", "hns", "commit", "device", "hours")  # of a score table


@dataclass(frozen=True)
class Protocol:
    """What scores must share to be compared: env steps of training, games of evaluation."""

    env_steps: int = 100_000
    episodes: int = 100


@dataclass(frozen=True)
class Score:
    """The score of one run: `score` is the raw mean return, `hours` the time of its training (nan if unknown)."""

    agent: str
    flags: str  # what differs from the catalogue's agent, as flags of the command line; "" if nothing
    game: str
    seed: int
    env_steps: int
    episodes: int
    score: float
    commit: str
    device: str
    hours: float
    where: str  # file, and line of a table
    ours: bool = True  # False: a published run, whose agent is called as the user likes

    @property
    def label(self) -> str:
        """Agent and flags: runs with other settings are another agent and are never averaged with it."""
        return f"{self.agent} {self.flags}".strip()

    @property
    def hns(self) -> float:
        """Human-normalised score."""
        return find_game(self.game).normalised(self.score)


def score_files(paths: Iterable[Path]) -> tuple[list[Path], list[Path], list[Path]]:
    """Below `paths`: finished run folders, unfinished ones, and score tables. UserError for a path that is not there.

    In a folder, tables with other columns and those of an earlier report are no score tables; a file that is named must be one.
    """
    finished, unfinished, tables = [], [], []
    for path in paths:
        if path.is_file():
            tables.append(path)
        elif path.is_dir():
            configs = [file for file in sorted(path.rglob(CONFIG)) if of_agent(file.parent)]
            finished += runs_below(path)
            unfinished += [file.parent for file in configs if not (file.parent / SCORE).exists()]
            files = [file for file in sorted(path.rglob("*.csv")) if not _reported(file)]
            tables += [file for file in files if set(COLUMNS) <= set(header(file))]
        else:
            raise UserError(f"there is no {path}")
    return finished, unfinished, tables


def runs_below(folder: Path) -> list[Path]:
    """The folders of agents' finished runs somewhere below `folder`, in order."""
    return sorted(path.parent for path in folder.rglob(SCORE) if of_agent(path.parent))


def of_agent(run: Path) -> bool:
    """Whether the run folder `run` is an agent's and not the supervised study's; a damaged one may be."""
    try:
        return "agent" in json.loads((run / CONFIG).read_text())["settings"]
    except (OSError, ValueError, KeyError, TypeError):
        return True


def _reported(file: Path) -> bool:
    """Whether it lies in the folder of figures and rounded tables that a report wrote."""
    return all((file.parent / name).exists() for name in ("aggregates.csv", "improvement.csv", "runs.csv"))


def header(path: Path) -> list[str]:
    """The column names of a CSV file."""
    with path.open(newline="") as file:
        return next(csv.reader(file), [])


def read_run(folder: Path, protocol: Protocol) -> Score:
    """The score of a finished run folder. UserError, naming the file."""
    file = folder / SCORE
    values = read_json(file)
    if not isinstance(values, dict):
        raise UserError(f"{file} holds no score")
    found = _score(values, str(file), protocol, settings=folder / CONFIG)
    returns = values.get("returns", [])
    if len(returns) != found.episodes or not math.isclose(sum(returns) / len(returns), found.score, abs_tol=1e-6):
        raise UserError(f"{file}: the score is not the mean of its {found.episodes} returns")
    return found


def read_table(path: Path, protocol: Protocol) -> list[Score]:
    """The scores of a CSV file that analysis.collect wrote. UserError, naming file and line."""
    return [_score(row, where, protocol) for row, where in table_rows(path, COLUMNS)]


def table_rows(path: Path, columns: Iterable[str]) -> Iterator[tuple[dict[str, str], str]]:
    """The rows of the CSV file `path`, each with its file and line; their flags are those of today's catalogue.

    UserError, naming file and line, if it has not all of `columns` or a row is not whole.
    """
    text = path.read_text()
    if not text.endswith("\n"):
        raise UserError(f"{path} does not end with a whole line; is it half-written?")
    rows = csv.DictReader(text.splitlines())
    lacking = [name for name in columns if name not in (rows.fieldnames or ())]
    if lacking:
        raise UserError(f"{path} is no table of runs: it has no column {lacking[0]!r}")
    now = flags_now(path.parent)
    for row in rows:
        where = f"{path}, line {rows.line_num}"
        if None in row or None in row.values():
            raise UserError(f"{where}: as many values as columns are needed; is it half-written?")
        if "flags" in row:
            row["flags"] = now.get((row["agent"], row["flags"]), row["flags"])
        yield row, where


def _score(values: dict[str, Any], where: str, protocol: Protocol, settings: Path | None = None) -> Score:
    """The checked score of a row of a table, or of a score.json whose `settings` are that file."""
    lacking = [name for name in COLUMNS if name not in values]
    if lacking:
        raise UserError(f"{where} has no {lacking[0]!r}")
    agent, game = str(values["agent"]), _game(str(values["game"]), where)
    try:
        find_agent(agent)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error
    found = Score(
        agent,
        values.get("flags", "") if settings is None else flags_of(settings),
        game,
        int(number(values, "seed", where)),
        int(number(values, "env_steps", where)),
        int(number(values, "episodes", where)),
        number(values, "score", where),
        str(values["commit"]),
        str(values["device"]),
        number(values, "hours", where),
        where,
    )
    _check(found, values, protocol)
    return found


def _check(found: Score, values: dict[str, Any], protocol: Protocol) -> None:
    """UserError if the run is of another protocol, or its hns of other constants."""
    if found.env_steps != protocol.env_steps and found.agent != "random":  # which learns nothing
        told = f"{found.env_steps:,} env steps of training, not {protocol.env_steps:,}; --env-steps compares such runs"
        raise UserError(f"{found.where}: {told}")
    if found.episodes != protocol.episodes:
        told = f"{found.episodes} games of evaluation, not {protocol.episodes}; --episodes compares such runs"
        raise UserError(f"{found.where}: {told}")
    if float(values.get("repeat_action_probability", 0)) != 0:
        raise UserError(f"{found.where}: sticky actions, which Atari-100k has not")
    if not math.isclose(number(values, "hns", found.where), found.hns, rel_tol=1e-6, abs_tol=1e-6):
        raise UserError(f"{found.where}: hns {values['hns']} is not that of score {found.score:g}, which is {found.hns:.6g}")


def number(values: dict[str, Any], name: str, where: str) -> float:
    """The finite number `name` of `values`. UserError if it is none."""
    try:
        value = float(values[name])
    except (TypeError, ValueError):
        raise UserError(f"{where}: {name} is {values[name]!r}, not a number") from None
    if not math.isfinite(value):
        raise UserError(f"{where}: {name} is {value}")
    return value


def _game(text: str, where: str) -> str:
    try:
        return find_game(text).name
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error


def unique(scores: Iterable[Score]) -> list[Score]:
    """One score a run, in order. UserError if two files disagree on one."""
    found: dict[tuple[str, str, int], Score] = {}
    for score in scores:
        other = found.setdefault((score.label, score.game, score.seed), score)
        if other.score != score.score:
            told = f"{score.label} on {score.game}, seed {score.seed}: {other.score:g} and {score.score:g}"
            raise UserError(f"{other.where} and {score.where} hold different scores of {told}")
    order = {game: index for index, game in enumerate(GAMES)}
    return sorted(found.values(), key=lambda s: (not s.ours, s.label, order.get(s.game, -1), s.seed))
