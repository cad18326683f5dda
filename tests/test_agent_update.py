"""One whole update of an agent against the same update written out in float64, sample by sample."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from agents.agent import Agent
from agents.config import AgentConfig, Optimizer
from networks.settings import Augmentation
from replay.batch import Batch
from tests.fake_replay import ACTIONS, SIZE, FakeReplay, random_batch, small

Weights = dict[str, Tensor]
Noise = list[Tensor] | None
STRIDES = {"data_efficient": (5, 5), "nature": (4, 2, 1)}
ATOMS = torch.linspace(-10, 10, 51, dtype=torch.float64)
HIDDEN = 16
ADVANTAGE_HIDDEN, ADVANTAGE = "streams.0.hidden", "streams.0.outputs.advantage"
VALUE_HIDDEN, VALUE = "streams.1.hidden", "streams.1.outputs.value"


def observations(batch: Batch, config: AgentConfig, g: torch.Generator) -> Tensor:
    """s_t .. s_{t+K} and s_{t+n}, float64 [S, B, 4, 84, 84], shifted and scaled one by one."""
    count, size = batch.visible.shape[:2]
    first = [*range(count - 1), count + 2]
    aug = config.augmentation or Augmentation(pad=0, intensity=0)
    if config.augmentation is not None:
        shift = torch.randint(2 * aug.pad + 1, (2, count, size), generator=g)
        gain = 1 + aug.intensity * torch.randn(count, size, generator=g).clamp(-2, 2).double()
    else:
        shift, gain = torch.zeros(2, count, size, dtype=torch.int64), torch.ones(count, size)
    out = torch.zeros(count, size, 4, 84, 84, dtype=torch.float64)
    for s in range(count):
        for b in range(size):
            stack = batch.frames[b, first[s] : first[s] + 4].numpy()
            stack = np.pad(stack, ((0, 0), (aug.pad, aug.pad), (aug.pad, aug.pad)), mode="edge")
            row, column = shift[:, s, b].tolist()
            crop = torch.from_numpy(stack[:, row : row + 84, column : column + 84]).double() / 255
            out[s, b] = crop * batch.visible[s, b].view(4, 1, 1) * gain[s, b]
    return out


def noise_of(g: torch.Generator, features: int) -> list[Tensor]:
    """Input and output noise of the four noisy layers."""
    sizes = [features, HIDDEN, HIDDEN, ACTIONS * 51, features, HIDDEN, HIDDEN, 51]
    x = torch.randn(sum(sizes), generator=g).double()
    return list((x.sign() * x.abs().sqrt()).split(sizes))


def renormalise(latent: Tensor) -> Tensor:
    low, high = latent.amin((1, 2, 3), keepdim=True), latent.amax((1, 2, 3), keepdim=True)
    return (latent - low) / (high - low + 1e-5)


def encode(w: Weights, x: Tensor, config: AgentConfig) -> Tensor:
    for i, stride in enumerate(STRIDES[config.encoder.kind]):
        x = functional.conv2d(x, w[f"encoder.{2 * i}.weight"], w[f"encoder.{2 * i}.bias"], stride).relu()
    return renormalise(x) if config.encoder.renormalise else x


def noisy(w: Weights, name: str, x: Tensor, noise: Noise) -> Tensor:
    weight, bias = w[f"head.{name}.weight"], w[f"head.{name}.bias"]
    if noise is not None:
        weight = weight + w[f"head.{name}.weight_sigma"] * torch.outer(noise[1], noise[0])
        bias = bias + w[f"head.{name}.bias_sigma"] * noise[1]
    return x @ weight.T + bias


def distributions(w: Weights, latent: Tensor, noise: Noise) -> Tensor:
    """Log probabilities, [M, A, 51]."""
    x = latent.flatten(1)
    pairs = [noise[i : i + 2] for i in range(0, 8, 2)] if noise is not None else [None] * 4
    advantage = noisy(w, ADVANTAGE, noisy(w, ADVANTAGE_HIDDEN, x, pairs[0]).relu(), pairs[1]).view(-1, ACTIONS, 51)
    value = noisy(w, VALUE, noisy(w, VALUE_HIDDEN, x, pairs[2]).relu(), pairs[3])
    return (value[:, None] + advantage - advantage.mean(1, keepdim=True)).log_softmax(2)


def project(w: Weights, latent: Tensor) -> Tensor:
    x = latent.flatten(1)
    return torch.cat((noisy(w, ADVANTAGE_HIDDEN, x, None), noisy(w, VALUE_HIDDEN, x, None)), 1)


def transition(w: Weights, latent: Tensor, action: Tensor) -> Tensor:
    planes = functional.one_hot(action, ACTIONS).double()[:, :, None, None].expand(-1, -1, *latent.shape[2:])
    x = torch.cat((latent, planes), 1)
    x = functional.conv2d(x, w["transition.first.weight"], w["transition.first.bias"], padding=1).relu()
    x = (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), keepdim=True, unbiased=False) + 1e-5).sqrt()
    x = x * w["transition.norm.weight"].view(1, -1, 1, 1) + w["transition.norm.bias"].view(1, -1, 1, 1)
    x = functional.conv2d(x, w["transition.second.weight"], w["transition.second.bias"], padding=1).relu()
    return renormalise(x)


def projected(probs: Tensor, ret: float, discount: float) -> Tensor:
    """The distribution of ret + discount * z, atom by atom, with the floor and ceiling of Bellemare et al. (2017)."""
    out = torch.zeros(51, dtype=torch.float64)
    for atom, p in zip(ATOMS.tolist(), probs.tolist(), strict=True):
        at = (min(max(ret + discount * atom, -10), 10) + 10) / 0.4
        low = min(int(at), 49)
        out[low] += p * (low + 1 - at)
        out[low + 1] += p * (at - low)
    return out


def check_choices_differ(hare: Weights, tortoise: Weights, x: Tensor, batch: Batch, best: Tensor, config: AgentConfig) -> None:
    """The example must tell the hare's noisy choice from its mean weights' and from the tortoise's."""
    for weights in (hare, tortoise):
        other = (distributions(weights, encode(weights, x, config), None).exp() @ ATOMS).argmax(1)
        assert ((other != best) & (batch.discount > 0)).any()


