"""Several runs on one machine: updates a second of all of them together.

    python -m benchmarks.many --agent der --runs 1 2 --threads 1
    python -m benchmarks.many --agent spr --device cuda --captured --runs 1 2 4 8 16

Each run is a process of its own, as the sweep starts them; all begin together and count the updates of the same seconds. With
--streams they are agents of one process instead, each on its own CUDA stream.
"""

import argparse
import time
from collections.abc import Sequence
from multiprocessing import get_context
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier

import torch

from agents.agent import Agent
from agents.catalogue import find_agent
from agents.execution import Execution
from benchmarks.execution import add_execution, read_execution
from benchmarks.flops import filled
from benchmarks.timing import circumstances
from experiment.command import UserError, run
from experiment.device import keep_freed_memory
from experiment.parser import Parser

ACTIONS = 9
WARMUP = 8  # updates before the clock starts: compiling and recording are over
PATIENCE = 300.0  # seconds that runs may take to warm up


def learner(agent: str, execution: Execution, device: torch.device) -> tuple[Agent, object]:
    """An agent that has warmed up, and the replay it learns from."""
    config = find_agent(agent)
    made, replay = Agent(config, ACTIONS, device=device, seed=0, execution=execution), filled(config, ACTIONS, 2_000, device)
    for _ in range(WARMUP):
        made.update(replay)
    made.broken()
    return made, replay


def _process(setup: tuple[str, Execution, str, int], seconds: float, together: Barrier, counts: object) -> None:
    agent, execution, device, threads = setup
    torch.set_num_threads(threads)
    keep_freed_memory()
    made, replay = learner(agent, execution, torch.device(device))
    together.wait()
    made.updates, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        made.update(replay)
        if made.updates % 4 == 0:
            made.broken()  # waits for the device, as acting does
    counts.put(made.updates)  # type: ignore[attr-defined]


def processes(setup: tuple[str, Execution, str, int], runs: int, seconds: float) -> float:
    """Updates a second of `runs` processes together; `setup` is agent, execution, device and threads of each.

    RuntimeError if one fails or hangs.
    """
    spawn = get_context("spawn")  # CUDA does not survive a fork
    together, counts = spawn.Barrier(runs), spawn.Queue()
    workers = [spawn.Process(target=_process, args=(setup, seconds, together, counts)) for _ in range(runs)]
    for worker in workers:
        worker.start()
    join_all(workers, PATIENCE + seconds)
    return sum(counts.get() for _ in workers) / seconds


def join_all(workers: Sequence[BaseProcess], seconds: float) -> None:
    """Wait until all `workers` have ended well. RuntimeError as soon as one fails, or after `seconds`, and then none is left.

    The others may be at the barrier, where they would wait for the one that failed for ever.
    """
    end, left = time.monotonic() + seconds, {worker.sentinel: worker for worker in workers}
    try:
        while left:
            ended = wait(list(left), max(0.0, end - time.monotonic()))
            if not ended:
                raise RuntimeError(f"{len(left)} of {len(workers)} runs did not end within {seconds:.0f} s")
            for worker in [left.pop(sentinel) for sentinel in ended]:
                worker.join()
                if worker.exitcode:
                    raise RuntimeError(f"a run of {len(workers)} ended with {worker.exitcode}; see above")
    finally:
        for worker in left.values():
            worker.kill()
            worker.join()


def streams(agent: str, execution: Execution, runs: int, seconds: float) -> float:
    """Updates a second of `runs` agents of this process, each on its own CUDA stream, in turn."""
    device = torch.device("cuda")
    lanes = [torch.cuda.Stream() for _ in range(runs)]
    learners = []
    for stream in lanes:
        with torch.cuda.stream(stream):
            learners.append(learner(agent, execution, device))
    torch.cuda.synchronize()
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for stream, (made, replay) in zip(lanes, learners, strict=True):
            with torch.cuda.stream(stream):
                made.update(replay)
        done += runs
        if done % (4 * runs) == 0:
            torch.cuda.synchronize()
    torch.cuda.synchronize()
    return done / (time.perf_counter() - start)


def command_line(argv: list[str]) -> tuple[argparse.Namespace, Execution]:
    """What `argv` asks for. UserError for what cannot be."""
    parser = Parser("benchmarks.many", __doc__)
    parser.add_argument("--agent", default="der")
    add_execution(parser)
    parser.add_argument("--runs", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--threads", type=int, default=1, help="of each run, on the CPU")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--streams", action="store_true", help="agents of one process, on CUDA streams")
    asked = parser.parse_args(argv)
    execution, _ = read_execution(parser, asked)
    try:
        find_agent(asked.agent)
    except ValueError as error:
        parser.error(f"--agent: {error}")
    if min(*asked.runs, asked.threads) < 1 or not 0 < asked.seconds < float("inf"):
        parser.error("--runs and --threads must be 1 or more, --seconds more than 0")
    if asked.streams and asked.device != "cuda":
        parser.error("--streams needs --device cuda")
    return asked, execution


def main(argv: list[str]) -> None:
    """Print a row for each number of runs."""
    asked, execution = command_line(argv)
    print(circumstances())
    how = "on streams of one process" if asked.streams else f"as processes of {asked.threads} thread(s)"
    one = 0.0
    for runs in asked.runs:
        try:
            if asked.streams:
                rate = streams(asked.agent, execution, runs, asked.seconds)
            else:
                rate = processes((asked.agent, execution, asked.device, asked.threads), runs, asked.seconds)
        except RuntimeError as error:
            raise UserError(f"{runs} {how}: {str(error).splitlines()[0]}", code=1) from error
        one = one or rate / runs
        print(f"{asked.agent}, {runs} {how}: {rate:.1f} updates a second, {rate / one:.2f} times one", flush=True)


if __name__ == "__main__":
    run(main)
