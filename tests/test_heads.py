"""Heads of every form against NumPy; initial values, sizes, CReLU and layer norm of whole networks of the catalogue."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from agents.bases import BASES
from agents.catalogue import AGENTS
from agents.config import AgentConfig
from hare_tortoise.activation import Activation
from networks.heads import QHead
from networks.layers import Dense, NoisyLinear, each_of, factorised, in_one_product
from networks.qnetwork import QNetwork
from networks.settings import Encoder, Head, SelfPrediction
from tests.test_encoders import fill_, normalised
from tests.test_networks import arrays, count, generator, noisy, normal

ACTIONS = 18
NARROWED = {32: 23, 64: 45, 128: 91, 256: 181, 512: 362, 2048: 1448}  # divided by the root of 2, to the nearest


def network_of(c: AgentConfig, actions: int = ACTIONS) -> QNetwork:
    return QNetwork(c.encoder, c.head, c.prediction, actions, injectable=c.injection is not None)


def shape_of(name: str) -> QNetwork:
    """The network of agent `name` without storage: shapes alone, at once."""
    with torch.device("meta"):
        return network_of(AGENTS[name])


def activations(*modules: nn.Module | None) -> list[Activation]:
    return [m for module in modules if module is not None for m in module.modules() if isinstance(m, Activation)]


@pytest.mark.parametrize("atoms", [1, 5])
@pytest.mark.parametrize(("noise", "with_noise"), [(None, False), (0.8, False), (0.8, True)])
@pytest.mark.parametrize("dueling", ["last", "none"])
def test_a_head_of_one_stream_equals_numpy(dueling: str, noise: float | None, with_noise: bool, atoms: int) -> None:
    head = QHead(Head(dueling=dueling, hidden=6, noise=noise, atoms=atoms), 10, 3)
    fill_(head, 1)
    (stream,) = head.streams
    sizes = [10, 6, 6, 3 * atoms] + ([6, atoms] if dueling == "last" else [])
    assert head.noise_sizes == (sizes if noise is not None else [0] * len(sizes))
    x, eps = normal(2, 4, 10), normal(3, sum(sizes))
    found = head(x, head.noisy(eps) if with_noise else None).detach().numpy()

    p, parts = arrays(stream), np.split(factorised(eps).double().numpy(), np.cumsum(sizes)[:-1])
    pairs = [(parts[i], parts[i + 1]) if with_noise else None for i in range(0, len(sizes), 2)]
    hidden = np.maximum(noisy(p, "hidden.", x.double().numpy(), pairs[0]), 0)
    expected = noisy(p, "outputs.advantage.", hidden, pairs[1]).reshape(4, 3, atoms)
    if dueling == "last":
        value = noisy(p, "outputs.value.", hidden, pairs[2])
        expected = value[:, None] + expected - expected.mean(1, keepdims=True)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dueling", ["streams", "last", "none"])
@pytest.mark.parametrize("noise", [None, 0.5])
def test_a_projection_is_the_hidden_layers_alone(dueling: str, noise: float | None) -> None:
    """Without noise, without activation."""
    head = QHead(Head(dueling=dueling, hidden=6, noise=noise), 10, 3)
    fill_(head, 4)
    x, p = normal(5, 4, 10), arrays(head)
    names = ["streams.0.hidden.", "streams.1.hidden."] if dueling == "streams" else ["streams.0.hidden."]
    expected = np.concatenate([noisy(p, name, x.double().numpy(), None) for name in names], 1)
    assert (expected < 0).any()
    assert head.width == expected.shape[1]
    np.testing.assert_allclose(head.project(x).detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_a_dense_layer_takes_no_noise() -> None:
    layer = Dense(5, 7)
    fill_(layer, 6)
    x = normal(7, 4, 5)
    expected = x.double().numpy() @ layer.weight.detach().double().numpy().T + layer.bias.detach().double().numpy()
    for weights in (layer.means(), layer.noisy(normal(8, 5), normal(9, 7))):
        np.testing.assert_allclose(functional.linear(x, *weights).detach().numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("sizes", [(7,), (7, 3)])
def test_layers_in_one_product_are_the_same(sizes: tuple[int, ...]) -> None:
    """As a GPU computes them: values and gradients, in float64, beside the layers one by one."""
    x = normal(1, 4, 5).double().requires_grad_()
    drawn = [(normal(2 + i, size, 5), normal(6 + i, size)) for i, size in enumerate(sizes)]
    layers = [(weight.double().requires_grad_(), bias.double().requires_grad_()) for weight, bias in drawn]
    along = normal(10, 4, sum(sizes)).double()
    outputs = [torch.cat(list(form(x, layers)), 1) for form in (each_of, in_one_product)]
    found = [[y, *torch.autograd.grad(y, [x, *sum(layers, ())], along)] for y in outputs]
    expected = np.concatenate([x.detach().numpy() @ w.detach().numpy().T + b.detach().numpy() for w, b in layers], 1)
    np.testing.assert_allclose(found[0][0].detach().numpy(), expected, rtol=1e-12)
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_a_single_atom_is_the_value_itself() -> None:
    net = QNetwork(Encoder("data_efficient"), Head(dueling="last", hidden=8, noise=None, atoms=1), None, 3)
    logits = 30 * normal(10, 4, 3, 1)  # beyond the support, which means nothing here
    np.testing.assert_array_equal(net.values(logits).numpy(), logits.numpy()[:, :, 0])


@pytest.mark.parametrize("dueling", ["streams", "last", "none"])
def test_a_network_without_noisy_layers_draws_no_noise(dueling: str) -> None:
    g = generator(11)
    before = g.get_state()
    assert QNetwork(Encoder("data_efficient"), Head(dueling, 8, noise=None), None, 3).draw_noise(g) is None
    assert torch.equal(g.get_state(), before)
    noisy_net = QNetwork(Encoder("data_efficient"), Head("last", 8, noise=0.1), None, 3)
    assert len(noisy_net.draw_noise(g)) == 576 + 8 + 8 + 153 + 8 + 51


@pytest.mark.parametrize(("name", "layers"), [("spr_jax", 6), ("otrainbow", 5), ("drq", 6)])
def test_initial_values_of_xavier(name: str, layers: int) -> None:
    c = AGENTS[name]
    net = network_of(c)
    fill_(net, 12)
    net.initialise_(generator(13), c.initialisation)
    plain = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(plain) == layers
    for layer in plain:
        fan_out, fan_in, *area = layer.weight.shape
        bound = math.sqrt(6 / ((fan_in + fan_out) * math.prod(area)))
        largest = layer.weight.abs().max().item()
        assert (1 - 30 / layer.weight.numel()) * bound < largest <= bound * 1.00001
        assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)  # as of a uniform draw
        assert torch.all(layer.bias == 0)
    found = [m for m in net.modules() if isinstance(m, NoisyLinear)]
    assert len(found) == (3 if name == "spr_jax" else 0)
    for layer in found:
        fan_out, fan_in = layer.weight.shape
        assert 0.99 / math.sqrt(fan_in) < layer.weight.abs().max() <= 1.00001 / math.sqrt(fan_in)
        assert 0.8 / math.sqrt(fan_in) < layer.bias.abs().max() <= 1.00001 / math.sqrt(fan_in)
        assert torch.all(layer.weight_sigma == torch.tensor(0.5 / math.sqrt(fan_in)))
        assert torch.all(layer.bias_sigma == torch.tensor(0.5 / math.sqrt(fan_in)))


def test_which_fan_divides_the_noise_of_biases() -> None:
    for fan, size in (("fan_in", 400), ("fan_out", 100)):
        layer = NoisyLinear(400, 100, 0.5, fan)
        layer.initialise_(generator(14))
        assert torch.all(layer.bias_sigma == torch.tensor(0.5 / math.sqrt(size)))
        assert torch.all(layer.weight_sigma == torch.tensor(0.5 / math.sqrt(400)))


# With 18 actions, derived by hand; twice as many where a layer is noisy.
SIZES = {
    "bbf": {
        "encoder": 1_552_192,
        "head.streams.0.hidden": 31_721_472,  # 11 x 11 x 128 features
        "head.streams.0.outputs.advantage": 1_880_982,
        "head.streams.0.outputs.value": 104_499,
        "predictor": 4_196_352,
        "transition": 315_904,
        "": 39_771_401,
    },
    "spr_jax": {
        "encoder": 77_984,
        "head.streams.0.hidden": 2 * 3_965_440,  # 11 x 11 x 64 features
        "head.streams.0.outputs.advantage": 2 * 470_934,
        "head.streams.0.outputs.value": 2 * 26_163,
        "predictor": 262_656,
        "transition": 84_224,
        "": 9_349_938,
    },
    "der_dopamine": {"encoder": 77_984, "head.streams.0.hidden": 7_930_880, "": 9_003_058},
    "drq": {
        "encoder": 77_984,
        "head.streams.0.hidden": 3_965_440,
        "head.streams.0.outputs.advantage": 9_234,
        "head.streams.0.outputs.value": 513,
        "": 4_053_171,
    },
    "otrainbow": {
        "encoder": 77_984,
        "head.streams.0.hidden": 3_965_440,
        "head.streams.0.outputs.advantage": 470_934,
        "": 4_514_358,
    },
}


@pytest.mark.parametrize("name", list(SIZES))
def test_parameters_of_the_bases(name: str) -> None:
    net = shape_of(name)
    assert {part: count(net.get_submodule(part)) for part in SIZES[name]} == SIZES[name]


def test_parameters_of_spr_jax_without_noise() -> None:
    c = AGENTS["spr_jax"]
    with torch.device("meta"):
        net = QNetwork(c.encoder, Head("last", 512, noise=None), SelfPrediction(batch_norm=False), ACTIONS)
    assert [count(m) for m in (net.encoder, net.head.streams[0].hidden, net.predictor)] == [77_984, 3_965_440, 262_656]
    assert count(net) == 4_887_401


# Parameters with CReLU over those without. A layer between two activations keeps its size; output layers grow by the root of
# 2, which `der` with its small latents feels most, and the predictor, whose output is narrowed too, is halved.
CRELU = {
    "otrainbow": 1.038,
    "der": 1.176,
    "der_dopamine": 1.040,
    "drq": 0.995,
    "drq_eps": 0.995,
    "spr": 1.012,
    "spr_jax": 1.024,
    "sr_spr": 1.024,
    "bbf": 0.970,
    "plastic_dagger": 1.049,
}


@pytest.mark.parametrize("base", list(CRELU))
def test_crelu_narrows_every_layer_and_about_keeps_the_size(base: str) -> None:
    plain, both = shape_of(base), shape_of(f"{base}_crelu")
    pairs = list(zip(activations(plain), activations(both), strict=True))
    assert all(b.units == NARROWED[a.units] and b.concatenates and not a.concatenates for a, b in pairs)
    layers = [[m for m in net.modules() if isinstance(m, nn.Conv2d)] for net in (plain, both)]
    assert all(b.out_channels == NARROWED[a.out_channels] for a, b in zip(*layers, strict=True))
    for one, other in zip(plain.head.streams, both.head.streams, strict=True):
        assert len(other.hidden.bias) == NARROWED[len(one.hidden.bias)]
    assert count(both) / count(plain) == pytest.approx(CRELU[base], abs=0.001)


@pytest.mark.parametrize("base", [name for name, base in BASES.items() if not base.config.encoder.layer_norm])
def test_layer_norm_is_before_every_activation_of_encoder_and_head(base: str) -> None:
    plain, normed = shape_of(base), shape_of(f"{base}_ln")
    assert not any(isinstance(m, nn.GroupNorm) for m in plain.modules())
    found = activations(normed.encoder, normed.head)
    assert all(isinstance(a.norm, nn.GroupNorm) and a.norm.num_groups == 1 for a in found)
    assert len(found) == len(activations(plain.encoder, plain.head))
    assert sum(isinstance(m, nn.GroupNorm) for m in normed.modules()) == len(found)  # none in the transition model


@pytest.mark.parametrize("kind", ["data_efficient", "impala"])
def test_a_network_normalises_what_its_activations_get(kind: str) -> None:
    encoder = Encoder(kind, "same" if kind == "impala" else "valid", layer_norm=True)
    net = QNetwork(encoder, Head(hidden=8, layer_norm=True), None, 3)
    fill_(net, 15)
    calls: list[tuple[nn.GroupNorm, np.ndarray, np.ndarray]] = []
    for activation in activations(net):
        activation.register_forward_hook(lambda a, x, y: calls.append((a.norm, x[0].detach().numpy(), y.detach().numpy())))
    net.logits(net.encode(normal(16, 2, 4, 84, 84)), net.noisy(net.draw_noise(generator(17))))
    assert len(calls) == {"data_efficient": 2, "impala": 13}[kind] + 2
    for norm, x, y in calls:
        np.testing.assert_allclose(y, np.maximum(normalised(x.astype(np.float64), norm), 0), rtol=1e-3, atol=1e-4)
