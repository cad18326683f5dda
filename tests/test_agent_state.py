"""A saved and loaded agent goes on as if nothing had happened."""

import io
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from agents.agent import Agent
from agents.config import AgentConfig, Anneal, Exploration, Resets, Tortoise
from tests.every import crossed
from tests.fake_replay import ACTIONS, fake_replay, small

FRAMES = torch.randint(256, (20, 4, 84, 84), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
BEFORE, AFTER = 3, 4  # updates


def config_of(name: str, resets: Resets | None) -> AgentConfig:
    return small(
        name,
        exploration=Exploration(epsilon=Anneal(1.0, 0.2, 100), evaluation=0.3),
        tortoise=Tortoise(decay=0.9, every=2),
        resets=resets,
    )


def agent_of(config: AgentConfig, seed: int) -> Agent:
    return Agent(config, ACTIONS, device="cpu", seed=seed)


def advance(agent: Agent, start: int, count: int) -> tuple[list[Tensor], list[Tensor]]:
    """The actions taken and the priorities written in `count` updates, the batches being numbered from `start`."""
    replay = fake_replay(agent.config, 5, start)
    actions = []
    for _ in range(count):
        actions.append(agent.act(FRAMES))
        agent.update(replay)
    return actions, [priority for _, priority in replay.written]


def through_a_file(state: dict) -> dict:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def assert_equal(one: object, two: object, where: str = "") -> None:
    """Equality to the last bit of nested dicts and lists of tensors and plain values."""
    assert type(one) is type(two), where
    if isinstance(one, Tensor):
        assert torch.equal(one, two), where
    elif isinstance(one, dict):
        assert one.keys() == two.keys(), where
        for key in one:
            assert_equal(one[key], two[key], f"{where} {key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(two), where
        for i, (a, b) in enumerate(zip(one, two, strict=True)):
            assert_equal(a, b, f"{where} {i}")
    else:
        assert one == two, where


RESETS = {
    "none": None,
    "fresh": Resets("fresh", every=2, keep_body=0.5, tortoise_too=True, moments="zero"),
    "initial": Resets("initial", every=5, keep_body=0.5),
    "tortoise": Resets("tortoise", every=5),
}


@pytest.mark.parametrize(("name", "resets"), crossed(2, ["der", "spr"], RESETS))
def test_a_loaded_agent_continues_to_the_last_bit(name: str, resets: str) -> None:
    config = config_of(name, RESETS[resets])
    agent = agent_of(config, seed=1)
    agent.anneal_(config.replay.warmup_steps + 60)
    advance(agent, 0, BEFORE)
    state = through_a_file(agent.state_dict())
    resumed = agent_of(config, seed=2)  # its own seed must not matter any more
    resumed.load_state_dict(state)
    assert_equal(advance(resumed, BEFORE, AFTER), advance(agent, BEFORE, AFTER))
    assert_equal(resumed.state_dict(), agent.state_dict())
    assert resumed.metrics() == agent.metrics()
    assert resumed.broken() is None
    assert (resumed.updates, resumed.resets) == (agent.updates, agent.resets)


def test_what_is_annealed_is_part_of_the_state() -> None:
    config = config_of("der", None)
    agent, resumed = agent_of(config, 1), agent_of(config, 2)
    agent.anneal_(config.replay.warmup_steps + 60)
    resumed.load_state_dict(through_a_file(agent.state_dict()))
    replays = [fake_replay(config), fake_replay(config)]
    for a, replay in zip((agent, resumed), replays, strict=True):
        a.update(replay)
    assert resumed.epsilon == agent.epsilon == pytest.approx(1 - 0.8 * 0.6)
    beta = [replay.asked[0][3].item() for replay in replays]
    assert beta[1] == beta[0] > 0.4


def test_a_broken_update_is_remembered() -> None:
    config = config_of("der", None)
    agent, replay = agent_of(config, 1), fake_replay(config)
    replay.batches[1] = replace(replay.batches[1], ret=torch.full((4,), float("nan")))
    for _ in range(3):
        agent.update(replay)
    resumed = agent_of(config, 2)
    resumed.load_state_dict(through_a_file(agent.state_dict()))
    assert resumed.broken() == agent.broken() == 2


def test_a_loaded_agent_shares_no_storage_with_its_source() -> None:
    config = config_of("spr", Resets("initial", every=5))
    agent = agent_of(config, 1)
    advance(agent, 0, BEFORE)
    state = deepcopy(agent.state_dict())
    resumed = agent_of(config, 2)
    resumed.load_state_dict(agent.state_dict())  # within one process, through no file
    advance(resumed, BEFORE, AFTER)
    assert_equal(agent.state_dict(), state)


def test_an_agent_that_never_learns_can_be_saved() -> None:
    config = small("random")
    agent, resumed = agent_of(config, 1), agent_of(config, 2)
    agent.act(FRAMES)
    resumed.load_state_dict(through_a_file(agent.state_dict()))
    assert torch.equal(resumed.act(FRAMES), agent.act(FRAMES))
