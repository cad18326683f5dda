"""The trained agents that come with the project: small, playable at once, and as good as their records say."""

from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from envs.games import find_game
from eval import evaluate
from policy import Policy

PLACE = Path(__file__).parent.parent / "policies"
FILES = sorted(PLACE.glob("*.safetensors"))
BYTES = 6_000_000  # together, so that a clone stays small


def test_there_are_some_and_they_are_small() -> None:
    assert FILES
    assert sum(file.stat().st_size for file in FILES) <= BYTES


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_plays(file: Path) -> None:
    policy = Policy.load(file, "cpu")
    agent, game = file.stem.split("-")
    assert (agent, find_game(game).name) == (policy.record["settings"]["agent"], policy.game)
    actions = policy.act(np.zeros((3, 4, 84, 84), np.uint8))
    assert (actions.shape, actions.dtype) == ((3,), np.int64)
    assert policy.record["precision"] == "float16"
    played = policy.record["played"]
    assert len(played["returns"]) == 100
    assert str(round(played["score"], 1)) in (PLACE / "README.md").read_text().replace(",", "")


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_its_score_is_played_again(file: Path) -> None:
    """To the point with the libraries that it was played with, else within what chance explains."""
    policy = Policy.load(file, "cpu")
    played = policy.record["played"]
    returns = [episode.score for episode in evaluate(policy.agent, policy.game, len(played["returns"]), played["seed"])]
    if all(version(name) == known for name, known in policy.record["versions"].items() if name in ("torch", "ale-py")):
        assert returns == played["returns"]
    error = np.hypot(played["standard_error"], np.std(returns, ddof=1) / len(returns) ** 0.5)
    assert abs(np.mean(returns) - played["score"]) <= 4 * error
