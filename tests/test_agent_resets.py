"""When the tortoise follows and when resets fire, and what exactly they change."""

from dataclasses import asdict, replace

import pytest
import torch
from torch import Tensor

from agents.agent import Agent
from agents.catalogue import AGENTS, METHODS
from agents.config import AgentConfig, Optimizer, Resets, Tortoise
from hare_tortoise.methods import AGENTS_DECAY, AGENTS_EVERY
from networks.qnetwork import QNetwork
from tests.every import crossed
from tests.fake_replay import ACTIONS, fake_replay, small

Weights = dict[str, Tensor]
BODY = ("encoder.", "transition.")


def agent_of(config: AgentConfig, seed: int = 0) -> Agent:
    return Agent(config, ACTIONS, device="cpu", seed=seed)


def copy(network: QNetwork) -> Weights:
    return {name: p.detach().clone() for name, p in network.named_parameters()}


def same(one: Weights, two: Weights) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def differ_everywhere(one: Weights, two: Weights) -> bool:
    return not any(torch.equal(one[name], two[name]) for name in one)


def fresh_draws(agent: Agent, count: int) -> list[Weights]:
    """The networks that `agent` would draw next, from a copy of its generator."""
    g = torch.Generator()
    g.set_state(agent.state_dict()["generators"]["fresh"])
    draws = []
    for _ in range(count):
        network = QNetwork(agent.config.encoder, agent.config.head, agent.config.prediction, ACTIONS)
        network.initialise_(g)
        draws.append(copy(network))
    return draws


def mixed(old: Weights, source: Weights, body: float, neck: float, head: float) -> Weights:
    keep = {name: share_of(name, body, neck, head) for name in old}
    return {name: keep[name] * old[name] + (1 - keep[name]) * source[name] for name in old}


def share_of(name: str, body: float, neck: float, head: float) -> float:
    """Which of the three shares a parameter keeps, by its name: the output layers are the head, what is left the neck."""
    return body if name.startswith(BODY) else head if ".outputs." in name else neck


def assert_near(found: Weights, expected: Weights) -> None:
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_the_tortoise_follows_at_multiples_of_its_interval(decay: float) -> None:
    config = small("der", tortoise=Tortoise(decay=decay, every=3))
    agent, replay = agent_of(config), fake_replay(config)
    for update in range(1, 8):
        before = copy(agent.tortoise)
        agent.update(replay)
        hare, after = copy(agent.hare), copy(agent.tortoise)
        if update % 3 == 0:
            assert_near(after, {name: decay * before[name] + (1 - decay) * hare[name] for name in hare})
            assert same(after, hare) == (decay == 0)
            assert differ_everywhere(after, before)
        else:
            assert same(after, before)


@pytest.mark.parametrize("source", ["fresh", "initial", "tortoise"])
def test_resets_fire_at_multiples_of_their_interval(source: str) -> None:
    # So small a step changes no weight: whatever the hare does, it does by resets.
    still = Optimizer(learning_rate=1e-30)
    config = small("der", optimizer=still, tortoise=Tortoise(decay=0.99), resets=Resets(source, every=3, keep_body=0.5))
    agent, replay = agent_of(config), fake_replay(config)
    with torch.no_grad():
        for p in agent.hare.parameters():
            p += 1  # away from the initial weights and from the tortoise
    changed = []
    for update in range(1, 8):
        before = copy(agent.hare)
        agent.update(replay)
        if not same(before, copy(agent.hare)):
            changed.append(update)
    assert changed == [3, 6]
    assert agent.resets == 2


KEEPS = [(0.0, 0.0, 0.0), (0.8, 0.0, 0.0), (0.5, 0.3, 0.2), (1.0, 1.0, 0.0), (0.0, 1.0, 1.0)]


@pytest.mark.parametrize(("name", "keeps", "source"), crossed(3, ["der", "spr"], KEEPS, ["fresh", "initial", "tortoise"]))
def test_a_reset_mixes_its_source_into_the_hare(name: str, keeps: tuple[float, float, float], source: str) -> None:
    base = small(name, tortoise=Tortoise(decay=0.9, every=1))
    agent = agent_of(replace(base, resets=Resets(source, 3, *keeps)))
    twin = agent_of(base)  # never reset, equal until then
    first = copy(agent.hare)
    one, two = fake_replay(base), fake_replay(base)
    for _ in range(2):
        agent.update(one)
        twin.update(two)
    draw = fresh_draws(agent, 1)[0]
    agent.update(one)
    twin.update(two)
    hare, tortoise = copy(twin.hare), copy(twin.tortoise)
    values = {"fresh": draw, "initial": first, "tortoise": tortoise}[source]
    assert differ_everywhere(hare, tortoise)
    found = copy(agent.hare)
    assert_near(found, mixed(hare, values, *keeps))
    for name, value in found.items():  # copied or kept to the last bit
        keep = share_of(name, *keeps)
        if keep in (0, 1):
            assert torch.equal(value, hare[name] if keep == 1 else values[name])
    assert same(copy(agent.tortoise), tortoise)  # it only follows
    assert same(agent_moments(agent), agent_moments(twin))  # kept