def twin(agent: Agent, batch: Batch) -> dict[str, Tensor]:
    """What the next update of `agent` on `batch` should measure, and the gradients before clipping, by parameter name."""
    config = agent.config
    g = torch.Generator()
    g.set_state(agent.state_dict()["generators"]["learning"])
    hare = {name: value.detach().double().requires_grad_() for name, value in agent.hare.named_parameters()}
    tortoise = {name: value.detach().double() for name, value in agent.tortoise.named_parameters()}
    states = observations(batch, config, g)
    features = 576 if config.encoder.kind == "data_efficient" else 3136
    noise, other = noise_of(g, features), noise_of(g, features)

    with torch.no_grad():
        best = (distributions(hare, encode(hare, states[-1], config), noise).exp() @ ATOMS).argmax(1)
        check_choices_differ(hare, tortoise, states[-1], batch, best, config)
        probs = distributions(tortoise, encode(tortoise, states[-1], config), other).exp()
        target = torch.stack([projected(probs[b, best[b]], batch.ret[b].item(), batch.discount[b].item()) for b in range(SIZE)])
    latent = encode(hare, states[0], config)
    logs = distributions(hare, latent, noise)
    cross_entropy = -torch.stack([(target[b] * logs[b, batch.action[b, 0]]).sum() for b in range(SIZE)])
    spr = torch.zeros(SIZE, dtype=torch.float64)
    step = latent
    for k in range(batch.mask.shape[0]):
        step = transition(hare, step, batch.action[:, k])
        guess = project(hare, step) @ hare["predictor.weight"].T + hare["predictor.bias"]
        goal = project(tortoise, encode(tortoise, states[k + 1], config))
        spr = spr + batch.mask[k] * (2 - 2 * functional.cosine_similarity(guess, goal)) / batch.mask.shape[0]

    td, prediction = (batch.weight * cross_entropy).mean(), (batch.weight * spr).mean()
    weight = config.prediction.weight if config.prediction is not None else 0
    by_td = torch.autograd.grad(td, list(hare.values()), retain_graph=True, allow_unused=True)
    by_spr = torch.autograd.grad(prediction, list(hare.values()), allow_unused=True) if weight else [None] * len(hare)
    gradient = {}
    for (name, value), one, two in zip(hare.items(), by_td, by_spr, strict=True):
        scale = config.head.gradient_scale if name.startswith("encoder.") else 1
        zero = torch.zeros_like(value)
        gradient[name] = scale * (one if one is not None else zero) + weight * (two if two is not None else zero)
    entropy = -torch.special.xlogy(target, target).sum(1)
    return {
        "cross_entropy": cross_entropy.detach(),
        "kl": (cross_entropy - entropy).detach(),
        "spr": spr.detach(),
        "loss": (td + weight * prediction).detach(),
        "q": (logs.exp() @ ATOMS).amax(1).mean().detach(),
        **{f"gradient {name}": value for name, value in gradient.items()},
    }


