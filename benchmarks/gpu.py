"""Everything there is to measure on a GPU machine, in one command, in under nine minutes, without a network.

    python -m benchmarks.gpu --out gpu
    python -m benchmarks.gpu --out dry --device cpu --quick     the same program where there is no GPU

The tests that need a GPU, the update of every base (eager, captured, compiled; float32, TF32, bfloat16), several runs at once,
and a short real run. Writes OUT.json and OUT.md first, and after every row, so that what is measured is kept whatever happens;
what did not fit into the time, or failed, is named in them.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from agents.bases import BASES
from agents.engine import check_execution
from agents.execution import Execution
from benchmarks.flops import matrix_peak
from benchmarks.many import processes, streams
from benchmarks.run import account
from benchmarks.timing import circumstances
from benchmarks.update import row
from experiment.command import run
from experiment.device import choose_device, device_name, keep_freed_memory
from experiment.files import write_json, write_text, writing
from experiment.parser import Parser, user_path
from options import read_command_line

Row = dict[str, Any]
EXECUTIONS = (
    Execution(),
    Execution("tf32"),
    Execution("bf16"),
    Execution(captured=True),
    Execution("tf32", captured=True),
    Execution("bf16", captured=True),
    Execution("bf16", compiled=True),
    Execution("bf16", compiled=True, captured=True),
)
RUNS = (1, 2, 4, 8, 16)
TESTS = 240  # seconds for the tests


def gpu_tests() -> Iterator[Row]:
    """What pytest says of the tests that need a GPU; what it has said when the time is up."""
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-n", "0", "--no-header", "--durations=0", "-rs"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=TESTS, cwd=Path(__file__).parent.parent)
        yield {"exit status": done.returncode, "said": _end(done.stdout)}
    except subprocess.TimeoutExpired as error:
        yield {"failed": f"not done in {TESTS} s", "said": _end(error.stdout or b"")}


def _end(said: bytes) -> str:
    return said.decode(errors="replace")[-3000:]


def updates(device: torch.device, rounds: int, names: Sequence[str]) -> Iterator[Row]:
    """A row for each base and way of execution."""
    peak = matrix_peak(device)
    for execution in EXECUTIONS:
        for name in names:
            found: Row = {"agent": name, **asdict(execution), "float32 peak, GFLOP/s": peak / 1e9}
            try:
                check_execution(execution, device)
                found |= row(name, execution, device, rounds, peak)
            except (ValueError, RuntimeError) as error:
                found["failed"] = str(error).splitlines()[0]
            yield found


def several(device: torch.device, runs: Sequence[int], seconds: float, agent: str) -> Iterator[Row]:
    """Updates a second of so many runs at once, as processes and, on a GPU, on streams of one process."""
    on_gpu = device.type == "cuda"
    execution = Execution(captured=on_gpu)
    for count in runs:
        for way in ("processes", "streams") if on_gpu else ("processes",):
            found: Row = {"agent": agent, "runs": count, "as": way, **asdict(execution)}
            try:
                if way == "streams":
                    found["updates a second"] = streams(agent, execution, count, seconds)
                else:
                    found["updates a second"] = processes((agent, execution, device.type, 1), count, seconds)
            except RuntimeError as error:
                found["failed"] = str(error).splitlines()[0]
            yield found


def real_run(device: torch.device, agent: str, steps: int) -> Iterator[Row]:
    """The account of a short run on Pong."""
    flags = ["--game", "Pong", "--agent", agent, "--device", device.type, "--env-steps", str(steps), "--eval-episodes", "20"]
    if device.type == "cuda":
        flags += ["--execution.captured"]
    yield {"flags": " ".join(flags), **account(read_command_line(flags))}


def markdown(found: dict[str, Any]) -> str:
    """A table for each section."""
    lines = [f"# {found['device']}", "", found["circumstances"], ""]
    for section, rows in found["sections"].items():
        columns = list(dict.fromkeys(key for r in rows for key in r))
        lines += [f"## {section}", "", f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
        lines += [f"| {' | '.join(_cell(r.get(column, '')) for column in columns)} |" for r in rows] + [""]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("\n", "<br>").replace("|", "\\|")


def command_line(argv: list[str]) -> argparse.Namespace:
    """What `argv` asks for. UserError for what cannot be."""
    parser = Parser("benchmarks.gpu", __doc__)
    parser.add_argument("--out", type=user_path, default=Path("gpu"))
    parser.add_argument("--device", default="cuda", choices=["cpu", "cuda"])
    parser.add_argument("--minutes", type=float, default=8.5, help="no row is begun after so many")
    parser.add_argument("--quick", action="store_true", help="two agents, few rounds: to see that it works")
    asked = parser.parse_args(argv)
    if not asked.out.name:
        parser.error("--out must name a file")
    if asked.device == "cuda" and not torch.cuda.is_available():
        parser.error("no GPU is visible; --device cpu --quick tries the program out")
    return asked


def main(argv: list[str]) -> None:
    """Measure, section by section, until all is done or the time is up."""
    asked = command_line(argv)
    began, device = time.monotonic(), choose_device(asked.device)
    keep_freed_memory()
    quick = asked.quick
    found: dict[str, Any] = {"device": device_name(device), "circumstances": circumstances(), "sections": {}}
    with writing(asked.out):
        asked.out.parent.mkdir(parents=True, exist_ok=True)
    _write(asked.out, found)
    sections = {
        "Tests that need a GPU": gpu_tests(),
        "A short run": real_run(device, "der" if quick else "spr_ht", 2_400 if quick else 8_000),
        "Updates": updates(device, 3 if quick else 15, ["der", "spr"] if quick else list(BASES)),
        "Several runs": several(device, RUNS[:2] if quick else RUNS, 2 if quick else 4, "der" if quick else "spr"),
    }
    for section, rows in sections.items():
        kept = found["sections"].setdefault(section, [])
        while time.monotonic() - began < 60 * asked.minutes:
            try:
                measured = next(rows, None)
            except Exception as error:  # whatever it is, the other sections can still be measured
                kept.append({"failed": f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"})
                _write(asked.out, found)
                break
            if measured is None:
                break
            kept.append(measured)
            print(f"{time.monotonic() - began:5.0f} s  {section}: {json.dumps(measured)[:240]}", flush=True)
            _write(asked.out, found)
        else:
            kept.append({"failed": f"the {asked.minutes:g} minutes were up"})
    found["seconds"] = time.monotonic() - began
    _write(asked.out, found)


def _write(out: Path, found: dict[str, Any]) -> None:
    write_json(out.with_name(f"{out.name}.json"), found)
    write_text(out.with_name(f"{out.name}.md"), markdown(found))


if __name__ == "__main__":
    run(main)
