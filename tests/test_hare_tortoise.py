"""The rule on whole networks of any kind: averaged, set back, never shared, and wrong arguments in a line."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hare_tortoise import HareTortoise, __version__
from hare_tortoise.reset import reset_, zero_moments_


class Net(nn.Module):
    """Batch normalisation, a frozen layer, and an output layer that shares its weights with the first."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(6, 6), nn.BatchNorm1d(6)
        self.frozen = nn.Linear(6, 6).requires_grad_(False)
        self.last = nn.Linear(6, 6)
        self.last.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.frozen(self.norm(self.first(x)).relu()))


def made(**arguments: Any) -> tuple[HareTortoise, torch.optim.Optimizer]:
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=0.05)
    return HareTortoise(net, optimizer, **arguments), optimizer


def batches(count: int) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return (torch.randn(16, 6, generator=generator) for _ in range(count))


def learn_(pair: HareTortoise, optimizer: torch.optim.Optimizer, x: Tensor) -> None:
    loss = (pair.hare(x) - x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def state(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


@pytest.mark.smoke
def test_the_algorithm_step_by_step() -> None:
    """Against the two lines of the paper, in float64; whole numbers are copied."""
    pair, optimizer = made(decay=0.9, reset_every=4)
    average = {name: value.double() for name, value in state(pair.tortoise).items()}
    resets = []
    for i, x in enumerate(batches(10), start=1):
        learn_(pair, optimizer, x)
        hare = state(pair.hare)
        pair.step()
        for name, value in hare.items():
            average[name] = 0.9 * average[name] + 0.1 * value.double() if value.is_floating_point() else value.double()
            torch.testing.assert_close(pair.tortoise.state_dict()[name].double(), average[name], rtol=1e-5, atol=1e-6)
        if all(torch.equal(value, pair.tortoise.state_dict()[name]) for name, value in state(pair.hare).items()):
            resets.append(i)
        else:
            assert all(torch.equal(value, hare[name]) for name, value in state(pair.hare).items())
    assert resets == [4, 8]
    assert (pair.steps, pair.resets) == (10, 2)
    assert int(pair.tortoise.norm.num_batches_tracked) == 10


@pytest.mark.smoke
def test_nothing_is_shared_and_the_tortoise_does_not_learn() -> None:
    pair, optimizer = made(decay=0.9, reset_every=1)
    learn_(pair, optimizer, next(batches(1)))
    pair.step()
    places = [{t.untyped_storage().data_ptr() for t in net.state_dict().values()} for net in (pair.hare, pair.tortoise)]
    assert not places[0] & places[1]
    assert not any(p.requires_grad for p in pair.tortoise.parameters())
    assert not pair.tortoise.training
    assert pair.tortoise.last.weight is pair.tortoise.first.weight  # still tied
    assert pair.hare.last.weight is pair.hare.first.weight


@pytest.mark.smoke
def test_a_frozen_layer_stays_to_the_last_bit() -> None:
    pair, optimizer = made(decay=0.999, reset_every=3)
    before = pair.hare.frozen.weight.clone()
    for x in batches(7):
        learn_(pair, optimizer, x)
        pair.step()
    assert torch.equal(pair.hare.frozen.weight, before)
    assert torch.equal(pair.tortoise.frozen.weight, before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_in_half_precision_small_steps_are_not_lost(dtype: torch.dtype) -> None:
    """Each step of the average, 1e-3 of the way, is less than half of what the next number is away."""
    net = nn.Linear(4, 4).to(dtype)
    pair = HareTortoise(net, decay=0.999)
    start = net.weight.float()
    with torch.no_grad():
        net.weight.add_(0.25)
    hare = net.weight.float()
    for _ in range(200):
        pair.step()
    expected = 0.999**200 * start + (1 - 0.999**200) * hare
    assert pair.tortoise.weight.dtype == dtype
    torch.testing.assert_close(pair.tortoise.weight.float(), expected, rtol=0, atol=torch.finfo(dtype).eps)
    other = HareTortoise(deepcopy(net), decay=0.999)
    other.load_state_dict(pair.state_dict())
    for _ in range(3):
        pair.step()
        other.step()
    assert torch.equal(other.tortoise.weight, pair.tortoise.weight)


def test_the_state_of_another_precision_is_refused_whole() -> None:
    half, pair = HareTortoise(nn.Linear(4, 4).half()), HareTortoise(nn.Linear(4, 4))
    before = pair.tortoise.weight.clone()
    with pytest.raises(ValueError, match="2 float32 averages were saved, this pair has 0"):
        pair.load_state_dict(half.state_dict())
    assert torch.equal(pair.tortoise.weight, before)


def test_it_goes_on_from_its_state() -> None:
    one, first = made(decay=0.9, reset_every=3)
    two, second = made(decay=0.9, reset_every=3)
    xs = list(batches(8))
    for x in xs:
        learn_(one, first, x)
        one.step()
    for x in xs[:4]:
        learn_(two, second, x)
        two.step()
    three, third = made(decay=0.9, reset_every=3)
    three.hare.load_state_dict(two.hare.state_dict())
    third.load_state_dict(deepcopy(second.state_dict()))
    three.load_state_dict(deepcopy(two.state_dict()))
    for x in xs[4:]:
        learn_(three, third, x)
        three.step()
    for net in ("hare", "tortoise"):
        assert all(torch.equal(value, state(getattr(one, net))[name]) for name, value in state(getattr(three, net)).items())
    assert (three.steps, three.resets) == (8, 2)


def test_a_compiled_network_keeps_its_rule() -> None:
    torch.manual_seed(0)
    net = Net()
    pair = HareTortoise(
        torch.compile(net, backend="eager"), torch.optim.SGD(net.parameters(), lr=0.1), decay=0.5, reset_every=2
    )
    twin = made(decay=0.5, reset_every=2)[0]
    twin.optimizer = torch.optim.SGD(twin.hare.parameters(), lr=0.1)
    for x in batches(5):
        for one in (pair, twin):
            learn_(one, one.optimizer, x)
            one.step()
    assert all(torch.equal(value, state(twin.tortoise)[name]) for name, value in state(pair.tortoise).items())
    assert all(torch.equal(value, state(twin.hare)[name]) for name, value in state(net).items())


OPTIMIZERS = {
    name: getattr(torch.optim, name)
    for name in ("SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "RMSprop", "Rprop", "Adagrad", "Adadelta", "ASGD")
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_forgotten_moments_are_those_of_a_new_optimizer_of_any_kind(name: str) -> None:
    options = {"lr": 0.01} | ({"momentum": 0.9} if name in ("SGD", "RMSprop") else {})
    net = Net()
    optimizer = OPTIMIZERS[name](net.parameters(), **options)
    for x in batches(3):
        learn_(HareTortoise(net), optimizer, x)
    twin = deepcopy(net)
    zero_moments_(optimizer, net.parameters())
    new = OPTIMIZERS[name](twin.parameters(), **options)
    for x in batches(2):
        learn_(HareTortoise(net), optimizer, x)
        learn_(HareTortoise(twin), new, x)
    assert all(torch.equal(value, state(twin)[key]) for key, value in state(net).items())


@pytest.mark.parametrize("moments", ["keep", "zero"])
def test_moments_are_kept_or_forgotten(moments: str) -> None:
    pair, optimizer = made(decay=0.9, reset_every=2, moments=moments)
    for x in batches(2):
        learn_(pair, optimizer, x)
        pair.step()
    counts = {float(held["step"]) for held in optimizer.state.values()}
    assert counts == ({2.0} if moments == "keep" else {0.0})


def test_a_share_may_be_kept() -> None:
    pair, optimizer = made(decay=0.9)
    learn_(pair, optimizer, next(batches(1)))
    hare, tortoise = state(pair.hare), state(pair.tortoise)
    pair.set_back(keep=0.25)
    for name, value in state(pair.hare).items():
        mixed = 0.25 * hare[name] + 0.75 * tortoise[name] if value.is_floating_point() else hare[name]
        torch.testing.assert_close(value, mixed)
    reset_(pair.hare, pair.tortoise)
    assert all(torch.equal(value, tortoise[name]) for name, value in state(pair.hare).items())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"decay": 1.0}, r"decay must lie in \[0, 1\), not 1"),
        ({"decay": -0.1}, r"decay must lie in \[0, 1\), not -0.1"),
        ({"decay": float("nan")}, r"decay must lie in \[0, 1\), not nan"),
        ({"reset_every": 0}, "every and reset_every must be at least 1, not 1 and 0"),
        ({"every": 0}, "every and reset_every must be at least 1, not 0 and None"),
        ({"decay": 0.0, "reset_every": 5}, "a decay of 0 makes the tortoise a copy"),
        ({"decay": 0.0, "every": 2, "reset_every": 4}, "a decay of 0 makes the tortoise a copy"),
        ({"every": 10, "reset_every": 5}, "reset_every 5 is less than every 10"),
        ({"moments": "zeros"}, "moments must be 'keep' or 'zero', not 'zeros'"),
    ],
)
def test_wrong_arguments_are_one_line(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told) as error:
        made(**arguments)
    assert "\n" not in str(error.value)


def test_no_parameters_and_an_optimizer_of_others_are_refused() -> None:
    with pytest.raises(ValueError, match="ReLU has no parameters"):
        HareTortoise(nn.ReLU())
    with pytest.raises(ValueError, match="the optimizer has none of this network's parameters"):
        HareTortoise(nn.Linear(2, 2), torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1))


def test_the_version_is_a_version() -> None:
    assert all(part.isdigit() for part in __version__.split("."))
