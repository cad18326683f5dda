"""What replay costs: a draw with its priority write, the gather, an append; and how much memory it takes.

python -m benchmarks.replay
"""

import argparse
from collections.abc import Iterator

import torch

from agents.catalogue import AGENTS
from benchmarks.learners import ACTIONS, filled, random_row
from benchmarks.program import Program, Row
from benchmarks.timing import interleaved, resident_megabytes
from experiment.command import run, user_errors
from replay.batch import uniform

BATCH = 32


def rows(asked: argparse.Namespace) -> Iterator[Row]:
    """A row for each of two agents."""
    return (measure(name, asked.rows, asked.rounds) for name in ("der", "spr"))


def measure(name: str, rows: int, rounds: int) -> Row:
    """Times and memory of a replay of so many rows for the agent `name`."""
    config, cpu = AGENTS[name], torch.device("cpu")
    n, gamma, beta = torch.tensor(config.target.n_max), torch.tensor(0.99), torch.tensor(0.5)
    filled(config, ACTIONS, 100, cpu)  # what torch itself loads at first use is not counted
    before = resident_megabytes()
    with user_errors("--rows"):
        replay = filled(config, ACTIONS, rows, cpu)
    full = resident_megabytes()
    index, row = replay.priorities.draw(uniform(BATCH, replay.generator)), random_row(ACTIONS, torch.Generator())
    weight = replay.priorities.weights(index, beta)

    def draw_and_write() -> None:
        drawn = replay.priorities.draw(uniform(BATCH, replay.generator))
        replay.priorities.weights(drawn, beta)
        replay.reprioritise_(drawn, torch.rand(BATCH))

    gather, append = lambda: replay.gather(index, n, gamma, weight), lambda: replay.append(*row)
    took = interleaved({"draw and write": draw_and_write, "gather": gather, "append": append}, rounds)
    later = resident_megabytes()
    interleaved({"": append}, rows // 5)
    interleaved({"": draw_and_write}, 500)
    memory = {"MB when full": full - before, f"MB more {rows // 5:,} rows later": resident_megabytes() - later}
    return {"agent": name, "rows": rows, **took, **memory}


main = Program("replay", __doc__, rows, rows=100_000, rounds=200)

if __name__ == "__main__":
    run(main)
