"""Several runs on one machine: updates a second of all of them together.

    python -m benchmarks.many --agent der --runs 1 2 --threads 1
    python -m benchmarks.many --agent spr --device cuda --captured --runs 1 2 4 8 16

Each run is a process of its own, of so many --threads, as the sweep starts them; all begin together and count the updates of
the same seconds. With --streams they are agents of one process instead, each on its own CUDA stream: their speed means
something, what they learn does not, since graphs of one process share cuBLAS's workspace.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.synchronize import Barrier
from typing import Any

import torch
from torch.multiprocessing import ProcessContext, ProcessExitedException, ProcessRaisedException, start_processes
from torch.utils.benchmark import timer

from agents.catalogue import find_agent
from benchmarks.learners import Learner, learner
from benchmarks.program import EXECUTION, Program, Row
from experiment.command import UserError, run

PATIENCE = 300.0  # seconds that runs may take to warm up


def _process(_: int, make: Callable[[], Learner], threads: int, seconds: float, together: Barrier, counts: Any) -> None:
    torch.set_num_threads(threads)
    agent, replay, _ = make()
    together.wait()
    agent.updates, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        agent.update(replay)
        if agent.updates % 4 == 0:
            agent.broken()  # waits for the device, as acting does
    counts.put(agent.updates)


def processes(make: Callable[[], Learner], runs: int, seconds: float, threads: int = 1) -> float:
    """Updates a second of `runs` processes together, each of what `make` gives. RuntimeError if one fails or hangs."""
    spawn = torch.multiprocessing.get_context("spawn")  # CUDA does not survive a fork
    together, counts = spawn.Barrier(runs), spawn.Queue()
    join_all(start_processes(_process, (make, threads, seconds, together, counts), runs, join=False), PATIENCE + seconds)
    return sum(counts.get() for _ in range(runs)) / seconds


def join_all(runs: ProcessContext, seconds: float) -> None:
    """Wait until all `runs` have ended well. RuntimeError as soon as one fails, or after `seconds`, and then none is left.

    The others may be at the barrier, where they would wait for the one that failed for ever.
    """
    end, count = time.monotonic() + seconds, len(runs.processes)
    try:
        while not runs.join(max(0.0, end - time.monotonic())):
            if time.monotonic() >= end:
                raise RuntimeError(f"{len(runs.sentinels)} of {count} runs did not end within {seconds:.0f} s")
    except (ProcessExitedException, ProcessRaisedException) as error:
        raise RuntimeError(f"a run of {count} failed: {str(error).splitlines()[-1]}") from error
    finally:
        for process in runs.processes:
            process.kill()
            process.join()


def streams(make: Callable[[], Learner], runs: int, seconds: float) -> float:
    """Updates a second of `runs` agents of this process, each on its own CUDA stream, in turn."""
    learners = []
    for stream in [torch.cuda.Stream() for _ in range(runs)]:
        with torch.cuda.stream(stream):
            learners.append((stream, *make()))
    done, start = 0, timer()
    while time.perf_counter() - start < seconds:
        for stream, agent, replay, _ in learners:
            with torch.cuda.stream(stream):
                agent.update(replay)
        done += runs
        if done % (4 * runs) == 0:
            torch.cuda.synchronize()
    return done / (timer() - start)


def rows(asked: argparse.Namespace) -> Iterator[Row]:
    """A row for each number of runs. UserError if one fails, and for what cannot be."""
    if not 0 < asked.seconds < float("inf"):
        raise UserError(f"--seconds must be more than 0, not {asked.seconds:g}")
    if asked.streams and asked.device.type != "cuda":
        raise UserError("--streams needs --device cuda")
    how = "on streams of one process" if asked.streams else f"as processes of {asked.threads} thread(s)"
    make, one = partial(learner, find_agent(asked.agent), asked.device, asked.execution), 0.0
    for runs in asked.runs:
        try:
            rate = streams(make, runs, asked.seconds) if asked.streams else processes(make, runs, asked.seconds, asked.threads)
        except RuntimeError as error:
            raise UserError(f"{runs} {how}: {str(error).splitlines()[0]}", code=1) from error
        one = one or rate / runs
        yield {"agent": asked.agent, "runs": f"{runs} {how}", "updates a second": rate, "times one": rate / one}


OWN = {"runs": [1, 2], "threads": 1, "seconds": 20.0, "streams": False}
main = Program("many", __doc__, rows, agent="der", **EXECUTION, **OWN)

if __name__ == "__main__":
    run(main)
