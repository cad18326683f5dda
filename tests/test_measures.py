"""What is measured of an agent against NumPy, and that measuring changes nothing."""

from copy import deepcopy
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from agents.agent import Agent
from agents.config import AgentConfig, Injection, Tortoise
from agents.measures import measure
from agents.objective import objective
from networks.augment import draw_jitter, observe
from replay.batch import Batch, first_frames, uniform
from tests.fake_replay import ACTIONS, SIZE, random_batch, small
from tests.test_agent_state import assert_equal
from tests.test_plasticity import naive_ranks, naive_scores

STATES = 256
AVERAGE = Tortoise(decay=0.9)  # another network than the hare
AGENTS = {
    "der": small("der", tortoise=AVERAGE),
    "spr": small("spr", tortoise=AVERAGE),
    "inject": small("der_inject", tortoise=AVERAGE, injection=Injection(at=2)),
    "inject spr": small("spr_inject", tortoise=AVERAGE, injection=Injection(at=2)),
    "crelu": small("der_crelu", tortoise=AVERAGE),
    "crelu spr": small("spr_crelu", tortoise=AVERAGE),
    "ln": small("der_ln", tortoise=AVERAGE),
    "scalar": small("drq", tortoise=AVERAGE),
    "not dueling": small("otrainbow", tortoise=AVERAGE),
}


class Windows:
    """A source of as many windows as it is asked for, drawn from a few; its own generator must not be touched by others."""

    def __init__(self, config: AgentConfig) -> None:
        self.pool = random_batch(config, 0, 40)
        self.generator = torch.Generator().manual_seed(1)

    def sample(self, chance: Tensor, n: Tensor, gamma: Tensor, beta: Tensor) -> Batch:
        rows = (40 * chance).long()
        columns = {"visible", "mask"}  # in which the windows come second
        values = {f.name: getattr(self.pool, f.name) for f in fields(Batch)}
        return Batch(**{name: v[:, rows] if name in columns else v[rows] for name, v in values.items()})

    def reprioritise_(self, index: Tensor, priority: Tensor) -> None:
        pass


def trained(name: str, updates: int = 4) -> tuple[Agent, Windows]:
    """An agent with a few dead units that has learnt a little."""
    agent = Agent(AGENTS[name], ACTIONS, device="cpu", seed=0)
    with torch.no_grad():
        for network in (agent.hare, agent.tortoise):
            network.encoder[0].bias[:3] = -100
    replay = Windows(agent.config)
    for _ in range(updates):
        agent.update(replay)
    return agent, replay


def states(agent: Agent, replay: Windows, seed: int) -> Tensor:
    """The first states of the windows that a generator with this seed draws: cut and scaled, not augmented."""
    nothing = torch.zeros(())
    batch = replay.sample(uniform(STATES, torch.Generator().manual_seed(seed)), nothing, nothing, nothing)
    return batch.frames[:, :4].float() * batch.visible[0][..., None, None] / 255


def activations(agent: Agent, x: Tensor) -> list[tuple[Tensor, int]]:
    """Each hidden layer's activation and number of units: convolutions one after the other, then the head that learns."""
    net, found = agent.hare, []
    with torch.no_grad():
        for i in range(0, len(net.encoder), 2):
            x = net.encoder[i + 1](net.encoder[i](x))
            found.append((x, net.encoder[i].out_channels))
        if agent.config.encoder.renormalise:
            low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
            x = (x - low) / (high - low + 1e-5)
        head = net.injections[0] if agent.config.injection is not None and agent.updates >= 2 else net.head
        found += [(stream.activation(stream.hidden(x.flatten(1))), len(stream.hidden.bias)) for stream in head.streams]
    return found


def training_batch(agent: Agent, replay: Windows, g: torch.Generator) -> tuple[Tensor, Batch]:
    """The batch that is drawn after the states of the other measurements, and its observations."""
    uniform(STATES, g)
    batch, config = replay.sample(uniform(SIZE, g), *agent.clocks), agent.config
    jitter = draw_jitter(config.augmentation, config.jumps + 2, SIZE, g)
    return observe(batch.frames, batch.visible, first_frames(config.jumps), config.augmentation, jitter), batch


def gradients_of(agent: Agent, replay: Windows, seed: int) -> dict[str, Tensor]:
    """The gradients of a copy of the hare on the training batch that is drawn after the states of the other measurements."""
    g, config, hare = torch.Generator().manual_seed(seed), agent.config, deepcopy(agent.hare)
    x, batch = training_batch(agent, replay, g)
    hare.zero_grad()
    objective(config, (hare, agent.tortoise), batch, x, (hare.draw_noise(g), agent.tortoise.draw_noise(g))).loss.backward()
    return {name: p.grad for name, p in hare.named_parameters() if p.grad is not None}


def norm(tensors: list[Tensor]) -> float:
    return float(np.linalg.norm(np.concatenate([t.detach().double().numpy().ravel() for t in tensors])))


def whole(tensors: dict[str, Tensor], quantity: str) -> dict[str, float]:
    """The norms of `tensors`, by name: of all, and of each part that there is."""
    parts: dict[str, list[Tensor]] = {"": []}
    for name, tensor in tensors.items():
        first = name.split(".")[0]
        part = "_body" if first in ("encoder", "transition") else "_head" if ".outputs." in name else "_neck"
        parts.setdefault(part, []).append(tensor)
        parts[""].append(tensor)
    return {f"{quantity}{part}": norm(of_part) for part, of_part in parts.items()}


