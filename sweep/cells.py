"""The cells of a sweep (agent, game, seed), and the numbers by which a SLURM array knows them."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

from envs.games import GAMES, find_game
from experiment import command, outside
from experiment.command import UserError, parse, user_errors
from experiment.outside import Imports
from hare_tortoise.ranges import Range, check
from options import Run, read_command_line

ORDER = sorted(GAMES)  # the 26 games, alphabetically: task = game + 26 x seed, so low numbers give every game one seed first
MOST = 1000  # seeds of a game
Counted = Annotated[int, Range(f"[1, {MOST}]")]
OURS = ("--agent", "--game", "--seed", "--fresh")  # flags that a sweep sets itself, or that would undo it at each requeue


@dataclass(frozen=True)
class Sweep:
    """Which cells there are."""

    agents: tuple[str, ...]
    """names of the catalogue, as spr spr_ht"""
    seeds: Counted = 1
    """seeds of each game, from 0 on"""
    games: tuple[str, ...] = ()
    """some of the games, in any usual spelling; none named means all 26"""
    out: Path = Path("runs")
    """where run folders are kept"""
    imports: Imports = ()

    def __post_init__(self) -> None:
        """ValueError, naming the flag, if a value is out of its range."""
        check(self)
        if not self.agents:
            raise ValueError("--agents needs at least one name")

    @property
    def places(self) -> list[tuple[str, int]]:
        """Game and seed of each cell of an agent, seed after seed. ValueError if there is no such game."""
        games = list(dict.fromkeys(find_game(game).name for game in self.games)) or ORDER
        return [(game, seed) for seed in range(self.seeds) for game in games]


S = TypeVar("S", bound=Sweep)


def read(kind: type[S], argv: Sequence[str]) -> tuple[S, list[str], list[tuple[str, int]]]:
    """The sweep that `argv` asks for, train.py's flags, which stand behind `--`, and the places of its cells. UserError."""
    end = argv.index("--") if "--" in argv else len(argv)
    asked = parse(kind, argv[:end], hint=_of_training)
    ours = [*([] if asked.out == Sweep.out else ["--out", str(asked.out)]), *outside.flags(asked.imports)]
    flags = [*ours, *argv[end + 1 :]]
    with user_errors():
        return asked, flags, asked.places


def _of_training(flag: str) -> str | None:
    """What to do about a flag that is not a sweep's, if it is train.py's."""
    ours = "." in flag or flag.split("=")[0].replace("_", "-") in command.flags(Run())
    return "train.py's flags go behind --" if ours else None


def place(task: int) -> tuple[str, int]:
    """Game and seed of array task number `task`."""
    return ORDER[task % len(ORDER)], task // len(ORDER)


def task_of(game: str, seed: int) -> int:
    """The array task number of a game and seed. UserError for a game that is not one of the 26."""
    if game not in ORDER:
        raise UserError(f"{game} is not one of the 26 games that array tasks are numbered by; use --commands")
    return ORDER.index(game) + len(ORDER) * seed


def cells(agent: str, places: Sequence[tuple[str, int]], flags: Sequence[str]) -> list[Run]:
    """The runs of `agent` at `places` (game, seed) with train.py's `flags`. UserError if they mean nothing to it."""
    for flag in flags:
        if flag.split("=")[0] in OURS:
            raise UserError(f"{flag.split('=')[0]} is not for the runs of a sweep")
    try:
        run = read_command_line(["--agent", agent, *flags])
    except UserError as error:
        raise UserError(f"{agent}: {error}") from error
    if run.eval_episodes == 0:
        raise UserError("a sweep is of scores: --eval-episodes must be at least 1")
    return [dataclasses.replace(run, game=game, seed=seed) for game, seed in places]


def arguments(cell: Run, flags: Sequence[str]) -> list[str]:
    """train.py's arguments for a cell that was made with `flags`."""
    return ["--agent", cell.agent, "--game", cell.game, "--seed", str(cell.seed), *flags]


def side_by_side(tasks: Sequence[int], at_most: int) -> dict[int, list[int]]:
    """Groups of up to `at_most` consecutive seeds of one game, to share a GPU: size of a group -> the first task of each.

    Every task is in one group; the runs of a group are equally long, and none is run that was not asked for.
    """
    left = set(tasks)
    firsts: dict[int, list[int]] = {}
    for first in sorted(left):
        if first not in left:
            continue
        size = 1
        while size < at_most and first + size * len(ORDER) in left:
            size += 1
        left -= {first + i * len(ORDER) for i in range(size)}
        firsts.setdefault(size, []).append(first)
    return firsts


def array_string(tasks: Sequence[int]) -> str:
    """Task numbers as SLURM's --array takes them: [3, 7, 8, 9] -> "3,7-9"."""
    parts: list[list[int]] = []
    for task in sorted(set(tasks)):
        if parts and task == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], task]
        else:
            parts.append([task])
    return ",".join("-".join(str(end) for end in part) for part in parts)
