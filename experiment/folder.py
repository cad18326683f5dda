"""The folder of a run: one process at a time, one configuration for ever, no half-written file."""

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import MISSING, asdict, fields, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args, get_type_hints

from experiment.command import UserError
from experiment.files import write_json

CONFIG = "config.json"
SCORE = "score.json"
CHECKPOINT = "checkpoint.pt"
METRICS = "metrics.jsonl"
OF_SCORES = ("eval_episodes",)  # settings that training does not depend on
LOOKS = 10  # times that a held lock is tried again, 50 ms apart


class RunFolder:
    """A context in which the folder at `path` belongs to this process, however it ends: the kernel keeps the lock.

    The lock is flock's. On NFS it holds between machines from Linux 2.6.12 on; on a file system without it, opening fails.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> "RunFolder":
        """Make the folder if need be and take its lock. UserError if it cannot be written or another process holds it."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise UserError(f"cannot write to {self.path}: {error.strerror}; choose another --out") from error
        try:
            _take(self._lock)
        except OSError as error:
            os.close(self._lock)
            if isinstance(error, BlockingIOError):
                raise UserError(f"{self.path} is held by another process that is running it") from None
            raise UserError(f"cannot lock {self.path}: {error.strerror}; choose another --out") from error
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)

    def held(self) -> bool:
        """Whether a process has the folder, on any machine that the file system's locks reach. UserError if none can tell."""
        try:
            lock = os.open(self.path / "lock", os.O_RDONLY)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise UserError(f"cannot read {self.path / 'lock'}: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)  # given back at once; who starts meanwhile tries again
        except BlockingIOError:
            return True
        except OSError as error:
            raise UserError(f"cannot read the lock of {self.path}: {error.strerror}") from error
        finally:
            os.close(lock)
        return False

    def check(self, settings: dict[str, Any], kind: type) -> dict[str, Any] | None:
        """The score if the folder holds this very run, finished; None if it holds none, or an unfinished one.

        UserError if it holds one with other `settings`, which are fields of the dataclass `kind`.
        """
        config, score = self.path / CONFIG, self.path / SCORE
        if not config.exists():
            return None
        try:
            theirs = json.loads(config.read_text())["settings"]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{config} cannot be read; --fresh replaces the run in {self.path}") from error
        try:
            result = json.loads(score.read_text()) if score.exists() else None
        except ValueError as error:
            raise UserError(f"{score} cannot be read; delete it, and the run goes on from its checkpoint") from error
        differing = differences(kind, theirs, settings, scored=result is not None)
        if differing:
            names = ", ".join(differing[:4])
            raise UserError(f"{self.path} holds a run with another {names}; choose another --out, or --fresh to replace it")
        return result

    @property
    def checkpoint(self) -> Path | None:
        """Where the checkpoints of the run are, None if it has none."""
        path = self.path / CHECKPOINT
        return path if (self.path / CONFIG).exists() and (path.exists() or older(path).exists()) else None

    def begin(self, settings: dict[str, Any], made: dict[str, Any]) -> None:
        """Delete what an earlier run left and write config.json; `made` tells how the run is made (commit, device)."""
        checkpoint = self.path / CHECKPOINT
        for path in (self.path / CONFIG, self.path / SCORE, self.path / METRICS, checkpoint, older(checkpoint)):
            path.unlink(missing_ok=True)  # the configuration first: without it the rest belongs to no run
        self.write_json(CONFIG, {"settings": settings, "made": made, "continued": []})

    def go_on(self, settings: dict[str, Any], made: dict[str, Any]) -> None:
        """Note in config.json that the run is continued, and how that is made."""
        config = json.loads((self.path / CONFIG).read_text())
        self.write_json(CONFIG, config | {"settings": settings, "continued": [*config["continued"], made]})

    def made(self) -> dict[str, Any]:
        """How the run was begun."""
        return json.loads((self.path / CONFIG).read_text())["made"]

    def write_json(self, name: str, value: Any) -> None:
        """Write `value` as JSON to the file `name`, atomically. UserError if that fails."""
        write_json(self.path / name, value)


def _take(lock: int) -> None:
    """Lock the file descriptor `lock`. BlockingIOError if another process has it for longer than it takes to look (`held`)."""
    for _ in range(LOOKS):
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
    return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def older(path: Path) -> Path:
    """Where the last but one version of the file `path` is kept."""
    return path.with_stem(path.stem + ".older")


def provenance(packages: tuple[str, ...] = ("torch", "ale-py", "gymnasium", "numpy")) -> dict[str, Any]:
    """How this process was made: command line, commit of the code, versions of the `packages` that a score depends on."""
    return {
        "command": " ".join(sys.argv),
        "commit": commit(),
        "python": sys.version.split()[0],
        "versions": {package: version(package) for package in packages},
    }


def commit() -> str:
    """The commit of the code, with `-dirty` after it if files differ from it; `unknown` outside a repository."""
    root = Path(__file__).resolve().parent.parent
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def differences(kind: type, theirs: dict[str, Any], ours: dict[str, Any], scored: bool) -> list[str]:
    """The names of settings, fields of the dataclass `kind`, that differ; what scores alone depend on counts if `scored`.

    Fields that were added since `theirs` was written have their defaults there: the run was made as these say.
    """
    theirs = {name: value for name, value in filled(kind, theirs).items() if name in ours or name in theirs}
    found = sorted(_differences(theirs, json.loads(json.dumps(ours))))
    return [name for name in found if scored or name not in OF_SCORES]


def filled(kind: type, values: dict[str, Any]) -> dict[str, Any]:
    """The dataclass `kind` as the nested dicts `values`, with the defaults of the fields that they lack."""
    known = {field.name: field.default for field in fields(kind) if field.default is not MISSING}
    found = {name: asdict(value) if is_dataclass(value) else value for name, value in known.items()} | values
    for name, hint in get_type_hints(kind).items():
        for inner in filter(is_dataclass, get_args(hint) or (hint,)):
            if isinstance(found.get(name), dict):
                found[name] = filled(inner, found[name])
    return found


def _differences(ours: Any, theirs: Any, path: str = "") -> Iterable[str]:
    """Paths at which two JSON values differ."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in ours.keys() | theirs.keys():
            yield from _differences(ours.get(key), theirs.get(key), f"{path}.{key}" if path else key)
    elif ours != theirs:
        yield path
