"""What a hare is asked to lower: the loss of one batch."""

from typing import NamedTuple

import torch
from einops import rearrange
from torch import Generator, Tensor

from agents.config import AgentConfig
from agents.losses import categorical_td, huber_td, project_categorical, self_prediction
from hare_tortoise.step import output_penalty
from networks.augment import Jitter, draw_jitter, observe
from networks.qnetwork import Heads, QNetwork
from replay.batch import Batch, Sampler, uniform

Noise = tuple[Tensor | None, Tensor | None]
Aim = tuple[Tensor, Tensor]


class Clocks(NamedTuple):
    """What changes from update to update, on the device."""

    n: Tensor
    """int64 [], rewards in a return"""
    gamma: Tensor
    """float32 [], discount"""
    beta: Tensor
    """float32 [], importance exponent"""


class Chance(NamedTuple):
    """All that is random in an update."""

    rows: Tensor
    """float64 [B], uniform in [0, 1): which windows are drawn"""
    jitter: Jitter | None
    """of their observations, None without augmentation"""
    noise: Noise
    """of hare and tortoise"""


def draw(config: AgentConfig, networks: tuple[QNetwork, QNetwork], first: Generator, second: Generator) -> Chance:
    """What is random in an update of `networks`: rows from the `first` generator, all else from the `second`."""
    b = config.replay.batch_size
    rows = uniform(b, first)
    jitter = draw_jitter(config.augmentation, config.jumps + 2, b, second)
    hare, tortoise = (network.draw_noise(second) for network in networks)
    return Chance(rows, jitter, (hare, tortoise))


def look(config: AgentConfig, replay: Sampler, first: Tensor, clocks: Clocks, chance: Chance) -> tuple[Batch, Tensor]:
    """The batch that `chance` draws, and its observations, float32 [K + 2, B, 4, 84, 84].

    They begin at the frames `first`, int64 [K + 2].
    """
    batch = replay.sample(chance.rows, *clocks)
    return batch, observe(batch.frames, batch.visible, first, config.augmentation, chance.jitter)


class Objective(NamedTuple):
    """The loss of a batch of B windows, and what it is made of; only `loss` has a graph."""

    loss: Tensor
    """float32 [], what is differentiated"""
    td: Tensor
    """float32 [B], value loss of each window"""
    spr: Tensor
    """float32 [B], self-prediction loss, without its weight"""
    priority: Tensor
    """float32 [B], new priorities of the windows"""
    q: Tensor
    """float32 [], mean over the batch of the largest value"""
    aim: Aim
    """`targets`"""


def objective(
    config: AgentConfig,
    networks: tuple[QNetwork, QNetwork],
    batch: Batch,
    states: Tensor,
    noise: Noise,
    aim: Aim | None = None,
) -> Objective:
    """The loss of the hare of `networks`, hare and tortoise, on `batch`.

    `states` float32 [K + 2, B, 4, 84, 84] are the observations s_t .. s_{t+K}, s_{t+n}; `noise` the hare's and the tortoise's;
    `aim` what another pass over the batch had as targets: a sharpness-aware step moves the hare between its passes, not these.
    """
    hare, tortoise = networks
    weights = hare.noisy(noise[0]), tortoise.noisy(noise[1])
    target, goal = aim = targets(config, networks, batch, states[1:], weights) if aim is None else aim
    latent = hare.encode(states[0])
    logits = hare.logits(latent, weights[0])
    chosen = logits[torch.arange(len(batch.action), device=logits.device), batch.action[:, 0]]
    if config.head.atoms == 1:
        td = priority = huber_td(chosen.squeeze(1), target)
    else:
        td, divergence = categorical_td(chosen, target)
        priority = divergence if config.replay.priority == "kl" else td
    spr = torch.zeros_like(td)
    total = td
    if config.prediction is not None:
        spr = self_prediction(hare.predict(latent, batch.action), goal, batch.mask)
        total = total + config.prediction.weight * spr
    loss = (batch.weight * total).mean()
    loss = loss + output_penalty(logits, config.penalties.logits)
    q = hare.values(logits.detach()).amax(1).mean()
    return Objective(loss, td.detach(), spr.detach(), priority.detach(), q, aim)


@torch.no_grad()
def targets(
    config: AgentConfig, networks: tuple[QNetwork, QNetwork], batch: Batch, later: Tensor, weights: tuple[Heads, Heads]
) -> Aim:
    """What the losses aim at: returns, float32 [B, atoms] or [B] if they are means, and projections, float32 [K, B, width].

    `later` float32 [K + 1, B, 4, 84, 84] are the observations s_{t+1} .. s_{t+K}, s_{t+n}; `weights` the heads' of hare and
    tortoise.
    """
    (hare, tortoise), jumps, b = networks, len(later) - 1, later.shape[1]
    latent = tortoise.encode(rearrange(later, "s b c h w -> (s b) c h w"))
    logits = tortoise.logits(latent[-b:], weights[1])
    chooser = logits
    if config.target.double:
        chooser = hare.logits(latent[-b:] if config.shares_body else hare.encode(later[-1]), weights[0])
    best = hare.values(chooser).argmax(1)
    value = logits[torch.arange(b, device=logits.device), best]
    if config.head.atoms == 1:
        target = batch.ret + batch.discount * value.squeeze(1)
    else:
        target = project_categorical(value.softmax(1), tortoise.atoms, batch.ret, batch.discount)
    goal = rearrange(tortoise.project(latent[:-b]), "(k b) d -> k b d", b=b) if jumps else batch.mask
    return target, goal