def agent_moments(agent: Agent) -> Weights:
    names = {id(p): name for name, p in agent.hare.named_parameters()}
    return {f"{names[id(p)]} {key}": value.clone() for p, s in agent.optimizer.state.items() for key, value in s.items()}


def test_moments_are_zeroed_if_told() -> None:
    config = small("spr", resets=Resets("fresh", every=3, moments="zero"))
    agent, replay = agent_of(config), fake_replay(config)
    for update in range(1, 5):
        agent.update(replay)
        moments = agent_moments(agent)
        counts = {value.item() for key, value in moments.items() if key.endswith(" step")}
        assert counts == {{1: 1, 2: 2, 3: 0, 4: 1}[update]}
        assert all(torch.all(value == 0) == (update == 3) for value in moments.values())


@pytest.mark.parametrize("source", ["fresh", "initial"])
def test_the_tortoise_is_reset_too_if_told_with_another_draw(source: str) -> None:
    config = small("spr", tortoise=Tortoise(every=1000), resets=Resets(source, 2, 0.8, 0.0, tortoise_too=True))
    agent = agent_of(config)
    twin = agent_of(replace(config, resets=None))
    first = copy(agent.hare)
    with torch.no_grad():
        for mine, its in zip(agent.tortoise.parameters(), twin.tortoise.parameters(), strict=True):
            mine += 0.1
            its += 0.1
    draws = fresh_draws(agent, 2) if source == "fresh" else [first, first]
    one, two = fake_replay(config), fake_replay(config)
    for _ in range(2):
        agent.update(one)
        twin.update(two)
    assert_near(copy(agent.hare), mixed(copy(twin.hare), draws[0], 0.8, 0.0, 0.0))
    assert_near(copy(agent.tortoise), mixed(copy(twin.tortoise), draws[1], 0.8, 0.0, 0.0))
    heads = [network.head.streams[1].outputs["value"].weight for network in (agent.hare, agent.tortoise)]
    equal_heads = torch.equal(*heads)
    assert equal_heads == (source == "initial")


def test_each_fresh_reset_is_a_new_draw() -> None:
    config = small("der", resets=Resets("fresh", every=1))
    agent, replay = agent_of(config), fake_replay(config)
    agent.update(replay)
    one = copy(agent.hare)
    agent.update(replay)
    assert not torch.equal(one["head.streams.1.outputs.value.weight"], agent.hare.head.streams[1].outputs["value"].weight)
    assert not torch.equal(one["encoder.0.weight"], agent.hare.encoder[0].weight)


def test_the_hare_set_back_to_the_tortoise_shares_values_and_no_storage() -> None:
    base = small("spr", optimizer=Optimizer(learning_rate=1e-2))
    config = replace(METHODS["ht"].apply(base), resets=Resets("tortoise", every=2))
    decay = config.tortoise.decay
    agent, replay = agent_of(config), fake_replay(config)
    agent.update(replay)
    assert differ_everywhere(copy(agent.hare), copy(agent.tortoise))
    agent.update(replay)
    kept = copy(agent.tortoise)
    assert same(copy(agent.hare), kept)
    for hare, tortoise in zip(agent.hare.parameters(), agent.tortoise.parameters(), strict=True):
        assert hare.data_ptr() != tortoise.data_ptr()
        assert hare.untyped_storage().data_ptr() != tortoise.untyped_storage().data_ptr()
    agent.update(replay)
    hare = copy(agent.hare)
    assert differ_everywhere(hare, kept)
    exact = {name: torch.lerp(kept[name], hare[name], 1 - decay) for name in kept}
    assert same(copy(agent.tortoise), exact)  # to the last bit where the average puts it
    assert_near(exact, {name: decay * kept[name] + (1 - decay) * hare[name] for name in kept})


@pytest.mark.parametrize("name", list(AGENTS))
def test_hare_and_tortoise_changes_tortoise_and_resets_only(name: str) -> None:
    resets = Resets("fresh", 3, 0.8, 0.6, 0.5, moments="zero")
    base = replace(AGENTS[name], tortoise=Tortoise(decay=0.5, every=7), resets=resets)
    before, after = asdict(base), asdict(METHODS["ht"].apply(base))
    assert {key for key in before if before[key] != after[key]} == {"tortoise", "resets"}
    assert after["tortoise"]["decay"] == AGENTS_DECAY
    whole = {"keep_body": 0.0, "keep_neck": 0.0, "keep_head": 0.0, "moments": "keep"}
    off = {"tortoise_too": False, "restart": False, "warmup_counts": False, "start": 0, "times": None}
    assert after["resets"] == {"source": "tortoise", "every": AGENTS_EVERY, **whole, **off}
