"""Everything there is to measure on a GPU machine, in one command, in under nine minutes, without a network.

    python -m benchmarks.gpu --out gpu
    python -m benchmarks.gpu --out dry --device cpu --quick     the same program where there is no GPU

The tests that need a GPU, a short real run, the update of every base (eager, captured, compiled; float32, TF32, bfloat16), and
several runs at once, by the other benchmarks. Writes OUT.json and OUT.md first, and after every row, so that what is measured
is kept whatever happens; what failed, or was not begun before so many --minutes, is named in them. --quick means few agents and
rounds. --only pytest, run, update, many or here makes that part alone and keeps the others of an earlier OUT.json, so that two
short visits to a machine make one table.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from agents.bases import BASES
from benchmarks import here, many, run, update
from benchmarks.program import Row, circumstances, flags, table
from experiment import command
from experiment.command import UserError, nearest
from experiment.device import choose_device, device_name
from experiment.files import read_json, write_json, write_text, writing
from experiment.provenance import commit

EAGER = ("--precision float32", "--precision tf32", "--precision bf16")
CAPTURED = tuple(f"{way} --captured" for way in EAGER)
FAST = "--precision tf32 --compiled --captured"  # what auto takes
COMPILED = (FAST, f"{FAST} --deterministic", "--precision bf16 --compiled --captured")  # each a minute an agent
HEADLINE = ("der_ht", "spr_ht", "bbf_ht")
TESTS = 240  # seconds for the tests


def gpu_tests(_: Sequence[str]) -> Iterator[Row]:
    """What pytest says of the tests that need a GPU; what it has said when the time is up."""
    words = [sys.executable, "-m", "pytest", "-m", "gpu", "-n", "0", "--no-header", "--durations=0", "-rs"]
    try:
        done = subprocess.run(words, capture_output=True, timeout=TESTS, cwd=Path(__file__).parent.parent)
        yield {"exit status": done.returncode, "said": _end(done.stdout)}
    except subprocess.TimeoutExpired as error:
        yield {"failed": f"not done in {TESTS} s", "said": _end(error.stdout or b"")}


def _end(said: bytes) -> str:
    return said.decode(errors="replace")[-3000:]


PROGRAMS = {
    "pytest": gpu_tests,
    "run": run.main.measure,
    "update": update.main.measure,
    "many": many.main.measure,
    "here": here.main.measure,
}


def plan(device: str, quick: bool) -> Iterator[tuple[str, str]]:
    """What is done, one after the other, most wanted first: the name of a program, and its command line."""
    captured = device == "cuda"
    agent, steps = ("der", 2_400) if quick else ("spr_ht", 8_000)
    yield "pytest", "-m gpu"
    for way, name in product(COMPILED if captured else (), HEADLINE):
        yield "update", f"--agents {name} --device cuda --rounds 5{' --ops' * (way == FAST)} {way}"
    yield "here", f"--agent {agent} --device {device} --env-steps {steps} --runs {'1 2' if quick else '1 4 8 16'}"
    train = f"--game Pong --agent {agent} --device {device} --env-steps {steps} --eval-episodes 20"
    yield "run", f"-- {train}{' --execution.captured' * captured}"
    some = "--agent der --seconds 2 --runs 1 2" if quick else "--agent spr --seconds 4 --runs 1 2 4 8 16"
    yield "many", f"{some} --device {device}{' --captured' * captured}"
    if captured:
        yield "many", f"{some} --device {device} --captured --streams"
    for way, name in product((*CAPTURED, *EAGER), ["der", "spr"] if quick else BASES):
        yield "update", f"--agents {name} --device {device} --rounds {3 if quick else 15} {way}"


def measured(measure: Callable[[Sequence[str]], Iterator[Row]], words: str, end: float) -> Iterator[Row]:
    """The rows that `words` ask for, until `end`; or why there are none: whatever it is, the rest can still be measured."""
    try:
        if time.monotonic() < end:
            for row in measure(words.split()):
                yield row
                if time.monotonic() >= end:
                    break
            else:
                return
        yield {"failed": "the time was up"}
    except Exception as error:
        yield {"failed": f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"}


def markdown(report: dict[str, Any]) -> str:
    """The tables of each section."""
    lines = [f"# {report['device']}", "", report["circumstances"]]
    for section, rows in report["sections"].items():
        lines += ["", f"## {section}", *table(rows)]
    return "\n".join(lines) + "\n"


def main(argv: list[str]) -> None:
    """Measure row by row until all is done; where the time is up, say so."""
    own = {"out": Path("gpu"), "device": ("cuda", "cpu"), "minutes": 8.5, "quick": False, "only": [*PROGRAMS]}
    asked = flags("gpu", __doc__, **own).parse_args(argv)
    if not asked.out.name:
        raise UserError("--out must name a file")
    if unknown := [name for name in asked.only if name not in PROGRAMS]:
        raise UserError(f"--only {unknown[0]}: {nearest(unknown[0], list(PROGRAMS))}")
    began, device = time.monotonic(), choose_device(asked.device)
    earlier = asked.out.with_name(f"{asked.out.name}.json")
    report: dict[str, Any] = {
        "device": device_name(device),
        "commit": commit(),
        "circumstances": circumstances(),
        "sections": {},
    }
    if earlier.exists() and len(asked.only) < len(PROGRAMS):
        kept = read_json(earlier)
        if any(kept.get(name) != report[name] for name in ("device", "commit")):
            raise UserError(f"{earlier} is of another device or commit; choose another --out")
        report["sections"] = {name: rows for name, rows in kept["sections"].items() if name not in asked.only}
    with writing(asked.out):
        asked.out.parent.mkdir(parents=True, exist_ok=True)
    _write(asked.out, report)
    for name, words in [part for part in plan(asked.device, asked.quick) if part[0] in asked.only]:
        for found in measured(PROGRAMS[name], words, began + 60 * asked.minutes):
            report["sections"].setdefault(name, []).append({"command": words, **found})
            report["seconds"] = time.monotonic() - began
            print(f"{report['seconds']:5.0f} s  {name} {words}: {json.dumps(found)[:240]}", flush=True)
            _write(asked.out, report)


def _write(out: Path, report: dict[str, Any]) -> None:
    write_json(out.with_name(f"{out.name}.json"), report)
    write_text(out.with_name(f"{out.name}.md"), markdown(report))


if __name__ == "__main__":
    command.run(main)
