"""Make the unfinished runs of a sweep on this machine, several at a time: on its GPUs if it has any, else on its cores.

    python -m sweep.here --agents spr_ht                         26 games, seed 0
    python -m sweep.here --agents der spr --seeds 5 --at-once 16 --gpus 0 1
    python -m sweep.here --agents spr --games Pong -- --replay.ratio 4      what follows -- is train.py's

Each is a process of train.py; what it says is in OUT/logs/AGENT-GAME-seedN.log. Finished runs are recognised, interrupted ones
go on, one that fails stops no other. Ctrl-C and SIGTERM save all; the same command goes on from there. It ends with 0 if all
are finished. Runs that share a card do so by NVIDIA's MPS, if it is installed.
"""

import experiment.interrupt  # noqa: F401  the first of all imports: it answers Ctrl-C within the others

# isort: split
import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import NamedTuple

from tqdm import tqdm

from experiment.command import UserError, run, say
from experiment.progress import Progress
from experiment.signals import AGAIN, Signals
from sweep import mps
from sweep.cells import Counted, Sweep, arguments, cells, read
from sweep.machine import Card, choose, cores, require_memory
from sweep.states import TODO, Look, State, last_words, log_of, look
from sweep.task import TRAIN

ON_A_CARD = 8  # runs at once by default: a choice of ours, `benchmarks.here` shows what more would bring
LOOK = 0.5  # seconds from one look at the processes to the next
READ = 5  # seconds from one look at how far their folders say they are to the next
NOTE = 60  # seconds from one line of progress to the next where there is no terminal
STARTS = 3  # of a run that fails although it got on: a fault of one may have ended its neighbours on the card


@dataclass(frozen=True)
class Here(Sweep):
    """Make the unfinished runs of a sweep on this machine, several at a time; train.py's flags go behind --."""

    at_once: Counted | None = None
    """runs at the same time, over all cards; by default 8 a card, without a card one a core"""
    gpus: tuple[str, ...] = ()
    """the cards to be used, as nvidia-smi numbers them; none named means all"""
    mps: bool = True
    """let runs that share a card do so by NVIDIA's MPS, if it is installed"""


class Job(NamedTuple):
    """A run that is being made, and how far it was when its process began."""

    cell: Look
    process: subprocess.Popen
    card: Card | None
    starts: int


class Pool:
    """Runs that wait, and runs that are being made, at most one in each place, which names its card."""

    def __init__(
        self, todo: Sequence[Look], places: Sequence[Card | None], flags: Sequence[str], extra: dict[str, str]
    ) -> None:
        """`flags` are train.py's; `extra` is added to the environment."""
        self._waiting, self._free = deque((cell, 1) for cell in todo), deque(places)
        self._flags, self._extra = flags, extra
        self._jobs: list[Job] = []
        self._stopping = False
        self.ends: Counter[str] = Counter()
        self._steps = {cell.run.folder: int(cell.share * cell.run.env_steps) for cell in todo}
        total = sum(cell.run.env_steps for cell in todo)
        self._progress = Progress(f"{len(todo)} runs", total, "env steps", sum(self._steps.values()))
        self._noted = self._read = time.monotonic()

    @property
    def busy(self) -> bool:
        """Whether anything is left to do."""
        return bool(self._jobs or self._waiting)

    def look(self) -> None:
        """Begin what there is place for, see who has ended, and show how far all are."""
        while self._waiting and self._free:
            self._begin(*self._waiting.popleft(), self._free.popleft())
        for job in [job for job in self._jobs if job.process.poll() is not None]:
            self._jobs.remove(job)
            self._free.append(job.card)
            self._end(job)
        if time.monotonic() - self._read > READ:
            self._read = time.monotonic()
            for job in self._jobs:
                self._advance(look(job.cell.run))
        if time.monotonic() - self._noted > NOTE or not self.busy:
            self._noted = time.monotonic()
            self._progress.note({"running": len(self._jobs), "waiting": len(self._waiting)})

    def stop(self) -> None:
        """Let every run save and end, and begin none."""
        if not self._stopping:
            self._tell(f"saving {len(self._jobs)} runs")
            self._waiting.clear()
            self._stopping = True
            self._signal(signal.SIGTERM)

    def close(self) -> None:
        """End what is still running, without waiting for anything to be saved."""
        self._signal(signal.SIGINT if self._stopping else signal.SIGTERM)  # to a run that was asked before: at once
        for job in self._jobs:
            job.process.wait()
        self._progress.close()

    def _begin(self, cell: Look, starts: int, card: Card | None) -> None:
        log = log_of(cell.run)
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("a") as file:
                print(f"# start {starts}{f', GPU {card.index}' if card is not None else ''}", file=file, flush=True)
                words = [sys.executable, str(TRAIN), *arguments(cell.run, self._flags)]
                where = {"CUDA_VISIBLE_DEVICES": card.uuid} if card is not None else {}
                environment = {**os.environ, **self._extra, **where}
                # A group of its own: Ctrl-C comes to this process, which passes it on once.
                process = subprocess.Popen(words, stdout=file, stderr=file, env=environment, start_new_session=True)
        except OSError as error:
            self._free.append(card)
            self.ends["failed"] += 1
            why = f"cannot start with its log {log}: {error.strerror}"
            self._tell(f"{self.ends.total()}/{len(self._steps)} failed: {cell.run.title} {why}")
            return
        self._jobs.append(Job(cell, process, card, starts))

    def _end(self, job: Job) -> None:
        """Count how a process ended, and begin the run again if that may help."""
        now, code = look(job.cell.run), job.process.returncode
        self._advance(now)
        said = last_words(now.run)
        if now.state == State.FINISHED:
            end, told = "finished", said.rsplit(" (", 1)[0]
        elif code == AGAIN or self._stopping:
            end, told = "stopped", f"stopped: {now.run.title}: {said}"
        elif now.state in TODO and now.share > job.cell.share and job.starts < STARTS:
            end, told = None, f"goes on from its checkpoint after exit status {code}: {now.run.title}: {said}"
            self._waiting.appendleft((now, job.starts + 1))
        else:
            end, told = "failed", f"failed with exit status {code}: {now.run.title}: {said}"
        self.ends.update([end] if end is not None else [])
        self._tell(f"{self.ends.total()}/{len(self._steps)} {told}")

    def _advance(self, now: Look) -> None:
        steps, before = int(now.share * now.run.env_steps), self._steps[now.run.folder]
        if steps > before:
            self._progress.advance(steps - before)
            self._steps[now.run.folder] = steps

    def _signal(self, number: signal.Signals) -> None:
        for job in self._jobs:
            with contextlib.suppress(ProcessLookupError):
                job.process.send_signal(number)

    def _tell(self, line: str) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):  # a stream that is full, closed, or never was
            tqdm.write(line, file=sys.stderr)


