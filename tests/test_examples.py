"""The examples run, and show what they say."""

import pytest


@pytest.mark.slow
def test_a_warm_start_costs_accuracy_on_the_digits() -> None:
    """By 3.5 points in the mean of five seeds, of which Hare & Tortoise regained 1.3, in four of them; here the first."""
    digits = pytest.importorskip("examples.digits", reason="scikit-learn is not installed", exc_type=ModuleNotFoundError)
    warm, fresh, pair = (digits.accuracy(name, seed=0) for name in ("warm_started", "fresh", "hare_tortoise"))
    assert warm < pair < fresh
    assert fresh > 0.92


def test_an_agent_of_stable_baselines3_is_scored() -> None:
    """Greedily, so that the same network scores the same again; and both libraries' checks of the environment are content."""
    pytest.importorskip("stable_baselines3", reason="stable-baselines3 is not installed")
    from stable_baselines3.common.env_checker import check_env

    from eval import evaluate, summary
    from examples import stable_baselines as example

    player = example.Greedy(example.train("Catch", env_steps=140, seed=0))
    assert player.model.num_timesteps == 140
    assert player.model._n_updates == 10  # every fourth env step behind the first 100
    episodes = evaluate(player, "Catch", 21, seed=0)
    assert episodes == evaluate(player, "Catch", 21, seed=0)
    assert (len(episodes), {episode.length for episode in episodes}) == (21, {6})
    assert -1 <= summary(episodes, "Catch")["score"] <= 1
    check_env(example.gymnasium.make("Atari100k/Catch-v0"))
