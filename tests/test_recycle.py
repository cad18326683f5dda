"""Recycling of dormant units against a twin that goes from unit to unit (ReDo, Sokar et al. 2023)."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from agents.agent import Agent
from agents.config import Recycling, Tortoise
from hare_tortoise.recycle import recycle_
from networks.qnetwork import QNetwork
from networks.settings import Encoder, Head, SelfPrediction
from tests.every import crossed
from tests.fake_replay import ACTIONS, fake_replay, small
from tests.test_agent_resets import fresh_draws
from tests.test_plasticity import naive_scores

Tensors = dict[str, Tensor]
ENCODERS = {
    "data_efficient": Encoder("data_efficient"),
    "nature": Encoder("nature", "same"),
    "impala": Encoder("impala", "same", 1),
    "crelu": Encoder("data_efficient", activation="crelu"),
    "crelu impala": Encoder("impala", "same", 1, activation="crelu"),
}
HEADS = {
    "streams": Head(hidden=8),
    "last": Head("last", hidden=8, noise=None),
    "noisy last": Head("last", hidden=8),
    "crelu": Head(hidden=8, activation="crelu"),
}
PAIRS = sorted({("crelu", "crelu"), *((name, "streams") for name in ENCODERS), *(("data_efficient", name) for name in HEADS)})
X = torch.rand(6, 4, 84, 84, generator=torch.Generator().manual_seed(0))


class Layer(NamedTuple):
    """Names of what makes the units of a layer, of their activation, and of what listens to them."""

    made_by: str
    activation: str
    heard_by: tuple[str, ...]


def layers_of(net: QNetwork, kind: str) -> list[Layer]:
    """The hidden layers, typed in by hand."""
    streams = range(len(net.head.streams))
    behind = tuple(f"head.streams.{i}.hidden" for i in streams) + (("transition.first",) if net.transition else ())
    if kind == "impala":
        blocks = [f"encoder.{i}" for i in (2, 3, 6, 7, 10, 11)]
        found = [Layer(f"{b}.first", f"{b}.between", (f"{b}.second",)) for b in blocks]
    elif kind == "nature":
        found = [Layer("encoder.0", "encoder.1", ("encoder.2",)), Layer("encoder.2", "encoder.3", ("encoder.4",))]
        found.append(Layer("encoder.4", "encoder.5", behind))
    else:
        found = [Layer("encoder.0", "encoder.1", ("encoder.2",)), Layer("encoder.2", "encoder.3", behind)]
    outputs = [("advantage",), ("value",)] if len(streams) == 2 else [("advantage", "value")]
    for i in streams:
        s = f"head.streams.{i}"
        found.append(Layer(f"{s}.hidden", f"{s}.activation", tuple(f"{s}.outputs.{name}" for name in outputs[i])))
    return found


def network(encoder: Encoder, head: Head, predicts: bool = False, seed: int = 0) -> QNetwork:
    net = QNetwork(encoder, head, SelfPrediction() if predicts else None, ACTIONS)
    net.initialise_(torch.Generator().manual_seed(seed))
    return net


def optimizer_of(net: QNetwork) -> torch.optim.AdamW:
    """An Adam that has made a step, with moments that are nowhere 0."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.0, weight_decay=0.0)
    for p in net.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    for state in optimizer.state.values():
        for name in ("exp_avg", "exp_avg_sq"):
            state[name].uniform_(1, 2, generator=torch.Generator().manual_seed(1))
    return optimizer


def state_of(net: QNetwork, optimizer: torch.optim.Optimizer) -> Tensors:
    """Weights, moments and counts, by name."""
    found = {name: p.detach().clone() for name, p in net.named_parameters()}
    for name, p in net.named_parameters():
        found |= {f"{key} {name}": value.clone() for key, value in optimizer.state[p].items()}
    return found


def dormant_units(net: QNetwork, layers: list[Layer], x: Tensor, tau: float) -> list[list[int]]:
    """Which units of each layer are dormant without noise, before anything is recycled."""
    seen: Tensors = {}
    modules = [net.get_submodule(layer.activation) for layer in layers]
    hooks = [
        module.register_forward_hook(lambda _m, _i, out, name=layer.activation: seen.update({name: out}))
        for layer, module in zip(layers, modules, strict=True)
    ]
    with torch.no_grad():
        net.logits(net.encode(x), net.noisy(None))
    for hook in hooks:
        hook.remove()
    scores = [naive_scores(seen[layer.activation], module.units) for layer, module in zip(layers, modules, strict=True)]
    return [[unit for unit, value in enumerate(values) if value <= tau] for values in scores]


