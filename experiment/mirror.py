"""Metrics as Weights & Biases shows them: a copy, and whatever fails there is one line and no reason for a run to fail."""

import os
from collections.abc import Callable
from typing import Any

from experiment.command import UserError, first_line, say
from experiment.folder import RunFolder

PATIENCE = 30  # seconds to wait for the network, unless WANDB_INIT_TIMEOUT says another number
KEY = "--wandb online needs a key: `wandb login` asks for it once; --wandb offline needs none"


def require_key() -> None:
    """UserError if wandb has no key: it would ask for one, or train for hours without being seen."""
    wandb = _wandb()
    try:
        has_key = wandb.login(prompt=False, verify=False)
    except TypeError:  # versions that cannot be told not to ask
        has_key = bool(wandb.api.api_key)
    except Exception as error:  # a key that can be none
        raise UserError(f"--wandb online: {first_line(error, type(error).__name__)}") from error
    if not has_key:
        raise UserError(KEY)


def mirrored(mode: str, where: dict[str, str], folder: RunFolder, settings: dict[str, Any]) -> dict[str, Any] | None:
    """The arguments of wandb.init for the run in `folder`, None if `mode` is off. A continued run keeps its id.

    `where` has project, name and perhaps group. The environment's WANDB_PROJECT replaces that project; WANDB_ENTITY and
    WANDB_TAGS are read by wandb itself.
    """
    if mode == "off":
        return None
    where = where | ({"project": os.environ["WANDB_PROJECT"]} if os.environ.get("WANDB_PROJECT") else {})
    place = {"id": folder.wandb_id(), "resume": "allow", "dir": str(folder.path)}
    return {"mode": mode, **where, **place, "config": settings}


class Mirror:
    """A run of wandb, or nothing if it cannot be started."""

    def __init__(self, arguments: dict[str, Any], clock: str) -> None:
        """`arguments` of wandb.init, among them `mode` and `dir`; without a network an online run becomes an offline one."""
        self._clock, self._run = clock, None
        if arguments["mode"] == "online":
            why = _failure(self._start, arguments)
            if why is None:
                return
            say(f"wandb is offline for this run ({why}); later: wandb sync {arguments['dir']}/wandb/offline-run-*")
            _failure(lambda: _wandb().teardown())  # else the run's name is in use
        self._attempt(self._start, arguments | {"mode": "offline"})

    def log(self, values: dict[str, Any], row: int) -> None:
        """Row number `row` of the run, counted over all its processes: what is written again is shown once."""
        if self._run is not None:
            self._attempt(self._run.log, values, step=row)

    def finish(self) -> None:
        """Send what is left."""
        if self._run is not None:
            self._attempt(self._run.finish)

    def _start(self, arguments: dict[str, Any]) -> None:
        wandb = _wandb()
        patience = {} if "WANDB_INIT_TIMEOUT" in os.environ else {"init_timeout": PATIENCE}
        run = wandb.init(**arguments, settings=wandb.Settings(silent=True, **patience))
        run.define_metric("*", step_metric=self._clock)
        self._run = run

    def _attempt(self, call: Callable[..., object], *arguments: Any, **named: Any) -> None:
        """Call, or end the mirror with one line."""
        if (why := _failure(call, *arguments, **named)) is not None:
            say(f"wandb is off for this run: {why}")
            self._run = None


def _failure(call: Callable[..., object], *arguments: Any, **named: Any) -> str | None:
    """Call; why that failed, None if it did not. UserError if a signal ends the program."""
    try:
        call(*arguments, **named)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        return first_line(error, type(error).__name__)
    return None


def _wandb() -> Any:
    """The module, told to say nothing: it prints advice on libraries for language models to whoever has a package `agents`."""
    os.environ.setdefault("WANDB_DISABLE_WEAVE", "true")
    os.environ.setdefault("WANDB_SILENT", "true")
    import wandb  # takes a second

    return wandb
