"""How a process was made: its command line, the commit of its code, the versions of what its results depend on."""

import hashlib
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from experiment.command import first_line, say

ROOT = Path(__file__).resolve().parent.parent


def provenance(packages: Sequence[str]) -> dict[str, Any]:
    """Command line, commit of the code when it was first asked for, and versions of the `packages`."""
    return {
        "command": command_line(sys.argv),
        "commit": commit_at_start(),
        "python": sys.version.split()[0],
        "versions": {package: version(package) for package in packages},
    }


def command_line(words: Sequence[str]) -> str:
    """The command line of `words` as a shell takes it; of a byte that is no UTF-8 its number."""
    return shlex.join(words).encode(errors="surrogateescape").decode(errors="backslashreplace")


def commit_at_start() -> str:
    """The commit of the code when this was first asked; a line tells where it cannot be known."""
    return _at_start()[0]


@cache
def _at_start() -> tuple[str, str]:
    """The commit of the code when this was first asked, and the hash of what differs from it."""
    commit, why = _describe()
    if commit == "unknown":
        say(f"note: the commit of the code is unknown ({why})")
    return commit, _changes(commit)


def moved() -> dict[str, str]:
    """`commit_at_end` if the checkout is not what it was when this process began, with a line that says so; else nothing."""
    then, now = commit_at_start(), commit()
    if (now, _changes(now)) == _at_start():
        return {}
    state = f"at commit {now}" if now != then else "changed"
    say(f"note: the code was at commit {then} when this began, which is what ran; the checkout is now {state}")
    return {"commit_at_end": now}


def commit() -> str:
    """The commit of the checkout now, with `-dirty` after it if files differ from it; `unknown` outside a repository."""
    return _describe()[0]


def short(commit: str) -> str:
    """A commit as it is shown to a person."""
    return commit[:10] + ("-dirty" if commit.endswith("-dirty") else "")


def _describe() -> tuple[str, str]:
    """The commit, and where it is unknown, why."""
    try:
        answer = _git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except OSError as error:
        return "unknown", f"git: {error.strerror}"
    if answer.returncode:
        return "unknown", first_line(answer.stderr.decode(errors="replace"), f"git ends with {answer.returncode}")
    return answer.stdout.decode(errors="replace").strip(), ""


def _changes(commit: str) -> str:
    """The hash of what differs from `commit` in the checkout, "" if nothing does."""
    return hashlib.blake2b(_git("diff", "HEAD").stdout, digest_size=8).hexdigest() if commit.endswith("-dirty") else ""


def _git(*words: str) -> subprocess.CompletedProcess[bytes]:
    """What git says of the checkout. OSError if there is no git."""
    command = ["git", "-C", str(ROOT), *words]
    # Not another repository's, and that of a checkout that belongs to another user too, as in containers: its code runs anyway.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    trusted = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    return subprocess.run(command, capture_output=True, env=clean | trusted)
