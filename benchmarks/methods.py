"""What each method adds to an update of its base.

    python -m benchmarks.methods --base der

The updates of base and method are timed in turn. What a method does only now and then (a reset, recycling) is timed in updates
that all do it, and shared out over its interval.
"""

import argparse
from dataclasses import replace

import torch

from agents.agent import Agent
from agents.bases import BASES
from agents.catalogue import AGENTS, METHODS
from agents.config import AgentConfig
from benchmarks.flops import filled
from benchmarks.timing import circumstances, interleaved, ratio
from experiment.device import keep_freed_memory

ACTIONS = 9


def always(config: AgentConfig) -> tuple[AgentConfig, int]:
    """`config` with what it does now and then in every update, and the interval that it really has; 0 if there is none."""
    if config.recycling is not None:
        return replace(config, recycling=replace(config.recycling, every=1)), config.recycling.every
    if config.resets is not None:
        return replace(config, resets=replace(config.resets, every=1)), config.resets.every
    return config, 0


def main() -> None:
    """Print one row for each method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="der", choices=list(BASES))
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--rounds", type=int, default=40)
    asked = parser.parse_args()
    device = torch.device(asked.device)
    keep_freed_memory()  # as in a run
    print(circumstances())
    print(f"{asked.base}: medians of paired ratios to the base, {asked.rounds} rounds")
    print(f"{'method':10}  {'every update':>12}  {'when it acts':>12}  {'interval':>8}  {'in all':>8}")
    base = AGENTS[asked.base]
    for method in METHODS:
        name = f"{asked.base}_{method}"
        if name not in AGENTS:
            continue
        config = AGENTS[name] if method != "inject" else replace(AGENTS[name], injection=replace(AGENTS[name].injection, at=1))
        acting, interval = always(config)
        work = {}
        for label, c in {"base": base, "method": config, "acting": acting}.items():
            agent, replay = Agent(c, ACTIONS, device=device, seed=0), filled(c, ACTIONS, 2_000, device)
            work[label] = lambda agent=agent, replay=replay: agent.update(replay)
        took = interleaved(work, asked.rounds, device=device)
        each = ratio(took["method"], took["base"])
        now = ratio(took["acting"], took["base"]) if interval else each
        whole = each + (now - each) / interval if interval else each
        print(f"_{method:9}  {each:12.3f}  {now:12.3f}  {interval or '':>8}  {whole - 1:+8.1%}", flush=True)


if __name__ == "__main__":
    main()
