"""The frame of a benchmark: its flags, and its figures as Markdown tables, which benchmarks/LEDGER.md keeps."""

import argparse
import platform
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.catalogue import TABLES, fill, find_agent
from agents.engine import check_execution
from agents.execution import Execution
from envs.games import find_game
from experiment.command import user_errors
from experiment.device import choose_device
from experiment.outside import add_flag, asked_for, bring_in
from experiment.parser import Parser, user_path
from experiment.provenance import commit, short

Row = dict[str, Any]
EXECUTION = {
    "device": ("cpu", "cuda"),
    "precision": ("float32", "tf32", "bf16"),
    "compiled": False,
    "captured": False,
    "deterministic": False,
}


class Program:
    """`python -m benchmarks.NAME`: it prints the `rows` of what its command line asks for, a table.

    Its flags are those of `flags`. What is asked has the `device`; and the `execution`, which that can do, where it is asked.
    """

    def __init__(self, name: str, about: str | None, rows: Callable[..., Iterable[Row]], /, **defaults: Any) -> None:
        self._parser, self._rows = flags(name, about, **defaults), rows

    def measure(self, argv: Sequence[str]) -> Iterable[Row]:
        """The rows that `argv` asks for, measured one by one. UserError for what cannot be."""
        bring_in(asked_for(argv), TABLES, fill)  # a parser asks whether agents exist
        asked = self._parser.parse_args(argv)
        if "device" in asked:
            asked.device = choose_device(asked.device)
        if "captured" in asked:
            asked.execution = Execution(asked.precision, asked.compiled, asked.captured, asked.deterministic)
            with user_errors():
                check_execution(asked.execution, asked.device)
        return self._rows(asked)

    def __call__(self, argv: Sequence[str]) -> None:
        """Print the rows that `argv` asks for."""
        rows = self.measure(argv)
        print(circumstances())
        for line in table(rows):
            print(line, flush=True)


def flags(name: str, about: str | None, /, **defaults: Any) -> Parser:
    """A parser for `python -m benchmarks.NAME` with a flag for each of `defaults`, of the same type.

    A list takes several values; of a tuple one is chosen, by default the first; False is a switch; None is for what stands
    behind `--`. Agents must exist, and `--agent` is understood for `--agents`.
    """
    parser = Parser(f"benchmarks.{name}", about)
    add_flag(parser)
    for word, default in defaults.items():
        flag, first = f"--{word.replace('_', '-')}", next(iter(default), None) if isinstance(default, list) else default
        own = {"agent": _agent, "agents": _agent, "game": _game, "games": _game, "seed": int, "published": user_path}
        kind = own.get(word) or (user_path if isinstance(first, Path) else _count if type(first) is int else type(first))
        if default is None:
            parser.add_argument(word, nargs="*", help="behind --: flags of train.py")
        elif default is False:
            parser.add_argument(flag, action="store_true")
        elif isinstance(default, tuple):
            parser.add_argument(flag, choices=list(dict.fromkeys(default)), default=default[0])
        else:
            several = "+" if isinstance(default, list) else None
            names = [flag, "--agent"] if word == "agents" else [flag]
            parser.add_argument(*names, nargs=several, type=kind, default=default, help="default: %(default)s")
    return parser


def _agent(name: str) -> str:
    try:
        learns = find_agent(name).optimizer is not None
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if not learns:
        raise argparse.ArgumentTypeError(f"{name} does not learn")
    return name


def _game(name: str) -> str:
    try:
        return find_game(name).name
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of 1 or more")
    return int(text)


def table(rows: Iterable[Row]) -> Iterator[str]:
    """The lines of a Markdown table of `rows`, each as soon as it is there; where there are other columns another begins."""
    columns: list[str] = []
    for row in rows:
        if list(row) != columns:
            columns = list(row)
            yield from ("", _line(columns), "|" + "---|" * len(columns))
        yield _line(row.values())


def _line(cells: Iterable[Any]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(value: Any) -> str:
    """Four digits of a float; of a list of seconds median (quartiles) in milliseconds."""
    if isinstance(value, list):
        low, middle, high = 1e3 * np.quantile(value, (0.25, 0.5, 0.75))
        return f"{middle:.3g} ({low:.3g}..{high:.3g}) ms"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("\n", "<br>").replace("|", "\\|")


def circumstances() -> str:
    """Date, commit (or -dirty), processor, threads and versions: what a figure means nothing without."""
    known = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", known.read_text()) if known.exists() else []
    processor = f"{len(names)} x {names[0]}" if names else platform.processor() or platform.machine()
    threads = f"{torch.get_num_threads()} threads, torch {torch.__version__}"
    return f"{date.today()}, commit {short(commit())}, {processor}, {threads}"
