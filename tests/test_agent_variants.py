"""Whole updates of agents beyond `der` and `spr`, against the same updates written out in float64, sample by sample."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from agents.agent import Agent
from agents.config import AgentConfig, Penalties
from replay.batch import Batch
from tests.fake_replay import ACTIONS, SIZE, FakeReplay, random_batch, small
from tests.test_agent_update import ATOMS, check_gradients, noisy, observations, prepared, projected, renormalise
from tests.test_encoders import impala

Weights = dict[str, Tensor]
PADDED = ((2, 2), (1, 2), (1, 1))  # top (left) and bottom (right) of the three layers, as TensorFlow pads them
CONVOLUTIONS = {"data_efficient": ((5, (0, 0)), (5, (0, 0))), "nature": tuple(zip((4, 2, 1), PADDED, strict=True))}
# The layers of a head in the order of their noise.
LAYERS = {
    "streams": ("streams.0.hidden", "streams.0.outputs.advantage", "streams.1.hidden", "streams.1.outputs.value"),
    "last": ("streams.0.hidden", "streams.0.outputs.advantage", "streams.0.outputs.value"),
    "none": ("streams.0.hidden", "streams.0.outputs.advantage"),
}
RATE, EPSILON = 0.1, 1.0  # an Adam step nearly proportional to the gradient, and a decay that can be told from it


def encode(w: Weights, x: Tensor, config: AgentConfig) -> Tensor:
    if config.encoder.kind == "impala":
        x = impala(w, x, "encoder.")
    else:
        for i, (stride, (low, high)) in enumerate(CONVOLUTIONS[config.encoder.kind]):
            x = functional.pad(x, (low, high, low, high))
            x = functional.conv2d(x, w[f"encoder.{2 * i}.weight"], w[f"encoder.{2 * i}.bias"], stride).relu()
    return renormalise(x) if config.encoder.renormalise else x


def drawn(w: Weights, config: AgentConfig, g: torch.Generator) -> list[list[Tensor] | None]:
    """The input and output noise of each layer of the head; None for each if it takes none."""
    layers = LAYERS[config.head.dueling]
    if config.head.noise is None:
        return [None] * len(layers)
    sizes = [side for name in layers for side in reversed(w[f"head.{name}.weight"].shape)]
    x = torch.randn(sum(sizes), generator=g).double()
    parts = (x.sign() * x.abs().sqrt()).split(sizes)
    return [list(parts[i : i + 2]) for i in range(0, len(sizes), 2)]


def outputs(w: Weights, latent: Tensor, noise: list[list[Tensor] | None], config: AgentConfig) -> Tensor:
    """What the head gives, [M, A, atoms]."""
    eps = dict(zip(LAYERS[config.head.dueling], noise, strict=True))
    x = latent.flatten(1)
    found: Weights = {}
    for name in eps:
        if name.endswith("hidden"):
            hidden = noisy(w, name, x, eps[name]).relu()
        else:
            found[name.split(".")[-1]] = noisy(w, name, hidden, eps[name])
    advantage = found["advantage"].view(-1, ACTIONS, config.head.atoms)
    if config.head.dueling == "none":
        return advantage
    return found["value"][:, None] + advantage - advantage.mean(1, keepdim=True)


def means(logits: Tensor) -> Tensor:
    return logits[:, :, 0] if logits.shape[2] == 1 else logits.softmax(2) @ ATOMS


def huber(gap: float) -> float:
    return gap**2 / 2 if abs(gap) <= 1 else abs(gap) - 0.5


def transition(w: Weights, latent: Tensor, action: Tensor) -> Tensor:
    """As in the JAX agents, without batch normalisation."""
    planes = functional.one_hot(action, ACTIONS).double()[:, :, None, None].expand(-1, -1, *latent.shape[2:])
    x = torch.cat((latent, planes), 1)
    for name in ("first", "second"):
        x = functional.conv2d(x, w[f"transition.{name}.weight"], w[f"transition.{name}.bias"], padding=1).relu()
    return renormalise(x)


def predictions(hare: Weights, tortoise: Weights, states: Tensor, batch: Batch, config: AgentConfig) -> Tensor:
    """The self-prediction loss of each sample; a projection is the hidden layer of the one stream, without noise."""
    total, step = torch.zeros(SIZE, dtype=torch.float64), encode(hare, states[0], config)
    jumps = len(batch.mask)
    for k in range(jumps):
        step = transition(hare, step, batch.action[:, k])
        guess = noisy(hare, "streams.0.hidden", step.flatten(1), None)
        guess = guess @ hare["predictor.weight"].T + hare["predictor.bias"]
        goal = noisy(tortoise, "streams.0.hidden", encode(tortoise, states[k + 1], config).flatten(1), None)
        total = total + batch.mask[k] * (2 - 2 * functional.cosine_similarity(guess, goal)) / jumps
    return total


def td_losses(chosen: Tensor, value: Tensor, batch: Batch) -> Tensor:
    """Of outputs `chosen` and of the tortoise's `value` of the best next actions, both [B, atoms]; [B]."""
    ret, discount = batch.ret.tolist(), batch.discount.tolist()
    if chosen.shape[1] == 1:
        gaps = [chosen[b, 0] - ret[b] - discount[b] * value[b, 0] for b in range(SIZE)]
        assert {abs(gap.item()) > 1 for gap in gaps} == {True, False}, "the example must have both branches of the loss"
        return torch.stack([huber(gap) for gap in gaps])
    target = [projected(value[b].softmax(0), ret[b], discount[b]) for b in range(SIZE)]
    return torch.stack([-(target[b] * chosen[b].log_softmax(0)).sum() for b in range(SIZE)])


