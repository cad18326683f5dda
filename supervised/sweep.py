"""Make the runs of a study one after another: each of its points and methods with seeds 0, 1, ...

    python -m supervised.sweep --study warm_start --dataset fashion_mnist --methods fresh none ht --seeds 3

Other flags go to every run, as supervised.train knows them. Finished runs are recognised, an interrupted one is continued: the
same command goes on where it stopped. --list prints the command of every run instead, for a scheduler.
"""

import experiment.interrupt  # noqa: F401  the first of all imports: it answers Ctrl-C within the others

# isort: split
import shlex

from experiment.command import DivergenceError, UserError, nearest, run, say
from experiment.folder import METRICS, RunFolder
from experiment.outside import asked_for, bring_in
from experiment.parser import Parser
from experiment.rows import diverged
from experiment.start import start
from supervised.methods import TABLES, fill
from supervised.options import PACKAGES, Run, read_command_line
from supervised.studies import STUDIES

SEEDS = 10_000  # at most; every run's flags are read before the first


def runs_of(argv: list[str]) -> tuple[dict[str, Run], bool]:
    """Every run that `argv` asks for, by its flags, seed after seed, and whether they are only to be listed. UserError."""
    parser = Parser("supervised.sweep", __doc__)
    parser.add_argument("--study", default=Run.study, help=f"one of {', '.join(STUDIES)}")
    parser.add_argument("--points", nargs="+", help="settings of the study; all if not given")
    parser.add_argument("--methods", nargs="+", help="all of the study if not given")
    parser.add_argument("--seeds", type=int, default=5, help="how many, from 0 on")
    parser.add_argument("--list", action="store_true", help="print the commands and run none")
    asked, rest = parser.parse_known_args(argv)
    bring_in(asked_for(rest), TABLES, fill)  # before it is asked which methods there are
    chosen = [flag for flag in ("--seed", "--point", "--method") if any(word.split("=")[0] == flag for word in rest)]
    if chosen:
        raise UserError(f"{chosen[0]} is what a sweep chooses; say {chosen[0]}s")
    if asked.study not in STUDIES:
        raise UserError(f"unknown --study {asked.study!r}: {nearest(asked.study, list(STUDIES))}")
    if not 1 <= asked.seeds <= SEEDS:
        raise UserError(f"--seeds must lie in 1..{SEEDS}, not {asked.seeds}")
    study = STUDIES[asked.study]
    lines = [
        ["--study", asked.study, "--point", point, "--method", method, "--seed", str(seed), *rest]
        for seed in range(asked.seeds)
        for point in asked.points or study.points
        for method in asked.methods or study.methods_at(point)
    ]
    return {shlex.join(line): read_command_line(line) for line in lines}, asked.list  # a mistake is found before the first run


def main(argv: list[str]) -> None:
    """Make or list the runs that the command line asks for. UserError, code 1, at the end if any diverged."""
    runs, listed = runs_of(argv)
    failed = []
    for number, (flags, asked) in enumerate(runs.items(), 1):
        if listed:
            print(f"python -m supervised.train {flags}")
            continue
        say(f"run {number} of {len(runs)}")
        try:
            _make(asked)
        except DivergenceError as error:
            say(str(error))  # it would fail again; the others need not wait for it
            failed.append(flags)
    if failed:
        raise UserError(f"{len(failed)} of {len(runs)} runs failed, the first: {failed[0]}", code=1)


def _make(asked: Run) -> None:
    """Make the run. DivergenceError if it diverges, or did so in an earlier sweep; --fresh tries it again."""
    if not asked.fresh:
        RunFolder(asked.folder).check(asked.identity(), Run)  # UserError if another run stands there
        update = diverged(asked.folder / METRICS)
        if update is not None:
            raise DivergenceError(f"a loss before update {update} was not finite in {asked.folder}; --fresh would try it again")
    start(asked, "supervised.train", PACKAGES)


if __name__ == "__main__":
    run(main)