def prepared(config: AgentConfig, seed: int) -> Agent:
    """An agent whose tortoise is not a copy of its hare, and has not followed it in every update."""
    config = replace(config, tortoise=replace(config.tortoise, every=max(config.tortoise.every, 2)))
    agent = Agent(config, ACTIONS, device="cpu", seed=seed)
    g = torch.Generator().manual_seed(seed)
    for p in agent.tortoise.parameters():
        p += 0.05 * torch.randn(p.shape, generator=g)
    return agent


def check_gradients(agent: Agent, expected: dict[str, Tensor], clip: float) -> float:
    """Gradients after clipping by groups; the norm before it of encoder and head together."""
    named = dict(agent.hare.named_parameters())
    groups = {"transition.": ("transition.",), "encoder.": ("encoder.", "head."), "head.": ("encoder.", "head.")}
    norms = {}
    for name, parameter in named.items():
        group = next((members for prefix, members in groups.items() if name.startswith(prefix)), None)
        factor = 1.0
        if group is not None:
            norm = sum(expected[f"gradient {other}"].square().sum().item() for other in named if other.startswith(group)) ** 0.5
            norms[group] = norm
            factor = min(1.0, clip / norm)
        grad = factor * expected[f"gradient {name}"]
        scale = grad.abs().max().item()
        np.testing.assert_allclose(parameter.grad.double().numpy(), grad.numpy(), rtol=1e-3, atol=1e-3 * scale, err_msg=name)
    return norms["encoder.", "head."]


@pytest.mark.parametrize("clip", [1e6, 0.3])
@pytest.mark.parametrize(("name", "seed"), [("der", 4), ("der", 11), ("spr", 5), ("spr", 6)])
@pytest.mark.smoke
def test_an_update_equals_its_float64_twin(name: str, seed: int, clip: float) -> None:
    config = small(name, optimizer=Optimizer(learning_rate=1e-3, epsilon=1e-2, clip=clip))
    config = replace(config, head=replace(config.head, noise=1.0), tortoise=replace(config.tortoise, every=1000))
    agent, batch = prepared(config, seed), random_batch(config, seed)
    expected = twin(agent, batch)
    before = {key: value.detach().double().clone() for key, value in agent.hare.named_parameters()}
    replay = FakeReplay([batch])
    agent.update(replay)

    index, priority = replay.written[0]
    assert torch.equal(index, batch.index)
    kind = {"der": "cross_entropy", "spr": "kl"}[name]
    np.testing.assert_allclose(priority.numpy(), expected[kind].numpy(), rtol=1e-3, atol=1e-4)
    metrics = agent.metrics()
    assert metrics["loss"] == pytest.approx(expected["loss"].item(), rel=1e-4)
    assert metrics["td_loss"] == pytest.approx(expected["cross_entropy"].mean().item(), rel=1e-4)
    assert metrics["q"] == pytest.approx(expected["q"].item(), rel=1e-3, abs=1e-4)
    if name == "spr":
        assert metrics["spr_loss"] == pytest.approx(expected["spr"].mean().item(), rel=1e-4)
    assert metrics["grad_norm"] == pytest.approx(check_gradients(agent, expected, clip), rel=1e-3)
    for key, parameter in agent.hare.named_parameters():  # Adam's first step: the corrected moments are g and g^2
        grad = parameter.grad.double()
        step = 1e-3 * grad / (grad.abs() + 1e-2)
        np.testing.assert_allclose(parameter.detach().double().numpy(), (before[key] - step).numpy(), atol=1e-6, err_msg=key)