def twin(agent: Agent, batch: Batch) -> dict[str, Tensor]:
    """What the next update of `agent` on `batch` should measure, and the gradients before clipping, by parameter name."""
    c, g = agent.config, torch.Generator()
    g.set_state(agent.state_dict()["generators"]["learning"])
    hare = {name: value.detach().double().requires_grad_() for name, value in agent.hare.named_parameters()}
    tortoise = {name: value.detach().double() for name, value in agent.tortoise.named_parameters()}
    start = {name: value.detach().double() for name, value in agent.initial.named_parameters()}
    states = observations(batch, c, g)
    noise, other = drawn(hare, c, g), drawn(tortoise, c, g)
    rows = torch.arange(SIZE)

    with torch.no_grad():
        theirs = outputs(tortoise, encode(tortoise, states[-1], c), other, c)
        latent, silent = encode(hare, states[-1], c), [None] * len(noise)
        choices = [means(x).argmax(1) for x in (outputs(hare, latent, noise, c), theirs, outputs(hare, latent, silent, c))]
        best = choices[0 if c.target.double else 1]
        others = [x for x in choices if x is not best][: 1 if c.head.noise is None else 2]
        told = all(((x != best) & (batch.discount > 0)).any() for x in others)
        assert told, "the example must tell the hare's choice, with its noise, from the tortoise's"
        value = theirs[rows, best]
    every = outputs(hare, encode(hare, states[0], c), noise, c)
    td = td_losses(every[rows, batch.action[:, 0]], value, batch)
    spr = predictions(hare, tortoise, states, batch, c) if c.prediction is not None else torch.zeros_like(td)
    weight = c.prediction.weight if c.prediction is not None else 0
    loss = (batch.weight * (td + weight * spr)).sum() / SIZE
    loss = loss + c.penalties.logits * (every**2).sum() / every.numel()
    gradients = torch.autograd.grad(loss, list(hare.values()))
    pulled = {
        f"gradient {name}": gradient + 2 * c.penalties.initial * (hare[name].detach() - start[name])
        for (name, gradient) in zip(hare, gradients, strict=True)
    }
    q = means(every).amax(1).mean()
    return {"td": td.detach(), "spr": spr.detach(), "loss": loss.detach(), "q": q.detach(), **pulled}


