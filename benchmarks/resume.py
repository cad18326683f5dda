"""What a checkpoint and a resume cost: bytes and seconds of a save, playing again beside raw emulation, memory.

    python -m benchmarks.resume --agent der --game RoadRunner --env-steps 100000

The actions are random and one update is made, so that all that a checkpoint holds is there.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.timing import circumstances, resident_megabytes
from envs.make import make_lanes
from experiment.checkpoint import load_checkpoint
from experiment.device import choose_device, keep_freed_memory
from experiment.folder import CHECKPOINT, RunFolder
from experiment.provenance import provenance
from experiment.session import Session
from experiment.signals import Signals
from experiment.start import Begun
from options import PACKAGES, Run, read_command_line
from train import Training

SAVES = 7


def play(asked: Run, out: Path) -> None:
    """A run of random actions; saves, timed."""
    with RunFolder(out) as folder:
        session = Session(Begun(asked, folder, Signals(), provenance(PACKAGES)))
        training = Training(asked, session.device)
        session.begin(training)
        rng = np.random.default_rng(0)
        for _ in range(asked.env_steps // asked.num_lanes - 1):
            action = rng.integers(training.lanes.num_actions, size=asked.num_lanes)
            training.lanes.send(action)
            training.remember(action, training.lanes.recv())
        training.agent.update(training.replay)
        took = []
        for _ in range(SAVES):
            began = time.perf_counter()
            session.save()
            took.append(time.perf_counter() - began)
    agent = training.agent
    parameters = sum(p.numel() * p.element_size() for p in agent.hare.parameters())
    assert agent.optimizer is not None
    learnt = sum(p.numel() * p.element_size() for p in agent.hare.parameters() if p in agent.optimizer.state)
    bare, size = 2 * parameters + 2 * learnt, (out / CHECKPOINT).stat().st_size
    print(f"save: {statistics.median(took):.3f} s (slowest of {SAVES}: {max(took):.3f})")
    print(f"file: {size / 1e6:.2f} MB, {size / bare:.3f} of weights, tortoise and moments ({bare / 1e6:.2f} MB)")
    print(f"memory at the end of the run: {resident_megabytes():.0f} MB, largest {_largest():.0f} MB")


def restore(asked: Run, out: Path) -> None:
    """A resume, timed, and the same log on raw emulators."""
    keep_freed_memory()
    training = Training(asked, choose_device(asked.device))
    state = load_checkpoint(out / CHECKPOINT, "cpu")
    actions = state["past"]["actions"].numpy().astype(np.int64)
    began = time.perf_counter()
    training.load_state_dict(state)
    again = time.perf_counter() - began
    del state
    training.agent.update(training.replay)
    print(f"memory after the resume: {resident_megabytes():.0f} MB, largest {_largest():.0f} MB")
    training.lanes.close()
    lanes = make_lanes(asked.game, asked.num_lanes, asked.seed)
    emulators = lanes._env
    emulators.reset(seed=lanes._seeds)
    began = time.perf_counter()
    for action in actions:
        emulators.step(action)
    raw = time.perf_counter() - began
    print(f"playing again: {again:.1f} s; raw emulation of the same log: {raw:.1f} s; ratio {again / raw:.3f}")


def _largest() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main() -> None:
    """Print the figures; each part is a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", default="der")
    parser.add_argument("--game", default="RoadRunner")
    parser.add_argument("--env-steps", default="100000")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part:
        run = read_command_line(["--agent", asked.agent, "--game", asked.game, "--env-steps", asked.env_steps])
        torch.manual_seed(0)
        {"play": play, "restore": restore}[asked.part](run, asked.folder)
        return
    print(f"{asked.agent} on {asked.game}, {asked.env_steps} env steps; {circumstances()}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for part in ("play", "restore"):
            command = [sys.executable, "-m", "benchmarks.resume", *sys.argv[1:], "--part", part, "--folder", folder]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
