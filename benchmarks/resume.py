"""What a checkpoint and a resume cost: bytes and seconds of a save, playing again beside raw emulation, memory.

    python -m benchmarks.resume --agent der --game RoadRunner --env-steps 100000

The actions are random and one update is made, so that all that a checkpoint holds is there.
"""

import resource
import statistics
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.program import circumstances, flags
from benchmarks.timing import duration, interleaved, resident_megabytes
from envs.make import make_lanes
from experiment.checkpoint import load_checkpoint
from experiment.command import run
from experiment.device import choose_device, keep_freed_memory
from experiment.folder import CHECKPOINT, RunFolder
from experiment.provenance import provenance
from experiment.session import Session
from experiment.signals import Signals
from options import PACKAGES, Run, read_command_line
from train import Training

SAVES = 7


def play(_: int, asked: Run, out: Path) -> None:
    """A run of random actions; saves, timed."""
    torch.manual_seed(0)
    with RunFolder(out) as folder:
        session = Session(asked, folder, Signals(), provenance(PACKAGES))
        training = Training(asked, session.device)
        session.begin(training)
        rng = np.random.default_rng(0)
        for _ in range(asked.env_steps // asked.num_lanes - 1):
            action = rng.integers(training.lanes.num_actions, size=asked.num_lanes)
            training.lanes.send(action)
            training.remember(action, training.lanes.recv())
        training.agent.update(training.replay)
        took = interleaved({"": session.save}, SAVES, warmup=0)[""]
    agent, size = training.agent, (out / CHECKPOINT).stat().st_size
    assert agent.optimizer is not None
    sizes = {p: p.numel() * p.element_size() for p in agent.hare.parameters()}
    bare = 2 * sum(sizes.values()) + 2 * sum(sizes[p] for p in sizes if p in agent.optimizer.state)
    print(f"save: {statistics.median(took):.3f} s (slowest of {SAVES}: {max(took):.3f})")
    print(f"file: {size / 1e6:.2f} MB, {size / bare:.3f} of weights, tortoise and moments ({bare / 1e6:.2f} MB)")
    print(f"memory at the end of the run: {_memory()}", flush=True)


def restore(_: int, asked: Run, out: Path) -> None:
    """A resume, timed, and the same log on raw emulators."""
    keep_freed_memory()
    training = Training(asked, choose_device(asked.device))
    state = load_checkpoint(out / CHECKPOINT)
    actions = state["past"]["actions"].numpy().astype(np.int64)
    again = duration(partial(training.load_state_dict, state))
    del state
    training.agent.update(training.replay)
    print(f"memory after the resume: {_memory()}")
    training.lanes.close()
    lanes = make_lanes(asked.game, asked.num_lanes, asked.seed)
    emulators = lanes._env
    emulators.reset(seed=lanes._seeds)
    raw = duration(lambda: [emulators.step(action) for action in actions])
    print(f"playing again: {again:.1f} s; raw emulation of the same log: {raw:.1f} s; ratio {again / raw:.3f}", flush=True)


def _memory() -> str:
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return f"{resident_megabytes():.0f} MB, largest {largest:.0f} MB"


def main(argv: list[str]) -> None:
    """Print the figures; each part is a process of its own."""
    asked = flags("resume", __doc__, agent="der", game="RoadRunner", env_steps=100_000).parse_args(argv)
    wanted = read_command_line([f"--agent={asked.agent}", f"--game={asked.game}", f"--env-steps={asked.env_steps}"])
    print(f"{asked.agent} on {asked.game}, {asked.env_steps} env steps; {circumstances()}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for part in (play, restore):
            torch.multiprocessing.spawn(part, (wanted, Path(folder)))


if __name__ == "__main__":
    run(main)
