"""Plasticity injection: invisible when it happens, after which only a change to the head is learnt (Nikishin et al. 2023)."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from agents.agent import Agent
from agents.config import AgentConfig, Injection, Optimizer, Resets, Tortoise
from networks.heads import QHead
from networks.qnetwork import QNetwork
from networks.settings import Encoder, Head, SelfPrediction
from tests.every import crossed
from tests.fake_replay import ACTIONS, fake_replay, small
from tests.test_agent_state import assert_equal, through_a_file

HEADS = {
    "streams": Head(hidden=8),
    "last": Head("last", hidden=8, gradient_scale=0.7),
    "none": Head("none", hidden=8, noise=None),
    "scalar": Head("last", hidden=8, noise=None, atoms=1),
    "noisy scalar": Head("streams", hidden=8, atoms=1),
    "crelu": Head("streams", hidden=8, activation="crelu", layer_norm=True),
}
PREDICTION = {False: None, True: SelfPrediction(jumps=2)}
FAST = Optimizer(learning_rate=1e-2)
Weights = dict[str, Tensor]


def injected_at(name: str, at: int, **changes: object) -> AgentConfig:
    return small(name, injection=Injection(at), **{"optimizer": FAST, **changes})


def agent_of(config: AgentConfig, seed: int = 0) -> Agent:
    return Agent(config, ACTIONS, device="cpu", seed=seed)


def copy(module: torch.nn.Module) -> Weights:
    return {name: p.detach().clone() for name, p in module.named_parameters()}


def same(one: Weights, two: Weights) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def differ_everywhere(one: Weights, two: Weights) -> bool:
    return one.keys() == two.keys() and not any(torch.equal(one[name], two[name]) for name in one)


def outputs(network: QNetwork, seed: int = 0) -> dict[str, Tensor]:
    """All that a network gives, with noise and without, on random observations."""
    g = torch.Generator().manual_seed(seed)
    x, action = torch.rand(4, 4, 84, 84, generator=g), torch.randint(ACTIONS, (4, 2), generator=g)
    noise = network.draw_noise(g)
    with torch.no_grad():
        latent = network.encode(x)
        found = {"mean": network.logits(latent, network.noisy(None)), "noisy": network.logits(latent, network.noisy(noise))}
        found |= {f"{name} values": network.values(logits) for name, logits in list(found.items())}
        found["project"] = network.project(latent)
        if network.transition is not None:
            found["predict"] = network.predict(latent, action)
    return found


@pytest.mark.parametrize("predicts", [False, True])
@pytest.mark.parametrize("head", list(HEADS))
def test_no_output_changes_when_a_network_is_injected(head: str, predicts: bool) -> None:
    network = QNetwork(Encoder("data_efficient"), HEADS[head], PREDICTION[predicts], ACTIONS, injectable=True)
    network.initialise_(torch.Generator().manual_seed(3))
    assert same(copy(network.injections[0]), copy(network.injections[1]))
    assert not same(copy(network.injections[0]), copy(network.head))  # a draw of its own
    before, weights = outputs(network), copy(network)
    network.set_injected_(True)
    assert_equal(outputs(network), before)
    assert same(copy(network), weights)


@pytest.mark.parametrize("name", ["der", "der_dopamine", "drq", "otrainbow", "sr_spr", "spr"])
def test_no_output_of_hare_or_tortoise_changes_at_the_injection(name: str) -> None:
    tortoise = Tortoise(decay=0.9)
    agent, twin = (agent_of(injected_at(name, at, tortoise=tortoise, resets=None)) for at in (2, 1000))
    for a in (agent, twin):
        replay = fake_replay(a.config)
        a.update(replay)
        a.update(replay)
    assert (agent.hare.injected, agent.tortoise.injected) == (True, True)
    assert (twin.hare.injected, twin.tortoise.injected) == (False, False)
    assert_equal(outputs(agent.hare), outputs(twin.hare))
    assert_equal(outputs(agent.tortoise), outputs(twin.tortoise))
    assert not torch.equal(outputs(agent.hare)["mean"], outputs(agent.tortoise)["mean"])


def learners(agent: Agent) -> set[str]:
    """The parameters whose last update had a gradient."""
    return {name for name, p in agent.hare.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", ["der", "spr", "der_dopamine_wd"])
def test_what_learns_before_and_after(name: str) -> None:
    decays = replace(FAST, weight_decay=0.1)  # which must not creep into what is frozen
    config = injected_at(name, 2, optimizer=decays if name.endswith("_wd") else FAST)
    agent, replay = agent_of(config), fake_replay(config)
    heads = {"head.": agent.hare.head, "injections.0.": agent.hare.injections[0], "injections.1.": agent.hare.injections[1]}
    for update in range(1, 6):
        before = {prefix: copy(head) for prefix, head in heads.items()}
        encoder = copy(agent.hare.encoder)
        agent.update(replay)
        learns = "head." if update <= 2 else "injections.0."
        for prefix, head in heads.items():
            frozen = prefix != learns
            assert same(copy(head), before[prefix]) == frozen
            if not frozen:
                assert differ_everywhere(copy(head), before[prefix])
            assert any(found.startswith(prefix) for found in learners(agent)) == (not frozen)
        assert differ_everywhere(copy(agent.hare.encoder), encoder)
        moments = {n for n, p in agent.hare.named_parameters() if p in agent.optimizer.state}
        assert any(n.startswith("injections.0.") for n in moments) == (update > 2)
        assert not any(n.startswith("injections.1.") for n in moments)
        assert not any(p.requires_grad for p in agent.tortoise.parameters())


def test_injection_happens_at_its_update() -> None:
    agent = agent_of(injected_at("der", 3))
    replay = fake_replay(agent.config)
    for update in range(1, 8):
        agent.update(replay)
        assert agent.hare.injected == agent.tortoise.injected == (update >= 3)


def plain_head(config: AgentConfig, source: QHead) -> QHead:
    """A head of its own with the weights that `source` has now."""
    features = source.streams[0].hidden.weight.shape[1]
    head = QHead(config.head, features, ACTIONS)
    head.load_state_dict(deepcopy(source.state_dict()))
    return head


@pytest.mark.parametrize("name", ["der", "der_dopamine", "otrainbow", "drq", "spr"])
def test_an_injected_network_is_frozen_plus_new_minus_what_the_new_one_was(name: str) -> None:
    agent = agent_of(injected_at(name, 2, tortoise=Tortoise(decay=0.0, every=1)))
    replay = fake_replay(agent.config)
    new0 = plain_head(agent.config, agent.hare.injections[0])  # as drawn at the very start
    agent.update(replay)
    agent.update(replay)
    frozen = plain_head(agent.config, agent.hare.head)
    g = torch.Generator().manual_seed(5)
    x = torch.rand(4, 4, 84, 84, generator=g)
    for _ in range(3):
        agent.update(replay)
        new = plain_head(agent.config, agent.hare.injections[0])
        for network in (agent.hare, agent.tortoise):
            with torch.no_grad():
                latent = network.encode(x)
                flat = latent.flatten(1)
                for noise in (None, network.draw_noise(g)):
                    under = [head.noisy(noise) if noise is not None else None for head in (frozen, new, new0)]
                    expected = frozen(flat, under[0]) + new(flat, under[1]) - new0(flat, under[2])
                    torch.testing.assert_close(network.logits(latent, network.noisy(noise)), expected, rtol=1e-5, atol=1e-5)
                expected = frozen.project(flat) + new.project(flat) - new0.project(flat)
                torch.testing.assert_close(network.project(latent), expected, rtol=1e-5, atol=1e-5)
                assert not torch.allclose(frozen(flat), network.logits(latent, network.noisy(None)), atol=1e-4)


@pytest.mark.parametrize(("name", "saved"), crossed(2, ["sr_spr", "der"], [1, 2, 3, 4]))
def test_a_loaded_agent_continues_to_the_last_bit(name: str, saved: int) -> None:
    config = injected_at(name, 3)
    agent, resumed = agent_of(config, 1), agent_of(config, 2)
    replay = fake_replay(config, 5)
    for _ in range(saved):
        agent.update(replay)
    resumed.load_state_dict(through_a_file(agent.state_dict()))
    assert resumed.hare.injected == resumed.tortoise.injected == (saved >= 3)
    assert same(copy(resumed.initial), copy(agent.initial))
    for a in (agent, resumed):
        replay = fake_replay(config, 5, saved)
        for _ in range(6 - saved):
            a.update(replay)
    assert_equal(resumed.state_dict(), agent.state_dict())
    assert_equal(outputs(resumed.actor), outputs(agent.actor))
    assert [p.requires_grad for p in resumed.hare.parameters()] == [p.requires_grad for p in agent.hare.parameters()]
    assert not any(p.requires_grad for p in resumed.tortoise.parameters())


def test_an_average_tortoise_shares_what_is_frozen() -> None:
    config = injected_at("sr_spr", 3, tortoise=Tortoise(decay=0.5, every=1, acts=True), resets=None)
    agent, replay = agent_of(config), fake_replay(config)
    for _ in range(3):
        agent.update(replay)
    gap = {name: p - agent.tortoise.head.get_parameter(name) for name, p in copy(agent.hare.head).items()}
    assert all(value.any() for value in gap.values())  # the average lags behind when the head freezes
    for after in range(1, 5):
        agent.update(replay)
        assert same(copy(agent.tortoise.injections[1]), copy(agent.hare.injections[1]))
        assert differ_everywhere(copy(agent.tortoise.injections[0]), copy(agent.hare.injections[0]))
        for name, p in copy(agent.hare.head).items():  # and comes nearer by half each time
            rest = p - agent.tortoise.head.get_parameter(name)
            torch.testing.assert_close(rest, gap[name] * 0.5**after, rtol=1e-3, atol=1e-6)
    for _ in range(18):
        agent.update(replay)
    for name, p in copy(agent.hare.head).items():
        torch.testing.assert_close(agent.tortoise.head.get_parameter(name).detach(), p, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("too", [False, True])
def test_a_later_reset_to_a_wholly_new_head_ends_the_injection(too: bool) -> None:
    resets = Resets("fresh", every=4, keep_body=0.8, tortoise_too=too, moments="zero")
    agent = agent_of(injected_at("sr_spr", 2, resets=resets, tortoise=Tortoise(decay=0.9)))
    replay = fake_replay(agent.config)
    for _ in range(3):
        agent.update(replay)
    frozen = copy(agent.hare.head)
    agent.update(replay)
    for network in (agent.hare, agent.tortoise) if too else (agent.hare,):
        latent = torch.rand(4, *agent.hare.encode(torch.zeros(1, 4, 84, 84)).shape[1:])
        assert torch.equal(network.logits(latent, network.noisy(None)), network.head(latent.flatten(1)))
    assert agent.tortoise.injected != too
    new = copy(agent.hare.head)
    assert not any(torch.equal(new[n], frozen[n]) for n in frozen if "outputs" in n and "sigma" not in n)
    loaded = agent_of(agent.config, seed=1)
    loaded.load_state_dict(through_a_file(agent.state_dict()))
    idle = copy(agent.hare.injections)
    for one in (agent, loaded):
        one.update(fake_replay(agent.config))
    assert differ_everywhere(copy(agent.hare.head), new)
    assert same(copy(agent.hare.injections), idle)
    assert_equal(loaded.state_dict(), agent.state_dict())
