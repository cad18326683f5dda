"""The sweep on a real SLURM: an array finishes, what is interrupted goes on, what failed is found and rerun."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.kills import difference, left_by
from sweep.cells import place
from tests.slurm import CPUS, Cluster, cluster, until, why_not

pytestmark = [pytest.mark.slurm, pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]

GRID = "python -m sweep.grid --agents der --games Boxing Pong --seeds 2"
FLAGS = "--env-steps 400 --replay.warmup-steps 200 --log-every 20 --checkpoint-every 100 --eval-episodes 1 --head.hidden 32"
FLAGS += " --replay.batch-size 8 --replay.ratio 2"
BOXING, PONG = 6, 20  # the array tasks of seed 0


@pytest.fixture(scope="module")
def slurm() -> Iterator[Cluster]:
    with cluster() as running:
        yield running


@pytest.fixture(scope="module")
def whole(slurm: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs as an array that the grid prints, none of them interrupted."""
    out = tmp_path_factory.mktemp("whole")
    job = slurm.submit(slurm.tell(f"{GRID} --out {out} -- {FLAGS}"))
    slurm.wait(job)
    for task in (BOXING, BOXING + 26, PONG, PONG + 26):
        assert slurm.state(f"{job}_{task}") == "COMPLETED", slurm.said(f"{job}_{task}")
    return out


def log_of(task: int, out: Path) -> Path:
    game, seed = place(task)
    return out / "logs" / f"der-{game}-seed{seed}.log"


def hold(task: int, out: Path) -> int:
    """Stop the process of `task` in the middle of its training, and its number."""
    log = log_of(task, out)
    until(lambda: log.exists() and re.search(r"(2[2-9]|3\d)\d/400", log.read_text()), f"{log} to tell of training")
    process = int(re.findall(r"process (\d+) on", log.read_text())[-1])
    os.kill(process, signal.SIGSTOP)
    assert "400/400" not in log.read_text()
    return process


def check_end(task: int, out: Path, whole: Path) -> None:
    """`task` ended as the run that was not interrupted, to the bit."""
    game, seed = place(task)
    cell = Path("der", game, f"seed{seed}")
    assert difference(left_by(out / cell), left_by(whole / cell)) is None


def test_an_array_finishes(slurm: Cluster, whole: Path) -> None:
    assert len(list(whole.rglob("score.json"))) == 4
    assert slurm.tell(f"{GRID} --out {whole} -- {FLAGS}") == ""
    told = slurm.tell(f"{GRID} --out {whole} -- {FLAGS} 2>&1")
    assert "4 finished\n" in told
    assert "nothing left to run" in told


def test_a_task_at_its_time_limit_is_requeued_and_goes_on(slurm: Cluster, whole: Path, tmp_path: Path) -> None:
    line = f"sbatch --array={PONG} sweep/array.sbatch der --out {tmp_path} {FLAGS}"
    # SLURM looks every 30 s and warns up to 30 s early: 20 to 50 s after the start, whatever else the machine does.
    job = slurm.submit(line, SBATCH_TIMELIMIT="1", SBATCH_SIGNAL="B:USR1@10")
    process = hold(PONG, tmp_path)
    until(lambda: "the time limit is near" in slurm.said(f"{job}_{PONG}"), "the warning", 90)
    os.kill(process, signal.SIGCONT)
    slurm.wait(job)
    log = log_of(PONG, tmp_path).read_text()
    assert "stopped by SIGUSR1; everything is saved" in log
    assert ", restart 1, " in log
    assert slurm.state(f"{job}_{PONG}") == "COMPLETED"
    check_end(PONG, tmp_path, whole)


def test_a_preempted_task_is_requeued_and_goes_on(slurm: Cluster, whole: Path, tmp_path: Path) -> None:
    job = slurm.submit(f"sbatch --array={BOXING} sweep/array.sbatch der --out {tmp_path} {FLAGS}")
    hold(BOXING, tmp_path)
    urgent = slurm.submit(f"sbatch --partition=urgent --cpus-per-task={CPUS} --wrap 'sleep 1'")
    slurm.wait(f"{urgent},{job}")
    log = log_of(BOXING, tmp_path).read_text()
    assert "stopped by SIGTERM; everything is saved" in log
    assert ", restart 1, " in log
    assert slurm.state(f"{job}_{BOXING}") == "COMPLETED"
    check_end(BOXING, tmp_path, whole)


def test_a_killed_task_fails_a_cancelled_one_stays_so_and_the_grid_reruns_both(
    slurm: Cluster, whole: Path, tmp_path: Path
) -> None:
    """First as two tasks, then, by the string that is printed for it, side by side in one."""
    grid = f"python -m sweep.grid --agents der --games Pong --seeds 2 --out {tmp_path} --runs-per-gpu"
    line = slurm.tell(f"{grid} 1 -- {FLAGS}")
    assert line.startswith(f"sbatch --array={PONG},{PONG + 26}%2 ")
    job = slurm.submit(line)
    os.kill(hold(PONG, tmp_path), signal.SIGKILL)
    slurm.tell(f"scancel {job}_{PONG + 26}")
    slurm.wait(job)
    assert slurm.state(f"{job}_{PONG}") == "FAILED"
    assert slurm.state(f"{job}_{PONG + 26}") == "CANCELLED"
    line = slurm.tell(f"{grid} 2 -- {FLAGS}")
    assert line.startswith(f"RUNS_PER_GPU=2 sbatch --cpus-per-task=4 --array={PONG}%1 ")
    job = slurm.submit(line)
    slurm.wait(job)
    assert slurm.state(f"{job}_{PONG}") == "COMPLETED", slurm.said(f"{job}_{PONG}")
    for task in (PONG, PONG + 26):
        check_end(task, tmp_path, whole)
    assert slurm.tell(f"{grid} 2 -- {FLAGS}") == ""
