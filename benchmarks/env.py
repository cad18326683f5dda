"""Env steps a second of `AtariLanes` beside the raw vectorised emulator that it stands on.

python -m benchmarks.env
"""

import argparse
from collections.abc import Iterator
from contextlib import closing
from itertools import product
from statistics import median

import numpy as np
from ale_py.vector_env import AtariVectorEnv
from gymnasium.vector import AutoresetMode

from benchmarks.program import Program, Row
from benchmarks.timing import interleaved, ratio
from envs.atari import AtariLanes
from envs.games import GAMES, Game, find_game
from experiment.command import UserError, run

STEPS = 100
MOST = 1_024  # lanes of train.py
RAW = {"stack_num": 1, "noop_max": 31, "reward_clipping": False, "use_fire_reset": False}


def compare(game: Game, lanes: int, rounds: int) -> Row:
    """Env steps a second of both, and their ratio."""
    emulators = AtariVectorEnv(game.rom, num_envs=lanes, autoreset_mode=AutoresetMode.SAME_STEP, **RAW)
    with closing(AtariLanes(game.name, lanes, seed=0)) as ours, closing(emulators) as raw:
        ours.reset()
        raw.reset(seed=ours._seeds)  # the same games
        actions = np.random.default_rng(0).integers(ours.num_actions, size=(STEPS, lanes))
        steps = {"AtariLanes": ours.step, "raw": raw.step}
        took = interleaved(
            {name: lambda step=step: [step(action) for action in actions] for name, step in steps.items()}, rounds
        )
    speeds = {name: round(lanes * STEPS / median(times)) for name, times in took.items()}
    return {"game": game.name, "lanes": lanes, **speeds, "ratio": ratio(took["raw"], took["AtariLanes"])}


def rows(asked: argparse.Namespace) -> Iterator[Row]:
    """A row for each game and number of lanes."""
    if other := [game for game in asked.games if game not in GAMES]:
        raise UserError(f"--games {other[0]}: there is no emulator to compare it with")
    if max(asked.lanes) > MOST:
        raise UserError(f"--lanes must lie in [1, {MOST:_}], not {max(asked.lanes)}")
    return (compare(find_game(game), lanes, asked.rounds) for game, lanes in product(asked.games, asked.lanes))


main = Program("env", __doc__, rows, games=["Pong", "MsPacman"], lanes=[1, 16], rounds=30)

if __name__ == "__main__":
    run(main)
