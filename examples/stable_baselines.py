"""An agent of stable-baselines3, trained and scored under this benchmark's protocol.

pip install -e '.[suite,sb3]'
python -m examples.stable_baselines Catch 5000
python -m examples.stable_baselines Pong 100000
"""

import sys

import gymnasium
import numpy as np
from stable_baselines3 import DQN

import envs.gym  # noqa: F401  makes the environments known
from eval import evaluate, summary


def train(game: str, env_steps: int, seed: int) -> DQN:
    """A DQN after `env_steps` of `game`, lives as episodes and rewards clipped. Its replay takes 56 kB an env step."""
    env = gymnasium.make(f"Atari100k/{game}-v0", terminal_on_life_loss=True, clip_reward=True)
    model = DQN("CnnPolicy", env, buffer_size=env_steps, learning_starts=100, target_update_interval=200, seed=seed)
    model.learn(env_steps)
    env.close()
    return model


class Greedy:
    """A model as `evaluate` asks for it."""

    def __init__(self, model: DQN) -> None:
        self.model = model

    def act(self, stack: np.ndarray) -> np.ndarray:
        """The best actions, int64 [L], for stacks of frames, uint8 [L, 4, 84, 84]."""
        return self.model.predict(stack, deterministic=True)[0]


if __name__ == "__main__":
    game, env_steps = sys.argv[1], int(sys.argv[2])
    result = summary(evaluate(Greedy(train(game, env_steps, seed=0)), game, episodes=100, seed=0), game)
    print(f"{game}: score {result['score']:.1f}, hns {result['hns']:.3f}, {result['episodes']} episodes")
