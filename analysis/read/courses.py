"""The course of each run: returns of its training games, and measurements of its plasticity, by env step."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from analysis.read.scores import KEY, Key, table_rows
from analysis.read.settings import printable
from experiment.command import UserError
from experiment.files import number, parse_json, read_text, whole
from experiment.folder import METRICS

CURVES = ("agent", "flags", "game", "seed", "env_step", "return", "length")  # columns of a table of returns
PLASTICITY = ("agent", "flags", "game", "seed", "env_step")  # first columns of a table of plasticity

Row = dict[str, Any]


class Courses(NamedTuple):
    """Columns label, game, seed, env_step and, in `curves`, return; in `plasticity` one for each measure."""

    curves: pd.DataFrame
    plasticity: pd.DataFrame


def read_metrics(path: Path, kinds: Iterable[str]) -> list[tuple[Row, str]]:
    """The rows of metrics.jsonl that are of one of `kinds`, each with its file and line. UserError for a broken one."""
    starts = tuple(f'{{"kind": "{kind}"' for kind in kinds)  # most rows need not be parsed
    kept = []
    text = read_text(path).removesuffix("\n")
    for index, line in enumerate(text.split("\n") if text else (), 1):
        if line.startswith(starts) or not (line.startswith('{"kind": "') and line.endswith("}")):
            where = f"{path}, line {index}"
            row = parse_json(line, where)
            if not isinstance(row, dict) or "kind" not in row:
                raise UserError(f"{where} is no row of metrics")
            if row["kind"] in kinds:
                kept.append((row, where))
    return kept


def checked(rows: Iterable[tuple[Row, str]], run: Key | None = None) -> Iterator[tuple[Key, Row]]:
    """The run of each row, `run` if that is given, with its env step and its return or measurements as numbers.

    UserError, naming file and line, for what is no number, for a return that is not finite (a measurement may be nan), and for
    an env step before that of the last row of its run.
    """
    last: dict[tuple[Key, bool], int] = {}
    for row, where in rows:
        step, key = whole(row.get("env_step"), f"{where}: env_step"), run or _key(row, where)
        is_return = "return" in row
        names = ["return"] if is_return else [name for name in row if name not in (*PLASTICITY, "kind") and row[name] != ""]
        values = {printable(name): number(row[name], f"{where}: {name}", finite=is_return) for name in names}
        if step < last.get((key, is_return), step):
            raise UserError(f"{where}: env step {step} comes after {last[key, is_return]}")
        last[key, is_return] = step
        yield key, {"env_step": step} | values


def _key(row: Row, where: str) -> Key:
    return printable(f"{row['agent']} {row['flags']}".strip()), row["game"], whole(row["seed"], f"{where}: seed")


def read_courses(wanted: set[Key], folders: dict[Key, Path], tables: Iterable[Path]) -> Courses:
    """The courses of the runs `wanted`, from their `folders` or, for those in none, from `tables` that collect wrote.

    What a table tells that another one told already is not told twice.
    """
    by_run: tuple[dict[Key, pd.DataFrame], ...] = ({}, {})  # returns, measurements
    logs = {key: folders[key] / METRICS for key in wanted & folders.keys() if (folders[key] / METRICS).exists()}
    for key, path in sorted(logs.items()):
        _add(by_run, checked(read_metrics(path, ("episode", "plasticity")), key))
    for table in tables:
        rows = ((row, where) for row, where in table_rows(table, PLASTICITY) if _key(row, where) in wanted - logs.keys())
        _add(by_run, checked(rows))
    return Courses(*(_joined(runs, column) for runs, column in zip(by_run, ("return", None), strict=True)))


def _add(courses: tuple[dict[Key, pd.DataFrame], ...], rows: Iterable[tuple[Key, Row]]) -> None:
    """Put `rows` to the runs that `courses` has not yet."""
    new: tuple[defaultdict[Key, list[Row]], ...] = (defaultdict(list), defaultdict(list))
    for key, row in rows:
        new["return" not in row][key].append(row)
    for runs, more in zip(courses, new, strict=True):
        runs |= {key: pd.DataFrame(rows) for key, rows in more.items() if key not in runs}


def _joined(runs: dict[Key, pd.DataFrame], column: str | None) -> pd.DataFrame:
    if not runs:
        return pd.DataFrame(columns=[*KEY, "env_step", *([column] if column else [])])
    return pd.concat(dict(sorted(runs.items())), names=[*KEY, ""]).reset_index(list(KEY)).reset_index(drop=True)
