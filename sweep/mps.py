"""NVIDIA's Multi-Process Service, which lets the kernels of several processes run side by side on a card.

    eval "$(python -m sweep.mps start)"     for the programs that this shell starts; a service that runs already is used
    python -m sweep.mps stop                ends what `start` began, and nothing else

It needs no root. Without a service runs that share a card take turns. A fault of one program's kernels ends all programs on its
card. Whoever is killed unasked leaves the service that it began; `stop` ends that too, with CUDA_MPS_PIPE_DIRECTORY set to its
folder, mps-... among the temporary files.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from experiment.command import UserError, run, say

CONTROL = "nvidia-cuda-mps-control"
PIPE, LOG = "CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"
MARK = "started-by-sweep"  # a file in the folder of a service of ours
PATIENCE = 30  # seconds


def start() -> dict[str, str]:
    """Where programs find the service, as environment variables: none if one runs already, or if there is none to be had."""
    if shutil.which(CONTROL) is None:
        say(f"note: {CONTROL} is not installed: runs that share a card take turns")
        return {}
    if _told("get_server_list", os.environ):
        say("note: the MPS service that is running is used")
        return {}
    place = Path(tempfile.mkdtemp(prefix="mps-"))  # a short path: sockets are made in it
    where = {PIPE: str(place), LOG: str(place)}
    # Clients choose their cards themselves, by the machine's own numbers.
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"} | where
    begun = _run([CONTROL, "-d"], environment)
    if not begun or not _told("get_server_list", environment):
        shutil.rmtree(place, ignore_errors=True)
        say("note: MPS did not start: runs that share a card take turns")
        return {}
    (place / MARK).touch()
    return where


def stop(where: Mapping[str, str]) -> None:
    """End the service at `where`, if it is one that `start` began."""
    place = Path(where.get(PIPE, ""))
    if PIPE in where and (place / MARK).exists():
        _told("quit", {**os.environ, **where})
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def serving(wanted: bool) -> Iterator[dict[str, str]]:
    """A context with the service, if it is `wanted`; what to add to the environment of the programs that use it."""
    where = start() if wanted else {}
    try:
        yield where
    finally:
        stop(where)


def _told(command: str, environment: Mapping[str, str]) -> bool:
    """Whether a service took the `command`."""
    return _run([CONTROL], environment, f"{command}\n")


def _run(words: list[str], environment: Mapping[str, str], said: str = "") -> bool:
    try:
        # The daemon inherits what it is given: not a pipe, for whose end one would wait until it ends.
        done = subprocess.run(
            words,
            input=said,
            text=True,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def main(argv: list[str]) -> None:
    """Start a service and print what a shell is to export, or stop it."""
    if argv == ["start"]:
        for name, value in start().items():
            print(f"export {name}={shlex.quote(value)}")
    elif argv == ["stop"]:
        stop(os.environ)
    else:
        raise UserError('eval "$(python -m sweep.mps start)" or python -m sweep.mps stop')
    sys.stdout.flush()


if __name__ == "__main__":
    run(main)
