"""Spectral normalisation against singular values and autograd; nothing but an update moves its vectors."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from agents.agent import Agent
from hare_tortoise.settings import Optimizer, Penalties, Plans, Recycling, Resets, Silence, Tortoise
from hare_tortoise.spectral import ROUNDS, SpectralLinear, SpectralNorm, iterate_, linear
from hare_tortoise.step import GradientStep
from hare_tortoise.upkeep import Upkeep
from networks.layers import Dense, NoisyLinear, dense
from networks.qnetwork import QNetwork
from networks.settings import Encoder, Head
from supervised.models import Classifier
from tests.fake_replay import ACTIONS, fake_replay, small
from tests.test_agent_state import through_a_file
from tests.test_plasticity import normal
from tests.test_recycle import X, optimizer_of
from tests.test_supervised_models import TINY

ENCODER, HEAD = Encoder("data_efficient"), Head(hidden=8, spectral_norm=True)


def norm_of(weight: Tensor, rounds: int) -> SpectralNorm:
    made = SpectralNorm(len(weight))
    made.initialise_(torch.Generator().manual_seed(1))
    assert made.u.norm().item() == pytest.approx(1)
    made.iterate_(weight, rounds)
    return made


def largest(weight: Tensor) -> float:
    return torch.linalg.svdvals(weight.flatten(1).detach())[0].item()


@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (9, 4), (1, 5), (5, 1), (6, 4, 3, 3)], ids=str)
def test_the_weight_is_divided_by_its_largest_singular_value(shape: tuple[int, ...]) -> None:
    weight = normal(3, *shape)
    found = norm_of(weight, rounds=300)(weight)
    torch.testing.assert_close(found, weight / largest(weight), rtol=1e-4, atol=1e-5)
    assert largest(found) == pytest.approx(1, rel=1e-4)
    small_ones = 0.01 * weight
    torch.testing.assert_close(norm_of(small_ones, rounds=300)(small_ones), found)  # those below 1 as well


def test_a_few_rounds_come_from_below() -> None:
    weight = normal(4, 20, 30)
    sizes = [(weight / norm_of(weight, rounds)(weight)).mean().item() for rounds in (0, 1, 5, ROUNDS)]
    assert sizes == sorted(sizes)
    assert 0.9 * largest(weight) < sizes[-1] <= largest(weight) * (1 + 1e-5)


def test_the_gradient_goes_through_the_estimate_and_not_through_the_vectors() -> None:
    weight = nn.Parameter(normal(5, 4, 7))
    made = norm_of(weight, rounds=1)
    ahead = normal(6, 4, 7)
    (found,) = torch.autograd.grad((made(weight) * ahead).sum(), weight)
    u = made.u.clone()
    v = functional.normalize(weight.detach().T @ u, dim=0)
    (expected,) = torch.autograd.grad((weight / (u @ weight @ v) * ahead).sum(), weight)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    (plain,) = torch.autograd.grad((weight / (u @ weight @ v).detach() * ahead).sum(), weight)
    assert not torch.allclose(found, plain, rtol=1e-2)
    assert (found * weight).sum().abs() < 1e-4  # no gradient along the weight: its scale does not matter


@pytest.mark.parametrize("noise", [None, 0.5])
def test_a_layer_multiplies_by_the_normalised_means_and_adds_plain_noise(noise: float | None) -> None:
    layer = dense(5, 4, replace(HEAD, noise=noise), hidden=True)
    for module in layer.modules():
        if hasattr(module, "initialise_"):
            module.initialise_(torch.Generator().manual_seed(2))
    iterate_(layer, 300)
    x, (inwards, outwards) = normal(7, 3, 5), (normal(8, 5), normal(9, 4))
    mean = layer.weight / largest(layer.weight)
    torch.testing.assert_close(layer(x), x @ mean.T + layer.bias, rtol=1e-4, atol=1e-5)
    weight, bias = layer.noisy(inwards, outwards)
    if noise is None:
        assert isinstance(layer, Dense)
        torch.testing.assert_close(weight, mean, rtol=1e-4, atol=1e-5)
    else:
        assert isinstance(layer, NoisyLinear)
        torch.testing.assert_close(weight, mean + layer.weight_sigma * outwards[:, None] * inwards, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(bias, layer.bias + layer.bias_sigma * outwards)


def spectral_layers(net: nn.Module) -> list[str]:
    return [name for name, module in net.named_modules() if isinstance(getattr(module, "normalise", None), SpectralNorm)]


def test_hidden_layers_alone_are_normalised() -> None:
    net = QNetwork(ENCODER, HEAD, None, ACTIONS)
    assert spectral_layers(net) == ["head.streams.0.hidden", "head.streams.1.hidden"]
    for kind, network in TINY.items():
        made = Classifier(replace(network, spectral_norm=True), 3, 32, 10)
        linears = {name for name, m in made.named_modules() if isinstance(m, nn.Linear)}
        last = f"head.{len(made.head) - 1}"
        outside = {name for name in linears if kind == "vit_tiny" and not name.startswith("head") and ".first" not in name}
        assert set(spectral_layers(made)) == linears - outside - {last}
        assert kind == "mlp" or not any(name.startswith("body.") for name in spectral_layers(made) if ".first" not in name)
    assert isinstance(linear(3, 4, True), SpectralLinear)
    assert type(linear(3, 4, False)) is nn.Linear


def vectors(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items() if name.endswith(".normalise.u")}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)


def drawn(seed: int) -> QNetwork:
    net = QNetwork(ENCODER, HEAD, None, ACTIONS)
    net.initialise_(torch.Generator().manual_seed(seed))
    return net


def test_passes_and_steps_leave_the_vectors_alone_and_an_update_moves_them_by_one_round() -> None:
    net = drawn(0)
    upkeep = Upkeep(net, None, lambda: drawn(1), Plans())
    before = vectors(net)
    assert same(before, vectors(upkeep.initial))

    def loss() -> Tensor:
        return net(X).square().mean()

    step = GradientStep(net, upkeep.initial, Optimizer(radius=0.1), Penalties())
    step(loss, [torch.optim.SGD(net.parameters(), lr=0.1)])
    net.eval()(X)
    assert same(before, vectors(net))
    expected = deepcopy(net)
    iterate_(expected)
    upkeep.at_update(X)
    assert same(vectors(expected), vectors(net))
    assert not same(before, vectors(net))


CHANGES: dict[str, Callable[[], Plans]] = {
    "average": lambda: Plans(tortoise=Tortoise(0.5)),
    "copy": lambda: Plans(tortoise=Tortoise(0.0, every=3)),
    "recycling": lambda: Plans(tortoise=Tortoise(0.9), recycling=Recycling(every=2, tau=0.9)),
    "silence": lambda: Plans(tortoise=Tortoise(0.9), silence=Silence(longest=2)),
    **{
        source: lambda source=source: Plans(
            tortoise=Tortoise(0.9), resets=Resets(source, every=3, keep_neck=0.5, tortoise_too=source != "tortoise")
        )
        for source in ("fresh", "initial", "tortoise", "orthogonal")
    },
}


@pytest.mark.parametrize("change", list(CHANGES))
def test_vectors_stay_of_length_one_and_near_the_largest_value(change: str) -> None:
    net, draws = drawn(0), iter(range(1, 50))
    upkeep = Upkeep(net, optimizer_of(net), lambda: drawn(next(draws)), CHANGES[change]())
    g = torch.Generator().manual_seed(0)
    for update in range(1, 8):
        with torch.no_grad():
            for p in net.parameters():
                p += 0.02 * torch.randn(p.shape, generator=g)
        upkeep.at_update(X)
        upkeep.after_update(update, X)
        for one in (net, upkeep.pair.tortoise):
            for name, u in vectors(one).items():
                assert u.norm().item() == pytest.approx(1, abs=1e-5), (update, name)
                layer = one.get_submodule(name.removesuffix(".normalise.u"))
                assert 0.99 < largest(layer.normalise(layer.weight)) < 1.35, (update, name)  # one that is 1 exactly is known
    start = deepcopy(drawn(0))
    iterate_(start, ROUNDS)
    assert same(vectors(upkeep.initial), vectors(start))  # the initial ones for ever


def test_an_agent_goes_on_to_the_bit_with_its_vectors() -> None:
    config = small("der_snorm", tortoise=Tortoise(0.9), resets=Resets("fresh", every=3, keep_neck=0.5, tortoise_too=True))
    one, other = (Agent(config, ACTIONS, device="cpu", seed=seed) for seed in (0, 1))
    for update in range(2):
        one.update(fake_replay(config, start=update))
    state = through_a_file(one.state_dict())
    assert len(vectors(one.hare)) == 2
    other.load_state_dict(state)
    assert same(vectors(other.hare), vectors(one.hare))
    assert same(vectors(other.tortoise), vectors(one.tortoise))
    assert same(vectors(other.initial), vectors(one.initial))
    for update in range(2, 5):
        for agent in (one, other):
            agent.update(fake_replay(config, start=update))
    assert one.resets == other.resets == 1
    assert same(vectors(other.hare), vectors(one.hare))
    assert same(vectors(other.tortoise), vectors(one.tortoise))
    assert not same(vectors(one.hare), vectors(one.tortoise))
    assert all(torch.equal(p, q) for p, q in zip(one.hare.parameters(), other.hare.parameters(), strict=True))
