"""Why one published random score is not ours: those players repeated an action for 6 frames (10 a second), not for 4."""

import numpy as np
import pytest

from envs.atari import _emulators, _seeds
from envs.games import GAMES


@pytest.mark.slow
@pytest.mark.parametrize("game", ["Amidar", "CrazyClimber"])
def test_the_published_random_score_is_that_of_six_frames_an_action(game: str) -> None:
    lanes, quota = 20, 5
    emulators = _emulators(game, lanes, noop_max=31, frameskip=6)
    emulators.reset(seed=_seeds(123, lanes))
    rng = np.random.default_rng(0)
    score, wanted, scores = np.zeros(lanes), np.full(lanes, quota), []
    while wanted.any():
        action = rng.integers(emulators.single_action_space.n, size=lanes)
        _, reward, over, truncated, _ = emulators.step(action)
        score += reward
        for lane in np.flatnonzero(over | truncated):
            if wanted[lane]:
                wanted[lane] -= 1
                scores.append(score[lane])
            score[lane] = 0
    emulators.close()
    error = np.std(scores, ddof=1) / len(scores) ** 0.5
    print(f"{game}: {np.mean(scores):.1f} +- {error:.1f}")
    assert len(scores) == lanes * quota
    # Theirs is taken to be of 30 games with our spread.
    assert abs(np.mean(scores) - GAMES[game].random) < 3 * error * (1 + len(scores) / 30) ** 0.5
