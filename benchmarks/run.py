"""A whole run on a real game: env steps a second, and where the time goes.

    python -m benchmarks.run -- --game Pong --agent der --env-steps 6000 --eval-episodes 20

Everything behind -- is for train.py. The run is made in a folder that is deleted; what it does is timed from outside, call by
call, after the warm-up and with a GPU waited for at the end of each, so that nothing hides behind anything else; the
first column of seconds is the run as it is, without that.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.timing import circumstances
from experiment.folder import RunFolder
from experiment.session import Session
from experiment.signals import Signals
from experiment.start import Begun
from options import Run, read_command_line
from train import Training

# Where each call of the loop belongs.
CALLS = {
    "update": ("agent", "update"),
    "act": ("agent", "act"),
    "send": ("lanes", "send"),
    "wait for the emulators": ("lanes", "recv"),
    "remember": ("training", "remember"),
    "log, measure": ("training", "_log"),
    "save": ("session", "save"),
}


class Clock:
    """Seconds spent in the calls that it wraps."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(CALLS, 0.0)

    def wrap(self, owner: Any, method: str, name: str, wait: Callable[[], None]) -> None:
        """Time every call of `method` of `owner` under `name`."""
        inner = getattr(owner, method)

        def timed(*arguments: Any, **named: Any) -> Any:
            start = time.perf_counter()
            found = inner(*arguments, **named)
            wait()
            self.seconds[name] += time.perf_counter() - start
            return found

        setattr(owner, method, timed)


def learn(asked: Run, timed: bool) -> dict[str, float]:
    """Seconds of a run after its warm-up, whole and (if `timed`) by call, and of its evaluation."""
    with tempfile.TemporaryDirectory() as place, RunFolder(Path(place) / "run") as folder:
        signals, clock = Signals(), Clock()
        session = Session(Begun(asked, folder, signals, {"commit": None, "wandb": "0", "versions": {}}))
        training = Training(asked, session.device)
        session.begin(training)
        owners = {"agent": training.agent, "lanes": training.lanes, "training": training, "session": session}
        wait = torch.cuda.synchronize if session.device.type == "cuda" else (lambda: None)
        began: list[float] = []
        first = training.agent.update

        def update(*arguments: Any) -> None:
            first(*arguments)
            wait()
            began.append(time.perf_counter())  # compiling and the like belong to the first update
            training.agent.update = first  # type: ignore[method-assign]
            if timed:
                for name, (owner, method) in CALLS.items():
                    clock.wrap(owners[owner], method, name, wait)

        training.agent.update = update  # type: ignore[method-assign]
        with signals:
            training.learn(session)
        wait()
        ended, seconds = time.perf_counter(), dict(clock.seconds)  # the evaluation acts too
        training.score(session)
        session.metrics.close()
        training.lanes.close()
        return {"loop": ended - began[0], "evaluation": time.perf_counter() - ended, **(seconds if timed else {})}


def account(asked: Run) -> dict[str, float]:
    """What a run of `asked` takes: seconds of its loop as it is, of its evaluation, and shares of a loop timed call by call."""
    plain, timed = learn(asked, timed=False), learn(asked, timed=True)
    steps = asked.env_steps - asked.config.replay.warmup_steps
    whole = timed["loop"]
    shares = {f"share of {name}": timed[name] / whole for name in CALLS}
    return {
        "env steps": steps,
        "loop": plain["loop"],
        "env steps a second": steps / plain["loop"],
        "outside the update": 1 - shares["share of update"],
        "evaluation": plain["evaluation"],
        **shares,
        "share of the rest": 1 - sum(shares.values()),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Print the account."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", nargs="*", help="flags of train.py, behind --")
    asked = read_command_line(parser.parse_args(argv).train)
    print(circumstances())
    found = account(asked)
    steps, speed = found["env steps"], found["env steps a second"]
    print(f"{asked.agent} on {asked.game}, {asked.execution}")
    print(f"{steps:,.0f} env steps in {found['loop']:.1f} s, {speed:.1f} a second")
    print(f"100,000 env steps would take {(100_000 - asked.config.replay.warmup_steps) / speed / 60:.1f} minutes")
    for name, share in found.items():
        if name.startswith("share of "):
            print(f"  {name.removeprefix('share of '):24} {share:6.1%}")
    print(f"outside the update: {found['outside the update']:.1%}")
    if asked.eval_episodes:
        print(f"evaluation of {asked.eval_episodes} games: {found['evaluation']:.1f} s")


if __name__ == "__main__":
    main()
