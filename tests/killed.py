"""Programs in processes of their own, which have torch already, and runs that die there at chosen or random moments."""

import multiprocessing
import os
import runpy
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parent.parent
CONTEXT = multiprocessing.get_context("forkserver")
# The last two are imported at the first optimizer and the first network on the meta device: two seconds of every child.
PRELOADED = ["train", "eval", "agents.agent", "agents.measures", "experiment.checkpoint", "envs.toy", "envs.atari"]
CONTEXT.set_forkserver_preload([*PRELOADED, "torch._dynamo", "torch.fx.experimental.symbolic_shapes"])


def start(arguments: list[str], log: Path, moment: str | None = None) -> multiprocessing.Process:
    """Run train.py with `arguments` in a new process, what it says going to `log`; it kills itself at `moment`, if given."""
    return _started("train.py", arguments, log, log, moment)


def finish(arguments: list[str], log: Path, moment: str | None = None) -> int:
    """`start`, and wait; the exit status, negative for a signal."""
    process = start(arguments, log, moment)
    process.join(120)
    assert process.exitcode is not None, log.read_text()
    return process.exitcode


def wait_for(text: str, log: Path) -> None:
    """Until `text` is in the log; AssertionError after a minute."""
    until = time.monotonic() + 60
    while not log.exists() or text not in log.read_text():
        assert time.monotonic() < until, f"no {text!r} in the log"
        time.sleep(0.02)


def program(line: str, out: Path | None, err: Path | None) -> int:
    """Carry out `train.py ...` or `-m sweep.grid ...` with streams that are these files, or closed; the exit status."""
    name, *arguments = line.removeprefix("-m ").split()
    process = _started(name, arguments, out, err)
    process.join(60)
    assert process.exitcode is not None
    return process.exitcode


def _started(
    name: str, arguments: list[str], out: Path | None, err: Path | None, moment: str | None = None
) -> multiprocessing.Process:
    process = CONTEXT.Process(target=_child, args=(name, arguments, out, err, moment))
    process.start()
    return process


def _child(name: str, arguments: list[str], out: Path | None, err: Path | None, moment: str | None = None) -> None:
    # The second line for line, as in a new interpreter.
    sys.stdout, sys.stderr = (_stream(*one) for one in ((1, out, -1), (2, err, 1)))
    if out is err is None:
        os.close(0)
    torch.set_num_threads(1)
    os.chdir(ROOT)
    sys.argv = [name, *arguments]
    if moment is not None:
        MOMENTS[moment]()
    if name.endswith(".py"):
        runpy.run_path(name, run_name="__main__")
    else:
        runpy.run_module(name, run_name="__main__", alter_sys=True)


def _stream(number: int, path: Path | None, buffering: int) -> Any:
    """Make `number` the stream of a process to the file `path`; without one it is closed, and None, as Python has it then."""
    if path is None:
        return os.close(number)
    with open(path, "a") as file:
        os.dup2(file.fileno(), number)
    return os.fdopen(number, "w", buffering)


def _hook(owner: Any, name: str, call: int, act: Callable[[], None], *, after: bool) -> None:
    """Carry out `act` in the `call`-th call of `owner.name`, before or after what it does."""
    original, count = getattr(owner, name), 0

    def replaced(*arguments: Any, **named: Any) -> Any:
        nonlocal count
        count += 1
        if count == call and not after:
            act()
        result = original(*arguments, **named)
        if count == call and after:
            act()
        return result

    setattr(owner, name, replaced)


def _moments() -> dict[str, Callable[[], None]]:
    def found(module: str, owner: str | None) -> Any:
        target = __import__(module, fromlist=["_"])
        return getattr(target, owner) if owner else target

    def death(module: str, owner: str | None, name: str, call: int, after: bool) -> Callable[[], None]:
        return lambda: _hook(found(module, owner), name, call, lambda: os.kill(os.getpid(), signal.SIGKILL), after=after)

    def signalled(number: signal.Signals) -> Callable[[], None]:
        return lambda: _hook(found("agents.agent", "Agent"), "update", 8, lambda: os.kill(os.getpid(), number), after=False)

    def slow(module: str, owner: str | None, name: str) -> Callable[[], None]:
        return lambda: setattr(found(module, owner), name, lambda *_, **__: time.sleep(60))

    return {
        "before the first save": death("experiment.session", "Session", "save", 1, False),
        "in an update": death("torch.nn.utils", None, "clip_grad_norm_", 25, False),
        "in the middle of a file": death("experiment.checkpoint", None, "checksum", 3, False),
        "between two renames": death("pathlib", "Path", "replace", 4, True),
        "after a save": death("experiment.session", "Session", "save", 3, True),
        "while playing again": death("train", "Training", "remember", 20, False),
        "in the evaluation": death("train", None, "summary", 1, False),
        "before the score is written": death("experiment.folder", "RunFolder", "write_score", 1, False),
        # Of two lanes, in whatever process: what is played again counts, too.
        **{f"in env step {n}": death("train", "Training", "remember", n // 2, False) for n in (90, 110)},
        "slow updates": slow("agents.agent", "Agent", "update"),
        "slow evaluation": slow("train", None, "evaluate"),
        "at a terminal": lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        "behind nohup": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
        **{number.name: signalled(number) for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)},
    }


MOMENTS = _moments()
DEATHS = list(MOMENTS)[:8]