def main(argv: list[str]) -> None:
    """Make the runs. UserError at the end unless all are finished."""
    asked, flags, places = read(Here, argv)
    looks = [look(cell) for agent in dict.fromkeys(asked.agents) for cell in cells(agent, places, flags)]
    todo = [cell for cell in looks if cell.state in TODO]
    todo.sort(key=lambda cell: cell.run.seed)  # every game and agent gets one seed first
    others = Counter(str(cell.state) for cell in looks if cell.state not in TODO)
    say("".join(f"{count} {state}, " for state, count in others.items()) + f"{len(todo)} to be made")
    for cell in looks:
        if cell.note and cell.state not in (*TODO, State.FINISHED):
            say(f"  {cell.state}: {cell.run.title}: {cell.note}")
    ends = carry_out(asked, flags, todo) if todo else Counter()
    unfinished = len(looks) - others[State.FINISHED] - ends["finished"]
    if unfinished:
        raise UserError(f"{unfinished} of {len(looks)} runs are not finished; the same command goes on with them", code=1)
    compare = looks[0].run.following(scored=True)["compare"]
    say(f"all {len(looks)} runs are finished: {shlex.join(compare)}")


def carry_out(asked: Here, flags: Sequence[str], todo: Sequence[Look]) -> Counter[str]:
    """Make the runs `todo` and count how they ended. UserError if they cannot be made here, or after a signal."""
    cards = choose(asked.gpus, on_cpu=todo[0].run.device == "cpu")
    at_once = min(asked.at_once or (ON_A_CARD * len(cards) or cores()), len(todo))
    places = list(islice(cycle(cards or [None]), at_once))
    for card in cards or [None]:
        require_memory([cell.run for cell in todo], places.count(card), card)
    threads = os.environ.get("OMP_NUM_THREADS", str(max(1, cores() // at_once)))
    # A signal while the service starts or ends is only noted, so that none is left behind.
    with Signals() as signals, signals.patient(), mps.serving(asked.mps and at_once > len(cards) > 0) as where:
        share = {"OMP_NUM_THREADS": threads, "TORCHINDUCTOR_COMPILE_THREADS": threads}  # by default compilers take every core
        pool = Pool(todo, places, flags, {**share, **where})
        try:
            while pool.busy:
                if signals.asked is not None:
                    pool.stop()
                pool.look()
                time.sleep(LOOK)
        finally:
            pool.close()
    return pool.ends


if __name__ == "__main__":
    run(main)
