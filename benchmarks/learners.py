"""What is timed: agents with something to learn from, and how many floating-point operations an update is."""

from dataclasses import replace
from functools import cache

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from agents.agent import Agent
from agents.config import AgentConfig
from agents.engine import WARMUP, check_execution, configure
from agents.execution import Execution
from benchmarks.timing import duration
from experiment.device import keep_freed_memory
from replay.batch import Rule, Window
from replay.buffer import ReplayBuffer

ACTIONS = 9
FEW = 2  # windows in the batch that is counted: work is proportional to them
Learner = tuple[Agent, ReplayBuffer, float]


def random_row(num_actions: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """What `ReplayBuffer.append` takes, for one lane; a game is over in one row of a hundred."""
    frame = torch.randint(256, (1, 84, 84), dtype=torch.uint8, generator=generator)
    action = torch.randint(num_actions, (1,), generator=generator)
    reward = torch.randn(1, generator=generator).clamp(-1, 1)
    return frame, action, reward, torch.rand(1, generator=generator) < 0.01, torch.zeros(1, dtype=torch.bool)


def filled(config: AgentConfig, num_actions: int, rows: int, device: torch.device) -> ReplayBuffer:
    """A replay for `config`, full with `rows` random rows."""
    replay = ReplayBuffer(rows, 1, Window(config.target.n_max, config.jumps), Rule(config.replay.alpha), device=device, seed=0)
    generator = torch.Generator().manual_seed(0)
    for _ in range(rows):
        replay.append(*random_row(num_actions, generator))
    return replay


def learner(config: AgentConfig, device: torch.device, execution: Execution = Execution()) -> Learner:
    """An agent that has learnt a little, so that all is compiled and recorded; its replay; and the seconds which that took.

    ValueError if `device` cannot do what `execution` asks.
    """
    check_execution(execution, device)
    configure(execution, device)
    keep_freed_memory()  # as in a run
    agent, replay = Agent(config, ACTIONS, device=device, seed=0, execution=execution), filled(config, ACTIONS, 2_000, device)
    updates = WARMUP + 1
    return agent, replay, updates * duration(lambda: agent.update(replay), updates)


@cache
def flops_of_an_update(config: AgentConfig, num_actions: int) -> float:
    """Floating-point operations of an update as torch counts them: convolutions and matrix products, forwards and backwards."""
    few = replace(config, replay=replace(config.replay, batch_size=FEW))
    agent = Agent(few, num_actions, device="cpu", seed=0)
    replay = filled(few, num_actions, 64, torch.device("cpu"))
    with FlopCounterMode(display=False) as counter:
        agent.update(replay)
    return counter.get_total_flops() * config.replay.batch_size / FEW
