"""evaluate in eval.py plays whatever has `act`, by the rules of our own agents."""

import re
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import envs.gym  # noqa: F401  makes the environments known
from agents.agent import Agent
from agents.catalogue import AGENTS
from envs.lanes import Episode
from envs.toy import CELL
from eval import _seed, evaluate


class Stranger:
    """Plays what an agent of ours would, and keeps what it was shown."""

    def __init__(self, agent: Agent, seed: int) -> None:
        self.agent = agent
        self.generator = torch.Generator().manual_seed(_seed(seed))
        self.seen: list[np.ndarray] = []

    def act(self, stack: np.ndarray) -> torch.Tensor:
        self.seen.append(stack)
        return self.agent.act(torch.from_numpy(stack), self.generator)


class Catcher:
    """The best policy of Catch: it goes to where the ball will fall."""

    def act(self, stack: np.ndarray) -> np.ndarray:
        assert (stack.dtype, stack.shape[1:]) == (np.uint8, (4, 84, 84))
        newest = stack[:, -1, ::CELL, ::CELL]
        ball, paddle = (newest[:, :-1].max(1) == 255).argmax(1), (newest[:, -1] == 128).argmax(1)
        return np.where(ball < paddle, 1, np.where(ball > paddle, 2, 0))


@pytest.mark.smoke
def test_a_stranger_is_scored_as_an_agent_of_ours_that_plays_alike() -> None:
    agent = Agent(AGENTS["der"], 3, device=torch.device("cpu"), seed=0)
    stranger = Stranger(agent, seed=4)
    episodes = evaluate(stranger, "Catch", 25, seed=4)
    assert episodes == evaluate(agent, "Catch", 25, seed=4)
    assert len({episode.score for episode in episodes}) > 1  # or any play would do
    assert len({stack.tobytes() for stack in stranger.seen}) > 5  # what is handed out stays as it was


def test_the_best_policy_scores_one() -> None:
    assert {episode.score for episode in evaluate(Catcher(), "Catch", 45, seed=0)} == {1.0}


def test_the_score_is_that_of_the_gymnasium_environment() -> None:
    """The same games, played by hand: the first two of each of 20."""
    player, env = Catcher(), gymnasium.make_vec("Atari100k/Catch-v0", num_envs=20)
    stack, _ = env.reset(seed=_seed(2))
    played: list[Episode] = []
    for _ in range(12):
        stack, _, _, _, info = env.step(player.act(stack))
        played += [Episode(int(i), info["score"][i], info["length"][i]) for i in np.flatnonzero(info.get("_score", []))]
    assert sorted(played, key=lambda episode: episode.lane) == evaluate(player, "Catch", 40, seed=2)


def test_actions_that_are_none_are_refused() -> None:
    class Wrong:
        def act(self, stack: np.ndarray) -> np.ndarray:
            return np.zeros(len(stack), np.float32)

    with pytest.raises(ValueError, match=r"actions must be int64 \[3\], not float32 \[3\]"):
        evaluate(Wrong(), "Catch", 3, seed=0)


@pytest.mark.parametrize("episodes", [0, -1])
def test_no_games_are_no_score(episodes: int) -> None:
    with pytest.raises(ValueError, match=f"^episodes must be at least 1, not {episodes}$"):
        evaluate(Catcher(), "Catch", episodes, seed=0)


def test_the_page_does_what_it_says() -> None:
    """The Python of docs/protocol.md. Its player stands still: a catch in seven."""
    page = (Path(__file__).parent.parent / "docs" / "protocol.md").read_text()
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(block, names)
    assert (names["observation"].shape, names["observations"].shape) == ((4, 84, 84), (8, 4, 84, 84))
    result = names["result"]
    assert result["episodes"] == 100
    assert result["score"] == pytest.approx(-5 / 7, abs=4 * result["standard_error"])
