"""sweep/array.sbatch by hand, without SLURM: what it starts, how it hears signals, when it asks to be requeued."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from sweep.grid import CPUS

SCRIPT = Path(__file__).parent.parent / "sweep" / "array.sbatch"
# Stands for `python -m sweep.task RUN AGENT`: notes its start, ends with 75 when told to, else with the code it is called for.
RUN = """#!/bin/bash
[ "$2" = sweep.mps ] && { echo "$3 ${PIPE:-}" >> "$NOTES/mps"; [ "$3" = start ] && echo "export PIPE=here"; exit 0; }
trap 'echo told >> "$NOTES/told"; exit 75' USR1
echo "$* threads $OMP_NUM_THREADS${PIPE:+ share it}" >> "$NOTES/started"
for ((i = 0; i < $WAIT; i++)); do sleep 0.05; done
exit "$(echo "$CODES" | cut -d' ' -f$(($3 + 1)))"
"""


def start(folder: Path, wait: int, codes: str, **variables: str) -> subprocess.Popen[bytes]:
    for name, text in {"python": RUN, "scontrol": '#!/bin/bash\necho "$@" >> "$NOTES/requeued"\n'}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    slurm = {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_JOB_ID": "5", "SLURM_CPUS_PER_TASK": "4", "SLURMD_NODENAME": "here"}
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"} | slurm | variables
    environment |= {"PATH": f"{folder}:{os.environ['PATH']}", "NOTES": str(folder), "WAIT": str(wait), "CODES": codes}
    return subprocess.Popen(["bash", str(SCRIPT), "der", "--env-steps", "9"], env=environment)


def started(folder: Path) -> list[str]:
    path = folder / "started"
    return sorted(path.read_text().splitlines()) if path.exists() else []


def test_one_run_with_all_threads(tmp_path: Path) -> None:
    assert start(tmp_path, 0, "0").wait(10) == 0
    assert started(tmp_path) == ["-m sweep.task 0 der --env-steps 9 threads 4"]


def test_several_runs_share_the_threads_and_the_worst_code_is_told(tmp_path: Path) -> None:
    assert start(tmp_path, 0, "0 2 1", RUNS_PER_GPU="3").wait(10) == 2
    assert started(tmp_path) == [f"-m sweep.task {run} der --env-steps 9 threads 1" for run in range(3)]
    assert not (tmp_path / "requeued").exists()


@pytest.mark.parametrize("runs", ["0", "-1", "x", "1.5"])
def test_no_run_at_all_is_refused(runs: str, tmp_path: Path) -> None:
    assert start(tmp_path, 0, "0", RUNS_PER_GPU=runs).wait(10) == 2
    assert not started(tmp_path)


def test_runs_on_one_card_share_it_by_a_service_that_ends_with_them(tmp_path: Path) -> None:
    assert start(tmp_path, 0, "0 1", RUNS_PER_GPU="2", CUDA_VISIBLE_DEVICES="0").wait(10) == 1
    assert started(tmp_path) == [f"-m sweep.task {run} der --env-steps 9 threads 2 share it" for run in range(2)]
    assert (tmp_path / "mps").read_text().splitlines() == ["start ", "stop here"]
    (tmp_path / "mps").unlink()
    assert start(tmp_path, 0, "0 1", RUNS_PER_GPU="1", CUDA_VISIBLE_DEVICES="0").wait(10) == 0
    assert not (tmp_path / "mps").exists()


def signalled(folder: Path, number: signal.Signals) -> tuple[int, str, str]:
    """Exit status of a script that gets a signal while it has two runs, what the runs were told, what SLURM was asked."""
    script = start(folder, 20, "75 75", RUNS_PER_GPU="2")
    until = time.monotonic() + 10
    while len(started(folder)) < 2:
        assert time.monotonic() < until
        time.sleep(0.02)
    script.send_signal(number)
    code = script.wait(10)
    told, requeued = ((folder / name) for name in ("told", "requeued"))
    return code, told.read_text() if told.exists() else "", requeued.read_text() if requeued.exists() else ""


def test_the_time_limit_is_told_to_every_run_and_asks_for_a_requeue(tmp_path: Path) -> None:
    assert signalled(tmp_path, signal.SIGUSR1) == (75, "told\ntold\n", "requeue 5_7\n")


def test_a_task_that_slurm_ends_waits_for_its_runs_and_asks_for_nothing(tmp_path: Path) -> None:
    """SLURM tells the runs itself."""
    assert signalled(tmp_path, signal.SIGTERM) == (75, "", "")


def test_the_grid_knows_the_cpus_of_a_run() -> None:
    assert re.findall(r"^#SBATCH --cpus-per-task=(\d+)$", SCRIPT.read_text(), re.M) == [str(CPUS)]
