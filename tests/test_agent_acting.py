"""How an agent chooses actions: greedy, at random, with and without noise, and with which network."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from agents.agent import Agent
from agents.config import AgentConfig, Anneal, Exploration, Replay, Tortoise
from networks.qnetwork import QNetwork
from tests.fake_replay import ACTIONS, SIZE, fake_replay, small

LANES = 200
CALLS = 5


def agent_of(config: AgentConfig, seed: int = 0) -> Agent:
    return Agent(config, ACTIONS, device="cpu", seed=seed)


def exploring(training: float, evaluation: float) -> Exploration:
    return Exploration(epsilon=Anneal(training, training, 0), evaluation=evaluation)


@torch.no_grad()
def prefer_(network: QNetwork, action: int) -> None:
    """Make `network` value `action` above all others in every state, whatever the noise."""
    layer = network.head.streams[0].outputs["advantage"]
    for parameter in layer.parameters():
        parameter.zero_()
    layer.bias.view(ACTIONS, -1)[action, -1] = 50


def frames_of(lanes: int, seed: int = 0) -> Tensor:
    return torch.randint(256, (lanes, 4, 84, 84), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def evaluation_of(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def shares(agent: Agent, evaluating: bool) -> list[float]:
    frames = torch.zeros(LANES, 4, 84, 84, dtype=torch.uint8)
    generator = evaluation_of() if evaluating else None
    actions = torch.cat([agent.act(frames, generator) for _ in range(CALLS)])
    assert actions.shape == (LANES * CALLS,)
    assert actions.dtype == torch.int64
    return [(actions == a).float().mean().item() for a in range(ACTIONS)]


@pytest.mark.parametrize(
    ("training", "evaluation", "evaluating"),
    [(0.45, 0.15, False), (0.15, 0.45, True), (1.0, 0.3, False), (0.3, 1.0, True), (0.0, 0.3, False), (0.3, 0.0, True)],
)
def test_the_share_of_random_actions_is_epsilon(training: float, evaluation: float, evaluating: bool) -> None:
    agent = agent_of(small("der", exploration=exploring(training, evaluation)))
    prefer_(agent.hare, 1)
    epsilon = evaluation if evaluating else training
    each = epsilon / ACTIONS  # a random action may be the greedy one
    margin = 4 * (each * (1 - each) / (LANES * CALLS)) ** 0.5
    found = shares(agent, evaluating)
    assert found[0] == pytest.approx(each, abs=margin)
    assert found[2] == pytest.approx(each, abs=margin)
    assert found[1] == pytest.approx(1 - 2 * each, abs=2 * margin)


@pytest.mark.parametrize("name", ["der", "spr"])
def test_greedy_actions_without_noise_have_the_largest_mean_value(name: str) -> None:
    agent = agent_of(small(name, exploration=exploring(0, 0)))
    with torch.no_grad():
        agent.hare.head.streams[0].outputs["advantage"].weight.mul_(20)  # so that the states differ in their best action
    frames = frames_of(64)
    x = torch.stack([frame.double() / 255 for frame in frames]).float()
    logits = agent.hare.logits(agent.hare.encode(x), agent.hare.noisy(None))
    best = (logits.softmax(2) * torch.linspace(-10, 10, 51)).sum(2).argmax(1)
    assert len(best.unique()) > 1
    assert torch.equal(agent.act(frames, evaluation_of()), best)


def test_noise_is_drawn_for_each_call_while_learning_and_never_in_evaluation() -> None:
    config = small("der", exploration=exploring(0, 0))
    agent = agent_of(replace(config, head=replace(config.head, noise=20.0)))
    frames = frames_of(16)
    learning = torch.stack([agent.act(frames) for _ in range(4)])
    evaluating = torch.stack([agent.act(frames, evaluation_of(seed)) for seed in range(4)])
    assert len(learning.unique(dim=0)) > 1
    assert len(evaluating.unique(dim=0)) == 1


@pytest.mark.parametrize("evaluating", [False, True])
@pytest.mark.parametrize("acts", [False, True])
def test_the_tortoise_acts_if_told(acts: bool, evaluating: bool) -> None:
    agent = agent_of(small("der", exploration=exploring(0, 0), tortoise=Tortoise(acts=acts)))
    prefer_(agent.hare, 0)
    prefer_(agent.tortoise, 2)
    assert agent.actor is (agent.tortoise if acts else agent.hare)
    assert torch.all(agent.act(frames_of(3), evaluation_of() if evaluating else None) == (2 if acts else 0))


@pytest.mark.parametrize(
    ("env_step", "epsilon", "beta"),
    [(0, 1.0, 0.4), (49, 1.0, 0.4), (50, 1.0, 0.4), (75, 0.8, 0.475), (150, 0.2, 0.7), (250, 0.2, 1.0), (9999, 0.2, 1.0)],
)
def test_epsilon_and_the_importance_exponent_are_annealed_after_the_warm_up(env_step: int, epsilon: float, beta: float) -> None:
    config = small(
        "der",
        replay=Replay(batch_size=SIZE, warmup_steps=50, beta=Anneal(0.4, 1.0, 200)),
        exploration=Exploration(epsilon=Anneal(1.0, 0.2, 100), evaluation=0.0),
    )
    agent, replay = agent_of(config), fake_replay(config)
    agent.anneal_(env_step)
    agent.update(replay)
    assert agent.epsilon == pytest.approx(epsilon)
    assert replay.asked[0][3].item() == pytest.approx(beta)


def test_an_evaluation_draws_from_its_own_generator_and_leaves_the_agent_as_it_was() -> None:
    agent = agent_of(small("spr", exploration=exploring(0.5, 0.5)))
    frames = frames_of(50)
    before = deepcopy(agent.state_dict()["generators"])
    one, two, other = (agent.act(frames, evaluation_of(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    after = agent.state_dict()["generators"]
    assert all(torch.equal(after[name], before[name]) for name in before)
    agent.act(frames)
    moved = {name for name, state in agent.state_dict()["generators"].items() if not torch.equal(state, before[name])}
    assert moved == {"acting"}


def test_acting_neither_learns_nor_changes_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = agent_of(small("spr", exploration=exploring(0.5, 0.5)))
    before = [p.clone() for p in agent.hare.parameters()]
    recording = []
    encode = agent.hare.encode

    def spy(x: Tensor) -> Tensor:
        latent = encode(x)
        recording.append(latent.requires_grad)
        return latent

    monkeypatch.setattr(agent.hare, "encode", spy)
    agent.act(frames_of(5))
    assert recording == [False]  # no graph is kept
    assert all(torch.equal(p, q) for p, q in zip(agent.hare.parameters(), before, strict=True))
