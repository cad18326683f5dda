"""A run as TensorBoard shows it: event files in the run folder, which every process of a run makes anew from metrics.jsonl.

TensorBoard has two readers. Of points that were written again after a kill, both show the new ones if the second file begins
with `purge_step`; but the points that a kill left stay in the first file, for whatever else reads it, and for steps at which
nothing is written any more one of the readers shows them still. So the files are made anew. The old ones are emptied and not
deleted: a page that is open would wait at a deleted file for ever.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiment.command import UserError
from experiment.files import read_text
from experiment.folder import EVENTS
from experiment.mirror import Mirror, flat

FLUSH = 10  # seconds after which a page can show a row


def require_tensorboard() -> None:
    """UserError if the package is not there."""
    try:
        _writer()
    except ImportError as error:
        raise UserError("--tensorboard needs a package: pip install -e '.[watch]'") from error


class TensorBoard(Mirror):
    """Event files beside metrics.jsonl."""

    name = "TensorBoard"

    def __init__(self, metrics: Path, clock: str, settings: dict[str, Any]) -> None:
        """Make them of what `metrics` holds, whose rows tell the time by `clock`, and of the run's settings."""
        super().__init__()
        self._attempt(self._start, metrics, clock, settings)

    def _start(self, metrics: Path, clock: str, settings: dict[str, Any]) -> None:
        for old in metrics.parent.glob(EVENTS):
            if old.stat().st_size:
                os.truncate(old, 0)
            else:  # a page that reads it since the process before last has gone on from it
                old.unlink()
        self._writer = _writer()(str(metrics.parent), purge_step=0, flush_secs=FLUSH)
        self._writer.add_text("settings", "\n".join(f"    {line}" for line in json.dumps(settings, indent=2).splitlines()))
        rows = [json.loads(line) for line in read_text(metrics).splitlines()]
        seconds = list(_seconds(rows))
        for row, passed in zip(rows, seconds, strict=True):
            kind, step = row.pop("kind"), row.pop(clock)
            self._write(kind, step, row, time.time() - seconds[-1] + passed)
        self._writer.flush()

    def _log(self, kind: str, time: int, values: dict[str, Any], row: int) -> None:
        self._write(kind, time, values)

    def _write(self, kind: str, step: int, values: dict[str, Any], when: float | None = None) -> None:
        """The numbers of a row, written at `when`, in seconds since 1970; now if that is None."""
        for name, value in flat(kind, values).items():
            if isinstance(value, int | float):
                self._writer.add_scalar(name, value, step, when)

    def _finish(self) -> None:
        self._writer.close()


def _seconds(rows: list[dict[str, Any]]) -> Iterator[float]:
    """How long the run had learnt at each of `rows`, as the last one that has a clock says."""
    seconds = 0.0
    for row in rows:
        seconds = row.get("clock", {}).get("seconds", seconds)
        yield seconds


def _writer() -> Any:
    """torch's SummaryWriter. ImportError without TensorBoard."""
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter
