"""Kill a run with -9 at random moments, continue it each time, and compare its end with that of an undisturbed run.

    python -m benchmarks.kills --kills 20 --out /tmp/kills -- --game Seaquest --agent der --env-steps 6000

What follows `--` is train.py's. Exit status 1 and the first difference if the two are not equal to the bit.
"""

import argparse
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

TRAIN = [sys.executable, str(Path(__file__).parent.parent / "train.py")]


def left_by(folder: Path) -> dict[str, Any]:
    """All that a finished run leaves but its clocks: newest checkpoint, metrics, score."""
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    del state["seconds"], state["metrics"]  # the size of the metrics' file counts the digits of its clocks
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    score = json.loads((folder / "score.json").read_text()) if (folder / "score.json").exists() else {}
    return {
        "state": state,
        "rows": [{name: value for name, value in row.items() if name != "clock"} for row in rows],
        "score": {
            name: value for name, value in score.items() if name not in ("hours", "evaluation_hours", "checksum", "beside")
        },
    }


def difference(found: Any, expected: Any, path: str = "") -> str | None:
    """The path of the first place at which two nested values are not equal to the bit, or None."""
    if type(found) is not type(expected):
        return path
    if isinstance(expected, torch.Tensor):
        return None if torch.equal(found, expected) else path
    if isinstance(expected, dict):
        if list(found) != list(expected):
            return path
        pairs = [(f"{path}/{name}", found[name], expected[name]) for name in expected]
    elif isinstance(expected, list | tuple):
        if len(found) != len(expected):
            return path
        pairs = [(f"{path}/{i}", *pair) for i, pair in enumerate(zip(found, expected, strict=True))]
    else:
        return None if found == expected else path
    return next((where for name, a, b in pairs if (where := difference(a, b, name)) is not None), None)


def main() -> None:
    """Run both and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="decides the moments")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("train", nargs="+", help="-- and train.py's arguments")
    asked = parser.parse_args()
    draw = random.Random(asked.seed)
    asked.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    subprocess.run([*TRAIN, *asked.train, "--out", str(asked.out / "undisturbed")], check=True, stderr=subprocess.DEVNULL)
    seconds = time.monotonic() - began
    print(f"undisturbed: {seconds:.1f} s")
    command = [*TRAIN, *asked.train, "--out", str(asked.out / "killed")]
    with (asked.out / "log").open("a") as log:
        for kill in range(asked.kills):
            # Mostly soon after the start, so that many moments of the run are reached by the last.
            delay = draw.uniform(0, min(seconds, 3 * seconds / asked.kills + 5))
            process = subprocess.Popen(command, stdout=log, stderr=log)
            try:
                process.wait(delay)
                print(f"{kill + 1}: finished before {delay:.1f} s")
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                files = sorted(path.name for path in (asked.out / "killed").rglob("*") if path.is_file())
                print(f"{kill + 1}: killed after {delay:.1f} s; there are {', '.join(files)}", flush=True)
        subprocess.run(command, check=True, stdout=log, stderr=log)
    folders = [next((asked.out / name).rglob("checkpoint.pt")).parent for name in ("killed", "undisturbed")]
    where = difference(left_by(folders[0]), left_by(folders[1]))
    equal = "equal to the bit: weights, priorities, random streams, metrics, score"
    print(equal if where is None else f"they differ at {where}")
    sys.exit(where is not None)


if __name__ == "__main__":
    main()
