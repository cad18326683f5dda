"""Measurements of plasticity against loops in NumPy, exact Hessians and autograd."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hare_tortoise.activation import Activation
from hare_tortoise.measure import distance, dormancy, effective_ranks, of_loss, of_weights, outputs_of, share, to_row
from hare_tortoise.network import Layer, Network
from hare_tortoise.step import pull_gradient_


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def naive_scores(activation: Tensor, units: int) -> list[float]:
    """Mean size of each unit over its mean over the layer, one unit at a time; all 0 of a layer that is silent."""
    a = activation.double().numpy()
    sizes = []
    for unit in range(units):
        channels = range(unit, a.shape[1], units)  # under CReLU the second half of a unit stands `units` further on
        sizes.append(float(sum(np.abs(a[:, channel]).mean() for channel in channels)))
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


class TwoLayers(Network):
    """y = B (A x): its loss is y, whose gradients are B' x' for A and (A x)' for B."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(2, 2), nn.Linear(2, 1, bias=False)
        with torch.no_grad():
            self.first.weight.copy_(torch.tensor([[1.0, 2.0], [2.0, 4.0]]))
            self.first.bias.zero_()
            self.last.weight.copy_(torch.tensor([[3.0, 4.0]]))

    def part_of(self, name: str) -> str:
        return "body" if name.startswith("first.") else "head"

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.first(x))


def test_norms_of_two_layers_by_hand() -> None:
    network, start = TwoLayers(), TwoLayers()
    with torch.no_grad():
        start.last.weight += torch.tensor([[2.0, 0.0]])
    x = torch.tensor([[2.0, 0.0]])  # the hidden units are 2 and 4
    row = to_row(of_weights(network, start, None) | of_loss(lambda: network(x).sum(), network), network)
    assert row.pop("layers") == {
        "first": pytest.approx({"weight_norm": 25**0.5, "gradient_norm": (6**2 + 8**2 + 3**2 + 4**2) ** 0.5}),
        "last": pytest.approx({"weight_norm": 5, "gradient_norm": 20**0.5}),
    }
    assert [row.pop(f"weight_norm{part}") for part in ("", "_body", "_head")] == pytest.approx([50**0.5, 5, 5])
    assert [row.pop(f"gradient_norm{part}") for part in ("", "_body", "_head")] == pytest.approx([145**0.5, 125**0.5, 20**0.5])
    assert row == pytest.approx({"initial_distance": 2, "zero_gradients": 2 / 8})  # nothing comes from the second pixel


def test_what_does_not_learn_has_a_norm_and_no_gradient() -> None:
    network, x = TwoLayers(), torch.tensor([[2.0, 0.0]])
    network.first.requires_grad_(False)
    row = to_row(of_weights(network, network, network) | of_loss(lambda: network(x).sum(), network), network)
    assert row["layers"] == {"first": {"weight_norm": 5.0}, "last": pytest.approx({"weight_norm": 5, "gradient_norm": 20**0.5})}
    assert row["gradient_norm"] == row["gradient_norm_head"]
    assert (row["initial_distance"], row["tortoise_distance"]) == (0, 0)


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
