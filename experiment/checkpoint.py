"""Checkpoints: written whole or not at all, each with its checksum, the last two kept; read without running code."""

import hashlib
import os
import stat
import warnings
from pathlib import Path
from pickle import UnpicklingError
from typing import IO, Any

import torch

from experiment.command import UserError, first_line, say
from experiment.files import atomic
from experiment.folder import kept_checkpoint, older

FORMAT = 3
MARK = b"blake2b:"  # what follows it, to the end of the file, is the checksum of what stands before it
DIGEST = 32  # bytes


class DamagedError(UserError):
    """A checkpoint that is not what was written: the one before it may still be good."""


class _Summed:
    """A file that is written to and sums up what is; it keeps the first error, which torch hides behind its own."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sum = hashlib.blake2b(digest_size=DIGEST)
        self.error: Exception | None = None

    def write(self, data: bytes) -> int:
        self.sum.update(data)
        try:
            return self._file.write(data)
        except Exception as error:
            self.error = self.error or error
            raise

    def flush(self) -> None:
        self._file.flush()


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors and plain values) to `path`, atomically; what stood there becomes `older(path)`.

    UserError, code 1, if it cannot be written; then nothing is changed.
    """
    failed: Exception | None = None
    try:
        with atomic(path, keep=older(path) if _is_sound(path) else None) as file:  # damage must not push out what is whole
            summed = _Summed(file)
            try:
                torch.save({"format": FORMAT, **state}, summed)
            finally:
                failed = summed.error
            file.write(MARK + summed.sum.digest())
    except (OSError, RuntimeError) as error:
        cause = failed or error.__context__ or error
        if isinstance(cause, UserError):  # a second Ctrl-C
            raise cause from None
        reason = getattr(cause, "strerror", None) or first_line(cause, "it failed")
        raise UserError(f"cannot write a checkpoint: {reason}; {kept_checkpoint(path.parent)}", code=1) from error


def load_checkpoint(path: Path, device: torch.device | str) -> dict[str, Any]:
    """The newest whole state of those that were saved at `path`, its tensors on `device`; a line says so if one is damaged.

    UserError if there is none, or if it is of another format or holds code.
    """
    try:
        return _load(path, device)
    except DamagedError as error:
        if not older(path).exists():
            raise
        if path.exists():
            say(f"{error}; the checkpoint before it is used")
    return _load(older(path), device)


def _load(path: Path, device: torch.device | str) -> dict[str, Any]:
    _check_sum(path)
    try:
        with warnings.catch_warnings():  # torch warns of foreign pickles before it refuses them
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, UnpicklingError, ValueError) as error:
        raise UserError(f"{path} is no checkpoint ({first_line(error, 'it is empty')})") from error
    version = state.get("format") if isinstance(state, dict) else None
    if version != FORMAT:
        raise UserError(f"{path} has checkpoint format {version}; this version reads {FORMAT}")
    return state


def _is_sound(path: Path) -> bool:
    try:
        _check_sum(path)
    except DamagedError:
        return False
    return True


def _check_sum(path: Path) -> None:
    """DamagedError unless `path` ends with the checksum of what it holds."""
    tail = len(MARK) + DIGEST
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # opening a pipe would wait for a writer
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise DamagedError(f"{path} cannot be read (it is no regular file)")
            size = status.st_size - tail
            summed, left = hashlib.blake2b(digest_size=DIGEST), size
            while left > 0 and (block := file.read(min(left, 1 << 20))):
                summed.update(block)
                left -= len(block)
            sound = size > 0 and file.read() == MARK + summed.digest()
    except FileNotFoundError:
        raise DamagedError(f"there is no checkpoint at {path}") from None
    except OSError as error:
        raise DamagedError(f"{path} cannot be read ({error.strerror})") from error
    if not sound:
        raise DamagedError(f"{path} is no checkpoint, or a damaged one (its checksum is wrong)")
