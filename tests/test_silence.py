"""Self-normalised resets against a twin that keeps a list of silences for each unit (Farias and Jozefiak 2025)."""

from dataclasses import dataclass, field
from itertools import chain, pairwise

import pytest
import torch
from torch import Tensor, nn

from hare_tortoise.activation import Activation
from hare_tortoise.network import Layer
from hare_tortoise.settings import Silence
from hare_tortoise.silence import Silences
from supervised.vit import TokenActivation
from tests.test_plasticity import layer, normal


@dataclass
class Unit:
    """One unit, by words: how long it has been silent, which silences it has had, and what is unusual for it."""

    settings: Silence
    limit: int
    age: int = 0
    silences: list[int] = field(default_factory=list)

    def sees(self, fires: bool) -> bool:
        """Whether it is renewed behind an update in which it fires or not."""
        if fires:
            if self.age > 0:
                self.silences.append(self.age)
            self.age = 0
            return False
        self.age += 1
        if self.age < self.limit:
            return False
        self.silences.append(min(self.age, self.settings.longest))
        self.age = 0
        return True

    def look(self) -> None:
        n = len(self.silences)
        if n * self.settings.rate < 1:
            return
        lengths = range(1, self.limit + 1)
        rare = [a for a in lengths if sum(s >= a for s in self.silences) / n <= self.settings.rate]
        self.limit = min(rare[0] if rare else 2 * self.limit, self.settings.longest)
        self.silences = []


