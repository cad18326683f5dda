"""The random policy beside the published one, and why a score differs: theirs had an action for 6 frames (10 a second)."""

from pathlib import Path

import numpy as np
import pytest

from analysis import random_policy
from envs.atari import _emulators, _seeds
from envs.games import GAMES
from experiment.command import UserError
from tests.fake_runs import score_table


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


PONG = ("random", "", "Pong", 0, -20.5)


def test_the_difference_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = score_table(tmp_path / "scores.csv", [PONG])
    random_policy.main([str(table)])
    # 0.2 above -20.7, over 0.5 x root of (1 + 2 / 30)
    assert "| Pong | -20.7 | -20.5 ± 0.5 | +0.4 | +0.0057 | equal |" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("rows", "change", "told"),
    [
        ([PONG], (",100,2,", ",100,-60,"), "line 2: seed, env_steps and hours must be 0 or more, episodes 1 or more"),
        ([PONG], (",0.5,", ",-0.5,"), "line 2: standard_error is '-0.5', less than 0"),
        ([PONG, ("random", "", "Pong", 1, -20.0)], ("", ""), "line 3: there is a random run of Pong above"),
        ([("der", "", "Pong", 0, -20.5)], ("", ""), "has no run of the random policy"),
    ],
)
def test_a_table_that_is_not_of_the_random_policy_is_refused(
    rows: list[tuple[str, str, str, int, float]], change: tuple[str, str], told: str, tmp_path: Path
) -> None:
    table = score_table(tmp_path / "scores.csv", rows)
    table.write_text(table.read_text().replace(*change))
    with pytest.raises(UserError, match=told):
        random_policy.main([str(table)])
