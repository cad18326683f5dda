"""envs/atari.py against gymnasium's own wrappers, which share nothing with it but the emulator."""

import ale_py
import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation

from envs.atari import AtariLanes
from envs.games import GAMES
from envs.lanes import SIDE, Episode
from replay.batch import STACK
from replay.stack import FrameStack

gymnasium.register_envs(ale_py)

# Games that 1,000 random env steps do not end, or in which they lose no life: all others must show the event.
NO_END = {"BattleZone", "Boxing", "CrazyClimber", "DemonAttack", "Freeway", "Gopher", "Hero", "Krull", "PrivateEye"}
NO_LOSS = {"Boxing", "Freeway", "Pong", "PrivateEye"}
# The env step of the first lost life, where it comes early, and of the first game's end; in Seaquest the second game depends on
# the first.
FIRST_LOSS = {"Assault": 65, "Asterix": 71, "Breakout": 28, "Hero": 86, "Jamesbond": 78, "Qbert": 50, "RoadRunner": 40}
FIRST_LOSS |= {"Seaquest": 68, "UpNDown": 85}
FIRST_END = {"Breakout": 184, "Seaquest": 310}


class Reference:
    """One lane built from gymnasium's wrappers, no-ops off. It starts a new game by itself, as AtariLanes does."""

    def __init__(self, game: str) -> None:
        settings = {"frameskip": 1, "repeat_action_probability": 0.0, "obs_type": "grayscale"}
        env = gymnasium.make(f"ALE/{game}-v5", **settings, disable_env_checker=True)
        self.env = FrameStackObservation(AtariPreprocessing(env, noop_max=0), STACK, padding_type="zero")
        self.finished: list[Episode] = []
        self.begin(seed=0)

    def begin(self, seed: int | None = None) -> None:
        """A plain reset. In Assault and Seaquest a game depends on the games before it in the same emulator: still equal,
        for both emulators have loaded the ROM once and lived through the same games since."""
        self.stack, info = self.env.reset(seed=seed)
        self.lives = info["lives"]
        self.age = 1  # frames since the last life loss
        self.rewards: list[float] = []

    def step(self, action: int) -> tuple[float, bool, bool, bool]:
        """Raw reward, life lost, game over, truncated."""
        self.stack, reward, over, truncated, info = self.env.step(action)
        self.rewards.append(reward)
        lost = info["lives"] < self.lives and not (over or truncated)
        self.lives = info["lives"]
        self.age = 1 if lost else self.age + 1
        if over or truncated:
            self.finished.append(Episode(0, sum(self.rewards), len(self.rewards)))
            self.begin()
        else:
            self.stack[: max(STACK - self.age, 0)] = 0  # our rule, which the wrappers lack: black before a lost life
        return reward, lost, over, truncated


def compare(game: str, steps: int) -> tuple[list[int], int]:
    """Play both under the same random actions, which must give the same; the env steps with a lost life, and games ended.

    Bit for bit. Holds where both are built with the same kind of OpenCV; a port may differ by 1 in a pixel's value.
    """
    lanes, reference = AtariLanes(game, 1, seed=0, max_noops=0), Reference(game)
    stack = FrameStack(1, SIDE, "cpu")
    stack.push_(torch.from_numpy(lanes.reset()), torch.tensor([True]))
    assert np.array_equal(stack.frames[0], reference.stack)
    finished: list[Episode] = []
    losses = []
    for t, action in enumerate(np.random.default_rng(0).integers(lanes.num_actions, size=steps), 1):
        step = lanes.step(np.array([action]))
        told = (step.reward.item(), step.life_lost.item(), step.game_over.item(), step.truncated.item())
        assert told == reference.step(int(action))
        assert np.array_equal(step.frame[0], reference.stack[-1])
        stack.push_(torch.from_numpy(step.frame), torch.from_numpy(step.life_lost | step.game_over | step.truncated))
        assert np.array_equal(stack.frames[0], reference.stack)
        assert lanes._lives.item() == reference.lives
        finished.extend(step.finished)
        losses += [t] if step.life_lost.item() else []
    assert finished == reference.finished
    lanes.close()
    reference.env.close()
    return losses, len(finished)


@pytest.mark.slow
@pytest.mark.parametrize("game", GAMES)
def test_a_thousand_env_steps_equal_the_gymnasium_wrappers(game: str) -> None:
    losses, ends = compare(game, 1000)
    assert bool(ends) == (game not in NO_END)
    assert bool(losses) == (game not in NO_LOSS)


RISES = {"Amidar", "DemonAttack"}  # the emulator's life count rises early


@pytest.mark.parametrize(
    "game", [pytest.param(g, marks=pytest.mark.smoke) if g == "Breakout" else g for g in (*FIRST_LOSS, *sorted(RISES))]
)
def test_equals_the_gymnasium_wrappers(game: str) -> None:
    """Until 20 env steps behind the first end of a game or lost life, or 60 env steps. All games are in the slow test above."""
    event = FIRST_END.get(game) or FIRST_LOSS.get(game)
    losses, ends = compare(game, event + 20 if event else 60)
    assert losses[:1] == [FIRST_LOSS[game]] if game in FIRST_LOSS else not losses
    assert ends == (game in FIRST_END)