def of_layers(agent: Agent, gradients: dict[str, Tensor]) -> dict[str, dict[str, float]]:
    """The norms of the parameters that each module has itself, and of their gradients where they learn."""
    found: dict[str, dict[str, float]] = {}
    for name, module in agent.hare.named_modules():
        own = {f"{name}.{key}": p for key, p in module.named_parameters(recurse=False)}
        if own:
            found[name] = {"weight_norm": norm(list(own.values()))}
            if own.keys() <= gradients.keys():
                found[name]["gradient_norm"] = norm([gradients[key] for key in own])
    return found


@pytest.mark.parametrize("name", list(AGENTS))
def test_each_value_equals_numpy(name: str) -> None:
    agent, replay = trained(name)
    found = measure(agent, replay, seed=7)
    layers = activations(agent, states(agent, replay, 7))
    scores = np.concatenate([naive_scores(a, units) for a, units in layers])
    streams = 1 if agent.config.head.dueling != "streams" else 2
    ranks = naive_ranks(torch.cat([a for a, _ in layers[-streams:]], 1))
    hare, tortoise, initial = (list(n.parameters()) for n in (agent.hare, agent.tortoise, agent.initial))
    by_name = gradients_of(agent, replay, 7)
    gradients = np.concatenate([g.numpy().ravel() for g in by_name.values()])
    found_layers = found.pop("layers")
    expected = {
        "dormant": np.mean(scores <= 0.025),
        "dead": np.mean(scores == 0),
        "zero_activations": np.mean(np.concatenate([(a == 0).numpy().ravel() for a, _ in layers])),
        "srank": ranks[0],
        "entropy_rank": ranks[1],
        **whole(dict(agent.hare.named_parameters()), "weight_norm"),
        "initial_distance": norm([a.detach() - b.detach() for a, b in zip(hare, initial, strict=True)]),
        "tortoise_distance": norm([a.detach() - b.detach() for a, b in zip(hare, tortoise, strict=True)]),
        **whole(by_name, "gradient_norm"),
        "zero_gradients": np.mean(gradients == 0),
    }
    assert found == pytest.approx(expected, rel=1e-4)
    assert all(isinstance(value, float) for value in found.values())  # approx compares the keys, too: no Hessian unasked
    for name_of_layer, norms in of_layers(agent, by_name).items():
        assert found_layers.pop(name_of_layer) == pytest.approx(norms, rel=1e-4)
    assert not found_layers
    if "crelu" not in name and name != "ln":  # a CReLU is alive on either side, and normalised channels move apart
        assert found["dormant"] >= found["dead"] >= 3 / len(scores)
    assert found["tortoise_distance"] > 0
    assert 1 <= found["srank"] <= min(40, 2 * 16)


def snapshot(agent: Agent, replay: Windows) -> object:
    """Everything that a measurement could disturb."""
    gradients = [p.grad for p in agent.hare.parameters() if p.grad is not None]
    flags = [p.requires_grad for n in (agent.hare, agent.tortoise) for p in n.parameters()]
    streams = [replay.generator.get_state(), torch.get_rng_state()]
    hooks = [len(m._forward_hooks) for m in agent.hare.modules()]
    return deepcopy([agent.state_dict(), agent.initial.state_dict(), gradients, flags, streams, hooks, agent.hare.training])


@pytest.mark.parametrize(
    ("name", "rounds"),
    [
        ("der", 0),
        *(pytest.param(name, 0, marks=pytest.mark.slow) for name in ("spr", "inject", "crelu", "ln", "scalar")),
        *((name, 2) for name in ("der", "spr", "inject", "crelu", "ln", "scalar")),
    ],
)
def test_measuring_changes_nothing(name: str, rounds: int) -> None:
    agent, replay = trained(name)
    other, others = trained(name)
    for update in range(2):
        before = snapshot(agent, replay)
        measure(agent, replay, update, rounds)
        assert_equal(snapshot(agent, replay), before)
        agent.update(replay)
        other.update(others)
    assert_equal(agent.state_dict(), other.state_dict())
    assert agent.metrics() == other.metrics()


@pytest.mark.parametrize("name", ["der", "spr"])
def test_the_seed_alone_decides(name: str) -> None:
    agent, replay = trained(name)
    first = measure(agent, replay, 5, 2)
    replay.generator.manual_seed(99)
    torch.manual_seed(99)
    assert measure(agent, replay, 5, 2) == first
    changed = {key for key, value in measure(agent, replay, 6, 2).items() if value != first[key]}
    assert {"entropy_rank", "zero_activations", "hessian", "layers"} <= changed
    assert not changed & {"weight_norm_head", "weight_norm", "initial_distance", "tortoise_distance"}


def test_it_is_measured_in_the_precision_of_updates() -> None:
    agent, replay = trained("der")
    exact = measure(agent, replay, 3, 2)
    agent.execution = replace(agent.execution, precision="bf16")
    seen: list[torch.dtype] = []
    agent.hare.encoder[0].register_forward_hook(lambda _module, _in, out: seen.append(out.dtype))
    found = measure(agent, replay, 3, 2)
    assert set(seen) == {torch.float32, torch.bfloat16}  # activations as the agent acts, the loss as it learns
    assert found["gradient_norm"] != exact["gradient_norm"]
    assert found["gradient_norm"] == pytest.approx(exact["gradient_norm"], rel=0.1)
    assert found["dormant"] == exact["dormant"]
