"""Units that are renewed for their gradients (GraMa, Liu et al. 2025): gradients by hand, and what is renewed."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from agents.agent import Agent
from hare_tortoise.activation import Activation
from hare_tortoise.network import Layer, Network
from hare_tortoise.recycle import gradient_dormancy, recycle_
from hare_tortoise.settings import Recycling
from supervised.methods import METHODS
from supervised.models import ConvNorm
from tests.fake_replay import ACTIONS, fake_replay, small
from tests.test_agent_resets import fresh_draws
from tests.test_plasticity import normal
from tests.test_recycle import ENCODERS, HEADS, X, assert_same, layers_of, network, optimizer_of, recycled_one_by_one, state_of
from tests.test_supervised_methods import BASE, batch, learner
from tests.test_supervised_models import TINY

GRADIENT = Recycling(tau=0.8, by="gradient")


class Two(Network):
    """Two layers: y = B relu(A x + a) + b."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.first, self.between, self.last = nn.Linear(4, 6), Activation(6, "relu", in_place=False), nn.Linear(6, 2)
        self.initialise_(torch.Generator().manual_seed(seed))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.between(self.first(x)))

    def part_of(self, name: str) -> str:
        return "head" if name.startswith("last") else "body"

    def layers(self) -> list[Layer]:
        return [self.between.layer(self.first, [self.last])]


def scores_by_hand(net: Two, x: Tensor, y: Tensor) -> list[float]:
    """Backpropagation of the mean square error written out, a number at a time; each unit's mean size over the layer's."""
    a, b = net.first.weight.tolist(), net.last.weight.tolist()
    sums = [[0.0] * 4 for _ in range(6)]
    for sample, wanted in zip(x.tolist(), y.tolist(), strict=True):
        before = [sum(w * v for w, v in zip(row, sample, strict=True)) + net.first.bias[u].item() for u, row in enumerate(a)]
        out = [
            sum(w * max(h, 0) for w, h in zip(row, before, strict=True)) + net.last.bias[o].item() for o, row in enumerate(b)
        ]
        error = [2 * (o - t) / (len(x) * 2) for o, t in zip(out, wanted, strict=True)]
        for u in range(6):
            felt = sum(error[o] * b[o][u] for o in range(2)) * (before[u] > 0)
            for i in range(4):
                sums[u][i] += felt * sample[i]
    sizes = [sum(map(abs, row)) / 4 for row in sums]
    return [size / (sum(sizes) / 6) for size in sizes]


def test_scores_are_those_of_gradients_by_hand() -> None:
    net, x, y = Two(), normal(1, 9, 4), normal(2, 9, 2)
    with torch.no_grad():
        net.first.bias[2] = -100.0  # silent, so that nothing reaches it
        net.last.weight[:, 4] = 1e-4  # active, and hardly heard
    (net(x) - y).square().mean().backward()
    (layer,) = net.layers()
    found = gradient_dormancy(layer)
    assert found.tolist() == pytest.approx(scores_by_hand(net, x, y), rel=1e-4, abs=1e-7)
    assert (found[2], found[4] < 0.01) == (0, True)
    net.first.weight.grad *= 1e-3  # as clipping does
    assert gradient_dormancy(layer).tolist() == pytest.approx(found.tolist(), rel=1e-3)


def test_units_of_small_gradients_are_renewed_and_unheard() -> None:
    net, fresh, x, y = Two(), Two(seed=1), normal(1, 9, 4), normal(2, 9, 2)
    with torch.no_grad():
        net.first.bias[2] = -100.0
        net.last.weight[:, 4] = 1e-4
    (net(x) - y).square().mean().backward()
    before = [p.detach().clone() for p in net.parameters()]
    unseen = torch.full_like(x, torch.nan)  # activations are not looked at
    count = recycle_(net, lambda: fresh, unseen, Recycling(tau=0.01, by="gradient"), None)
    assert count == 2
    renewed = torch.tensor([u in (2, 4) for u in range(6)])
    torch.testing.assert_close(net.first.weight, torch.where(renewed[:, None], fresh.first.weight, before[0]))
    torch.testing.assert_close(net.first.bias, torch.where(renewed, 0.0, before[1]))
    torch.testing.assert_close(net.last.weight, torch.where(renewed, 0.0, before[2]))
    assert torch.equal(net.last.bias, before[3])


