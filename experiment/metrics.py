"""Metrics: metrics.jsonl is the source of truth, wandb mirrors it, a progress line shows the latest."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from experiment.command import UserError


class Metrics:
    """Appends rows to a JSON-lines file. `mirror` None, or the keyword arguments of wandb.init, among them `mode`.

    `clock` is what rows are counted by: env_step, or update where there is no environment.

    Of what the file holds only the first `keep` bytes stay: what was written after a checkpoint will be written again.
    UserError if there are fewer.
    """

    def __init__(self, path: Path, mirror: dict[str, Any] | None = None, keep: int = 0, clock: str = "env_step") -> None:
        self._clock = clock
        self._file = path.open("a", buffering=1)  # a row is whole on the disk or not there
        if self._file.tell() < keep:
            self._file.close()
            raise UserError(f"{path} is shorter than it was at the checkpoint: rows are lost; --fresh starts the run over")
        self._file.truncate(keep)
        self._file.seek(0, os.SEEK_END)
        self._run = _start_wandb(mirror, clock) if mirror else None

    def log(self, kind: str, time: int, values: dict[str, Any]) -> None:
        """Write a row of `kind` (train, episode, evaluation) at `time` of the clock. UserError, code 1, on a full disk."""
        try:
            self._file.write(json.dumps({"kind": kind, self._clock: time, **values}) + "\n")
        except OSError as error:
            raise self._lost(error) from error
        if self._run is not None:
            try:
                self._run.log({self._clock: time, **{f"{kind}/{key}": value for key, value in values.items()}})
            except Exception as error:
                _warn(error)
                self._run = None

    def size(self) -> int:
        """Bytes written so far, all of them on the disk. UserError, code 1, if it is full."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._lost(error) from error
        return self._file.tell()

    def _lost(self, error: OSError) -> UserError:
        told = "the last checkpoint is kept, and the same command goes on from it"
        return UserError(f"cannot write {self._file.name}: {error.strerror}; {told}", code=1)

    def close(self) -> None:
        """Finish the mirror and close the file. UserError, code 1, if the disk is full."""
        self._finish()
        try:
            self._file.close()
        except OSError as error:  # a row that could not be written is tried once more
            raise self._lost(error) from error

    def _finish(self) -> None:
        if self._run is not None:
            try:
                self._run.finish()
            except Exception as error:
                _warn(error)


def _start_wandb(arguments: dict[str, Any], clock: str) -> Any:
    """A wandb run, or None with one line of warning: a mirror is never a reason for a run to fail."""
    try:
        import wandb  # takes a second to import

        run = wandb.init(**arguments, settings=wandb.Settings(silent=True))
        run.define_metric("*", step_metric=clock)
        return run
    except Exception as error:
        _warn(error)
        return None


def _warn(error: Exception) -> None:
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    print(f"wandb is off for this run: {reason}", file=sys.stderr)


class Progress:
    """How far a job is and how long it still takes: a bar on a terminal, a line at each `note` elsewhere."""

    def __init__(self, label: str, total: int, unit: str, done: int = 0) -> None:
        self._label, self._total, self._unit = label, total, unit
        bar = sys.stderr.isatty()
        self._bar = tqdm(total=total, initial=done, desc=label, unit=f" {unit}", smoothing=0.1) if bar else None
        self._done = done
        self._pace = (time.monotonic(), done)  # since when, and from which count on, the speed is taken

    def restart_clock(self) -> None:
        """Take the speed from here on: what comes next goes at another pace."""
        self._pace = (time.monotonic(), self._done)

    def advance(self, count: int) -> None:
        """`count` more units are done."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)

    @property
    def speed(self) -> float:
        """Units a second."""
        since, start = self._pace
        return (self._done - start) / max(time.monotonic() - since, 1e-9)

    def note(self, values: dict[str, float]) -> None:
        """Show `values` beside the count."""
        told = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        if self._bar is not None:
            self._bar.set_postfix_str(told, refresh=False)
            return
        speed, share = self.speed, self._done / max(self._total, 1)
        pace = f"{speed:.1f}/s  left {tqdm.format_interval((self._total - self._done) / speed)}" if speed else "a new pace"
        print(
            f"{self._label}  {self._done:,}/{self._total:,} {self._unit}  {share:.0%}  {told}  {pace}",
            file=sys.stderr,
            flush=True,
        )

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()
