"""What an update costs beside the bare forward, backward and Adam of the same networks, and beside the machine's peak.

    python -m benchmarks.update --agents der spr --parts
    python -m benchmarks.update --agents spr --precision bf16

Bare means: inputs that lie ready as float32, noise that is already drawn, the same passes of hare and tortoise, a loss, the
backward pass, fused Adam. Everything else (draw, gather, augmentation, projection, clipping, metrics, tortoise, priorities) is
what the ratio shows. With --parts each part of an eager float32 update is timed, too; with --ops it is counted what each part
dispatches, and on a GPU the kernels of the update as it was asked for, by kind, with their time.
"""

import argparse
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from agents import agent as agents_agent
from agents import objective as agents_objective
from agents.agent import Agent
from agents.bases import BASES
from agents.catalogue import find_agent
from agents.execution import Execution
from agents.measures import measure
from benchmarks.learners import ACTIONS, flops_of_an_update, learner
from benchmarks.ops import Operators, kernels
from benchmarks.program import EXECUTION, Program, Row
from benchmarks.timing import interleaved, matrix_peak, ratio, watched
from experiment.command import run
from networks.qnetwork import Heads
from options import Run
from replay.buffer import ReplayBuffer

WITHIN = ("targets", "unroll")  # parts of another part


def bare(agent: Agent) -> Callable[[], None]:
    """One forward, backward and Adam step of networks like `agent`'s, on inputs that lie ready."""
    config, device = agent.config, agent.device
    b, jumps = config.replay.batch_size, config.jumps
    hare, tortoise = (agent._new_network() for _ in range(2))
    assert config.optimizer is not None
    adam = torch.optim.Adam(hare.parameters(), lr=config.optimizer.learning_rate, eps=config.optimizer.epsilon, fused=True)
    states = torch.rand((jumps + 2) * b, 4, 84, 84, device=device).contiguous(memory_format=torch.channels_last)
    now, bootstrap, later = states[:b], states[-b:], states[b:]
    action = torch.randint(ACTIONS, (b, max(jumps, 1)), device=device)
    noise = hare.draw_noise(torch.Generator(device).manual_seed(0))
    rows = torch.arange(b, device=device)

    def targets(weights: Heads) -> tuple[Tensor, Tensor]:
        latent = tortoise.encode(later)
        logits = tortoise.logits(latent[-b:], tortoise.noisy(noise))
        chooser = hare.logits(hare.encode(bootstrap), weights) if config.target.double else logits
        aim = logits[rows, hare.values(chooser).argmax(1)]
        return aim if config.head.atoms == 1 else aim.softmax(1), tortoise.project(latent[:-b]) if jumps else aim

    def step() -> None:
        weights = hare.noisy(noise)
        with torch.no_grad():
            aim, goal = targets(weights)
        latent = hare.encode(now)
        learnt = hare.logits(latent, weights)[rows, action[:, 0]]
        loss = functional.huber_loss(learnt, aim) if config.head.atoms == 1 else functional.cross_entropy(learnt, aim)
        if jumps:
            loss = loss - functional.cosine_similarity(hare.predict(latent, action).flatten(0, 1), goal).mean()
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()

    return step


def row(name: str, execution: Execution, device: torch.device, rounds: int) -> Row:
    """What an update of `name` and an act in one lane cost, beside bare networks (eager, no bfloat16) and the peak.

    ValueError if `device` cannot do what `execution` asks.
    """
    config = find_agent(name)
    agent, replay, warmup = learner(config, device, execution)
    frames = torch.randint(256, (1, 4, 84, 84), dtype=torch.uint8, device=device)
    agent.epsilon = 0.0
    work = {"update": lambda: agent.update(replay), "bare": bare(agent), "act": lambda: agent.act(frames)}
    took = interleaved(work, rounds, warmup=5)
    measured = statistics.median(interleaved({"": lambda: measure(agent, replay, 0, Run.hessian_rounds)}, 3, 1)[""])
    flops, peak, update = flops_of_an_update(config, ACTIONS), matrix_peak(device), statistics.median(took["update"])
    return {
        "agent": name,
        **took,
        "ratio": ratio(took["update"], took["bare"]),
        "GFLOP": flops / 1e9,
        "share of peak": flops / update / peak,
        "peak, GFLOP/s": peak / 1e9,
        "warm-up, s": warmup,
        "measurement, s": measured,
        # What it costs beside the updates of the 1,000 env steps from one to the next.
        "measurement share": measured / (1_000 * config.replay.ratio * update),
    }