def test_a_layer_that_has_no_gradient_is_left_alone() -> None:
    net = Two()
    assert gradient_dormancy(net.layers()[0]).tolist() == [1.0] * 6
    assert recycle_(net, Two, torch.zeros(1, 4), Recycling(tau=0.5, by="gradient"), None) == 0
    net.first.weight.grad = torch.zeros(6, 4)  # nor one where all are 0 a number that is none
    assert gradient_dormancy(net.layers()[0]).tolist() == [0.0] * 6


@pytest.mark.parametrize("size", [1.0, 1e-9, 1e-20])
def test_how_large_gradients_are_does_not_matter(size: float) -> None:
    """Where labels are learnt by heart they come to 1e-10."""
    net = Two()
    net.first.weight.grad = size * torch.arange(1.0, 7.0)[:, None].expand(6, 4)
    assert gradient_dormancy(net.layers()[0]).tolist() == pytest.approx([2 * unit / 7 for unit in range(1, 7)])


def test_of_a_convolution_the_taps_count_and_its_normalisation_does_not() -> None:
    incoming = ConvNorm(3, 5)
    activation = Activation(5, "relu", in_place=False)
    activation(incoming(normal(3, 2, 3, 4, 4))).square().mean().backward()
    grad = incoming[0].weight.grad
    sizes = [grad[u].abs().mean().item() for u in range(5)]
    found = gradient_dormancy(activation.layer(incoming, [nn.Linear(80, 1)]))
    assert found.tolist() == pytest.approx([5 * size / sum(sizes) for size in sizes], rel=1e-4)


@pytest.mark.parametrize(("encoder", "head"), [("data_efficient", "streams"), ("crelu", "crelu"), ("impala", "last")])
def test_recycling_by_gradient_equals_the_twin(encoder: str, head: str) -> None:
    """Of noisy layers the gradient of the means counts; of a CReLU a unit has one row of weights."""
    net, fresh = (network(ENCODERS[encoder], HEADS[head], seed=seed) for seed in (2, 1))
    optimizer, layers = optimizer_of(net), layers_of(net, ENCODERS[encoder].kind)
    net.zero_grad()
    net.logits(net.encode(X), net.noisy(net.draw_noise(torch.Generator().manual_seed(0)))).square().mean().backward()
    small_ones = []
    for layer in layers:
        sizes = [row.abs().mean().item() for row in net.get_submodule(layer.made_by).weight.grad]
        mean = sum(sizes) / len(sizes)
        small_ones.append([u for u, size in enumerate(sizes) if size / mean <= GRADIENT.tau])
        assert 0 < len(small_ones[-1]) < len(sizes)
    before, source = state_of(net, optimizer), {name: p.detach().clone() for name, p in fresh.named_parameters()}
    expected = recycled_one_by_one(before, net, source, layers, small_ones)
    assert recycle_(net, lambda: fresh, X, GRADIENT, optimizer) == sum(map(len, small_ones))
    assert_same(state_of(net, optimizer), expected)


def test_an_agent_looks_at_the_gradient_of_its_last_update() -> None:
    config = small("der_grama", recycling=replace(GRADIENT, every=2))
    agent, plain = (Agent(replace(config, recycling=r), ACTIONS, device="cpu", seed=0) for r in (config.recycling, None))
    layers = layers_of(agent.hare, "data_efficient")
    for update in (0, 1):
        fresh = fresh_draws(agent, 1)[0]
        for one in (agent, plain):
            one.update(fake_replay(config, start=update))
    scores = [plain.hare.get_submodule(layer.made_by).weight.grad.flatten(1).abs().mean(1) for layer in layers]
    found = [(s <= 0.8 * s.mean()).nonzero().flatten().tolist() for s in scores]
    expected = recycled_one_by_one(state_of(plain.hare, plain.optimizer), plain.hare, fresh, layers, found)
    assert_same(state_of(agent.hare, agent.optimizer), expected)
    assert agent.metrics()["recycled"] == sum(map(len, found)) > 0


@pytest.mark.parametrize("kind", ["mlp", "resnet18"])
def test_a_classifier_renews_by_the_gradient_of_its_last_batch(kind: str) -> None:
    config = METHODS["grama"].apply(replace(BASE, network=TINY[kind]))
    made = learner(replace(config, recycling=replace(GRADIENT, every=1)))
    made.update(*batch(0))
    layers, count = made.hare.layers(), 0
    for layer in layers:
        (incoming,) = [m for m in layer.incoming.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
        sizes = incoming.weight.grad.flatten(1).abs().mean(1)
        count += int((sizes <= 0.8 * sizes.mean()).sum())
    made.change_weights_(torch.zeros_like(batch(0)[0]))
    assert made.metrics()["recycled"] == count > 0
