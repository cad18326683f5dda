"""How much an agent can still learn: measurements of its networks on a batch from its replay."""

from typing import Any

import torch
from torch import Tensor

from agents.agent import Agent
from agents.engine import casting
from agents.objective import draw, look, objective
from hare_tortoise.measure import activations, of_loss, of_units, of_weights, to_row
from hare_tortoise.step import weight_penalty
from networks.augment import observe
from replay.batch import Sampler, first_frames, uniform

SIZE = 256  # states in a measurement; no rank of theirs can be larger


def measure(agent: Agent, replay: Sampler, seed: int, hessian_rounds: int = 0) -> dict[str, Any]:
    """Measurements of the hare of `agent`. Waits for the device; changes nothing.

    On 256 states from replay: dormant, dead: share of hidden units with a dormancy score of at most 0.025 and 0;
    zero_activations: share of activations that are 0; srank, entropy_rank: effective ranks of the last hidden layer. Of the
    weights: weight_norm; initial_distance, from the weights at the start; tortoise_distance. On one training batch, of the
    whole loss with its penalties, in the precision of updates: gradient_norm, before any clipping; zero_gradients: share of
    the parameters whose gradient is 0; with `hessian_rounds` hessian, the eigenvalue of the largest size of its Hessian. Both
    norms are told of each part too, as weight_norm_body, and under `layers` of each layer by its name in the state dict.

    The batches are drawn from `seed`; the agent's own random streams are not touched.
    """
    generator = torch.Generator(agent.device).manual_seed(seed)
    units = _units(agent, replay, generator)
    weights = of_weights(agent.hare, agent.initial, agent.tortoise)
    return to_row({**units, **weights, **_loss(agent, replay, generator, hessian_rounds)}, agent.hare)


@torch.no_grad()
def _units(agent: Agent, replay: Sampler, generator: torch.Generator) -> dict[str, Tensor]:
    batch = replay.sample(uniform(SIZE, generator), *agent.clocks)
    state = observe(batch.frames, batch.visible[:1], first_frames(0, agent.device)[:1])[0]
    outputs = activations(agent.hare, state)
    return of_units(agent.hare.layers(), outputs, torch.cat(outputs[-len(agent.hare.learning_head.streams) :], 1))


def _loss(agent: Agent, replay: Sampler, generator: torch.Generator, rounds: int) -> dict[str, Tensor]:
    config = agent.config
    first = first_frames(config.jumps, agent.device)
    chance = draw(config, (agent.hare, agent.tortoise), generator, generator)
    batch, states = look(config, replay, first, agent.clocks, chance)

    def loss() -> Tensor:
        with casting(agent.execution, agent.device):
            value = objective(config, (agent.hare, agent.tortoise), batch, states, chance.noise).loss
        return value + weight_penalty(agent.hare, agent.initial, config.penalties)

    return of_loss(loss, agent.hare, rounds)
