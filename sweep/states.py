"""What has become of the runs of a sweep, read from their folders alone."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from experiment.command import UserError
from experiment.folder import METRICS, RunFolder
from experiment.rows import diverged, last_rows, tail
from options import Run


class State(StrEnum):
    """What a cell is."""

    FINISHED = "finished"  # its score is there
    RUNNING = "running"  # a process holds its lock
    RESUMABLE = "resumable"  # there is a checkpoint, and nobody at work
    FAILED = "failed"  # begun, and neither a checkpoint nor anybody at work
    MISSING = "missing"  # never begun
    DIVERGED = "diverged"  # a loss was not finite, and would be so again: not to be rerun as it is
    REFUSED = "refused"  # its folder holds something that train.py would not continue: another run, or a damaged file


TODO = (State.RESUMABLE, State.FAILED, State.MISSING)
QUIET = 900  # seconds without a new row of metrics after which nobody is at work, whatever the lock says


@dataclass(frozen=True)
class Look:
    """A cell, and what its folder says of it."""

    run: Run
    state: State
    note: str = ""  # why it failed or is refused
    share: float = 0.0  # of the env steps that need not be done again
    hours: float | None = None  # that a finished run took, evaluation included
    device: str = ""  # it was finished on


def look(run: Run) -> Look:
    """What has become of `run`, by its folder: whatever that holds, nothing is raised, and a run that starts gets its lock."""
    folder = RunFolder(run.folder)
    try:
        held = folder.held()  # asked first: a run that ends meanwhile is then found finished
        score = folder.check(run.identity(), Run)
        if score is not None:
            hours = [score.get(name, 0) for name in ("hours", "evaluation_hours")]
            return Look(run, State.FINISHED, "", 1.0, sum(hours), str(score.get("device", "")))
    except UserError as error:
        return Look(run, State.REFUSED, str(error))
    if held:
        return Look(run, State.RUNNING, share=_share(run))
    update = diverged(run.folder / METRICS)
    if update is not None:
        note = f"the loss of update {update} was not finite; on such a device it would be so again with these settings"
        return Look(run, State.DIVERGED, note)
    if folder.checkpoint is not None:
        return Look(run, State.RESUMABLE, share=_share(run))
    if folder.path.exists():
        return Look(run, State.FAILED, last_words(run))
    return Look(run, State.MISSING)


def log_of(run: Run) -> Path:
    """Where an array task writes what `run` says."""
    return run.out / "logs" / f"{run.variant}-{run.game}-seed{run.seed}.log"


def recent(looks: Sequence[Look]) -> int:
    """How many cells with a free lock wrote metrics in the last QUIET seconds: they run if locks do not reach so far."""
    now = time.time()
    written = [look.run.folder / METRICS for look in looks if look.state in TODO]
    return sum(path.exists() and now - path.stat().st_mtime < QUIET for path in written)


def hours_left(looks: Sequence[Look]) -> float | None:
    """Hours that the unfinished cells need one after another, at the mean of the finished ones; None if none is."""
    took = [look.hours for look in looks if look.hours is not None]
    if not took:
        return None
    return sum(took) / len(took) * sum(1 - look.share for look in looks if look.state in (*TODO, State.RUNNING))


def _share(run: Run) -> float:
    """The share of the env steps that the last row of metrics tells of; rows after the last checkpoint count too."""
    steps = [row["env_step"] for row in last_rows(run.folder / METRICS) if isinstance(row.get("env_step"), int)]
    return min(max(steps[0], 0), run.env_steps) / run.env_steps if steps else 0.0


def last_words(run: Run) -> str:
    """The last line of the cell's log but for the indented ones, which say what can be typed next; and where it is."""
    lines = [line.strip() for line in tail(log_of(run)) if line.strip() and not line.startswith("  ")]
    return f"{lines[-1][:120]} ({log_of(run)})" if lines else "no log"
