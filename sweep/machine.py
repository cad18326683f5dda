"""What this machine has for runs that share it: cards, memory, cores."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from experiment.command import UserError
from options import Run

FRAME = 84 * 84  # bytes of a row in replay
# What a run takes beside its rows, as measured (benchmarks/LEDGER.md): on a CPU 1.1 GB with 100,000 rows; on a card six runs of
# spr took 23.6 GB when they began and compiled, and 14.9 GB later.
BESIDE_CPU, BESIDE_CARD = 500 << 20, 3 << 30


class Card(NamedTuple):
    """A GPU, by the names that CUDA_VISIBLE_DEVICES knows, and the bytes that are free on it."""

    index: str
    uuid: str
    free: int


def query(*fields: str) -> list[list[str]]:
    """What nvidia-smi says of each card, without units; nothing if it is not there or fails."""
    command = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [[word.strip() for word in line.split(",")] for line in done.stdout.splitlines()] if done.returncode == 0 else []


def cards() -> list[Card]:
    """The NVIDIA cards that this process may use; none without nvidia-smi."""
    rows = query("index", "uuid", "memory.free")
    # A card that shares the machine's memory tells of none of its own.
    found = [Card(index, uuid, int(free) << 20 if free.isdigit() else available()) for index, uuid, free in rows]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return found
    named = [word.strip() for word in visible.split(",")]
    starts = tuple(word for word in named if word.startswith("GPU-"))  # an identifier may be cut short
    return [card for card in found if card.index in named or card.uuid.startswith(starts)]


def choose(asked: Sequence[str], on_cpu: bool) -> list[Card]:
    """The cards with these indices, all if none is named, none for runs on the CPU. UserError for one that is not there."""
    if on_cpu and asked:
        raise UserError("--gpus means nothing for runs with --device cpu")
    found = [] if on_cpu else cards()
    there = {card.index: card for card in found}
    for index in asked:
        if index not in there:
            known = f"there are {', '.join(there)}" if there else "nvidia-smi tells of no card here"
            raise UserError(f"--gpus {index}: {known}")
    return [there[index] for index in dict.fromkeys(asked)] if asked else found


def needed(run: Run, on_card: bool) -> int:
    """Bytes that `run` takes, about."""
    learns = run.config.optimizer is not None
    rows = min(run.config.replay.capacity, run.env_steps) if learns else 0
    return rows * FRAME + (BESIDE_CARD if on_card else BESIDE_CPU)


def require_memory(runs: Sequence[Run], at_once: int, card: Card | None) -> None:
    """UserError if `at_once` of `runs` would need more memory than `card`, or without one this machine, has free."""
    free = card.free if card is not None else available()
    each = max(needed(run, card is not None) for run in runs)
    if at_once * each > free:
        where = f"GPU {card.index} has" if card is not None else "this machine has"
        fit = max(free // each, 0)
        raise UserError(
            f"{at_once} runs at once need about {at_once * each / 1e9:.1f} GB and {where} {free / 1e9:.1f} GB free: {fit} fit"
        )


def available() -> int:
    """Bytes of memory that are to be had; no limit where Linux does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 1 << 62
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