def changed(name: str, clip: float | None = None, **changes: object) -> AgentConfig:
    """A small version of the agent `name`, as noisy as it takes to tell its noise."""
    c = small(name, **changes)
    assert c.optimizer is not None
    noise = 1.0 if c.head.noise is not None else None
    return replace(
        c,
        head=replace(c.head, noise=noise),
        encoder=replace(c.encoder, width=1),
        optimizer=replace(c.optimizer, learning_rate=RATE, epsilon=EPSILON, clip=clip),
    )


CASES = {
    "drq": changed("drq"),
    "otrainbow": changed("otrainbow"),
    "der_dopamine": changed("der_dopamine"),
    "spr_jax": changed("spr_jax"),
    "bbf": changed("bbf"),
    "der": changed("der"),
    "outputs": changed("der", penalties=Penalties(logits=10.0)),
    "initial": changed("der", penalties=Penalties(initial=0.05)),
    "both, clipped": changed("der", 0.3, penalties=Penalties(initial=0.05, logits=10.0)),
    "bbf, clipped": changed("bbf", 0.3, penalties=Penalties(initial=0.05)),
}


def moved(config: AgentConfig, seed: int) -> Agent:
    """An agent of which hare, tortoise and initial weights all differ, and no bias is 0."""
    agent, g = prepared(config, seed), torch.Generator().manual_seed(seed + 1)
    assert bool((agent.initial.encoder[0].bias == 0).all()) == (config.initialisation == "xavier")
    with torch.no_grad():
        for p in agent.hare.parameters():
            p += 0.05 * torch.randn(p.shape, generator=g)
    return agent


def windows(config: AgentConfig, seed: int) -> Batch:
    """A batch whose discounts are not those of the configuration: n and gamma may have been annealed when it was drawn."""
    batch, g = random_batch(config, seed), torch.Generator().manual_seed(seed)
    return replace(batch, discount=(batch.discount > 0) * (0.7 + 0.3 * torch.rand(SIZE, generator=g)))


# Two examples of each that tell who chooses the next action.
SEEDS = {"drq": (1, 3), "otrainbow": (2, 3), "der_dopamine": (3, 6), "spr_jax": (2, 4)}


@pytest.mark.parametrize(
    ("case", "seed"),
    [
        pytest.param(case, seed, marks=[pytest.mark.slow] if (case, seed) in (("bbf", 2), ("bbf, clipped", 1)) else [])
        for case in CASES
        for seed in SEEDS.get(case, (1, 2))
    ],
)
def test_an_update_equals_its_float64_twin(case: str, seed: int) -> None:
    config = CASES[case]
    agent, batch = moved(config, seed), windows(config, seed)
    expected = twin(agent, batch)
    before = {key: value.detach().double().clone() for key, value in agent.hare.named_parameters()}
    replay = FakeReplay([batch])
    agent.update(replay)

    index, priority = replay.written[0]
    assert torch.equal(index, batch.index)
    np.testing.assert_allclose(priority.numpy(), expected["td"].numpy(), rtol=1e-3, atol=1e-4)
    metrics = agent.metrics()
    assert metrics["loss"] == pytest.approx(expected["loss"].item(), rel=1e-4)
    assert metrics["td_loss"] == pytest.approx(expected["td"].mean().item(), rel=1e-4)
    assert metrics["q"] == pytest.approx(expected["q"].item(), rel=1e-3, abs=1e-4)
    if config.prediction is not None:
        assert metrics["spr_loss"] == pytest.approx(expected["spr"].mean().item(), rel=1e-4)
    clip = config.optimizer.clip or math.inf
    norm = check_gradients(agent, expected, clip)
    assert metrics["grad_norm"] == pytest.approx(norm, rel=1e-3)
    assert norm > clip or math.isinf(clip)  # else nothing would be clipped

    decay = 0.1 if case.startswith("bbf") else 0.0
    for key, parameter in agent.hare.named_parameters():  # Adam's first step: the corrected moments are g and g^2
        grad = parameter.grad.double()
        kept = 1 - RATE * decay if parameter.ndim != 1 else 1
        step = kept * before[key] - RATE * grad / (grad.abs() + EPSILON)
        np.testing.assert_allclose(parameter.detach().double().numpy(), step.numpy(), atol=1e-6, rtol=1e-5, err_msg=key)
