"""A run as Weights & Biases shows it."""

import os
from pathlib import Path
from typing import Any, Literal

from experiment.command import UserError, first_line, say
from experiment.folder import RunFolder
from experiment.mirror import Mirror, failure, flat

Mode = Literal["off", "offline", "online"]
PATIENCE = 30  # seconds to wait for the network, unless WANDB_INIT_TIMEOUT says another number
KEY = "--wandb online needs a key: `wandb login` asks for it once; --wandb offline needs none"


def usual_mode() -> Mode:
    """What --wandb is where it is not given: what WANDB_MODE says, off if it is neither online nor offline."""
    mode = os.environ.get("WANDB_MODE")
    return mode if mode in ("offline", "online") else "off"


def usual_project(ours: str = "hare-and-tortoise") -> str:
    """What --wandb-project is where it is not given: what WANDB_PROJECT says, else `ours`."""
    return os.environ.get("WANDB_PROJECT") or ours


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


def arguments_of(mode: Mode, where: dict[str, Any], folder: RunFolder, settings: dict[str, Any]) -> dict[str, Any]:
    """The arguments of wandb.init for the run in `folder`. A continued run keeps its id.

    `where` has project and name, and perhaps group and tags. The environment's WANDB_RUN_GROUP and WANDB_NAME replace them,
    WANDB_TAGS are added; WANDB_ENTITY is read by wandb itself.
    """
    given = {name: os.environ.get(variable) for name, variable in (("group", "WANDB_RUN_GROUP"), ("name", "WANDB_NAME"))}
    where = where | {name: value for name, value in given.items() if value}
    more = [tag for tag in os.environ.get("WANDB_TAGS", "").split(",") if tag]
    tags = list(dict.fromkeys([*where.get("tags", []), *more]))
    place = {"id": folder.wandb_id(), "resume": "allow", "dir": str(folder.path)}
    return {"mode": mode, **where, "tags": tags, **place, "config": settings}


class WandbRun(Mirror):
    """A run of wandb, or nothing if it cannot be started."""

    name, films = "wandb", True

    def __init__(self, arguments: dict[str, Any], clock: str) -> None:
        """`arguments` of wandb.init, among them `mode` and `dir`; without a network an online run becomes an offline one."""
        super().__init__()
        self._clock = clock
        if arguments["mode"] == "online":
            why = failure(self._start, arguments)
            if why is None:
                return
            say(f"wandb is offline for this run ({why}); later: wandb sync {arguments['dir']}/wandb/offline-run-*")
            failure(lambda: _wandb().teardown())  # else the run's name is in use
        self._attempt(self._start, arguments | {"mode": "offline"})

    def _start(self, arguments: dict[str, Any]) -> None:
        wandb = _wandb()
        patience = {} if "WANDB_INIT_TIMEOUT" in os.environ else {"init_timeout": PATIENCE}
        self._run = wandb.init(**arguments, settings=wandb.Settings(silent=True, **patience))
        self._run.define_metric("*", step_metric=self._clock)

    def _log(self, kind: str, time: int, values: dict[str, Any], row: int) -> None:
        """A row that is written again has the number that it had, so it is shown once."""
        self._run.log({self._clock: time, **flat(kind, values)}, step=row)

    def _conclude(self, score: dict[str, float], film: Path | None) -> None:
        if film is not None:
            self._run.log({"film": _wandb().Video(str(film), format=film.suffix[1:])})
        self._run.summary.update(score)

    def _finish(self) -> None:
        self._run.finish()


def _wandb() -> Any:
    """The module, told to say nothing: it prints advice on libraries for language models to whoever has a package `agents`."""
    os.environ.setdefault("WANDB_DISABLE_WEAVE", "true")
    os.environ.setdefault("WANDB_SILENT", "true")
    import wandb  # takes a second

    return wandb
