"""Metrics: metrics.jsonl is the source of truth; viewers show copies of it."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from experiment.command import UserError
from experiment.files import read_bytes, writing
from experiment.folder import kept_checkpoint
from experiment.mirror import Mirror


class Metrics:
    """Appends rows to a JSON-lines file, and to each of `mirrors`, a list that is empty at first.

    `clock` is what rows are counted by: env_step, or update where there is no environment.

    Of what the file holds only the part that `kept` marks (see `mark`; once it was its size alone) stays: what was written
    after a checkpoint will be written again. UserError if there is less, or if it is not what was written.
    """

    def __init__(self, path: Path, kept: dict[str, Any] | int = 0, clock: str = "env_step") -> None:
        self._path, self._clock = path, clock
        mark = kept if isinstance(kept, dict) else {"bytes": kept}
        before = self._checked(mark) if mark["bytes"] else b""
        self._sum = hashlib.blake2b(before, digest_size=16)
        self._rows = before.count(b"\n")
        with writing(path):
            self._file = path.open("a", buffering=1, encoding="utf-8")  # a row is whole on the disk or not there
            self._file.truncate(mark["bytes"])
            self._file.seek(0, os.SEEK_END)
        self.mirrors: list[Mirror] = []

    def _checked(self, mark: dict[str, Any]) -> bytes:
        """The part of the file that `mark` marks. UserError if it is not there as it was."""
        try:
            kept = read_bytes(self._path)[: mark["bytes"]]
            if len(kept) < mark["bytes"]:
                raise UserError(f"{self._path} is shorter than it was at the checkpoint: rows are lost")
            if mark.get("hash", digest := hashlib.blake2b(kept, digest_size=16).hexdigest()) != digest:
                raise UserError(f"{self._path} is damaged: it is not what it was at the checkpoint")
        except UserError as error:
            raise UserError(f"{error}; --fresh starts the run over") from error
        return kept

    def log(self, kind: str, time: int, values: dict[str, Any]) -> None:
        """Write a row of `kind` (train, episode, evaluation) at `time` of the clock. UserError, code 1, on a full disk."""
        line = json.dumps({"kind": kind, self._clock: time, **values}) + "\n"
        try:
            self._file.write(line)
        except OSError as error:
            raise self._lost(error) from error
        self._sum.update(line.encode())
        for mirror in self.mirrors:
            mirror.log(kind, time, values, self._rows)
        self._rows += 1

    def mark(self) -> dict[str, Any]:
        """How much is written so far, all of it on the disk, and its hash. UserError, code 1, if the disk is full."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._lost(error) from error
        return {"bytes": self._file.tell(), "hash": self._sum.hexdigest()}

    def _lost(self, error: OSError) -> UserError:
        kept = kept_checkpoint(self._path.parent)
        return UserError(f"cannot write {self._file.name}: {error.strerror}; {kept}", code=1)

    def close(self) -> None:
        """Finish the mirrors and close the file. UserError, code 1, if the disk is full."""
        for mirror in self.mirrors:
            mirror.finish()
        try:
            self._file.close()
        except OSError as error:  # a row that could not be written is tried once more
            raise self._lost(error) from error
