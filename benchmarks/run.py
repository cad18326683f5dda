"""A whole run on a real game: env steps a second, and where the time goes.

    python -m benchmarks.run -- --game Pong --agent der --env-steps 6000 --eval-episodes 20

Everything behind -- is for train.py. The run is made twice, in folders that are deleted: as it is, for the speed, and with a
GPU waited for at both ends of each call, so that nothing hides behind anything else, for the shares. Both are timed from
outside, from the end of the first update on: compiling and the like belong to that.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from torch.utils.benchmark import timer

from agents.agent import Agent
from agents.schedules import updates_due
from benchmarks.program import Program, Row
from benchmarks.timing import watched
from envs.atari import AtariLanes
from envs.toy import CatchLanes
from experiment import command
from experiment.folder import RunFolder
from experiment.provenance import provenance
from experiment.session import Session
from experiment.signals import Signals
from options import PACKAGES, Run, read_command_line
from train import Training

CALLS = {
    "loop": [(Training, "learn")],
    "evaluation": [(Training, "score")],
    "update": [(Agent, "update")],
    "act": [(Agent, "act")],
    "send": [(AtariLanes, "send"), (CatchLanes, "send")],
    "wait for the emulators": [(AtariLanes, "recv"), (CatchLanes, "recv")],
    "remember": [(Training, "remember")],
    "log, measure": [(Training, "_log")],
    "save": [(Session, "save")],
}


def learn(asked: Run, clock: Callable[[], float]) -> dict[str, float]:
    """Seconds of a run after its first update: of its loop, its evaluation, and, by `clock`, of the calls of its loop."""
    with tempfile.TemporaryDirectory() as place, RunFolder(Path(place) / "run") as folder, watched(CALLS, clock) as calls:
        Session(asked, folder, Signals(), provenance(PACKAGES)).carry_out(Training)
    began, ended = calls["update"][0][1], calls["loop"][0][1]
    found = {name: sum(b - max(a, began) for a, b in times if began < b <= ended) for name, times in calls.items()}
    return found | {"evaluation": sum(b - a for a, b in calls["evaluation"])}


def account(asked: Run) -> dict[str, float]:
    """What a run of `asked` takes: seconds of its loop as it is, of its evaluation, and shares of a loop timed call by call."""
    plain, timed = learn(asked, time.perf_counter), learn(asked, timer)
    whole, steps = timed.pop("loop"), asked.env_steps - asked.config.replay.warmup_steps
    del timed["evaluation"]
    shares = {f"share of {name}": seconds / whole for name, seconds in timed.items()}
    return {
        "env steps": steps,
        "loop": plain["loop"],
        "env steps a second": steps / plain["loop"],
        "minutes of 100,000": (100_000 - asked.config.replay.warmup_steps) * plain["loop"] / steps / 60,
        "evaluation": plain["evaluation"],
        "outside the update": 1 - shares["share of update"],
        **shares,
        "share of the rest": 1 - sum(shares.values()),
    }


def rows(asked: argparse.Namespace) -> Iterator[Row]:
    """A row for each figure of the account."""
    train = read_command_line(asked.train)
    if not updates_due(train.config, train.env_steps):
        raise command.UserError("such a run makes no update")
    what = f"{train.agent} on {train.game}, {train.execution}"
    return ({what: name, "figure": figure} for name, figure in account(train).items())


main = Program("run", __doc__, rows, train=None)

if __name__ == "__main__":
    command.run(main)
