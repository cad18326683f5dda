"""The hare-and-tortoise rule on plain tensors, against closed forms in float64."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hare_tortoise.reset import blend_, zero_moments_

SHAPES = ((3, 4), (5,), (2, 3, 2, 2))


def tensors(seed: int, scale: float = 1.0) -> list[Tensor]:
    g = torch.Generator().manual_seed(seed)
    return [scale * torch.randn(shape, generator=g) for shape in SHAPES]


def doubles(values: list[Tensor]) -> list[np.ndarray]:
    return [v.double().numpy().copy() for v in values]


def addresses(values: list[Tensor]) -> list[int]:
    return [v.data_ptr() for v in values]


def storages(values: list[Tensor]) -> list[int]:
    return [v.untyped_storage().data_ptr() for v in values]


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.99])
def test_the_tortoise_is_the_closed_form_of_the_average(decay: float) -> None:
    n = 200
    tortoise = tensors(0)
    start, hares = doubles(tortoise), [tensors(i, scale=1 + i / n) for i in range(1, n + 1)]
    before = addresses(tortoise)
    for hare in hares:
        blend_(tortoise, hare, decay)
    assert addresses(tortoise) == before
    weights = (1 - decay) * decay ** np.arange(n - 1, -1, -1, dtype=np.float64)
    for j, value in enumerate(tortoise):
        expected = decay**n * start[j] + sum(w * doubles(hare)[j] for w, hare in zip(weights, hares, strict=True))
        np.testing.assert_allclose(value.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_decay_zero_copies_values_and_not_storage() -> None:
    tortoise, hare = tensors(0), tensors(1)
    before = addresses(tortoise)
    blend_(tortoise, hare, 0)
    assert all(torch.equal(t, h) for t, h in zip(tortoise, hare, strict=True))
    assert addresses(tortoise) == before
    assert not set(storages(tortoise)) & set(storages(hare))


@pytest.mark.parametrize("source", ["fresh", "initial", "tortoise"])
@pytest.mark.parametrize("keep", [0.0, 0.2, 0.5, 0.8, 1.0])
def test_a_reset_is_a_weighted_mean(source: str, keep: float) -> None:
    hare = tensors(0)
    initial = deepcopy(hare)
    tortoise = deepcopy(hare)
    for i in range(5):  # the hare runs, the tortoise follows
        for h, change in zip(hare, tensors(10 + i), strict=True):
            h += change
        blend_(tortoise, hare, 0.9)
    values = {"fresh": tensors(99), "initial": initial, "tortoise": tortoise}[source]
    expected = [keep * h + (1 - keep) * s for h, s in zip(doubles(hare), doubles(values), strict=True)]
    before, untouched = addresses(hare), doubles(values)
    blend_(hare, values, keep)
    for h, e in zip(hare, expected, strict=True):
        np.testing.assert_allclose(h.numpy(), e, rtol=1e-5, atol=1e-6)
    assert addresses(hare) == before
    assert all(np.array_equal(s, u) for s, u in zip(doubles(values), untouched, strict=True))
    if keep == 0:
        assert all(torch.equal(h, s) for h, s in zip(hare, values, strict=True))  # to the last bit
    assert not set(storages(hare)) & set(storages(values))


@pytest.mark.parametrize("decay", [0.9, 0.999])
def test_after_a_reset_the_tortoise_moves_only_as_the_average_says(decay: float) -> None:
    hare, tortoise = tensors(0), tensors(1)
    blend_(hare, tortoise, 0)
    kept = deepcopy(tortoise)
    for h, change in zip(hare, tensors(2), strict=True):
        h.add_(change)  # the next update of the hare
    assert all(torch.equal(t, k) for t, k in zip(tortoise, kept, strict=True))  # not carried along
    blend_(tortoise, hare, decay)
    for t, h, k in zip(tortoise, hare, kept, strict=True):
        np.testing.assert_allclose(t.numpy(), decay * k.double().numpy() + (1 - decay) * h.double().numpy(), atol=1e-6)
        assert not torch.equal(t, h)


def learner(seed: int) -> tuple[nn.Linear, torch.optim.Adam]:
    layer = nn.Linear(4, 3)
    with torch.no_grad():
        layer.weight.copy_(tensors(seed)[0])
        layer.bias.zero_()
    return layer, torch.optim.Adam(layer.parameters(), lr=0.1, fused=True)


def adam_step(layer: nn.Linear, optimizer: torch.optim.Adam, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    for p in layer.parameters():
        p.grad = torch.randn(p.shape, generator=g)
    optimizer.step()


def test_zeroed_moments_make_the_next_step_that_of_a_new_optimizer() -> None:
    layer, optimizer = learner(0)
    for i in range(5):
        adam_step(layer, optimizer, i)
    state = [value for entry in optimizer.state.values() for value in entry.values()]
    before = addresses(state)
    assert all(value.abs().sum() > 0 for value in state)

    other = deepcopy(layer)
    zero_moments_(optimizer, layer.parameters())
    assert len(state) == 6  # two parameters: mean, mean square, count
    assert all(torch.all(value == 0) for value in state)
    new = torch.optim.Adam(other.parameters(), lr=0.1, fused=True)
    adam_step(layer, optimizer, 9)
    adam_step(other, new, 9)
    assert all(torch.equal(a, b) for a, b in zip(layer.parameters(), other.parameters(), strict=True))
    assert [value.data_ptr() for entry in optimizer.state.values() for value in entry.values()] == before


def test_only_the_moments_of_the_named_parameters_are_zeroed() -> None:
    layer, optimizer = learner(0)
    adam_step(layer, optimizer, 0)
    kept = {name: value.clone() for name, value in optimizer.state[layer.bias].items()}
    zero_moments_(optimizer, [layer.weight])
    assert all(torch.all(value == 0) for value in optimizer.state[layer.weight].values())
    assert all(torch.equal(value, kept[name]) for name, value in optimizer.state[layer.bias].items())


def test_moments_of_an_optimizer_that_never_stepped_can_be_zeroed() -> None:
    layer, optimizer = learner(0)
    zero_moments_(optimizer, layer.parameters())
    assert len(optimizer.state) == 0  # and asking did not create entries