def recycled_one_by_one(
    state: Tensors, net: QNetwork, fresh: Tensors, layers: list[Layer], dormant: list[list[int]]
) -> Tensors:
    """`state` after recycling. From a revived unit to one of the next layer leads the fresh weight: it comes last."""
    new = {name: value.clone() for name, value in state.items()}

    def write(name: str, where: tuple, value: Tensor | float) -> None:
        new[name][where] = value
        for moment in ("exp_avg", "exp_avg_sq"):
            new[f"{moment} {name}"][where] = 0.0

    for layer, units in zip(layers, dormant, strict=True):
        activation = net.get_submodule(layer.activation)
        for unit in units:
            for kind in ("weight", "bias", "weight_sigma", "bias_sigma"):
                name = f"{layer.made_by}.{kind}"
                if name in state:
                    write(name, (unit,), 0.0 if kind == "bias" else fresh[name][unit])
            for channel in [unit, unit + activation.units] if activation.concatenates else [unit]:
                for listener in layer.heard_by:
                    for name in (f"{listener}.weight", f"{listener}.weight_sigma"):
                        if name in state:
                            pixels = state[name].shape[1] // activation.width if state[name].ndim == 2 else 1
                            for column in range(channel * pixels, (channel + 1) * pixels):
                                write(name, (slice(None), column), 0.0)
    return new


def assert_same(found: Tensors, expected: Tensors) -> None:
    assert found.keys() == expected.keys()
    for name in expected:
        assert torch.equal(found[name], expected[name]), name


@pytest.mark.parametrize(("pair", "predicts"), crossed(2, PAIRS, [False, True]))
def test_recycling_equals_the_twin(pair: tuple[str, str], predicts: bool) -> None:
    encoder, head = pair
    net, fresh = (network(ENCODERS[encoder], HEADS[head], predicts, seed) for seed in (2, 1))
    optimizer, layers = optimizer_of(net), layers_of(net, ENCODERS[encoder].kind)
    before, source = state_of(net, optimizer), {name: p.detach().clone() for name, p in fresh.named_parameters()}
    tau = 0.9  # many, but not all, in every layer
    dormant = dormant_units(net, layers, X, tau)
    for layer, units in zip(layers, dormant, strict=True):
        assert 0 < len(units) < net.get_submodule(layer.activation).units
    expected = recycled_one_by_one(before, net, source, layers, dormant)
    count = recycle_(net, lambda: fresh, X, Recycling(tau=tau), optimizer)
    assert count.dtype == torch.int64
    assert count.item() == sum(len(units) for units in dormant)
    assert_same(state_of(net, optimizer), expected)
    assert not any(module._forward_hooks for module in net.modules())


def test_the_planes_of_the_action_are_left_alone() -> None:
    net, fresh = (network(ENCODERS["data_efficient"], HEADS["streams"], True, seed) for seed in (0, 1))
    before = net.transition.first.weight.detach().clone()
    recycle_(net, lambda: fresh, X, Recycling(tau=1e9), optimizer_of(net))
    assert torch.equal(net.transition.first.weight[:, 64:], before[:, 64:])
    assert torch.all(net.transition.first.weight[:, :64] == 0)
    assert before.shape[1] == 64 + ACTIONS


def test_a_huge_tau_recycles_all_and_an_optimizer_without_moments_is_no_obstacle() -> None:
    net, optimizer = network(ENCODERS["data_efficient"], HEADS["streams"]), torch.optim.AdamW([torch.zeros(1)])
    fresh = network(ENCODERS["data_efficient"], HEADS["streams"], seed=1)
    assert recycle_(net, lambda: fresh, X, Recycling(tau=1e9), optimizer) == 32 + 64 + 2 * 8
    assert not optimizer.state


