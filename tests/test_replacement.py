"""Continual backpropagation against a twin that goes from unit to unit, outgoing weights against passes of single units."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hare_tortoise.network import Layer
from hare_tortoise.ranges import check
from hare_tortoise.replacement import Utilities
from hare_tortoise.settings import Injection, Plans, Recycling, Replacement, Silence
from tests.test_plasticity import layer, normal
from tests.test_recycle import ENCODERS, HEADS, network
from tests.test_supervised_models import TINY, tiny

CPU = torch.device("cpu")


class Twin:
    """One layer as Dohare et al. describe it: lists of numbers, a unit at a time."""

    def __init__(self, settings: Replacement, units: int) -> None:
        self.settings, self.owed = settings, 0.0
        self.age, self.mean = [0] * units, [0.0] * units

    def find(self, outputs: list[list[float]], outgoing: list[list[float]]) -> list[int]:
        """The units to renew; `outputs` of each sample, `outgoing` weights of each listening unit."""
        s = self.settings
        for u in range(len(self.age)):
            size = sum(abs(sample[u]) for sample in outputs) / len(outputs)
            self.mean[u] = s.decay * self.mean[u] + (1 - s.decay) * size * sum(abs(row[u]) for row in outgoing)
            self.age[u] += 1
        mature = [u for u, age in enumerate(self.age) if age > s.maturity]
        self.owed += s.rate * len(mature)
        whole = math.floor(self.owed + 1e-6)  # which float32 might miss
        self.owed -= whole
        renewed = sorted(mature, key=lambda u: (self.mean[u] / (1 - s.decay ** self.age[u]), u))[:whole]
        for u in renewed:
            self.age[u], self.mean[u] = 0, 0.0
        return renewed


def linear_layer(units: int, seed: int) -> tuple[Layer, nn.Linear]:
    listener = nn.Linear(units, 3)
    with torch.no_grad():
        listener.weight.copy_(normal(seed, 3, units))
    return Layer(nn.Identity(), nn.Identity(), [listener]), listener


@pytest.mark.parametrize(
    "settings",
    [Replacement(rate=0.03125, maturity=10), Replacement(0.25, maturity=3, decay=0.5), Replacement(0.0625, 0, decay=0.0)],
    ids=["slow", "fast", "of one batch"],
)
def test_the_least_useful_mature_units_are_found_as_by_the_twin(settings: Replacement) -> None:
    sizes, updates = [5, 12], 200
    made, twins = Utilities(settings, sizes, CPU), [Twin(settings, n) for n in sizes]
    layers = [linear_layer(n, seed=n) for n in sizes]
    count = 0
    for update in range(updates):
        outputs = [normal(100 * update + n, 4, n) * torch.linspace(0.1, 2, n) for n in sizes]
        found = made.find([layer for layer, _ in layers], outputs)
        for (_, listener), units, output, twin in zip(layers, found, outputs, twins, strict=True):
            expected = twin.find(output.tolist(), listener.weight.tolist())
            assert units.nonzero().flatten().tolist() == sorted(expected), update
            count += len(expected)
            with torch.no_grad():  # as learning and renewal do
                listener.weight += 0.05 * normal(update, *listener.weight.shape)
                listener.weight[:, units] = 0
    assert made.age.tolist() == [age for twin in twins for age in twin.age]
    torch.testing.assert_close(made.mean, torch.tensor([mean for twin in twins for mean in twin.mean]), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(made.owed, torch.tensor([twin.owed for twin in twins]), rtol=0, atol=1e-4)
    assert count > 20


def find(made: Utilities, outputs: Tensor) -> list[int]:
    on, listener = linear_layer(outputs.shape[1], seed=0)
    with torch.no_grad():
        listener.weight.fill_(1.0)
    return made.find([on], [outputs])[0].nonzero().flatten().tolist()


def test_of_equals_the_first_are_renewed_and_each_unit_in_its_turn() -> None:
    made = Utilities(Replacement(rate=0.25, maturity=0, decay=0.0), [8], CPU)
    assert find(made, torch.ones(2, 8)) == [0, 1]
    assert find(made, torch.ones(2, 8)) == [0, 1]  # a maturity of 0 protects nobody
    made = Utilities(Replacement(rate=0.25, maturity=1, decay=0.0), [8], CPU)
    turns = [find(made, torch.ones(2, 8)) for _ in range(5)]
    assert turns[:2] == [[], [0, 1]]
    assert turns[2] == [2]  # 6 of 8 are mature: 1.5 are owed
    assert turns[3] == [0, 1]  # two of 7, and a quarter more is owed


def test_new_units_are_left_alone_for_their_maturity() -> None:
    made = Utilities(Replacement(rate=0.5, maturity=4), [4], CPU)
    ages = []
    for update in range(60):
        before = made.age.clone()
        found = find(made, normal(update, 3, 4))
        ages += [int(before[u]) + 1 for u in found]
    assert ages
    assert min(ages) == 5


@pytest.mark.parametrize("maturity", [0, 7])
def test_as_many_are_renewed_as_the_rate_says(maturity: int) -> None:
    made = Utilities(Replacement(rate=0.0078125, maturity=maturity), [10], CPU)
    owed, count = 0.0, 0
    for update in range(300):
        owed += 0.0078125 * int((made.age + 1 > maturity).sum())
        count += len(find(made, normal(update, 3, 10)))
    assert owed == pytest.approx(count + made.owed.item())
    assert 15 < count <= 300 * 10 * 0.0078125


def test_other_weights_are_judged_anew_and_what_is_owed_stays() -> None:
    made = Utilities(Replacement(rate=0.1, maturity=3), [4], CPU)
    for update in range(5):
        find(made, normal(update, 3, 4))
    owed = made.owed.clone()
    assert owed > 0
    made.forget_()
    assert not made.age.any()
    assert not made.mean.any()
    assert torch.equal(made.owed, owed)


def felt(listener: nn.Module, outputs: Tensor) -> float:
    """The sum of what a listener of the sizes of its weights, without bias, makes of `outputs`, [1, channels, ...]."""
    weight = listener.weight.detach().double().abs()
    if weight.ndim == 2:
        pixels = weight.shape[1] // outputs.shape[1]
        return functional.linear(outputs.flatten(2).expand(-1, -1, pixels).flatten(1), weight).sum().item()
    missing = weight.shape[1] - outputs.shape[1]  # planes of actions stand behind
    image = outputs.view(1, -1, 1, 1).expand(-1, -1, *weight.shape[2:])  # each tap sees one pixel
    return functional.conv2d(functional.pad(image, (0, 0, 0, 0, 0, missing)), weight).sum().item()


def outgoing_one_by_one(on: Layer, units: int) -> list[float]:
    """For each unit, what all listeners feel of it alone, its copies at 1 and all others at 0."""
    found = []
    for unit in range(units):
        outputs = torch.zeros(1, on.copies * units, 1, dtype=torch.float64)
        outputs[0, unit::units] = 1
        found.append(sum(felt(listener, outputs) for listener in on.listeners))
    return found


@pytest.mark.parametrize("predicts", [False, True])
@pytest.mark.parametrize(("encoder", "head"), [("nature", "streams"), ("impala", "last"), ("crelu", "crelu")])
def test_outgoing_weights_of_an_agents_layers(encoder: str, head: str, predicts: bool) -> None:
    net = network(ENCODERS[encoder], HEADS[head], predicts)
    layers = net.layers()
    for on in layers:
        units = on.activation.units
        found = on.outgoing(units)
        assert found.shape == (units,)
        torch.testing.assert_close(found.double(), torch.tensor(outgoing_one_by_one(on, units)).double(), rtol=1e-4, atol=0)
    listeners = {tuple(type(heard).__name__ for heard in on.listeners) for on in layers}
    assert len(listeners) > 1
    assert not predicts or encoder == "impala" or any("Conv2d" in kinds and len(kinds) > 1 for kinds in listeners)


@pytest.mark.parametrize("activation", ["relu", "crelu", "fourier"])
@pytest.mark.parametrize("kind", list(TINY))
def test_outgoing_weights_of_a_classifiers_layers(kind: str, activation: str) -> None:
    for on in tiny(kind, activation).layers():
        units = on.activation.units
        expected = torch.tensor(outgoing_one_by_one(on, units))
        torch.testing.assert_close(on.outgoing(units), expected, rtol=1e-4, atol=0)


def test_the_noise_of_listeners_does_not_count() -> None:
    net = network(ENCODERS["data_efficient"], HEADS["streams"])
    before = [on.outgoing(on.activation.units) for on in net.layers()]
    with torch.no_grad():
        for name, p in net.named_parameters():
            if "sigma" in name:
                p.fill_(100.0)
    assert all(map(torch.equal, before, [on.outgoing(on.activation.units) for on in net.layers()]))


@pytest.mark.parametrize(("copies", "shape"), [(1, (3, 4)), (2, (3, 8)), (1, (3, 4, 2, 2)), (2, (3, 8, 2, 2))])
def test_the_size_of_a_unit_is_its_mean_over_batch_and_place(copies: int, shape: tuple[int, ...]) -> None:
    outputs = normal(7, *shape)
    channels = outputs.abs().transpose(0, 1).flatten(1).mean(1)
    expected = [sum(channels[u::4].tolist()) for u in range(4)]
    assert layer(copies).sizes(outputs).tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("other", ["silence", "recycling", "injection"])
def test_two_that_renew_units_are_refused(other: str) -> None:
    piece = {"silence": Silence(), "recycling": Recycling(), "injection": Injection()}[other]
    with pytest.raises(ValueError, match=f"(?s)^[^\n]*{other}[^\n]*: one of them at most$"):
        check(Plans(replacement=Replacement(), **{other: piece}))
