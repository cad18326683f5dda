"""What a sweep still lacks: every cell (agent, game, seed), and what to type to have the unfinished ones run.

    python -m sweep.grid --agents spr spr_ht --seeds 5
    python -m sweep.grid --agents spr spr_ht --seeds 5 -- --replay.ratio 4     what follows -- is train.py's
    python -m sweep.grid --agents der --seeds 5 --commands | xargs -P 2 -L 1 env OMP_NUM_THREADS=1

The listing goes to the standard error, what can be typed (sbatch, or commands) to the standard output.
"""

import experiment.interrupt  # noqa: F401  the first of all imports: it answers Ctrl-C within the others

# isort: split
import os
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from experiment.command import run, say
from options import Run
from sweep.cells import Counted, Sweep, arguments, array_string, cells, read, side_by_side, task_of
from sweep.states import QUIET, TODO, Look, State, hours_left, look, recent

CPUS = 2  # of a run, as in array.sbatch
LARGEST = 1000  # the highest task number of an array in SLURM's default configuration (MaxArraySize 1001)


@dataclass(frozen=True)
class Grid(Sweep):
    """List the cells of a sweep and print what runs the unfinished ones: a SLURM array for each agent, or commands."""

    commands: bool = False
    """print train.py's command lines, for machines without SLURM"""
    at_once: Counted = 8
    """array tasks that SLURM runs at the same time, for each agent"""
    runs_per_gpu: Counted = 1
    """seeds of one game that a task runs side by side"""


def main(argv: list[str]) -> None:
    """List the cells and print what is to be typed."""
    asked, flags, places = read(Grid, argv)
    for game, seed in [] if asked.commands else places:
        task_of(game, seed)  # a game without a number is found before the listing
    sweep = {agent: cells(agent, places, flags) for agent in dict.fromkeys(asked.agents)}
    for runs in sweep.values():
        looks = [look(cell) for cell in runs]
        say("\n".join(listing(looks, asked.at_once)))
        todo = [cell.run for cell in looks if cell.state in TODO]
        for line in command_lines(todo, flags) if asked.commands else array_lines(todo, flags, asked):
            print(line, flush=True)


def listing(looks: Sequence[Look], at_once: int) -> list[str]:
    """The lines about one agent's cells."""
    counts = Counter(cell.state for cell in looks)
    rows: dict[str, list[str]] = {}
    for cell in looks:
        share = f" {cell.share:.0%}" if cell.state in (State.RUNNING, State.RESUMABLE) else ""
        rows.setdefault(cell.run.game, []).append(f"{cell.state}{share}")
    summary = ", ".join(f"{counts[state]} {state}" for state in State if counts[state])
    lines = [f"{looks[0].run.variant} in {looks[0].run.out}: {summary}"]
    lines += [f"  {game:15}" + "".join(f"{word:15}" for word in words).rstrip() for game, words in rows.items()]
    lines += [f"  {cell.state}: {cell.run.title}: {cell.note}" for cell in looks if cell.note]
    if late := recent(looks):
        lines.append(
            f"  {late} with a free lock wrote in the last {QUIET // 60} minutes: "
            "on a file system whose locks do not reach other machines they may be running"
        )
    return [*lines, f"  {_estimate(looks, at_once)}"]


def _estimate(looks: Sequence[Look], at_once: int) -> str:
    """How long the unfinished cells will take."""
    unfinished = sum(cell.state in (*TODO, State.RUNNING) for cell in looks)
    hours = hours_left(looks)
    if not unfinished:
        return "nothing left to run"
    if hours is None:
        return "hours left: unknown, no run of this agent has finished"
    done = [cell for cell in looks if cell.hours is not None]
    like = f"as {len(done)} finished on {', '.join(sorted({cell.device for cell in done}))}"
    return f"hours left: about {hours:.2g}, or {hours / min(at_once, unfinished):.2g} with {at_once} at once ({like})"


def command_lines(todo: Sequence[Run], flags: Sequence[str]) -> list[str]:
    """A command for each cell, those of seed 0 first."""
    return [shlex.join(["python", "train.py", *arguments(cell, flags)]) for cell in todo]


def array_lines(todo: Sequence[Run], flags: Sequence[str], asked: Grid) -> list[str]:
    """The sbatch commands that run the cells `todo` of one agent, and no others."""
    tasks = [task_of(cell.game, cell.seed) for cell in todo]
    lines = []
    for size, first in sorted(side_by_side(tasks, asked.runs_per_gpu).items(), reverse=True):
        if max(first) > LARGEST:
            say(f"  task {max(first)} needs a MaxArraySize above SLURM's default (scontrol show config)")
        several, cpus = [], []
        if size > 1 or "RUNS_PER_GPU" in os.environ:  # sbatch would hand on what the shell exports
            several, cpus = [f"RUNS_PER_GPU={size}"], [f"--cpus-per-task={CPUS * size}"]
        array = f"--array={array_string(first)}%{min(asked.at_once, len(first))}"
        lines.append(shlex.join([*several, "sbatch", *cpus, array, "sweep/array.sbatch", todo[0].agent, *flags]))
    return lines


if __name__ == "__main__":
    run(main)