def kill_(net: QNetwork, layers: list[Layer]) -> int:
    """Make every third unit of each layer silent, no other of the head; how many. A CReLU is silent at 0 alone."""
    count = 0
    with torch.no_grad():
        for layer in layers:
            module, activation = net.get_submodule(layer.made_by), net.get_submodule(layer.activation)
            if layer.made_by.startswith("head"):
                module.bias[:] = 2  # what is dead by chance could be woken by noise
            if activation.concatenates:
                module.weight[::3] = 0
            module.bias[::3] = 0 if activation.concatenates else -1000
            count += len(module.bias[::3])
    return count


@pytest.mark.parametrize(("encoder", "head"), crossed(2, ENCODERS, HEADS))
def test_nothing_notices_that_dead_units_start_anew(encoder: str, head: str) -> None:
    net, fresh = (network(ENCODERS[encoder], HEADS[head], seed=seed) for seed in (0, 1))
    layers = layers_of(net, ENCODERS[encoder].kind)
    killed = kill_(net, layers)
    dead = sum(len(units) for units in dormant_units(net, layers, X, 0.0))
    assert dead >= killed > 0
    noises = [None] if head == "crelu" else [None, net.draw_noise(torch.Generator().manual_seed(2))]  # noise wakes a CReLU
    with torch.no_grad():
        before = [net.logits(net.encode(X), net.noisy(noise)) for noise in noises]
        assert recycle_(net, lambda: fresh, X, Recycling(tau=0.0), optimizer_of(net)).item() == dead
        for noise, value in zip(noises, before, strict=True):
            torch.testing.assert_close(net.logits(net.encode(X), net.noisy(noise)), value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("encoder", list(ENCODERS))
def test_revived_units_are_active_and_learn(encoder: str) -> None:
    net, fresh = (network(ENCODERS[encoder], HEADS["last"], seed=seed) for seed in (0, 1))
    layers = layers_of(net, ENCODERS[encoder].kind)
    kill_(net, layers)
    with torch.no_grad():
        torch._foreach_abs_(list(fresh.parameters()))  # so that none of the new units can be dead by chance
    dead = dormant_units(net, layers, X, 0.0)
    recycle_(net, lambda: fresh, X, Recycling(tau=0.0), optimizer_of(net))
    alive = dormant_units(net, layers, X, 0.0)
    for layer, units in zip(layers, dead, strict=True):
        assert set(range(0, net.get_submodule(layer.activation).units, 3)) <= set(units)
    assert alive == [[] for _ in layers] or "impala" in encoder  # whose blocks may also hear negative values
    net.zero_grad()
    net.logits(net.encode(X), net.noisy(None)).square().sum().backward()
    for name in layers[-1].heard_by:
        assert net.get_submodule(name).weight.grad[:, ::3].abs().sum(0).all()


@pytest.mark.parametrize("decay", [0.0, 0.75])
def test_an_agent_recycles_after_the_step_at_multiples_of_its_interval(decay: float) -> None:
    config = small("der", recycling=Recycling(every=3, tau=0.5), tortoise=Tortoise(decay=decay, every=1 if decay else 1000))
    agent = Agent(config, ACTIONS, device="cpu", seed=0)
    plain = Agent(small("der", tortoise=config.tortoise), ACTIONS, device="cpu", seed=0)
    layers, total = layers_of(agent.hare, "data_efficient"), 0
    for update in range(1, 8):
        plain.load_state_dict(agent.state_dict())
        fresh = fresh_draws(agent, 1)[0]
        tortoise = {name: p.detach().clone() for name, p in agent.tortoise.named_parameters()}
        replays = fake_replay(config, start=update), fake_replay(config, start=update)
        for a, replay in zip((agent, plain), replays, strict=True):
            a.update(replay)
        expected = state_of(plain.hare, plain.optimizer)
        if update % 3 == 0:
            batch = replays[0].batches[update % 3]
            x = (batch.frames[:, :4] * batch.visible[0][..., None, None]).float() / 255
            dormant = dormant_units(plain.hare, layers, x, 0.5)
            expected = recycled_one_by_one(expected, plain.hare, fresh, layers, dormant)
            total += sum(len(units) for units in dormant)
        hare = state_of(agent.hare, agent.optimizer)
        assert_same(hare, expected)
        for name, p in agent.tortoise.named_parameters():
            follows = torch.lerp(tortoise[name], hare[name], 1 - decay) if decay else tortoise[name]
            np.testing.assert_array_equal(p.detach().numpy(), follows.numpy())
        assert agent.state_dict()["recycled"].item() == total
    assert total > 0
