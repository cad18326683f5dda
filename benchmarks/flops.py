"""Work counted: the floating-point operations of an update, and the rate at which this machine multiplies matrices."""

import time
from dataclasses import replace
from functools import cache

import torch
from torch.utils.flop_counter import FlopCounterMode

from agents.agent import Agent
from agents.config import AgentConfig
from replay.batch import Rule, Window
from replay.buffer import ReplayBuffer

FEW = 2  # windows in the batch that is counted: work is proportional to them


def filled(config: AgentConfig, num_actions: int, rows: int, device: torch.device) -> ReplayBuffer:
    """A replay for `config` with `rows` random rows and a game over every hundred or so."""
    replay = ReplayBuffer(rows, 1, Window(config.target.n_max, config.jumps), Rule(config.replay.alpha), device=device, seed=0)
    generator = torch.Generator().manual_seed(0)
    for _ in range(rows):
        frame = torch.randint(256, (1, 84, 84), dtype=torch.uint8, generator=generator)
        action = torch.randint(num_actions, (1,), generator=generator)
        reward = torch.randn(1, generator=generator).clamp(-1, 1)
        replay.append(frame, action, reward, torch.rand(1, generator=generator) < 0.01, torch.zeros(1, dtype=torch.bool))
    return replay


@cache
def flops_of_an_update(config: AgentConfig, num_actions: int) -> float:
    """Floating-point operations of an update as torch counts them: convolutions and matrix products, forwards and backwards."""
    few = replace(config, replay=replace(config.replay, batch_size=FEW))
    agent = Agent(few, num_actions, device="cpu", seed=0)
    replay = filled(few, num_actions, 64, torch.device("cpu"))
    with FlopCounterMode(display=False) as counter:
        agent.update(replay)
    return counter.get_total_flops() * config.replay.batch_size / FEW


def matrix_peak(device: torch.device, size: int = 2048, rounds: int = 10) -> float:
    """The best rate seen in float32 products of two `size` x `size` matrices, in operations a second."""
    a, b = torch.rand(2, size, size, device=device)
    best = 0.0
    for _ in range(rounds):
        start = time.perf_counter()
        c = a @ b
        float(c[0, 0])  # waits for the device
        best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return best
