"""How much an agent can still learn: measurements of its networks on a batch from its replay."""

import torch
from torch import Tensor

from agents.agent import Agent
from agents.engine import casting
from agents.objective import draw, objective
from hare_tortoise.measure import activations, of_gradient, of_units, of_weights, to_floats, top_eigenvalue
from hare_tortoise.step import weight_penalty
from networks.augment import observe
from replay.batch import Sampler, first_frames

SIZE = 256  # states in a measurement; no rank of theirs can be larger


def measure(agent: Agent, replay: Sampler, seed: int, hessian_rounds: int = 0) -> dict[str, float]:
    """Measurements of the hare of `agent`. Waits for the device; changes nothing.

    On 256 states from replay: dormant, dead: share of hidden units with a dormancy score of at most 0.025 and 0;
    zero_activations: share of activations that are 0; srank, entropy_rank: effective ranks of the last hidden layer. Of the
    weights: weight_norm; initial_distance, from the weights at the start; tortoise_distance. On one training batch, of the
    whole loss with its penalties, in the precision of updates: gradient_norm, before any clipping; zero_gradients: share of
    the parameters whose gradient is 0; with `hessian_rounds` hessian, the eigenvalue of the largest size of its Hessian.

    The batches are drawn from `seed`; the agent's own random streams are not touched.
    """
    generator = torch.Generator(agent.device).manual_seed(seed)
    units = _units(agent, replay, generator)
    weights = of_weights(agent.hare, agent.initial, agent.tortoise)
    return to_floats({**units, **weights, **_loss(agent, replay, generator, hessian_rounds)})


@torch.no_grad()
def _units(agent: Agent, replay: Sampler, generator: torch.Generator) -> dict[str, Tensor]:
    batch = replay.sample(SIZE, *agent.clocks, generator)
    state = observe(batch.frames, batch.visible[:1], first_frames(0, agent.device)[:1], None, generator)[0]
    outputs = activations(agent.hare, state)
    return of_units(agent.hare.layers(), outputs, torch.cat(outputs[-len(agent.hare.learning_head.streams) :], 1))


def _loss(agent: Agent, replay: Sampler, generator: torch.Generator, rounds: int) -> dict[str, Tensor]:
    config = agent.config
    first = first_frames(config.jumps, agent.device)
    networks, generators = (agent.hare, agent.tortoise), (generator, generator)
    batch, states, noise = draw(config, networks, replay, first, agent.clocks, generators)
    learns = [p for p in agent.hare.parameters() if p.requires_grad]

    def loss() -> Tensor:
        with casting(agent.execution, agent.device):
            value = objective(config, agent.hare, agent.tortoise, batch, states, noise).loss
        return value + weight_penalty(agent.hare, agent.initial, config.penalties)

    measured = of_gradient(loss, learns)
    if rounds:
        measured["hessian"] = top_eigenvalue(loss, learns, rounds, generator)
    return measured
