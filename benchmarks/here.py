"""Whole short runs side by side, as `sweep.here` makes them: env steps a second of all together, memory and power of the card.

    python -m benchmarks.here --agent spr_ht --runs 1 4 8 16 --env-steps 6000
    python -m benchmarks.here --agent der --runs 1 2 --device cpu

On a GPU once with NVIDIA's MPS and once without, and compiled, as a run of 100,000 env steps is by default. A run's speed is
that behind its warm-up, of its last row of metrics.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.program import Program, Row
from experiment.command import UserError, run
from experiment.folder import METRICS
from experiment.rows import last_rows
from sweep.machine import query

ROOT = Path(__file__).parent.parent
COMPILED = ["--execution.compiled", "on"]  # auto leaves so short a run eager


class Meter(threading.Thread):
    """While it lasts, asks nvidia-smi each second for the cards' power in W and memory in MiB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._end = threading.Event()
        self.power: list[float] = []
        self.memory: list[float] = []

    def __enter__(self) -> "Meter":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self.join()

    def run(self) -> None:
        """Ask, until the end or until there is no answer."""
        while not self._end.wait(1) and (told := query("power.draw", "memory.used")):
            numbers = [[float(word) if word.replace(".", "").isdigit() else 0.0 for word in row] for row in told]
            self.power.append(sum(power for power, _ in numbers))
            self.memory.append(sum(memory for _, memory in numbers))

    @property
    def told(self) -> Row:
        """The mean power, and the most memory; nothing without a card."""
        if not self.power:
            return {}
        return {"power, W": sum(self.power) / len(self.power), "memory, MiB": max(self.memory)}


def side_by_side(asked: argparse.Namespace, runs: int, *flags: str) -> Row:
    """So many runs at once, seeds of Pong. UserError if one of them fails."""
    with tempfile.TemporaryDirectory() as out, Meter() as meter:
        words = ["--agents", asked.agent, "--games", "Pong", "--seeds", str(runs), "--at-once", str(runs), "--out", out, *flags]
        train = ["--env-steps", str(asked.env_steps), "--eval-episodes", "1", "--log-every", "500"]
        train += ["--device", asked.device.type, *COMPILED * (asked.device.type == "cuda")]
        began = time.monotonic()
        command = [sys.executable, "-m", "sweep.here", *words, "--", *train]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        seconds = time.monotonic() - began
        if done.returncode:
            raise UserError(f"{runs} runs at once: {done.stderr.splitlines()[-1]}", code=1)
        speed = sum(_speed(path) for path in Path(out).rglob(METRICS))
    return {"runs": runs, "env steps a second": speed, "whole, s": seconds, **meter.told}


def _speed(path: Path) -> float:
    """Env steps a second behind the warm-up, by the last row of training."""
    return float(next(row["clock"]["env_steps_per_second"] for row in last_rows(path) if row.get("kind") == "train"))


def rows(asked: argparse.Namespace) -> Iterator[Row]:
    """A row for each number of runs, on a GPU with MPS and without."""
    for runs in asked.runs:
        for flags in [(), ("--no-mps",)] if asked.device.type == "cuda" and runs > 1 else [()]:
            yield {"agent": asked.agent, "MPS": "no" if flags else "if there is any", **side_by_side(asked, runs, *flags)}


main = Program("here", __doc__, rows, agent="der", device=("cuda", "cpu"), runs=[1, 4, 8, 16], env_steps=6_000)

if __name__ == "__main__":
    run(main)
