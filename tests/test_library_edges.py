"""The library on networks that are made in another way than the suite's."""

import copy

import pytest
import torch
from torch import Tensor, nn

from hare_tortoise import HareTortoise, Injectable, Layer, Network, Upkeep, check
from hare_tortoise.activation import Activation
from hare_tortoise.recycle import recycle_, renew_
from hare_tortoise.settings import Injection, Plans, Recycling, Resets, Tortoise
from tests.test_hare_tortoise import batches


class Plain(Network):
    """Two hidden layers, perhaps with one activation for both, and a normalisation."""

    def __init__(self, shared: bool = False) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2)
        self.norm, self.relu = nn.BatchNorm2d(4), nn.ReLU()
        self.other = self.relu if shared else nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.norm(self.first(x)[..., None, None]).flatten(1)
        return self.last(self.other(self.second(self.relu(hidden))))

    def part_of(self, name: str) -> str:
        return "head" if name.startswith("last") else "body"

    def layers(self) -> list[Layer]:
        return [Layer(self.first, self.relu, [self.second]), Layer(self.second, self.other, [self.last])]


class Injected(Injectable[nn.Linear]):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(3, 4), nn.Linear(4, 2)
        self.injections = nn.ModuleList(nn.Linear(4, 2) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.sum_of_heads([head(self.body(x)) for head in self.heads])

    def part_of(self, name: str) -> str:
        return "body" if name.startswith("body") else "head"

    def layers(self) -> list[Layer]:
        return []


X = torch.randn(16, 3, generator=torch.Generator().manual_seed(0))


def test_a_frozen_normalisation_stays_so_behind_a_recycling() -> None:
    network = Plain()
    network.norm.eval()
    recycle_(network, Plain, X, Recycling(), None)
    assert (network.training, network.norm.training) == (True, False)


def test_two_layers_that_share_an_activation_are_refused() -> None:
    check(Plain())
    with pytest.raises(ValueError, match="two layers share an activation"):
        check(Plain(shared=True))


def test_a_listener_whose_weights_are_elsewhere_is_refused() -> None:
    network = Plain()
    network.last = nn.Sequential(nn.Linear(4, 2))
    with pytest.raises(ValueError, match="a Sequential has no weights of its own that listen"):
        check(network)


@pytest.mark.parametrize("listener", [nn.Conv2d(4, 4, 1, groups=4), nn.ConvTranspose2d(4, 2, 1)])
def test_a_listener_that_multiplies_in_another_way_is_refused(listener: nn.Module) -> None:
    network = Plain()
    network.layers = lambda: [Layer(network.first, network.relu, [listener])]  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="grouped or transposed"):
        check(network)


@pytest.mark.parametrize("listener", [nn.Linear(7, 2), nn.Linear(3, 2), nn.Conv2d(3, 2, 1)])
def test_a_listener_whose_inputs_are_not_the_units_is_refused(listener: nn.Module) -> None:
    network = Plain()
    layer = Layer(network.first, network.relu, [listener])
    network.layers = lambda: [layer]  # type: ignore[method-assign]
    told = (
        rf"which of the \d inputs of a {type(listener).__name__} are the 4 of its layer is not known: leave that out of layers"
    )
    with pytest.raises(ValueError, match=told):
        check(network)


def test_a_listener_may_have_inputs_for_each_pixel_but_not_for_each_token() -> None:
    network = Plain()
    for listener in (nn.Linear(12, 2), nn.Conv2d(5, 2, 1)):
        network.layers = lambda heard=listener: [Layer(network.first, network.relu, [heard])]  # type: ignore[method-assign]
        check(network)
    network.layers = lambda: [Layer(network.first, network.relu, [nn.Linear(12, 2)], copies=2)]  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="which of the 12 inputs of a Linear are the 8 of its layer is not known"):
        check(network)
    network.layers = lambda: [Layer(network.first, network.relu, [nn.Linear(12, 2)], last=True)]  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="which of the 12 inputs of a Linear are the 4 of its layer is not known"):
        check(network)


