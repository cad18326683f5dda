"""Runs of a sweep side by side on this machine, real ones: killed, told to stop, finished."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiment.folder import CHECKPOINT, RunFolder
from options import Run
from sweep.cells import cells
from sweep.states import State, log_of, look

TINY = ["--env-steps", "400", "--replay.warmup-steps", "200", "--log-every", "20", "--checkpoint-every", "20"]
TINY += ["--eval-episodes", "1", "--head.hidden", "8", "--replay.batch-size", "2"]


def cell(agent: str, out: Path) -> Run:
    (run,) = cells(agent, [("Catch", 0)], ["--out", str(out), *TINY])
    return run


def until(holds: object, what: str) -> None:
    for _ in range(600):
        if holds():  # type: ignore[operator]
            return
        time.sleep(0.1)
    raise AssertionError(f"{what} never came")


@pytest.mark.slow
def test_a_killed_run_goes_on_and_a_signal_saves_all(tmp_path: Path) -> None:
    """`der` is killed once it has a checkpoint, then the sweep is told to stop; the same command finishes both."""
    command = [
        sys.executable,
        "-m",
        "sweep.here",
        "--games",
        "Catch",
        "--agents",
        "der",
        "random",
        "--at-once",
        "2",
        "--out",
        str(tmp_path),
        "--",
        *TINY,
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    first = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    der = cell("der", tmp_path)
    until(lambda: (der.folder / CHECKPOINT).exists(), "a checkpoint")
    (child,) = [pid for pid in children(first.pid) if b"der" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")]
    os.kill(child, signal.SIGKILL)
    until(lambda: log_of(der).read_text().count("# start") == 2, "another start")
    until(lambda: "env steps" in log_of(der).read_text().split("# start 2")[1], "its second life")
    first.terminate()
    said = first.communicate(timeout=60)[1]
    assert first.returncode == 75, said
    assert "der Catch seed 0: " in said
    assert "goes on from its checkpoint after exit status -9" in said
    assert look(der).state == State.RESUMABLE
    assert not RunFolder(der.folder).held()
    again = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert again.returncode == 0, again.stderr
    assert "all 2 runs are finished" in again.stderr
    assert {look(cell(agent, tmp_path)).state for agent in ("der", "random")} == {State.FINISHED}


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
