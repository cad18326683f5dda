"""What an update costs beside the bare forward, backward and Adam of the same networks, and beside the machine's peak.

    python -m benchmarks.update --agents der spr --parts
    python -m benchmarks.update --agents spr --precision bf16

Bare means: inputs that lie ready as float32, noise that is already drawn, the same passes of hare and tortoise, a loss, the
backward pass, fused Adam. Everything else (draw, gather, augmentation, projection, clipping, metrics, tortoise, priorities) is
what the ratio shows.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from agents.agent import Agent
from agents.bases import BASES
from agents.catalogue import find_agent
from agents.engine import WARMUP
from agents.execution import Execution
from agents.measures import measure
from benchmarks.execution import add_execution, read_execution
from benchmarks.flops import filled, flops_of_an_update, matrix_peak
from benchmarks.parts import parts
from benchmarks.timing import circumstances, interleaved, ratio
from experiment.device import keep_freed_memory
from networks.qnetwork import QNetwork

ACTIONS = 9
QUARTILES = ("low", "median", "high")


def bare(agent: Agent) -> Callable[[], None]:
    """One forward, backward and Adam step of networks like `agent`'s, on inputs that lie ready."""
    config, device = agent.config, agent.device
    b, jumps = config.replay.batch_size, config.jumps
    networks = [QNetwork(config.encoder, config.head, config.prediction, ACTIONS) for _ in range(2)]
    for network in networks:
        network.initialise_(torch.Generator().manual_seed(0), config.initialisation)
    hare, tortoise = (network.to(device, memory_format=torch.channels_last) for network in networks)
    assert config.optimizer is not None
    adam = torch.optim.Adam(hare.parameters(), lr=config.optimizer.learning_rate, eps=config.optimizer.epsilon, fused=True)
    states = torch.rand((jumps + 2) * b, 4, 84, 84, device=device).contiguous(memory_format=torch.channels_last)
    now, bootstrap, later = states[:b], states[-b:], states[b:]
    action = torch.randint(ACTIONS, (b, max(jumps, 1)), device=device)
    noise = hare.draw_noise(torch.Generator(device).manual_seed(0))
    rows = torch.arange(b, device=device)

    def targets() -> tuple[Tensor, Tensor]:
        latent = tortoise.encode(later)
        logits = tortoise.logits(latent[-b:], noise)
        chooser = hare.logits(hare.encode(bootstrap), noise) if config.target.double else logits
        aim = logits[rows, hare.values(chooser).argmax(1)]
        return aim if config.head.atoms == 1 else aim.softmax(1), tortoise.project(latent[:-b]) if jumps else aim

    def step() -> None:
        with torch.no_grad():
            aim, goal = targets()
        latent = hare.encode(now)
        learnt = hare.logits(latent, noise)[rows, action[:, 0]]
        loss = functional.huber_loss(learnt, aim) if config.head.atoms == 1 else functional.cross_entropy(learnt, aim)
        if jumps:
            loss = loss - functional.cosine_similarity(hare.predict(latent, action).flatten(0, 1), goal).mean()
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()

    return step


def row(name: str, execution: Execution, device: torch.device, rounds: int, peak: float) -> dict[str, float]:
    """What an update of the agent `name` costs, in seconds, beside its bare networks (eager, no bfloat16) and `peak`."""
    config = find_agent(name)
    agent = Agent(config, ACTIONS, device=device, seed=0, execution=execution)
    replay = filled(config, ACTIONS, 2_000, device)
    frames = torch.randint(256, (1, 4, 84, 84), dtype=torch.uint8, device=device)
    agent.epsilon = 0.0
    start = time.perf_counter()
    for _ in range(WARMUP + 1):  # compiles, records
        agent.update(replay)
    agent.broken()
    warmup = time.perf_counter() - start
    work = {"update": lambda: agent.update(replay), "bare": bare(agent), "act": lambda: agent.act(frames)}
    took = interleaved(work, rounds, warmup=5, device=device)
    measured = statistics.median(interleaved({"": lambda: measure(agent, replay, 0)}, 3, 1, device)[""])
    flops = flops_of_an_update(config, ACTIONS)
    quartiles: dict[str, float] = {}
    for part, times in took.items():
        quartiles |= {f"{part} {q}": t for q, t in zip(QUARTILES, statistics.quantiles(times, n=4), strict=True)}
    update = quartiles["update median"]
    return quartiles | {
        "ratio": ratio(took["update"], took["bare"]),
        "warmup": warmup,
        "GFLOP": flops / 1e9,
        "share of peak": flops / update / peak,
        "measurement": measured,
        # What it costs beside the updates of the 1,000 env steps from one to the next.
        "measurement share": measured / (1_000 * config.replay.ratio * update),
    }


def told(name: str, found: dict[str, float]) -> str:
    """`found` as a line, times in milliseconds."""

    def spread(part: str) -> str:
        low, middle, high = (1e3 * found[f"{part} {quartile}"] for quartile in QUARTILES)
        return f"{middle:.3g} ({low:.3g}..{high:.3g})"

    times = f"{spread('update'):22}  {spread('bare'):22}  {found['ratio']:<6.3f}  {spread('act'):22}"
    rest = f"{found['GFLOP']:7.4g}  {found['share of peak']:7.1%}  {found['warmup']:6.1f} s"
    return f"{name:12}  {times}  {rest}  {1e3 * found['measurement']:.0f} ms, {found['measurement share']:.2%}"


HEADER = f"{'agent':12}  {'update':22}  {'bare':22}  ratio   {'act, one lane':22}    GFLOP  of peak  warm-up   measure"


def table_of_parts(name: str, device: torch.device, rounds: int) -> list[str]:
    """Lines: the milliseconds of each part of an eager float32 update of `name`, and its share of their sum."""
    config = find_agent(name)
    agent, replay = Agent(config, ACTIONS, device=device, seed=0), filled(config, ACTIONS, 2_000, device)
    found = {part: statistics.median(times) for part, times in parts(agent, replay, rounds).items()}
    within = {part: found.pop(part) for part in ("targets", "unroll") if part in found}  # parts of another part
    whole = sum(found.values())
    rows = found | {f"of these {part}": seconds for part, seconds in within.items()}
    return [f"  {part:34} {1e3 * seconds:8.3f} ms  {seconds / whole:6.1%}" for part, seconds in rows.items()]


def main() -> None:
    """Print one row for each agent, and with --parts where its time goes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", "--agent", nargs="+", default=list(BASES))
    add_execution(parser)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--parts", action="store_true", help="also time each part of an eager float32 update")
    asked = parser.parse_args()
    execution, device = read_execution(parser, asked)
    keep_freed_memory()  # as in a run
    print(circumstances())
    peak = matrix_peak(device)
    print(f"float32 matrix product at its best: {peak / 1e9:.1f} GFLOP/s; {execution}; milliseconds: median (quartiles)")
    print(HEADER)
    for name in asked.agents:
        print(told(name, row(name, execution, device, asked.rounds, peak)), flush=True)
        if asked.parts:
            print("\n".join(table_of_parts(name, device, asked.rounds)), flush=True)


if __name__ == "__main__":
    main()