def test_the_gain_and_bias_of_an_activations_normalisation_start_over_with_its_unit() -> None:
    layer, drawn = (Activation(4, "relu", layer_norm=True).layer(nn.Linear(3, 4), [nn.Linear(4, 2)]) for _ in range(2))
    norm = layer.activation.norm
    norm.weight.data, norm.bias.data = torch.arange(2.0, 6.0), torch.arange(2.0, 6.0)
    renew_(layer, drawn, torch.tensor([False, True, False, True]), None)
    assert (norm.weight.tolist(), norm.bias.tolist()) == ([2, 1, 4, 1], [2, 0, 4, 0])


@pytest.mark.parametrize("optimizer", ["amsgrad", "momentum"])
def test_renewed_weights_have_no_moments(optimizer: str) -> None:
    network = Plain()
    made = torch.optim.Adam(network.parameters(), amsgrad=True)
    if optimizer == "momentum":
        made = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    network(X).sum().backward()
    made.step()
    assert recycle_(network, Plain, X, Recycling(tau=1e9), made) == 8
    moments = [v for v in made.state[network.last.weight].values() if isinstance(v, Tensor) and v.ndim]
    assert moments
    assert not any(value.any() for value in moments)


def test_an_injection_changes_nothing_at_first_and_one_head_learns() -> None:
    network = Injected()
    check(network)
    before = network(X)
    network.set_injected_(True)
    torch.testing.assert_close(network(X), before)
    network(X).sum().backward()
    grads = [module.weight.grad for module in (network.head, *network.injections)]
    assert [grad is not None for grad in grads] == [False, True, False]
    empty = Injected()
    empty.injections = nn.ModuleList()
    with pytest.raises(ValueError, match="this Injected has no injections"):
        empty.set_injected_(True)
    assert not empty.injected


@pytest.mark.parametrize(
    ("plans", "told"),
    [
        (Plans(resets=Resets("tortoise", every=2)), "resets to the tortoise need one that follows"),
        (Plans(injection=Injection(3)), "Plain is no Injectable"),
        (Plans(recycling=Recycling(0)), r"--recycling.every must lie in \[1, 1_000_000_000\], not 0"),
        (Plans(tortoise=Tortoise(1.0)), r"--tortoise.decay must lie in \[0, 1\)"),
    ],
)
def test_plans_that_mean_nothing_are_refused(plans: Plans, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Upkeep(Plain(), None, Plain, plans)


def test_a_share_of_each_part_needs_parts() -> None:
    with pytest.raises(ValueError, match="Linear has no parts"):
        HareTortoise(nn.Linear(2, 2)).set_back(keep={"body": 1.0, "neck": 0.0, "head": 0.0})


def test_it_can_be_copied() -> None:
    pair = HareTortoise(Plain(), decay=0.5)
    twin = copy.deepcopy(pair)
    with torch.no_grad():
        pair.hare.last.weight += 1
    pair.step()
    twin.step()
    assert not torch.equal(pair.tortoise.last.weight, twin.tortoise.last.weight)


class Counted(nn.Module):
    """Puts another tensor in its buffer's place at each pass."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(6))
        self.last = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        self.mean = 0.9 * self.mean + 0.1 * x.mean(0)
        return self.last(x - self.mean)


def test_a_buffer_that_the_module_replaces_is_followed() -> None:
    pair = HareTortoise(Counted(), decay=0.5)
    average = torch.zeros(6)
    for x in batches(4):
        pair.hare(x)
        pair.step()
        average = 0.5 * average + 0.5 * pair.hare.mean
    torch.testing.assert_close(pair.tortoise.mean, average)


def test_complex_weights_are_averaged() -> None:
    pair = HareTortoise(nn.Linear(2, 2, dtype=torch.complex64), decay=0.9)
    before = pair.tortoise.weight.clone()
    with torch.no_grad():
        pair.hare.weight += 1
    pair.step()
    torch.testing.assert_close(pair.tortoise.weight, before + 0.1)
