"""Env steps a second of `AtariLanes` beside the raw vectorised emulator that it stands on.

python -m benchmarks.env
"""

import argparse
from collections.abc import Callable

import numpy as np
from ale_py.vector_env import AtariVectorEnv
from gymnasium.vector import AutoresetMode

from benchmarks.timing import circumstances, interleaved, ratio
from envs.atari import AtariLanes
from envs.games import find_game

STEPS = 100


def stepper(step: Callable[[np.ndarray], object], lanes: int, actions: int) -> Callable[[], None]:
    """A call that takes `STEPS` random steps; each stepper draws the same actions."""
    random = np.random.default_rng(0)

    def call() -> None:
        for action in random.integers(actions, size=(STEPS, lanes)):
            step(action)

    return call


def main() -> None:
    """Print a row for each game and number of lanes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", nargs="+", default=["Pong", "MsPacman"])
    parser.add_argument("--lanes", nargs="+", default=[1, 16], type=int)
    parser.add_argument("--rounds", type=int, default=30)
    asked = parser.parse_args()
    print(circumstances())
    print("env steps a second, medians; the ratio is the median over pairs")
    for game in map(find_game, asked.games):
        for lanes in asked.lanes:
            ours = AtariLanes(game.name, lanes, seed=0)
            raw = AtariVectorEnv(
                game.rom,
                num_envs=lanes,
                autoreset_mode=AutoresetMode.SAME_STEP,
                stack_num=1,
                noop_max=31,
                reward_clipping=False,
                use_fire_reset=False,
            )
            ours.reset()
            raw.reset(seed=ours._seeds)  # the same games
            work = {"ours": stepper(ours.step, lanes, ours.num_actions), "raw": stepper(raw.step, lanes, ours.num_actions)}
            took = interleaved(work, asked.rounds)
            speed = {name: lanes * STEPS / float(np.median(times)) for name, times in took.items()}
            share = ratio(took["raw"], took["ours"])
            print(f"{game.name:10} {lanes:3} lanes: AtariLanes {speed['ours']:.0f}, raw {speed['raw']:.0f}, ratio {share:.3f}")
            ours.close()
            raw.close()


if __name__ == "__main__":
    main()
