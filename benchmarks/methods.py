"""What each method adds to an update of its base: medians of paired ratios.

    python -m benchmarks.methods --base der

The updates of base and method are timed in turn. What a method does only now and then (a reset, recycling) is timed in updates
that all do it, and shared out over its interval.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from agents.bases import BASES
from agents.catalogue import AGENTS, METHODS
from agents.config import AgentConfig
from benchmarks.learners import learner
from benchmarks.program import EXECUTION, Program, Row
from benchmarks.timing import interleaved, ratio
from experiment.command import run


def always(config: AgentConfig) -> tuple[AgentConfig, int]:
    """`config` with what it does now and then in every update, and the interval that it really has; 0 if there is none."""
    for name in ("recycling", "resets", "pruning"):
        if (piece := getattr(config, name)) is not None:
            at_once = {"start": 0.0} if name == "pruning" else {}
            return replace(config, **{name: replace(piece, every=1, **at_once)}), piece.every
    return config, 0


def rows(asked: argparse.Namespace) -> Iterator[Row]:
    """A row for each method of the base."""
    for method in METHODS:
        config = AGENTS.get(f"{asked.base}_{method}")
        if config is None:
            continue
        if config.injection is not None:
            config = replace(config, injection=replace(config.injection, at=1))
        acting, interval = always(config)
        learners = [learner(c, asked.device) for c in (AGENTS[asked.base], config, acting)]
        work = {place: partial(agent.update, replay) for place, (agent, replay, _) in enumerate(learners)}
        base, *others = interleaved(work, asked.rounds).values()
        each, now = (ratio(times, base) for times in others)
        whole = each + (now - each) / interval if interval else each
        yield {
            "method": method,
            "every update": each,
            "when it acts": now if interval else "",
            "interval": interval or "",
            "in all, %": 100 * (whole - 1),
        }


main = Program("methods", __doc__, rows, base=("der", *BASES), device=EXECUTION["device"], rounds=40)

if __name__ == "__main__":
    run(main)
