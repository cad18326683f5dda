"""A run from its command line to its last line. No torch here: it is loaded with the loop, if there is anything to do."""

import shlex
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol

from experiment.command import say
from experiment.folder import RunFolder
from experiment.on_tensorboard import require_tensorboard
from experiment.on_wandb import Mode, require_key
from experiment.provenance import provenance
from experiment.signals import Signals


class Asked(Protocol):
    """What a command line asks for: `Run` of options.py or of supervised/options.py, where each of these is described."""

    device: Literal["auto", "cpu", "cuda"]
    wandb: Mode
    tensorboard: bool
    fresh: bool
    clock: str
    apart: str
    folder: Path
    identity: Callable[[], dict[str, Any]]
    going_on: Callable[[dict[str, Any]], Any]
    mirror: Callable[[], dict[str, Any]]
    outcome: Callable[[dict[str, Any] | None], str]


def start(asked: Asked, loop: str, packages: tuple[str, ...]) -> dict[str, Any] | None:
    """Make the run that is `asked` for, or what is left of it, unless its folder holds it finished; say what it came to.

    What score.json holds; None without an evaluation.

    `loop` is the module whose `Training` trains. It and all that it imports are loaded before that, so that the run is of one
    state of the code, whatever is edited meanwhile. The result depends on the versions of `packages`.
    """
    with Signals() as signals, RunFolder(asked.folder) as folder:
        score = None if asked.fresh else folder.check(asked.identity(), type(asked))
        if score is not None:
            say(folder.finished(score))
        else:
            made = provenance(packages)  # the commit is taken before more of the code is read
            if asked.wandb == "online":
                require_key()
            if asked.tensorboard:
                require_tensorboard()
            training, session = (import_module(name) for name in (loop, "experiment.session"))
            score = session.Session(asked, folder, signals, made).carry_out(training.Training)
    say(asked.outcome(score), sys.stdout)
    return score


def say_next(**commands: Sequence[object]) -> None:
    """Say what can be typed next, a line for each purpose; indented, so that who wants the last line passes them over."""
    width = max(map(len, commands)) + 1
    for purpose, words in commands.items():
        say(f"  {f'{purpose}:':{width}} {shlex.join(map(str, words))}", sys.stdout)
