"""Kill a run with -9 at random moments, continue it each time, and compare its end with that of an undisturbed run.

    python -m benchmarks.kills --kills 20 --out /tmp/kills -- --game Seaquest --agent der --env-steps 6000

What follows `--` is train.py's; --seed decides the moments. Exit status 1 and the first difference if the two are not equal to
the bit.
"""

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any

import torch

from benchmarks.program import flags
from experiment.command import UserError, run
from experiment.files import writing
from experiment.parser import user_path
from options import read_command_line

TRAIN = [sys.executable, str(Path(__file__).parent.parent / "train.py")]
CLOCKS = ("hours", "evaluation_hours", "memory_gb", "checksum", "beside")


def left_by(folder: Path) -> dict[str, Any]:
    """All that a finished run leaves but its clocks: newest checkpoint, metrics, score."""
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    del state["seconds"], state["metrics"]  # the size of the metrics' file counts the digits of its clocks
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    score = json.loads((folder / "score.json").read_text()) if (folder / "score.json").exists() else {}
    return {
        "state": state,
        "rows": [{name: value for name, value in row.items() if name != "clock"} for row in rows],
        "score": {name: value for name, value in score.items() if name not in CLOCKS},
    }


def difference(found: Any, expected: Any) -> str | None:
    """The path of the first place at which two nested values are not equal to the bit, or None."""
    for (path, a), (other, b) in zip_longest(_leaves(found), _leaves(expected), fillvalue=("", None)):
        if path != other or type(a) is not type(b) or not (torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b):
            return path or other
    return None


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every place in a nested value; of a container its type and names, before what it contains."""
    if not isinstance(value, dict | list | tuple):
        yield path, value
        return
    inner = dict(value) if isinstance(value, dict) else dict(enumerate(value))
    yield path, (type(value), list(inner))
    for name, part in inner.items():
        yield from _leaves(part, f"{path}/{name}")


def finish(command: list[str], log: IO[str]) -> None:
    """Let `command` finish, what it says going to `log`. UserError if it fails."""
    code = subprocess.run(command, stdout=log, stderr=log).returncode
    if code:
        raise UserError(f"train.py ends with {code}: {log.name} says why", code=1)


def kill_again_and_again(command: list[str], delays: list[float], out: Path, log: IO[str]) -> None:
    """Start `command`, which trains below `out`, and kill it after each of `delays`, seconds; at last let it finish."""
    for kill, delay in enumerate(delays, 1):
        try:
            subprocess.run(command, stdout=log, stderr=log, timeout=delay)  # which kills with -9
            print(f"{kill}: finished before {delay:.1f} s")
        except subprocess.TimeoutExpired:
            files = sorted(path.name for path in out.rglob("*") if path.is_file())
            print(f"{kill}: killed after {delay:.1f} s; there are {', '.join(files)}", flush=True)
    finish(command, log)


def main(argv: list[str]) -> None:
    """Run both and compare."""
    parser = flags("kills", __doc__, kills=20, seed=0)
    parser.add_argument("--out", type=user_path, required=True)
    parser.add_argument("train", nargs="+", help="-- and train.py's arguments")
    asked = parser.parse_args(argv)
    read_command_line(asked.train)  # what train.py would refuse
    draw = random.Random(asked.seed)
    with writing(asked.out):
        asked.out.mkdir(parents=True, exist_ok=True)
    killed, undisturbed = (asked.out / name for name in ("killed", "undisturbed"))
    if killed.exists() or undisturbed.exists():
        raise UserError(f"{asked.out} holds an earlier comparison; choose another --out")
    train = [*TRAIN, *asked.train, "--out"]
    with (asked.out / "log").open("a") as log:
        began = time.monotonic()
        finish([*train, str(undisturbed)], log)
        seconds = time.monotonic() - began
        print(f"undisturbed: {seconds:.1f} s")
        # Mostly soon after the start, so that many moments of the run are reached by the last.
        delays = [draw.uniform(0, min(seconds, 3 * seconds / asked.kills + 5)) for _ in range(asked.kills)]
        kill_again_and_again([*train, str(killed)], delays, killed, log)
    a, b = (left_by(next(out.rglob("checkpoint.pt")).parent) for out in (killed, undisturbed))
    where = difference(a, b)
    if where is not None:
        raise UserError(f"they differ at {where}", code=1)
    print("equal to the bit: weights, priorities, random streams, metrics, score")


if __name__ == "__main__":
    run(main)
