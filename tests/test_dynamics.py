"""What self-prediction adds to a network: transition model, projection, and the paths that gradients take."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from networks.dynamics import TransitionModel
from networks.encoders import renormalise
from networks.qnetwork import QNetwork
from networks.settings import Encoder, Head, SelfPrediction

ACTIONS = 3


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def network(gradient_scale: float = 1.0, batch_norm: bool = True) -> QNetwork:
    net = QNetwork(
        Encoder("data_efficient", renormalise=True),
        Head(hidden=8, noise=0.5, gradient_scale=gradient_scale),
        SelfPrediction(batch_norm=batch_norm),
        ACTIONS,
    )
    net.initialise_(torch.Generator().manual_seed(0))
    return net


def numpy_renormalise(latent: np.ndarray) -> np.ndarray:
    low, high = latent.min((1, 2, 3), keepdims=True), latent.max((1, 2, 3), keepdims=True)
    return (latent - low) / (high - low + 1e-5)


def functional_transition(p: dict[str, Tensor], latent: Tensor, action: Tensor, batch_norm: bool) -> Tensor:
    """The transition model once more, in float64 and step by step."""
    b, _, h, w = latent.shape
    planes = torch.zeros(b, ACTIONS, h, w, dtype=torch.float64)
    for i in range(b):
        planes[i, action[i]] = 1
    x = functional.conv2d(torch.cat((latent, planes), 1), p["first.weight"], p["first.bias"], padding=1).relu()
    if batch_norm:
        mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, unbiased=False)
        x = (x - mean) / (variance + 1e-5).sqrt()
        x = x * p["norm.weight"].view(1, -1, 1, 1) + p["norm.bias"].view(1, -1, 1, 1)
    x = functional.conv2d(x, p["second.weight"], p["second.bias"], padding=1).relu()
    return torch.from_numpy(numpy_renormalise(x.numpy()))


@pytest.mark.parametrize("batch_norm", [True, False])
def test_the_transition_model_equals_a_functional_twin(batch_norm: bool) -> None:
    model = TransitionModel(6, ACTIONS, Encoder(), batch_norm).requires_grad_(False)
    for seed, p in enumerate(model.parameters()):
        p.copy_(0.3 * normal(seed, *p.shape) + (p.dim() == 1))  # batch norm's scale and shift are not 1 and 0
    latent, action = normal(20, 4, 6, 5, 5), torch.tensor([[0, 2], [1, 1], [2, 0], [0, 0]])
    later = model(latent, action)
    assert later.shape == (8, 6, 5, 5)

    p = {name: value.double() for name, value in model.named_parameters()}
    first = functional_transition(p, latent.double(), action[:, 0], batch_norm)
    second = functional_transition(p, first, action[:, 1], batch_norm)
    np.testing.assert_allclose(later.numpy(), torch.cat((first, second)).numpy(), rtol=1e-3, atol=1e-5)


def test_the_transition_model_keeps_no_running_statistics() -> None:
    model = TransitionModel(6, ACTIONS, Encoder(), batch_norm=True)
    assert list(model.buffers()) == []


def test_renormalise_equals_numpy() -> None:
    latent = 10 * normal(1, 4, 6, 5, 5) + 3
    latent[2] = 7.0  # a flat latent
    scaled = renormalise(latent).numpy()
    np.testing.assert_allclose(scaled, numpy_renormalise(latent.double().numpy()), rtol=1e-4, atol=1e-6)
    assert np.all(scaled[2] == 0)
    assert np.all(scaled >= 0)
    assert scaled[[0, 1, 3]].max((1, 2, 3)) == pytest.approx(1, abs=1e-5)


def test_encode_renormalises_only_if_told() -> None:
    x = normal(2, 2, 4, 84, 84).abs()
    on = network()
    off = QNetwork(Encoder("data_efficient"), Head(hidden=8), None, ACTIONS)
    off.encoder.load_state_dict(on.encoder.state_dict())
    raw = off.encode(x)
    assert torch.equal(raw, off.encoder(x))
    assert torch.equal(on.encode(x), renormalise(raw))
    assert not torch.equal(on.encode(x), raw)


def test_project_has_neither_noise_nor_relu() -> None:
    net = network()
    latent = normal(3, 4, 64, 3, 3)
    projected = net.project(latent).detach().numpy()
    x = latent.flatten(1).double().numpy()
    layers = [stream.hidden for stream in net.head.streams]
    hidden = [x @ m.weight.detach().double().numpy().T + m.bias.detach().double().numpy() for m in layers]
    np.testing.assert_allclose(projected, np.concatenate(hidden, 1), rtol=1e-4, atol=1e-5)
    assert projected.shape == (4, net.head.width)
    assert (projected < 0).any()


def test_predict_is_predictor_of_projection_of_the_unrolled_latents() -> None:
    net = network()
    latent, action = normal(4, 4, 64, 3, 3), torch.tensor([[0, 2], [1, 1], [2, 0], [0, 0]])
    predicted = net.predict(latent, action)
    assert predicted.shape == (2, 4, 16)
    step = latent
    for k in range(2):
        step = net.transition(step, action[:, k : k + 1])
        expected = net.project(step) @ net.predictor.weight.T + net.predictor.bias
        torch.testing.assert_close(predicted[k], expected, rtol=1e-4, atol=1e-5)


def gradients(net: QNetwork, loss: Tensor) -> dict[str, Tensor]:
    net.zero_grad()
    loss.backward()
    return {name: p.grad for name, p in net.named_parameters() if p.grad is not None}


def test_the_gradient_scale_reaches_the_encoder_and_nothing_else() -> None:
    whole, scaled = network(), network(gradient_scale=2**-0.5)
    x, out = normal(5, 2, 4, 84, 84).abs(), normal(6, 2, ACTIONS, 51)
    noise = whole.draw_noise(torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        scaled.logits(scaled.encode(x), scaled.noisy(noise)), whole.logits(whole.encode(x), whole.noisy(noise))
    )
    by_name = gradients(whole, (whole.logits(whole.encode(x), whole.noisy(noise)) * out).sum())
    halved = gradients(scaled, (scaled.logits(scaled.encode(x), scaled.noisy(noise)) * out).sum())
    assert any(name.startswith("encoder") for name in by_name)
    for name, grad in by_name.items():
        factor = 2**-0.5 if name.startswith("encoder.") else 1
        torch.testing.assert_close(halved[name], factor * grad, rtol=1e-4, atol=1e-5, msg=name)


def test_the_gradient_of_self_prediction_is_not_scaled() -> None:
    whole, scaled = network(), network(gradient_scale=2**-0.5)
    x, action = normal(5, 2, 4, 84, 84).abs(), torch.tensor([[0, 1], [2, 2]])
    one, two = (gradients(net, net.predict(net.encode(x), action).square().sum()) for net in (whole, scaled))
    assert one.keys() == two.keys()
    assert any(name.startswith("encoder") for name in one)
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-5, atol=1e-6, msg=name)
