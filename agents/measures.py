"""How much an agent can still learn: measurements of its networks on a batch from its replay."""

import torch
from torch import Tensor

from agents.agent import Agent
from agents.engine import casting
from agents.objective import objective
from networks.augment import observe
from networks.plasticity import distance, dormancy, effective_ranks, recorded, share, top_eigenvalue
from replay.batch import Source, first_frames

SIZE = 256  # states in a measurement; no rank of theirs can be larger
TAU = 0.025  # threshold of dormancy (Sokar et al. 2023)


def measure(agent: Agent, replay: Source, seed: int, hessian_rounds: int = 0) -> dict[str, float]:
    """Measurements of the hare of `agent`. Waits for the device; changes nothing.

    On 256 states from replay: dormant, dead: share of hidden units with a dormancy score of at most 0.025 and 0;
    zero_activations: share of activations that are 0; srank, entropy_rank: effective ranks of the last hidden layer. Of the
    weights: weight_norm; initial_distance, from the weights at the start; tortoise_distance. On one training batch, of the
    whole loss with its penalties, in the precision of updates: gradient_norm, before any clipping; zero_gradients: share of
    the parameters whose gradient is 0; with `hessian_rounds` hessian, the eigenvalue of the largest size of its Hessian.

    The batches are drawn from `seed`; the agent's own random streams are not touched.
    """
    generator = torch.Generator(agent.device).manual_seed(seed)
    found = {**_activations(agent, replay, generator), **_weights(agent), **_loss(agent, replay, generator, hessian_rounds)}
    return dict(zip(found, torch.stack(list(found.values())).tolist(), strict=True))


@torch.no_grad()
def _activations(agent: Agent, replay: Source, generator: torch.Generator) -> dict[str, Tensor]:
    batch = agent.draw(replay, SIZE, generator)
    state = observe(batch.frames, batch.visible[:1], first_frames(0, agent.device)[:1], None, generator)[0]
    units = agent.hare.units()
    with recorded([layer.activation for layer in units]) as found:
        agent.hare.logits(agent.hare.encode(state), None)
    scores = [dormancy(a, layer.activation.concatenates) for a, layer in zip(found, units, strict=True)]
    features = torch.cat(found[-len(agent.hare.learning_head.streams) :], 1)
    srank, entropy_rank = effective_ranks(features)
    return {
        "dormant": share(score <= TAU for score in scores),
        "dead": share(score <= 0 for score in scores),
        "zero_activations": share(activation == 0 for activation in found),
        "srank": srank,
        "entropy_rank": entropy_rank,
    }


@torch.no_grad()
def _weights(agent: Agent) -> dict[str, Tensor]:
    hare = list(agent.hare.parameters())
    return {
        "weight_norm": distance(hare),
        "initial_distance": distance(hare, agent.initial.parameters()),
        "tortoise_distance": distance(hare, agent.tortoise.parameters()),
    }


def _loss(agent: Agent, replay: Source, generator: torch.Generator, rounds: int) -> dict[str, Tensor]:
    config = agent.config
    batch = agent.draw(replay, config.replay.batch_size, generator)
    states = observe(batch.frames, batch.visible, first_frames(config.jumps, agent.device), config.augmentation, generator)
    noise = agent.hare.draw_noise(generator), agent.tortoise.draw_noise(generator)
    learns = [p for p in agent.hare.parameters() if p.requires_grad]

    def loss() -> Tensor:
        with casting(agent.execution, agent.device):
            found = objective(config, agent.hare, agent.tortoise, batch, states, noise).loss
        if config.penalties.initial:
            pairs = zip(agent.hare.parameters(), agent.initial.parameters(), strict=True)
            away = [(p - q).square().sum() for p, q in pairs if p.requires_grad]
            found = found + config.penalties.initial * torch.stack(away).sum()
        return found

    gradient = torch.autograd.grad(loss(), learns)
    found = {"gradient_norm": distance(gradient), "zero_gradients": share(g == 0 for g in gradient)}
    if rounds:
        found["hessian"] = top_eigenvalue(loss, learns, rounds, generator)
    return found
