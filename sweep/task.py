"""Become the run of a SLURM array task; sweep/array.sbatch calls this.

    python -m sweep.task RUN AGENT [train.py's flags]

RUN counts the runs of the task: 0 is the cell of SLURM_ARRAY_TASK_ID, 1 the next seed of the same game, and so on.
"""

import os
import sys
from pathlib import Path

from experiment.command import UserError, run
from sweep.cells import MOST, ORDER, arguments, cells, place
from sweep.states import log_of

TRAIN = Path(__file__).parent.parent / "train.py"


def main(argv: list[str]) -> None:
    """Replace this process by train.py, which then gets the signals; what it says goes to the cell's log."""
    try:
        number, agent, *flags = argv
        task = int(os.environ["SLURM_ARRAY_TASK_ID"]) + len(ORDER) * int(number)
    except (KeyError, ValueError):
        raise UserError("this is for tasks of an array: sbatch --array=0-25 sweep/array.sbatch AGENT [flags]") from None
    if not 0 <= task < len(ORDER) * MOST:
        raise UserError(f"array task {task} is none of 0..{len(ORDER) * MOST - 1}: 26 games times {MOST:,} seeds")
    (cell,) = cells(agent, [place(task)], flags)
    log = log_of(cell)
    job = f"{os.environ.get('SLURM_ARRAY_JOB_ID')}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    again = os.environ.get("SLURM_RESTART_COUNT", "0")
    print(f"{cell.title}: {log}", flush=True)
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            print(f"# job {job}, restart {again}, process {os.getpid()} on {os.uname().nodename}", file=file, flush=True)
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
    except OSError as error:
        raise UserError(f"cannot write to {log}: {error.strerror}; choose another --out") from error
    os.execv(sys.executable, [sys.executable, str(TRAIN), *arguments(cell, flags)])


if __name__ == "__main__":
    run(main)
