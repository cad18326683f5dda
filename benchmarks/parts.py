"""An update part by part, each timed on its own with the device waited for in between."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from agents.agent import Agent
from agents.objective import objective, targets
from networks.augment import observe
from replay.buffer import ReplayBuffer

Seconds = dict[str, list[float]]


class Stopwatch:
    """Collects seconds under names; waits for a GPU at both ends."""

    def __init__(self, device: torch.device) -> None:
        self.seconds: Seconds = {}
        self._on_gpu = device.type == "cuda"

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Add the time that the block takes to `name`."""
        self._wait()
        start = time.perf_counter()
        yield
        self._wait()
        self.seconds.setdefault(name, []).append(time.perf_counter() - start)

    def _wait(self) -> None:
        if self._on_gpu:
            torch.cuda.synchronize()


def parts(agent: Agent, replay: ReplayBuffer, rounds: int, warmup: int = 3) -> Seconds:
    """Seconds of each part of an eager update in each of `rounds` updates.

    The forward pass of the hare, its unroll and the losses are one part; how much of it the unroll takes is measured by
    unrolling once more, and so is the pass of the targets. The agent does not count these updates.
    """
    watch = Stopwatch(agent.device)
    for turn in range(warmup + rounds):
        if turn == warmup:
            watch.seconds.clear()
        _timed_update(agent, replay, watch)
    return watch.seconds


def _timed_update(agent: Agent, replay: ReplayBuffer, watch: Stopwatch) -> None:
    config, hare, tortoise = agent.config, agent.hare, agent.tortoise
    assert agent.optimizer is not None
    assert config.optimizer is not None
    with watch.time("draw, weights"):
        index = replay.priorities.draw(config.replay.batch_size, replay.generator)
        weight = replay.priorities.weights(index, agent._beta)
    with watch.time("gather"):
        batch = replay.gather(index, agent._n, agent._gamma, weight)
    with watch.time("augment, scale"):
        states = observe(batch.frames, batch.visible, agent._first, config.augmentation, agent._learning)
    with watch.time("noise"):
        noise = hare.draw_noise(agent._learning), tortoise.draw_noise(agent._learning)
    with watch.time("targets"):
        targets(config, hare, tortoise, batch, states[1:], noise)
    if config.prediction is not None:
        latent = hare.encode(states[0])
        with watch.time("unroll"):
            hare.predict(latent, batch.action)
    with watch.time("targets, forward, unroll, losses"):
        found = objective(config, hare, tortoise, batch, states, noise)
    agent.optimizer.zero_grad(set_to_none=True)
    with watch.time("backward"):
        found.loss.backward()
    with watch.time("clip"):
        for group in hare.clipped_together():
            norm = torch.nn.utils.clip_grad_norm_(group, config.optimizer.clip or float("inf"))
    with watch.time("Adam"):
        agent.optimizer.step()
    with watch.time("metrics"):
        agent._tally.add_(found, norm)
    with watch.time("priorities"):
        replay.reprioritise_(batch.index, found.priority)
    with watch.time("tortoise"):
        agent.upkeep.pair.follow()