def pattern(units: int, updates: int, seed: int) -> Tensor:
    """Whether each unit fires, bool [updates, units]: the first always does, the second never, the others by a coin each.

    Halfway, every third unit becomes far more silent than it was.
    """
    g = torch.Generator().manual_seed(seed)
    chance = torch.linspace(0.05, 0.95, units).expand(updates, units).clone()
    chance[updates // 2 :, ::3] *= 0.1
    fires = torch.rand(updates, units, generator=g) < chance
    fires[:, 0], fires[:, 1] = True, False
    return fires


@pytest.mark.parametrize(
    "settings", [Silence(rate=0.1, longest=16, every=40), Silence(rate=0.4, longest=5, every=7), Silence(0.02, 64, 200)]
)
def test_every_unit_is_judged_as_by_its_twin(settings: Silence) -> None:
    sizes, updates = [7, 12], 600
    fires = pattern(sum(sizes), updates, seed=settings.every)
    silences = Silences(settings, sizes, torch.device("cpu"))
    twins = [Unit(settings, settings.longest) for _ in range(sum(sizes))]
    layers, limits, renewed = [layer(), layer()], [], 0
    for update in range(1, updates + 1):
        now = fires[update - 1]
        outputs = [part.float().expand(3, -1) for part in now.split(sizes)]
        found = silences.find(layers, outputs)
        assert [len(units) for units in found] == sizes
        expected = [twin.sees(bool(on)) for twin, on in zip(twins, now, strict=True)]
        assert torch.cat(found).tolist() == expected, update
        renewed += sum(expected)
        if update % settings.every == 0:
            silences.look_()
            for twin in twins:
                twin.look()
            limits.append([twin.limit for twin in twins])
        assert silences.age.tolist() == [twin.age for twin in twins]
        assert silences.limit.tolist() == [twin.limit for twin in twins]
    assert silences.past.sum(1).tolist() == [len(twin.silences) for twin in twins]
    assert renewed > updates / settings.longest  # the unit that never fires, and others
    seen = set(chain.from_iterable(limits))
    assert min(seen) < settings.longest  # some limits fell,
    rose = any(b > a for before, after in pairwise(limits) for a, b in zip(before, after, strict=True))
    assert rose or settings.rate == 0.02  # and some rose again
    assert all(row[0] == settings.longest for row in limits)  # a unit without a silence keeps its limit
    assert max(seen) <= settings.longest


def silent_for(silences: Silences, updates: int) -> list[bool]:
    """In which of so many updates of silence the one unit is renewed."""
    return [bool(silences.find([layer()], [torch.zeros(4, 1)])[0]) for _ in range(updates)]


def one(settings: Silence, limit: int) -> Silences:
    made = Silences(settings, [1], torch.device("cpu"))
    made.limit.fill_(limit)
    return made


def test_a_dead_unit_is_renewed_again_and_again() -> None:
    assert silent_for(one(Silence(longest=4), 4), 9) == [False, False, False, True] * 2 + [False]


def test_a_limit_below_the_present_silence_ends_it_at_the_next_silent_update() -> None:
    silences = one(Silence(rate=0.5, longest=20), 20)
    assert not any(silent_for(silences, 10))
    silences.limit.fill_(3)
    assert silent_for(silences, 5) == [True, False, False, True, False]
    assert silences.past[0].nonzero().flatten().tolist() == [3, 11]  # as long as they were


def test_unusual_is_twice_as_long_after_silences_that_only_resets_ended() -> None:
    silences = one(Silence(rate=0.5, longest=10), 3)
    silent_for(silences, 12)
    for limit in (6, 10, 10):  # the cap
        silences.look_()
        assert silences.limit.item() == limit
        silent_for(silences, 24)


def test_too_few_silences_say_nothing_and_are_kept() -> None:
    silences = one(Silence(rate=0.25, longest=10), 2)
    silent_for(silences, 6)  # three silences
    silences.look_()
    assert (silences.limit.item(), silences.past.sum().item()) == (2, 3)
    silent_for(silences, 2)  # the fourth
    silences.look_()
    assert (silences.limit.item(), silences.past.sum().item()) == (4, 0)


def test_new_weights_begin_new_silences_and_keep_what_is_usual() -> None:
    silences = one(Silence(rate=0.5, longest=10), 4)
    silent_for(silences, 3)
    silences.forget_()
    assert silent_for(silences, 4) == [False, False, False, True]
    assert silences.limit.item() == 4


def test_state_goes_on_to_the_last_bit() -> None:
    settings = Silence(rate=0.2, longest=8)
    fires, on = pattern(9, 120, 3), [layer()]
    whole, half = (Silences(settings, [9], torch.device("cpu")) for _ in range(2))
    for update, now in enumerate(fires):
        if update == 60:
            for mine, its in zip(half.state, whole.state, strict=True):
                mine.copy_(its)
        found = [s.find(on, [now.float()[None]])[0] for s in (whole, half)]
        if update % 20 == 19:
            whole.look_()
            half.look_()
        assert update < 60 or torch.equal(*found)
    assert all(map(torch.equal, whole.state, half.state))


def fires_one_by_one(outputs: Tensor, units: int) -> list[bool]:
    """Of outputs [M, copies * units, ...], one number at a time."""
    return [
        any(x > 0 for channel in range(u, outputs.shape[1], units) for x in outputs[:, channel].flatten().tolist())
        for u in range(units)
    ]


@pytest.mark.parametrize("shape", [(5, 6), (3, 6, 2, 4)], ids=["dense", "convolution"])
@pytest.mark.parametrize("copies", [1, 2])
def test_a_unit_fires_if_any_of_its_outputs_is_positive(shape: tuple[int, ...], copies: int) -> None:
    outputs = normal(0, *shape).clamp(max=0)  # of GELU, say, silence is below 0 too
    outputs[-1, 1].view(-1)[-1:] = 1e-30
    outputs[0, 5].view(-1)[:1] = 2.0
    found = layer(copies).fires(outputs)
    assert found.dtype == torch.bool
    assert found.tolist() == fires_one_by_one(outputs, 6 // copies)
    assert found.sum() == 2
    tokens = outputs.transpose(0, 1).flatten(1).T.reshape(-1, 5, 6) if len(shape) == 2 else None
    if tokens is not None:
        assert torch.equal(layer(copies, last=True).fires(tokens), found)


@pytest.mark.parametrize(
    ("activation", "x"),
    [
        (Activation(4, "relu"), normal(1, 6, 4, 3, 3)),
        (Activation(4, "crelu"), normal(1, 6, 4)),
        (TokenActivation(4, "relu"), normal(1, 6, 5, 4)),
    ],
    ids=["relu", "crelu", "gelu"],
)
def test_what_fires_behind_an_activation(activation: Activation, x: Tensor) -> None:
    by_unit = x.transpose(1, -1) if not activation.last else x
    by_unit[..., 0], by_unit[..., 2] = -by_unit[..., 0].abs(), 0
    made: Layer = activation.layer(nn.Linear(4, 4), [nn.Linear(activation.width, 2)])
    found = made.fires(activation(x)).tolist()
    assert found == [activation.kind == "crelu", True, False, True]
