"""Runs in processes of their own that die at chosen or random moments, and what is left of them."""

import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["train", "eval", "agents.agent", "agents.measures", "experiment.checkpoint", "envs.toy", "envs.atari"]
)


def start(arguments: list[str], log: Path, moment: str | None = None) -> multiprocessing.Process:
    """Run train.py with `arguments` in a new process, what it says going to `log`; it kills itself at `moment`, if given."""
    process = CONTEXT.Process(target=_child, args=(arguments, str(log), moment))
    process.start()
    return process


def finish(arguments: list[str], log: Path, moment: str | None = None) -> int:
    """`start`, and wait; the exit status, negative for a signal."""
    process = start(arguments, log, moment)
    process.join(120)
    assert process.exitcode is not None, log.read_text()
    return process.exitcode


def _child(arguments: list[str], log: str, moment: str | None) -> None:
    import train
    from experiment import command

    with open(log, "a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stderr = os.fdopen(2, "w", buffering=1)
    torch.set_num_threads(1)
    sys.argv = ["train.py", *arguments]
    if moment is not None:
        MOMENTS[moment]()
    command.run(train.main)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_within(owner: Any, name: str, call: int, *, after: bool) -> None:
    """Kill this process in the `call`-th call of `owner.name`, before or after what it does."""
    original, count = getattr(owner, name), 0

    def replaced(*arguments: Any, **named: Any) -> Any:
        nonlocal count
        count += 1
        if count == call and not after:
            _die()
        result = original(*arguments, **named)
        if count == call:
            _die()
        return result

    setattr(owner, name, replaced)


def _sleep_within(owner: Any, name: str) -> None:
    """Make `owner.name` sleep for a minute instead of doing anything."""
    setattr(owner, name, lambda *_, **__: time.sleep(60))


def _moments() -> dict[str, Any]:
    def at(module: str, owner: str | None, name: str, call: int, after: bool) -> Any:
        def arm() -> None:
            target = __import__(module, fromlist=["_"])
            _die_within(getattr(target, owner) if owner else target, name, call, after=after)

        return arm

    def slow(module: str, owner: str | None, name: str) -> Any:
        def arm() -> None:
            target = __import__(module, fromlist=["_"])
            _sleep_within(getattr(target, owner) if owner else target, name)

        return arm

    return {
        "before the first save": at("experiment.session", "Session", "save", 1, False),
        "in an update": at("torch.nn.utils", None, "clip_grad_norm_", 25, False),
        "in the middle of a file": at("experiment.checkpoint", None, "checksum", 3, False),
        "between two renames": at("pathlib", "Path", "replace", 4, True),
        "after a save": at("experiment.session", "Session", "save", 2, True),
        "while playing again": at("train", "Training", "remember", 20, False),
        "in the evaluation": at("train", None, "summary", 1, False),
        "before the score is written": at("experiment.folder", "RunFolder", "write_score", 1, False),
        "slow updates": slow("agents.agent", "Agent", "update"),
        "slow evaluation": slow("train", None, "evaluate"),
    }


MOMENTS = _moments()
DEATHS = [name for name in MOMENTS if not name.startswith("slow")]
