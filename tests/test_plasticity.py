"""Measurements of plasticity against loops in NumPy, exact Hessians and autograd."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import hessian

from hare_tortoise.activation import Activation
from hare_tortoise.measure import distance, dormancy, effective_ranks, outputs_of, share, top_eigenvalue
from hare_tortoise.network import Layer
from hare_tortoise.step import pull_gradient_


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def naive_scores(activation: Tensor, units: int) -> list[float]:
    """Mean size of each unit over its mean over the layer, one number at a time; all 0 of a layer that is silent."""
    a = activation.double().numpy()
    sizes = []
    for unit in range(units):
        channels = range(unit, a.shape[1], units)  # under CReLU the second half of a unit stands `units` further on
        seen = [np.mean([abs(x) for sample in a for x in np.ravel(sample[channel])]) for channel in channels]
        sizes.append(float(sum(seen)))
    mean = sum(sizes) / units
    return [size / mean if mean > 0 else 0.0 for size in sizes]


def layer(copies: int = 1, last: bool = False) -> Layer:
    return Layer(nn.Identity(), nn.Identity(), [], copies=copies, last=last)


def test_tokens_count_as_samples() -> None:
    tokens = normal(9, 3, 5, 4)
    assert torch.equal(dormancy(layer(last=True), tokens), dormancy(layer(), tokens.view(15, 4)))


@pytest.mark.parametrize("shape", [(5, 6), (3, 6, 2, 4)], ids=["dense", "convolution"])
@pytest.mark.parametrize("concatenated", [False, True])
def test_dormancy_equals_a_loop(shape: tuple[int, ...], concatenated: bool) -> None:
    activation = normal(0, *shape)  # of both signs: it is sizes that count
    activation[:, 2] *= 0.01
    activation[:, 5] = 0
    units = 3 if concatenated else 6
    found = dormancy(layer(2 if concatenated else 1), activation)
    assert tuple(found.shape) == (units,)
    np.testing.assert_allclose(found.numpy(), naive_scores(activation, units), rtol=1e-5)
    assert found.mean().item() == pytest.approx(1)
    assert (found[-1] == 0).item() == (not concatenated)  # under CReLU the other half of the last unit is alive


def test_a_silent_layer_is_dormant_and_no_nan() -> None:
    for shape in ((4, 6), (4, 6, 3, 3)):
        assert torch.equal(dormancy(layer(), torch.zeros(shape)), torch.zeros(6))
        assert torch.equal(dormancy(layer(2), torch.zeros(shape)), torch.zeros(3))


def test_a_typed_example_of_dormancy() -> None:
    assert dormancy(layer(), torch.tensor([[1.0, 0.0, 4.0], [3.0, 0.0, 4.0]])).tolist() == pytest.approx([1, 0, 2])


def test_shares_are_pooled_over_elements_and_not_over_tensors() -> None:
    masks = [torch.tensor([True]), torch.tensor([[True, False, False], [False, False, False]])]
    found = share(mask for mask in masks)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(2 / 7)


def naive_ranks(features: Tensor) -> tuple[int, float]:
    singular = np.linalg.svd(features.double().numpy(), compute_uv=False)
    p = singular / singular.sum()
    total, count = 0.0, 0
    for x in p:
        total, count = total + x, count + 1
        if total >= 0.99:
            break
    return count, math.exp(-sum(x * math.log(x) for x in p if x > 0))


@pytest.mark.parametrize("shape", [(40, 12), (12, 40), (7, 7), (1, 5), (5, 1)])
def test_ranks_equal_numpy(shape: tuple[int, int]) -> None:
    features = normal(1, *shape) * torch.logspace(0, -3, shape[1])
    srank, entropy = effective_ranks(features)
    assert (srank.dtype, entropy.dtype) == (torch.float32, torch.float32)
    assert (srank.item(), entropy.item()) == (naive_ranks(features)[0], pytest.approx(naive_ranks(features)[1], rel=1e-5))


def test_known_ranks() -> None:
    orthogonal = torch.linalg.qr(normal(2, 9, 9)).Q
    whole = [x.item() for x in effective_ranks(orthogonal[:5])]
    assert whole == [5, pytest.approx(5)]
    one = [x.item() for x in effective_ranks(torch.outer(normal(3, 6), normal(4, 8)))]
    assert one == [1, pytest.approx(1, abs=1e-4)]
    assert [x.item() for x in effective_ranks(torch.zeros(6, 8))] == [1, 0]


@pytest.mark.parametrize(("spectrum", "srank"), [((90, 8, 1.5, 0.5), 3), ((98.5, 1, 0.5), 2), ((99.5, 0.5), 1), ((60, 40), 2)])
def test_where_a_spectrum_reaches_99_per_cent(spectrum: tuple[float, ...], srank: int) -> None:
    left, right = (torch.linalg.qr(normal(seed, 6, 6)).Q[:, : len(spectrum)] for seed in (5, 6))
    features = left @ torch.diag(torch.tensor(spectrum, dtype=torch.float32)) @ right.T
    assert effective_ranks(features)[0].item() == srank
    entropy = -sum(s / 100 * math.log(s / 100) for s in spectrum)
    assert effective_ranks(features)[1].item() == pytest.approx(math.exp(entropy), rel=1e-3)


def test_distance_is_that_of_one_long_vector() -> None:
    ones, others = [normal(0, 3, 4), normal(1, 5)], [normal(2, 3, 4), normal(3, 5)]
    long = [np.concatenate([t.double().numpy().ravel() for t in tensors]) for tensors in (ones, others)]
    assert distance(ones).item() == pytest.approx(np.linalg.norm(long[0]), rel=1e-6)
    assert distance(iter(ones), iter(others)).item() == pytest.approx(np.linalg.norm(long[0] - long[1]), rel=1e-6)
    assert distance([torch.tensor([3.0]), torch.tensor([[4.0]])]).item() == pytest.approx(5)
    assert distance(ones, ones).item() == 0


def test_recorded_activations_are_those_returned_and_hooks_go_away() -> None:
    first, second = Activation(4, "relu", in_place=False), Activation(4, "crelu")
    x = normal(0, 3, 4).requires_grad_()
    alone = second(first(x))
    with outputs_of([second, first]) as found:  # whatever the order that is asked for, it is that of the calls
        during = second(first(x))
    assert torch.equal(during, alone)
    assert during.requires_grad
    assert len(found) == 2
    assert torch.equal(found[0], x.detach().clamp(min=0))
    assert torch.equal(found[1], torch.cat((x.detach().clamp(min=0), torch.zeros(3, 4)), 1))
    assert not any(a.requires_grad for a in found)
    second(first(x))
    assert len(found) == 2
    assert not first._forward_hooks
    assert not second._forward_hooks


def fail_within(module: Activation) -> None:
    with outputs_of([module]):
        raise ValueError("within")


def test_hooks_go_away_after_an_exception() -> None:
    module = Activation(4, "relu")
    with pytest.raises(ValueError, match="within"):
        fail_within(module)
    assert not module._forward_hooks


@pytest.mark.parametrize("eigenvalues", [(5.0, 1.0, -2.0, 0.1, 3.0), (2.0, -7.0, 3.0, 1.0, 0.0)])
def test_top_eigenvalue_of_a_quadratic(eigenvalues: tuple[float, ...]) -> None:
    q = torch.linalg.qr(normal(7, 5, 5)).Q
    matrix = q @ torch.diag(torch.tensor(eigenvalues)) @ q.T
    parameters = [normal(8, 2).requires_grad_(), normal(9, 3, 1).requires_grad_()]
    calls = []

    def loss() -> Tensor:
        calls.append(1)
        x = torch.cat([p.flatten() for p in parameters])
        return x @ matrix @ x / 2

    found = top_eigenvalue(loss, parameters, 60, torch.Generator().manual_seed(0))
    assert found.item() == pytest.approx(max(eigenvalues, key=abs), rel=1e-4)
    assert len(calls) == 1
    assert all(p.grad is None for p in parameters)
    assert not found.requires_grad


def test_few_rounds_give_a_quotient_between_the_extremes_and_none_gives_0() -> None:
    p = normal(0, 4).requires_grad_()
    scale = torch.tensor([1.0, 2.0, 3.0, 4.0])
    values = [
        top_eigenvalue(lambda: (scale * p**2).sum() / 2, [p], n, torch.Generator().manual_seed(1)).item() for n in range(4)
    ]
    start = normal(1, 4).double()  # the draw of a generator with this seed
    for n in (1, 2, 3):
        x = start * scale.double() ** (n - 1)
        assert values[n] == pytest.approx(((x * scale * x).sum() / (x * x).sum()).item(), rel=1e-5)
    assert values[0] == 0


def test_top_eigenvalue_of_a_small_network_is_its_exact_hessians() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    with torch.no_grad():
        for seed, p in enumerate(network.parameters()):
            p.copy_(normal(seed + 20, *p.shape))
    x, y = normal(10, 6, 3), normal(11, 6, 2)
    vector = torch.cat([p.detach().flatten() for p in network.parameters()]).double()

    def of_vector(v: Tensor) -> Tensor:
        hidden = torch.tanh(x.double() @ v[:12].view(4, 3).T + v[12:16])
        return (hidden @ v[16:24].view(2, 4).T + v[24:] - y.double()).square().mean()

    exact = np.linalg.eigvalsh(hessian(of_vector, vector).numpy())
    found = top_eigenvalue(
        lambda: (network(x) - y).square().mean(), list(network.parameters()), 100, torch.Generator().manual_seed(0)
    )
    assert found.item() == pytest.approx(max(exact, key=abs), rel=1e-3)


def test_the_pull_is_the_gradient_of_the_squared_distance() -> None:
    start = [normal(0, 3, 2), normal(1, 4), normal(2, 2, 2)]
    hare = [normal(seed, *p.shape).requires_grad_() for seed, p in zip((3, 4, 5), start, strict=True)]
    for p in hare[:2]:
        p.grad = torch.full_like(p, 0.5)
    loss = 0.3 * sum(((p - p0) ** 2).sum() for p, p0 in zip(hare, start, strict=True))
    exact = torch.autograd.grad(loss, hare)
    values = [p.detach().clone() for p in hare]
    pull_gradient_(hare, start, 0.3)
    for p, gradient in zip(hare[:2], exact[:2], strict=True):
        torch.testing.assert_close(p.grad, 0.5 + gradient)
    assert hare[2].grad is None  # it does not learn
    assert all(torch.equal(p, value) for p, value in zip(hare, values, strict=True))
