"""Checkpoints: written whole or not at all, each with its checksum, the last two kept; read without running code."""

import hashlib
import io
import warnings
from contextlib import suppress
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from experiment.command import UserError, first_line, say
from experiment.files import atomic, read_bytes
from experiment.folder import kept_checkpoint, older

FORMAT = 3
MARK = b"blake2b:"  # what follows it, to the end of the file, is the checksum of what stands before it
DIGEST = 32  # bytes
LARGEST = 1 << 40  # bytes of a file


class DamagedError(UserError):
    """A checkpoint that is not what was written: the one before it may still be good."""


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors and plain values) to `path`, atomically; what stood there becomes `older(path)`.

    UserError, code 1, if it cannot be written; then nothing is changed.
    """
    keep = None
    with suppress(DamagedError):  # damage must not push out what is whole
        _sound(path)
        keep = older(path)
    archive = io.BytesIO()
    torch.save({"format": FORMAT, **state}, archive)
    try:
        with atomic(path, keep) as file:
            file.write(archive.getbuffer())
            file.write(checksum(archive.getbuffer()))
    except OSError as error:
        raise UserError(f"cannot write a checkpoint: {error.strerror}; {kept_checkpoint(path.parent)}", code=1) from error


def checksum(archive: memoryview) -> bytes:
    """What stands behind an archive in the file of a checkpoint."""
    return MARK + hashlib.blake2b(archive, digest_size=DIGEST).digest()


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The newest whole state of those that were saved at `path`, its tensors on the CPU; a line says so if one is damaged.

    UserError if there is none, or if it is of another format or holds code.
    """
    try:
        return _load(path)
    except DamagedError as error:
        if not older(path).exists():
            raise
        if path.exists():
            say(f"{error}; the checkpoint before it is used")
    return _load(older(path))


def _load(path: Path) -> dict[str, Any]:
    content = io.BytesIO(_sound(path))
    try:
        with warnings.catch_warnings():  # torch warns of foreign pickles before it refuses them
            warnings.simplefilter("ignore")
            state = torch.load(content, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, UnpicklingError, ValueError) as error:
        raise UserError(f"{path} is no checkpoint ({first_line(error, 'it is empty')})") from error
    version = state.get("format") if isinstance(state, dict) else None
    if version != FORMAT:
        raise UserError(f"{path} has checkpoint format {version}; this version reads {FORMAT}")
    return state


def _sound(path: Path) -> bytes:
    """What the file `path` holds. DamagedError unless it ends with the checksum of what stands before that."""
    try:
        content = read_bytes(path, LARGEST)
    except UserError as error:
        raise DamagedError(str(error)) from error
    end = len(content) - len(MARK) - DIGEST
    if end <= 0 or content[end:] != checksum(memoryview(content)[:end]):
        raise DamagedError(f"{path} is no checkpoint, or a damaged one (its checksum is wrong)")
    return content
