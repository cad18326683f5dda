"""The folder of a run: one process at a time, one configuration for ever, no half-written file."""

import fcntl
import hashlib
import json
import os
import secrets
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from experiment.command import UserError, say
from experiment.files import read_bytes, read_json, write_json, writing
from experiment.outside import require
from experiment.provenance import commit, short
from experiment.score import read_score, sealed
from experiment.settings import differences

CONFIG = "config.json"
SCORE = "score.json"
CHECKPOINT = "checkpoint.pt"
METRICS = "metrics.jsonl"
FILM = "eval.mp4"
EVENTS = "events.out.tfevents.*"  # of TensorBoard
BESIDE = "beside"  # in score.json
LOOKS = 10  # times that a held lock is tried again, 50 ms apart


class RunFolder:
    """A context in which the folder at `path` belongs to this process alone.

    The lock is flock's: the kernel gives it back however the process ends. On NFS it holds between machines from Linux 2.6.12
    on; on a file system without it, opening fails.
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

        UserError if it holds one with other `settings`, which are fields of the dataclass `kind`, or if a file is damaged.
        """
        config, score = self.path / CONFIG, self.path / SCORE
        finished = score.exists()
        if not config.exists():
            if finished and self.checkpoint is None:
                raise UserError(f"{score} is there without {CONFIG}; --fresh starts the run over")
            return None
        theirs = self._config()["settings"]
        require(theirs.get("imports", {}), self.path)
        if differing := differences(kind, theirs, settings, scored=finished):
            raise UserError(f"{self.path} holds a run with another {differing}; {kind.apart}, --fresh replaces it")
        if not finished:
            return None
        try:
            return read_score(score, settings)
        except UserError as error:
            raise UserError(f"{error}; delete it, and the run goes on from its checkpoint") from error

    def require_own(self, theirs: dict[str, Any], settings: dict[str, Any], kind: type) -> None:
        """UserError if `theirs`, the settings that a checkpoint in the folder has, train another run than `settings` do."""
        require(theirs.get("imports", {}), self.path)
        if differing := differences(kind, theirs, settings, scored=False):
            raise UserError(
                f"the checkpoint in {self.path} is of another run, with another {differing}; {kind.apart}, --fresh starts over"
            )

    def finished(self, result: dict[str, Any]) -> str:
        """When the run came to its score `result`, and at which commit."""
        when = datetime.fromtimestamp((self.path / SCORE).stat().st_mtime)
        then, now = str(result.get("commit")), commit()
        moved = " (the code has uncommitted changes)" if now.endswith("-dirty") else ""
        moved = f" (the code is now {short(now)})" if now != then else moved
        return f"finished on {when:%Y-%m-%d %H:%M} at commit {short(then)}{moved}; --fresh runs it again"

    @property
    def checkpoint(self) -> Path | None:
        """Where the checkpoints of the run are, None if it has none."""
        path = self.path / CHECKPOINT
        return path if path.exists() or older(path).exists() else None

    def begin(self, settings: dict[str, Any], made: dict[str, Any]) -> None:
        """Delete what an earlier run left and write config.json; `made` tells how the run is made (commit, device)."""
        checkpoint = self.path / CHECKPOINT
        viewed = [self.path / METRICS, self.path / FILM, *self.path.glob(EVENTS)]
        for path in (self.path / SCORE, older(checkpoint), checkpoint, *viewed):
            with writing(path):
                path.unlink(missing_ok=True)  # the configuration stays until there is another: what is left belongs to it
        self._write_config(settings, made, [])

    def go_on(self, settings: dict[str, Any], made: dict[str, Any]) -> None:
        """Note in config.json that the run is continued, and how that is made; it is written anew if it was lost."""
        if not (self.path / CONFIG).exists():
            say(f"note: {self.path / CONFIG} was lost; it is made again from the checkpoint's settings")
            self._write_config(settings, {}, [made])
            return
        config = self._config()
        before = config["continued"][-1] if config["continued"] else config["made"]
        then, now = before.get("commit"), made.get("commit")
        if then != now:
            say(f"note: the run goes on at commit {short(str(now))}; it was at {short(str(then))} until now")
        self._write_config(settings, config["made"], [*config["continued"], made])

    def wandb_id(self) -> str:
        """The run's id at Weights & Biases, the same however often it is continued."""
        return str(self._config()["made"].get("wandb") or secrets.token_hex(4))

    def commits(self) -> dict[str, list[str]]:
        """The commits at which the run was trained, one after the other, if there was more than one."""
        config = self._config()
        commits = [str(part["commit"]) for part in (config["made"], *config["continued"]) if "commit" in part]
        distinct = list(dict.fromkeys(commits))
        return {"commits": distinct} if len(distinct) > 1 else {}

    def write_score(self, score: dict[str, Any]) -> None:
        """Write score.json, atomically, with its checksum and those of what lies beside it. UserError if that fails."""
        write_json(self.path / SCORE, sealed({**score, BESIDE: beside(self.path)}))

    def _write_config(self, settings: dict[str, Any], made: dict[str, Any], continued: list[dict[str, Any]]) -> None:
        made = {"wandb": secrets.token_hex(4)} | made
        write_json(self.path / CONFIG, {"settings": settings, "made": made, "continued": continued})

    def _config(self) -> dict[str, Any]:
        """What config.json holds. UserError if that is not what `begin` wrote."""
        with suppress(UserError, TypeError, KeyError):
            config = {"continued": []} | read_json(self.path / CONFIG)
            if all(isinstance(one, dict) for one in (config["settings"], config["made"], *config["continued"])):
                return config
        remedy = f"--fresh replaces the run in {self.path}"
        if self.checkpoint is not None:
            remedy = "delete it, and the run goes on with its checkpoint's settings"
        raise UserError(f"{self.path / CONFIG} cannot be read; {remedy}")


def beside(folder: Path) -> dict[str, str]:
    """Checksums of what a report reads beside the score in `folder`: the settings of its config.json, and metrics.jsonl."""
    settings = json.dumps(read_json(folder / CONFIG)["settings"], sort_keys=True).encode()
    held = {CONFIG: settings, **({METRICS: read_bytes(folder / METRICS)} if (folder / METRICS).exists() else {})}
    return {name: hashlib.blake2b(content, digest_size=16).hexdigest() for name, content in held.items()}


def require_untouched(folder: Path, score: dict[str, Any]) -> None:
    """UserError if what lies beside the whole `score` in `folder` is not as it was when that was written.

    A score from before there were such checksums is taken as it is.
    """
    then, now = score.get(BESIDE, {}), beside(folder)
    for name in then:
        if then[name] != now.get(name):
            raise UserError(f"{folder / name} is damaged: it is not as it was when the run was finished")


def _take(lock: int) -> None:
    """Lock the file descriptor `lock`. BlockingIOError if another process has it for longer than it takes to look (`held`)."""
    for _ in range(LOOKS):
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
    return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def kept_checkpoint(folder: Path) -> str:
    """For an error message: where the last checkpoint of the run in `folder` is, or that there is none."""
    path = folder / CHECKPOINT
    return f"the last checkpoint is kept at {path}" if path.exists() else "there is no checkpoint yet"


def older(path: Path) -> Path:
    """Where the last but one version of the file `path` is kept."""
    return path.with_stem(path.stem + ".older")
