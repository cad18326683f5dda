"""What is injected travels with the weights: in resets, copies, averages and states."""

from dataclasses import replace

import pytest
import torch

from agents.agent import Agent
from agents.catalogue import find_agent
from agents.config import AgentConfig, Resets, Tortoise
from tests.every import crossed
from tests.fake_replay import fake_replay
from tests.test_agent_state import assert_equal, through_a_file
from tests.test_injection import agent_of, copy, injected_at, outputs, same

COPIED = Tortoise(decay=0.0, every=1)


def learnt(config: AgentConfig, updates: int) -> Agent:
    agent, replay = agent_of(config), fake_replay(config)
    for _ in range(updates):
        agent.update(replay)
    return agent


def reset_of_a_head(at: int, **changes: object) -> AgentConfig:
    resets = Resets("fresh", every=at, keep_body=1.0, keep_neck=1.0, tortoise_too=False)
    return injected_at("spr", 2, resets=replace(resets, **changes), tortoise=COPIED)


@pytest.mark.parametrize(("keep_neck", "keep_head"), crossed(3, [0.0, 0.5, 1.0], [0.0, 0.5, 1.0]))
def test_a_copy_of_a_hare_that_was_reset_says_what_the_hare_says(keep_neck: float, keep_head: float) -> None:
    agent = learnt(reset_of_a_head(4, keep_neck=keep_neck, keep_head=keep_head), 5)
    assert same(copy(agent.hare), copy(agent.tortoise))
    assert agent.tortoise.injected == agent.hare.injected == (keep_neck + keep_head > 0)
    assert_equal(outputs(agent.hare), outputs(agent.tortoise))


def test_a_new_head_on_hidden_layers_that_are_kept_loses_nothing_that_these_learnt() -> None:
    """The projection is made of the hidden layers of all three heads."""
    config = reset_of_a_head(4)
    agent = learnt(config, 4)
    before = learnt(replace(config, resets=None), 4)
    assert torch.equal(outputs(agent.hare)["project"], outputs(before.hare)["project"])
    assert not torch.equal(outputs(agent.hare)["mean"], outputs(before.hare)["mean"])
    assert agent.hare.injected
    pair = [copy(head) for head in agent.hare.injections]
    for name, value in pair[0].items():
        assert torch.equal(value, pair[1][name]) == (".outputs." in name)  # what is new is equal


def test_an_average_of_an_injected_network_and_a_new_one_is_injected() -> None:
    config = injected_at("spr", 2, resets=Resets("fresh", every=4), tortoise=Tortoise(decay=0.5))
    agent = learnt(config, 5)
    assert (agent.hare.injected, agent.tortoise.injected) == (False, True)
    pair = [copy(head) for head in agent.tortoise.injections]
    assert not same(pair[0], pair[1])  # half of what was learnt is in it still


def test_the_state_of_a_network_says_whether_it_is_injected() -> None:
    agent, other = learnt(injected_at("der", 2), 3), agent_of(injected_at("der", 2), seed=1)
    other.hare.load_state_dict(through_a_file(agent.hare.state_dict()))
    assert_equal(outputs(other.hare), outputs(agent.hare))
    assert [p.requires_grad for p in other.hare.parameters()] == [p.requires_grad for p in agent.hare.parameters()]
    other.tortoise.load_state_dict(agent.hare.state_dict())
    assert other.tortoise.injected
    assert not any(p.requires_grad for p in other.tortoise.parameters())


def test_a_state_from_before_it_was_the_networks_own_is_read() -> None:
    agent, other = learnt(injected_at("der", 2), 3), agent_of(injected_at("der", 2), seed=1)
    state = agent.state_dict()
    for name in ("hare", "tortoise"):
        del state[name]["_extra_state"]
    other.load_state_dict(through_a_file(state | {"injected": (True, True)}))
    assert_equal(outputs(other.hare), outputs(agent.hare))
    assert_equal(outputs(other.tortoise), outputs(agent.tortoise))


def test_a_graph_belongs_to_what_both_networks_are(monkeypatch: pytest.MonkeyPatch) -> None:
    config = injected_at("spr", 2, resets=Resets("fresh", every=4), tortoise=Tortoise(decay=0.5))
    agent, replay, keys = agent_of(config), fake_replay(config), []
    plain = agent._carry_out
    monkeypatch.setattr(
        agent, "_carry_out", lambda function, generators, key: keys.append(key) or plain(function, generators, key)
    )
    for _ in range(6):
        agent.update(replay)
    assert [key[2:] for key in keys] == [(False, False)] * 2 + [(True, True)] * 2 + [(False, True)] * 2


@pytest.mark.parametrize("name", ["spr_head_inject", "der_ht_inject", "sr_spr_inject"])
def test_agents_with_both_are_in_the_catalogue(name: str) -> None:
    assert find_agent(name).injection is not None
