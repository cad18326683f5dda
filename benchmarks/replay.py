"""What replay costs: a draw with its priority write, the gather, an append; and how much memory it takes.

python -m benchmarks.replay
"""

import argparse

import torch

from benchmarks.timing import circumstances, interleaved, resident_megabytes, spread
from replay.batch import Rule, Window
from replay.buffer import ReplayBuffer

BATCH = 32
WINDOWS = {"der": Window(n_max=20, jumps=0), "spr": Window(n_max=10, jumps=5)}


def append(replay: ReplayBuffer, count: int, frame: torch.Tensor) -> None:
    """`count` rows of one frame, with a game over every 500."""
    never = torch.zeros(1, dtype=torch.bool)
    for t in range(count):
        replay.append(frame, torch.zeros(1, dtype=torch.int64), torch.ones(1), torch.tensor([t % 500 == 499]), never)


def main() -> None:
    """Print the table and the memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=200)
    asked = parser.parse_args()
    print(circumstances())
    frame = torch.randint(256, (1, 84, 84), dtype=torch.uint8)
    for name, window in WINDOWS.items():
        torch.cumsum(torch.zeros(10, dtype=torch.int64), 0)  # what torch itself loads at first use is not counted
        before = resident_megabytes()
        replay = ReplayBuffer(asked.rows, 1, window, Rule(0.5), device="cpu", seed=0)
        append(replay, asked.rows, frame)
        full = resident_megabytes()
        n, gamma, beta = torch.tensor(window.n_max), torch.tensor(0.99), torch.tensor(0.5)
        index = replay.priorities.draw(BATCH, replay.generator)
        weight = replay.priorities.weights(index, beta)

        def draw_and_write(replay: ReplayBuffer = replay, beta: torch.Tensor = beta) -> None:
            drawn = replay.priorities.draw(BATCH, replay.generator)
            replay.priorities.weights(drawn, beta)
            replay.reprioritise_(drawn, torch.rand(BATCH))

        work = {
            "draw and write": draw_and_write,
            "gather": lambda r=replay, i=index, n=n, g=gamma, w=weight: r.gather(i, n, g, w),
            "append": lambda r=replay: append(r, 1, frame),
        }
        took = interleaved(work, asked.rounds)
        told = "  ".join(f"{part} {spread(times)}" for part, times in took.items())
        later = resident_megabytes()
        append(replay, asked.rows // 5, frame)
        for _ in range(500):
            draw_and_write()
        grown = resident_megabytes() - later
        print(f"{name}, {asked.rows:,} rows, batch {BATCH}, milliseconds: {told}")
        print(f"{name}, memory: {full - before:.1f} MB when full; {grown:+.1f} MB more after {asked.rows // 5:,} rows")
        del replay, work, draw_and_write


if __name__ == "__main__":
    main()
