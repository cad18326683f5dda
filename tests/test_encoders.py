"""Encoders and activations: padding, pools, residual blocks, CReLU and layer norm, against NumPy and hand-derived numbers."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hare_tortoise.activation import Activation
from networks.encoders import Convolution, Residual, build_encoder, by_blocks
from networks.settings import Encoder, Head
from tests.test_networks import normal

# kernel, stride, side, then the output's side and the padding at the top (left) and the bottom (right), by hand
PADDED = [
    (8, 4, 84, 21, 2, 2),
    (4, 2, 21, 11, 1, 2),
    (3, 1, 11, 11, 1, 1),
    (5, 5, 84, 17, 0, 1),
    (5, 5, 17, 4, 1, 2),
    (3, 2, 84, 42, 0, 1),
    (4, 2, 10, 5, 1, 1),
    (2, 1, 6, 6, 0, 1),
    (2, 3, 7, 3, 0, 1),
    (1, 3, 6, 2, 0, 0),  # the windows leave pixels out: nothing to pad
]
POOLS = [(84, 42, 0, 1), (42, 21, 0, 1), (21, 11, 1, 1)]  # side, the output's side, padding at the top and the bottom


def fill_(module: nn.Module, seed: int) -> None:
    """Normal weights of such a size that signals keep theirs, and biases that are not 0."""
    with torch.no_grad():
        for i, p in enumerate(module.parameters()):
            p.copy_(normal(100 * seed + i, *p.shape) / math.sqrt(p[0].numel() if p.ndim > 1 else 10))


def padded(x: np.ndarray, low: int, high: int, value: float) -> np.ndarray:
    return np.pad(x, ((0, 0), (0, 0), (low, high), (low, high)), constant_values=value)


def slow_convolution(x: np.ndarray, layer: nn.Conv2d, out: int) -> np.ndarray:
    """The sum of each window times the weights, window by window; the first `out` rows and columns of them."""
    weight, bias = layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()
    kernel, stride = weight.shape[2], layer.stride[0]
    y = np.empty((len(x), len(weight), out, out))
    for i in range(out):
        for j in range(out):
            window = x[:, :, i * stride : i * stride + kernel, j * stride : j * stride + kernel]
            y[:, :, i, j] = np.tensordot(window, weight, ([1, 2, 3], [1, 2, 3])) + bias
    return y


def slow_pool(x: np.ndarray, out: int) -> np.ndarray:
    """The largest of each 3x3 window, every second of them."""
    y = np.empty((*x.shape[:2], out, out))
    for i in range(out):
        for j in range(out):
            y[:, :, i, j] = x[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max((2, 3))
    return y


def impala(w: dict[str, Tensor], x: Tensor, prefix: str = "") -> Tensor:
    """The residual encoder (Espeholt et al. 2018) as plain functions of the weights `w`; pools padded by hand."""

    def convolution(name: str, x: Tensor) -> Tensor:
        return functional.conv2d(x, w[f"{prefix}{name}.weight"], w[f"{prefix}{name}.bias"], padding=1)

    for stage, (_, _, low, high) in enumerate(POOLS):
        x = convolution(f"{4 * stage}", x)
        x = functional.max_pool2d(functional.pad(x, (low, high, low, high), value=-math.inf), 3, 2)
        for block in (4 * stage + 2, 4 * stage + 3):
            x = x + convolution(f"{block}.second", convolution(f"{block}.first", x.relu()).relu())
    return x.relu()


@pytest.mark.parametrize(("kernel", "stride", "side", "out", "low", "high"), PADDED)
def test_same_padding_is_that_of_tensorflow(kernel: int, stride: int, side: int, out: int, low: int, high: int) -> None:
    layer = Convolution(2, 3, kernel, stride, side)
    fill_(layer, 1)
    x = normal(2, 2, 2, side, side)
    y, given = layer(x).detach().numpy(), x.double().numpy()
    assert y.shape == (2, 3, out, out)
    np.testing.assert_allclose(y, slow_convolution(padded(given, low, high, 0), layer, out), rtol=1e-4, atol=1e-4)
    if low != high:  # the odd pixel at the top and the left is another convolution
        moved = slow_convolution(padded(given, high, low, 0), layer, out)
        assert not np.allclose(y, moved, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(("kernel", "stride", "side"), [(8, 4, 84), (4, 2, 20), (3, 1, 9), (5, 5, 84)])
def test_without_padding_only_whole_windows_count(kernel: int, stride: int, side: int) -> None:
    layer = Convolution(2, 3, kernel, stride, None)
    fill_(layer, 3)
    x, out = normal(4, 1, 2, side, side), (side - kernel) // stride + 1
    expected = slow_convolution(x.double().numpy(), layer, out)
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_pools_of_the_residual_encoder_never_see_their_padding(stage: int) -> None:
    pools = [layer for layer in build_encoder(Encoder("impala", "same")) if isinstance(layer, nn.MaxPool2d)]
    assert len(pools) == 3
    side, out, low, high = POOLS[stage]
    x = -1 - normal(5, 2, 3, side, side).abs()  # below 0 throughout: a padding of zeros would win
    y, given = pools[stage](x).numpy(), x.numpy()
    np.testing.assert_array_equal(y, slow_pool(padded(given, low, high, -math.inf), out))
    assert not np.array_equal(y, slow_pool(padded(given, low, high, 0), out))
    if low != high:  # the windows begin at the first pixel
        assert not np.array_equal(y, slow_pool(padded(given, high, low, -math.inf), out))


@pytest.mark.parametrize("width", [1, 2])
def test_the_residual_encoder_equals_plain_functions(width: int) -> None:
    encoder = build_encoder(Encoder("impala", "same", width)).double()
    fill_(encoder, 6)
    x = normal(7, 2, 4, 84, 84).double()
    y = encoder(x).detach()
    assert y.shape == (2, 32 * width, 11, 11)
    assert (y == 0).any()  # the last ReLU has something to do
    np.testing.assert_allclose(y.numpy(), impala(encoder.state_dict(), x).numpy(), rtol=1e-9, atol=1e-9)


def test_the_residual_encoder_has_fifteen_layers() -> None:
    found = [c for c in build_encoder(Encoder("impala", "same", 4)).modules() if isinstance(c, nn.Conv2d)]
    wide = [(4, 64), *[(64, 64)] * 4, (64, 128), *[(128, 128)] * 4, (128, 128), *[(128, 128)] * 4]
    assert [(c.in_channels, c.out_channels) for c in found] == wide
    assert all(c.kernel_size == (3, 3) and c.stride == (1, 1) and c.padding == (1, 1) for c in found)
    assert len(found) == 15


SHAPES = [
    (Encoder("data_efficient"), (64, 3, 3)),
    (Encoder("data_efficient", "same"), (64, 4, 4)),  # 84, 17, 4
    (Encoder("nature"), (64, 7, 7)),
    (Encoder("nature", "same"), (64, 11, 11)),
    (Encoder("nature", "same", 2), (128, 11, 11)),
    (Encoder("impala", "same", 4), (128, 11, 11)),
    (Encoder("data_efficient", activation="crelu"), (90, 3, 3)),  # twice 45, 64 over the root of 2
    (Encoder("nature", "same", activation="crelu"), (90, 11, 11)),
    (Encoder("impala", "same", 4, activation="crelu"), (182, 11, 11)),  # twice 91, 128 over the root of 2
]


@pytest.mark.parametrize(("settings", "shape"), SHAPES)
def test_shapes_of_the_latents(settings: Encoder, shape: tuple[int, ...]) -> None:
    with torch.device("meta"):
        latent = build_encoder(settings)(torch.empty(2, 4, 84, 84))
    assert tuple(latent.shape) == (2, *shape)


@pytest.mark.parametrize(
    ("kind", "sides", "pads"),
    [
        ("data_efficient", [(84, 17), (17, 4)], [(0, 1), (1, 2)]),
        ("nature", [(84, 21), (21, 11), (11, 11)], [(2, 2), (1, 2), (1, 1)]),
        ("impala", [(84, 42), (42, 21), (21, 11)], []),
    ],
)
def test_padded_layers_are_told_the_side_of_their_own_input(kind: str, sides: list, pads: list) -> None:
    """A layer padded for another size than it gets would pass all tests of single layers."""
    encoder = build_encoder(Encoder(kind, "same"))
    found: list[tuple[int, int]] = []
    for layer in encoder:
        if isinstance(layer, Convolution | nn.MaxPool2d):
            layer.register_forward_hook(lambda _layer, x, y: found.append((x[0].shape[-1], y.shape[-1])))
    encoder(torch.zeros(1, 4, 84, 84))
    assert found == sides
    assert [(c.padding[0], c.padding[1] + c.odd) for c in encoder if isinstance(c, Convolution)] == pads


@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 4, 4)])
def test_crelu_is_both_signs_side_by_side(shape: tuple[int, ...]) -> None:
    activation, x = Activation(5, "crelu"), normal(8, *shape)
    y = activation(x).numpy()
    np.testing.assert_array_equal(y, np.concatenate((np.maximum(x.numpy(), 0), np.maximum(-x.numpy(), 0)), 1))
    assert activation.units == 5
    assert activation.width == 10
    plain = Activation(5, "relu")
    np.testing.assert_array_equal(plain(x).numpy(), np.maximum(x.numpy(), 0))
    assert plain.width == 5


def normalised(x: np.ndarray, norm: nn.GroupNorm) -> np.ndarray:
    """Each sample of `x` less its mean over all features, over its standard deviation, with a gain and a bias a channel."""
    axes, spread = tuple(range(1, x.ndim)), (1, -1) + (1,) * (x.ndim - 2)
    x = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    return x * norm.weight.detach().numpy().reshape(spread) + norm.bias.detach().numpy().reshape(spread)


@pytest.mark.parametrize("settings", [Encoder(layer_norm=True), Head(layer_norm=True, activation="crelu")])
@pytest.mark.parametrize("shape", [(3, 6), (3, 6, 4, 5)])
def test_layer_norm_is_over_all_features_of_a_sample(shape: tuple[int, ...], settings: Encoder | Head) -> None:
    activation = Activation(6, settings.activation, layer_norm=settings.layer_norm)
    fill_(activation, 9)
    x = 3 + 2 * normal(10, *shape)  # neither centred nor of unit size
    z = normalised(x.double().numpy(), activation.norm)
    z = np.concatenate((z, -z), 1) if activation.concatenates else z
    np.testing.assert_allclose(activation(x).detach().numpy(), np.maximum(z, 0), rtol=1e-4, atol=1e-4)


def test_a_residual_block_normalises_before_each_of_its_activations() -> None:
    block = Residual(4, Encoder("impala", "same", layer_norm=True)).double()
    fill_(block, 11)
    x = normal(12, 2, 4, 6, 6).double()
    y = x.numpy()
    for activation, layer in ((block.before, block.first), (block.between, block.second)):
        y = slow_convolution(padded(np.maximum(normalised(y, activation.norm), 0), 1, 1, 0), layer, 6)
    np.testing.assert_allclose(block(x).detach().numpy(), x.numpy() + y, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("kernel", "stride", "side", "padding"), [(5, 5, 84, 0), (5, 5, 16, 0), (8, 4, 84, 0), (4, 2, 20, 0), (8, 4, 84, 2)]
)
def test_a_convolution_by_blocks_is_the_same(kernel: int, stride: int, side: int, padding: int) -> None:
    """As a GPU computes those that are strided: values and gradients, in float64."""
    g = torch.Generator().manual_seed(0)
    x, weight, bias = (
        torch.randn(*size, generator=g, dtype=torch.float64, requires_grad=True)
        for size in ((2, 3, side, side), (5, 3, kernel, kernel), (5,))
    )
    expected = functional.conv2d(x, weight, bias, stride, padding)
    found = by_blocks(x, weight, bias, stride, padding)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    along = torch.randn(expected.shape, generator=g, dtype=torch.float64)
    for mine, other in zip(*(torch.autograd.grad(y, (x, weight, bias), along) for y in (found, expected)), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-12, atol=1e-12)