def calls(agent: Agent, replay: ReplayBuffer) -> dict[str, list[tuple[Any, str]]]:
    """The functions that are each part of an eager update."""
    return {
        "draw, weights": [(replay.priorities, "draw"), (replay.priorities, "weights")],
        "gather": [(replay, "gather")],
        "augment, scale": [(agents_objective, "observe")],
        "chance": [(agents_agent, "draw")],
        "targets": [(agents_objective, "targets")],
        "unroll": [(agent.hare, "predict")],
        "targets, forward, unroll, losses": [(agent, "_objective")],
        "backward": [(torch.Tensor, "backward")],
        "clip": [(torch.nn.utils, "clip_grad_norm_")],
        "Adam": [(agent.optimizer, "step")],
        "metrics": [(agent._tally, "add_")],
        "priorities": [(replay, "reprioritise_")],
        "tortoise": [(agent.upkeep.pair, "follow")],
    }


def parts(agent: Agent, replay: ReplayBuffer, rounds: int, warmup: int = 3) -> dict[str, list[float]]:
    """Seconds of each part of an eager update in each of `rounds` updates."""
    watch = calls(agent, replay)
    found: dict[str, list[float]] = {part: [] for part in watch}
    for _ in range(warmup + rounds):
        with watched(watch) as spans:
            agent.update(replay)
        for part, times in spans.items():
            found[part].append(sum(end - start for start, end in times))
    return {part: seconds[warmup:] for part, seconds in found.items() if any(seconds)}


def rows_of_parts(name: str, device: torch.device, rounds: int) -> Iterator[Row]:
    """Each part of an eager float32 update of `name`, and its share of their sum."""
    agent, replay, _ = learner(find_agent(name), device)
    found = parts(agent, replay, rounds)
    medians = {part: statistics.median(times) for part, times in found.items()}
    whole = sum(seconds for part, seconds in medians.items() if part not in WITHIN)
    for part, times in found.items():
        yield {"part": f"within another: {part}" if part in WITHIN else part, "time": times, "share": medians[part] / whole}


def rows_of_operators(name: str, device: torch.device) -> Iterator[Row]:
    """How many operators each part of an eager update of `name` dispatches, and the whole."""
    agent, replay, _ = learner(find_agent(name), device)
    with Operators() as seen, watched(calls(agent, replay), lambda: seen.counts.total()) as spans:
        agent.update(replay)
    for part, counts in spans.items():
        if counts:
            yield {"part": f"within another: {part}" if part in WITHIN else part, "operators": sum(b - a for a, b in counts)}
    yield {"part": f"all of {name}", "operators": seen.counts.total()}


def rows_of_kernels(name: str, execution: Execution, device: torch.device) -> Iterator[Row]:
    """How many kernels of each kind an update of `name` starts on a GPU, and how long these take."""
    agent, replay, _ = learner(find_agent(name), device, execution)
    for kind, (count, seconds) in kernels(lambda: agent.update(replay)).items():
        yield {"kind": f"{name}: {kind}", "kernels": count, "busy, us": 1e6 * seconds}


def rows(asked: argparse.Namespace) -> Iterator[Row]:
    """A row for each agent; with --parts where its time goes, with --ops what it dispatches, and on a GPU its kernels."""
    for name in asked.agents:
        yield row(name, asked.execution, asked.device, asked.rounds)
        if asked.parts:
            yield from rows_of_parts(name, asked.device, asked.rounds)
        if asked.ops:
            yield from rows_of_operators(name, asked.device)
            if asked.device.type == "cuda":
                yield from rows_of_kernels(name, asked.execution, asked.device)


main = Program("update", __doc__, rows, agents=list(BASES), **EXECUTION, rounds=40, parts=False, ops=False)

if __name__ == "__main__":
    run(main)
