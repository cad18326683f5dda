"""Layers, head, encoders, initial values and sizes of the Q-network, against NumPy and hand-derived numbers."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from agents.catalogue import AGENTS
from hare_tortoise.activation import Activation
from hare_tortoise.network import parts
from networks.encoders import Convolution, build_encoder
from networks.heads import QHead
from networks.layers import NoisyLinear, factorised
from networks.qnetwork import QNetwork
from networks.settings import Encoder, Head, SelfPrediction

Arrays = dict[str, np.ndarray]


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=generator(seed))


def arrays(module: nn.Module) -> Arrays:
    return {name: value.detach().double().numpy() for name, value in module.named_parameters()}


def noisy(p: Arrays, prefix: str, x: np.ndarray, noise: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
    """The textbook noisy layer: the perturbed weight matrix is formed."""
    weight, bias = p[prefix + "weight"], p[prefix + "bias"]
    if noise is not None:
        weight = weight + p[prefix + "weight_sigma"] * np.outer(noise[1], noise[0])
        bias = bias + p[prefix + "bias_sigma"] * noise[1]
    return x @ weight.T + bias


def network(prediction: SelfPrediction | None = None, seed: int = 0) -> QNetwork:
    net = QNetwork(Encoder("data_efficient"), Head(hidden=8), prediction, 3)
    net.initialise_(generator(seed))
    return net


@pytest.mark.parametrize("with_noise", [True, False])
def test_noisy_linear_equals_the_perturbed_matrix(with_noise: bool) -> None:
    layer = NoisyLinear(5, 7, 0.5, "fan_out")
    layer.initialise_(generator(0))
    x, out = normal(1, 4, 5).requires_grad_(), normal(2, 4, 7)
    noise = (normal(3, 5), normal(4, 7)) if with_noise else None
    eps = tuple(n.double().numpy() for n in noise) if noise is not None else None
    y = functional.linear(x, *layer.noisy(*noise)) if noise is not None else layer(x)
    (y * out).sum().backward()

    p, r = arrays(layer), out.double().numpy()
    np.testing.assert_allclose(y.detach().numpy(), noisy(p, "", x.detach().double().numpy(), eps), rtol=1e-4, atol=1e-6)
    by_weight, by_bias = r.T @ x.detach().double().numpy(), r.sum(0)
    np.testing.assert_allclose(layer.weight.grad.numpy(), by_weight, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer.bias.grad.numpy(), by_bias, rtol=1e-4, atol=1e-5)
    if eps is None:
        assert layer.weight_sigma.grad is None
        assert layer.bias_sigma.grad is None
        return
    np.testing.assert_allclose(layer.weight_sigma.grad.numpy(), by_weight * np.outer(eps[1], eps[0]), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer.bias_sigma.grad.numpy(), by_bias * eps[1], rtol=1e-4, atol=1e-5)
    by_x = r @ (p["weight"] + p["weight_sigma"] * np.outer(eps[1], eps[0]))
    np.testing.assert_allclose(x.grad.numpy(), by_x, rtol=1e-4, atol=1e-5)


def test_noise_is_the_signed_root_of_a_normal_draw() -> None:
    x = normal(5, 1000).double().numpy()
    noise = factorised(normal(5, 1000))
    assert noise.dtype == torch.float32
    np.testing.assert_allclose(noise.numpy(), np.sign(x) * np.sqrt(np.abs(x)), rtol=1e-5)


def test_noise_of_a_network_is_one_draw_for_each_input_and_output() -> None:
    net = network()
    assert net.head.noise_sizes == [576, 8, 8, 3 * 51, 576, 8, 8, 51]
    noise = net.draw_noise(generator(1))
    assert torch.equal(noise, normal(1, 576 + 8 + 8 + 153 + 576 + 8 + 8 + 51))
    assert not torch.equal(noise, net.draw_noise(generator(2)))


def test_initial_values_of_a_noisy_layer() -> None:
    layer = NoisyLinear(400, 100, 0.5, "fan_out")
    layer.initialise_(generator(0))
    bound = 1 / math.sqrt(400)
    assert 0.99 * bound < layer.weight.abs().max() <= bound
    assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.01)  # as of a uniform draw
    assert 0.9 * bound < layer.bias.abs().max() <= bound
    assert torch.all(layer.weight_sigma == torch.tensor(0.5 / math.sqrt(400)))
    assert torch.all(layer.bias_sigma == torch.tensor(0.5 / math.sqrt(100)))


@pytest.mark.parametrize("with_noise", [True, False])
@pytest.mark.smoke
def test_dueling_head_equals_numpy(with_noise: bool) -> None:
    head = QHead(Head(hidden=6, noise=0.8, atoms=5), 10, 3)
    sizes = [10, 6, 6, 15, 10, 6, 6, 5]
    first, second = head.streams
    for seed, layer in enumerate((first.hidden, first.outputs["advantage"], second.hidden, second.outputs["value"])):
        layer.initialise_(generator(seed))
    x, noise = normal(7, 4, 10), normal(8, sum(sizes))
    logits = head(x, head.noisy(noise) if with_noise else None).detach().numpy()

    p, eps = arrays(head), np.split(factorised(noise).double().numpy(), np.cumsum(sizes)[:-1])
    pairs = [(eps[i], eps[i + 1]) if with_noise else None for i in range(0, 8, 2)]
    hidden = np.maximum(noisy(p, "streams.0.hidden.", x.double().numpy(), pairs[0]), 0)
    advantage = noisy(p, "streams.0.outputs.advantage.", hidden, pairs[1]).reshape(4, 3, 5)
    hidden = np.maximum(noisy(p, "streams.1.hidden.", x.double().numpy(), pairs[2]), 0)
    value = noisy(p, "streams.1.outputs.value.", hidden, pairs[3])
    np.testing.assert_allclose(logits, value[:, None] + advantage - advantage.mean(1, keepdims=True), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(logits.mean(1), value, rtol=1e-4, atol=1e-5)  # the advantages cancel


def test_values_are_the_means_of_the_distributions() -> None:
    logits = normal(9, 4, 3, 51)
    atoms = -10 + 0.4 * np.arange(51)
    probs = np.exp(logits.double().numpy())
    probs /= probs.sum(2, keepdims=True)
    np.testing.assert_allclose(network().values(logits).numpy(), (probs * atoms).sum(2), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kind", "shape"), [("data_efficient", (64, 3, 3)), ("nature", (64, 7, 7))])
def test_encoder_shapes(kind: str, shape: tuple[int, ...]) -> None:
    latent = build_encoder(Encoder(kind))(torch.zeros(2, 4, 84, 84))
    assert tuple(latent.shape) == (2, *shape)
    assert latent.flatten(1).shape[1] == {"data_efficient": 576, "nature": 3136}[kind]


LAYERS = {
    "data_efficient": [(4, 32, 5, 5), (32, 64, 5, 5)],
    "nature": [(4, 32, 8, 4), (32, 64, 4, 2), (64, 64, 3, 1)],
}


@pytest.mark.parametrize("kind", list(LAYERS))
def test_an_encoder_is_relu_convolutions_without_padding(kind: str) -> None:
    layers = list(build_encoder(Encoder(kind)))
    found = [(c.in_channels, c.out_channels, c.kernel_size[0], c.stride[0]) for c in layers[::2]]
    assert found == LAYERS[kind]
    assert all(c.padding == (0, 0) and c.odd == 0 and c.dilation == (1, 1) and c.groups == 1 for c in layers[::2])
    assert [type(layer) for layer in layers] == [Convolution, Activation] * len(found)


def noisy_size(fan_in: int, fan_out: int) -> int:
    return 2 * (fan_in * fan_out + fan_out)  # mu and sigma


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("actions", [3, 18])
def test_parameters_of_der(actions: int) -> None:
    c = AGENTS["der"]
    net = QNetwork(c.encoder, c.head, c.prediction, actions)
    encoder = (4 * 25 * 32 + 32) + (32 * 25 * 64 + 64)
    streams = 2 * noisy_size(576, 256)
    outputs = noisy_size(256, actions * 51) + noisy_size(256, 51)
    assert count(net.encoder) == encoder == 54_496
    assert count(net) == encoder + streams + outputs


@pytest.mark.parametrize("actions", [3, 18])
def test_parameters_of_spr(actions: int) -> None:
    c = AGENTS["spr"]
    net = QNetwork(c.encoder, c.head, c.prediction, actions)
    encoder = (4 * 64 * 32 + 32) + (32 * 16 * 64 + 64) + (64 * 9 * 64 + 64)
    streams = 2 * noisy_size(3136, 256)
    outputs = noisy_size(256, actions * 51) + noisy_size(256, 51)
    transition = ((64 + actions) * 9 * 64 + 64) + (64 + 64) + (64 * 9 * 64 + 64)  # convolution, batch norm, convolution
    predictor = 512 * 512 + 512
    assert count(net.encoder) == encoder == 77_984
    assert count(net.predictor) == predictor == 262_656
    assert count(net.transition) == transition
    assert count(net) == encoder + streams + outputs + transition + predictor


@pytest.mark.parametrize("prediction", [None, SelfPrediction()])
def test_parts_share_out_every_parameter_once(prediction: SelfPrediction | None) -> None:
    net = network(prediction)
    shares = parts(net)
    ids = [id(p) for part in shares.values() for p in part]
    assert sorted(ids) == sorted(id(p) for p in net.parameters())
    body = [net.encoder, net.transition] if prediction is not None else [net.encoder]
    assert set(shares) == {"body", "neck", "head"}
    outputs = [layer for stream in net.head.streams for layer in stream.outputs.values()]
    assert {id(p) for p in shares["head"]} == {id(p) for layer in outputs for p in layer.parameters()}
    assert {id(p) for p in shares["body"]} == {id(p) for module in body for p in module.parameters()}


def test_initial_values_depend_on_their_generator_alone() -> None:
    networks = []
    for seed in (0, 1):
        net = QNetwork(Encoder("data_efficient"), Head(hidden=8), SelfPrediction(), 3)
        torch.manual_seed(seed)
        for p in net.parameters():
            nn.init.constant_(p, float(seed))  # what was there before must not matter
        before = torch.get_rng_state()
        net.initialise_(generator(5))
        assert torch.equal(before, torch.get_rng_state())
        networks.append(net)
    first, second = (list(net.parameters()) for net in networks)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    other = network(SelfPrediction(), seed=6)
    names = [name for name, p in other.named_parameters() if torch.equal(p, networks[0].get_parameter(name))]
    assert all("sigma" in name or "norm" in name for name in names)  # those are constants


def test_initial_bounds_are_those_of_pytorch() -> None:
    c = AGENTS["spr"]
    net = QNetwork(c.encoder, c.head, c.prediction, 6)
    net.initialise_(generator(0))
    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == 6
    for layer in layers:
        weights, biases = layer.weight.abs().max().item(), layer.bias.abs().max().item()
        bound = 1 / math.sqrt(layer.weight[0].numel())
        with torch.random.fork_rng():
            torch.manual_seed(1)
            layer.reset_parameters()  # PyTorch's own draw
        assert 0.99 * bound < layer.weight.abs().max() <= bound * 1.00001
        assert 0.99 * bound < weights <= bound * 1.00001
        assert 0.8 * bound < layer.bias.abs().max() <= bound * 1.00001
        assert 0.8 * bound < biases <= bound * 1.00001
    assert torch.all(net.transition.norm.weight == 1)
    assert torch.all(net.transition.norm.bias == 0)
