"""Score files become checked scores: one value a run, and every doubt about it is one line that names the file."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd

from agents.catalogue import find_agent
from analysis.read.settings import flags_now, identity, printable
from envs.games import GAMES, find_game
from experiment import sums
from experiment.command import UserError, user_errors
from experiment.files import number, shown, whole
from experiment.files import read_table as read_csv
from experiment.folder import SCORE, require_untouched
from experiment.score import read_score

COLUMNS = ("agent", "game", "seed", "env_steps", "episodes", "score", "hns", "commit", "device", "hours")  # of a score table
OPTIONAL = ("memory_gb",)  # which tables of before have not


KEY = ("label", "game", "seed")  # names a run in every frame

Key = tuple[str, str, int]


@dataclass(frozen=True)
class Protocol:
    """What scores must share to be compared: env steps of training, games of evaluation."""

    env_steps: int = 100_000
    episodes: int = 100


@dataclass(frozen=True)
class Score:
    """The score of one run: `score` is the raw mean return, `hours` the time of its training, `memory_gb` the most memory
    that it held, in GB of 10^9 bytes of the GPU, or of main memory where it learnt on a CPU (both nan if unknown).

    `env_steps` and `episodes` are None for published runs: their files do not tell.
    """

    agent: str
    flags: str  # what differs from the catalogue's agent, as flags of the command line; "" if nothing
    game: str
    seed: int
    env_steps: int | None
    episodes: int | None
    score: float
    commit: str
    device: str
    hours: float
    where: str  # file, and line of a table
    memory_gb: float = math.nan
    ours: bool = True  # False: a published run, whose agent is called as the user likes
    folder: Path | None = None  # of the run; None for a row of a table

    @property
    def label(self) -> str:
        """Agent and flags: runs with other settings are another agent and are never averaged with it."""
        return f"{self.agent} {self.flags}".strip()

    @property
    def key(self) -> Key:
        """What names the run."""
        return self.label, self.game, self.seed

    @property
    def hns(self) -> float:
        """Human-normalised score."""
        return find_game(self.game).normalised(self.score)


def read_run(folder: Path, protocol: Protocol | None) -> Score:
    """The score of a finished run folder, of any protocol for None. UserError, naming the file."""
    file, ours = folder / SCORE, identity(folder)
    values = read_score(file, ours)
    require_untouched(folder, values)
    return replace(_score(values | {"flags": ours["flags"]}, str(file), protocol), folder=folder)


def read_table(path: Path, protocol: Protocol | None) -> list[Score]:
    """The scores of a CSV file that analysis.collect wrote. UserError, naming file and line."""
    return [_score(row, where, protocol) for row, where in table_rows(path, COLUMNS)]


def table_rows(path: Path, columns: Iterable[str]) -> Iterator[tuple[dict[str, str], str]]:
    """The rows of the CSV file `path`, each with its file and line; games and seeds are spelt as ours, flags as of today.

    UserError, naming file and line, if it has not all of `columns`, a row is not whole, or it is not as its folder lists it.
    """
    sums.check(path.parent, [path.name])
    rows = read_csv(path, columns).rows
    now, games = flags_now(path.parent), dict[str, str]()
    for row, where in rows:
        if "flags" in row:
            row["flags"] = now.get((row["agent"], row["flags"]), row["flags"])
        if "game" in row:
            row["game"] = games.get(row["game"]) or games.setdefault(row["game"], _game(row["game"], where))
        if "seed" in row:
            row["seed"] = str(whole(row["seed"], f"{where}: seed"))
        yield row, where


def _score(values: dict[str, Any], where: str, protocol: Protocol | None) -> Score:
    """The checked score of a row of a table or of a score.json."""
    if lacking := [name for name in COLUMNS if name not in values]:
        raise UserError(f"{where} has no {lacking[0]!r}")
    agent, game = str(values["agent"]), _game(str(values["game"]), where)
    with user_errors(where):
        find_agent(agent)
    seed, env_steps, episodes = (whole(values[name], f"{where}: {name}") for name in ("seed", "env_steps", "episodes"))
    score, hours = (number(values[name], f"{where}: {name}") for name in ("score", "hours"))
    if min(seed, env_steps, episodes - 1, hours) < 0:
        raise UserError(f"{where}: seed, env_steps and hours must be 0 or more, episodes 1 or more")
    flags, commit, device = (printable(str(values.get(name, ""))) for name in ("flags", "commit", "device"))
    memory = values.get("memory_gb")
    held = math.nan if memory in (None, "") else not_negative(memory, f"{where}: memory_gb")
    run = Score(agent, flags, game, seed, env_steps, episodes, score, commit, device, hours, where, held)
    _check(run, values, protocol or Protocol(env_steps, episodes))
    return run


def _check(run: Score, values: dict[str, Any], protocol: Protocol) -> None:
    """UserError if the run is of another protocol, or its hns of other constants."""
    if run.env_steps != protocol.env_steps and run.agent != "random":  # which learns nothing
        mistake = f"{run.env_steps:,} env steps of training, not {protocol.env_steps:,}; --env-steps compares such runs"
        raise UserError(f"{run.where}: {mistake}")
    if run.episodes != protocol.episodes:
        mistake = f"{run.episodes} games of evaluation, not {protocol.episodes}; --episodes compares such runs"
        raise UserError(f"{run.where}: {mistake}")
    if number(values.get("repeat_action_probability", 0), f"{run.where}: repeat_action_probability") != 0:
        raise UserError(f"{run.where}: sticky actions, which Atari-100k has not")
    if not math.isclose(number(values["hns"], f"{run.where}: hns"), run.hns, rel_tol=1e-6, abs_tol=1e-6):
        raise UserError(f"{run.where}: hns {values['hns']} is not that of score {run.score:g}, which is {run.hns:.6g}")


def _game(text: str, where: str) -> str:
    with user_errors(where):
        return find_game(text).name


def not_negative(value: Any, where: str) -> float:
    """`value` as a number of 0 or more. UserError, beginning with `where`, if it is none."""
    result = number(value, where)
    if result < 0:
        raise UserError(f"{where} is {shown(value)}, less than 0")
    return result


def is_number(value: Any) -> bool:
    """Whether `value` is a number, finite or not, or its text."""
    try:
        number(value, "", finite=False)
    except UserError:
        return False
    return True


def unique(scores: Iterable[Score]) -> list[Score]:
    """One score a run, in order. UserError if two files disagree on one."""
    by_run: dict[Key, Score] = {}
    for score in scores:
        other = by_run.setdefault(score.key, score)
        if other.score != score.score:
            disagreement = f"{score.label} on {score.game}, seed {score.seed}: {other.score:g} and {score.score:g}"
            raise UserError(f"{other.where} and {score.where} hold different scores of {disagreement}")
    order = {game: index for index, game in enumerate(GAMES)}
    return sorted(by_run.values(), key=lambda s: (not s.ours, s.label, order.get(s.game, -1), s.seed))


def as_frame(scores: Iterable[Score]) -> pd.DataFrame:
    """A row for each score: label, its fields but the folder, and hns."""
    columns = ["label", *(field.name for field in fields(Score) if field.name != "folder"), "hns"]
    rows = [{"label": s.label, **vars(s), "hns": s.hns} for s in scores]
    return pd.DataFrame(rows, columns=columns).astype({"env_steps": "Int64", "episodes": "Int64"})
