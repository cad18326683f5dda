"""Batches without a game: random, but such as replay could give, and a source that hands them out and takes notes."""

from dataclasses import replace

import torch
from torch import Tensor

from agents.catalogue import AGENTS
from agents.config import AgentConfig, Resets
from replay.batch import Batch

SIZE = 4  # windows in a batch
ACTIONS = 3


def small(name: str, **changes: object) -> AgentConfig:
    """The agent `name` of the catalogue with few hidden units, small batches and two jumps; `changes` replace its fields."""
    base = AGENTS[name]
    prediction = replace(base.prediction, jumps=2) if base.prediction is not None else None
    shrunk = replace(
        base,
        head=replace(base.head, hidden=16),
        replay=replace(base.replay, batch_size=SIZE),
        prediction=prediction,
    )
    return replace(shrunk, **changes)


def fresh_often(name: str) -> AgentConfig:
    """`small(name)`, both networks reset and the moments zeroed after every second update."""
    return small(name, resets=Resets("fresh", every=2, keep_body=0.5, tortoise_too=True, moments="zero"))


def random_batch(config: AgentConfig, seed: int, size: int = SIZE) -> Batch:
    """A batch with cut stacks, terminals within and beyond the jumps, and unequal importance weights."""
    g = torch.Generator().manual_seed(seed)
    jumps = config.prediction.jumps if config.prediction is not None else 0
    started = torch.randint(4, (jumps + 2, size, 1), generator=g)  # the first frame of each stack that is seen
    weight = 0.2 + 0.8 * torch.rand(size, generator=g)
    return Batch(
        frames=torch.randint(256, (size, jumps + 8, 84, 84), generator=g, dtype=torch.uint8),
        visible=(torch.arange(4) >= started).float(),
        action=torch.randint(ACTIONS, (size, max(jumps, 1)), generator=g),
        ret=4 * torch.rand(size, generator=g) - 2,
        discount=config.target.gamma**config.target.n * (torch.rand(size, generator=g) < 0.7),
        mask=(torch.rand(jumps, size, generator=g) < 0.8).float().cumprod(0),
        weight=weight / weight.max(),
        index=torch.randint(1000, (size,), generator=g),
    )


class FakeReplay:
    """Hands out `batches` in turn, for ever, from number `start` on; remembers what was asked and what was written."""

    def __init__(self, batches: list[Batch], start: int = 0) -> None:
        self.batches = batches
        self.generator = torch.Generator()
        self.turn = start
        self.asked: list[tuple[int, Tensor, Tensor, Tensor]] = []
        self.given: tuple[Tensor, ...] = ()  # n, gamma, beta of the last call, the tensors themselves
        self.written: list[tuple[Tensor, Tensor]] = []

    def sample(self, chance: Tensor, n: Tensor, gamma: Tensor, beta: Tensor) -> Batch:
        self.asked.append((len(chance), n.clone(), gamma.clone(), beta.clone()))
        self.given = (n, gamma, beta)
        self.turn += 1
        return self.batches[(self.turn - 1) % len(self.batches)]

    def reprioritise_(self, index: Tensor, priority: Tensor) -> None:
        self.written.append((index, priority.clone()))


def fake_replay(config: AgentConfig, count: int = 3, start: int = 0) -> FakeReplay:
    return FakeReplay([random_batch(config, seed) for seed in range(count)], start)
