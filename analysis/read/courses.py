"""The course of each run: returns of its training games, and measurements of its plasticity, by env step."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.read.scores import KEY, Key, not_negative, table_rows
from analysis.read.settings import printable
from experiment.command import UserError
from experiment.files import number, whole
from experiment.folder import METRICS
from experiment.rows import read_metrics

RUN = ("agent", "flags", "game", "seed")  # names a run in every table
CURVES = (*RUN, "env_step", "return", "length")  # columns of a table of returns
PLASTICITY = (*RUN, "env_step")  # first columns of a table of plasticity
BESIDE = ("kind", "layers")  # in a row of metrics: what a table does not tell; layers have other names in each network

Row = dict[str, Any]


def read_log(path: Path, *kinds: str) -> list[tuple[Row, str]]:
    """The rows of `kinds` of metrics.jsonl at `path` as tables tell them, each with its file and line. UserError if broken."""
    rows = read_metrics(path, kinds)
    return [({name: value for name, value in row.items() if name not in BESIDE}, where) for row, where in rows]


def checked(rows: Iterable[tuple[Row, str]], run: Key | None = None) -> Iterator[tuple[Key, Row]]:
    """The run of each row, `run` if that is given, with its env step and its return or measurements as numbers.

    UserError, naming file and line, for what is no number, for a return that is not finite (a measurement may be nan), for a
    length below 0, and for an env step before that of the last row of its run.
    """
    last: dict[tuple[Key, bool], int] = {}
    for row, where in rows:
        step, key = whole(row.get("env_step"), f"{where}: env_step"), run or _key(row, where)
        is_return = "return" in row
        if "length" in row:
            not_negative(row["length"], f"{where}: length")
        names = ["return"] if is_return else [name for name in row if name not in PLASTICITY and row[name] != ""]
        values = {printable(name): number(row[name], f"{where}: {name}", finite=is_return) for name in names}
        if step < last.get((key, is_return), step):
            raise UserError(f"{where}: env step {step} comes after {last[key, is_return]}")
        last[key, is_return] = step
        yield key, {"env_step": step} | values


def _key(row: Row, where: str) -> Key:
    return printable(f"{row['agent']} {row['flags']}".strip()), row["game"], whole(row["seed"], f"{where}: seed")


def read_courses(wanted: set[Key], folders: dict[Key, Path], tables: Iterable[Path]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The courses of the runs `wanted`, from their `folders` or, for those in none, from `tables` that collect wrote.

    Columns label, game, seed, env_step and, in the first, return; in the second one for each measure. What a table tells that
    another one told already is not told twice.
    """
    logs = {key: folders[key] / METRICS for key in wanted & folders.keys() if (folders[key] / METRICS).exists()}
    others = wanted - logs.keys()
    sources = [checked(read_log(path, "episode", "plasticity"), key) for key, path in sorted(logs.items())]
    sources += [checked(line for line in table_rows(table, PLASTICITY) if _key(*line) in others) for table in tables]
    told: tuple[dict[Key, pd.DataFrame], ...] = ({}, {})  # returns, measurements
    for source in sources:
        new: defaultdict[tuple[bool, Key], list[Row]] = defaultdict(list)
        for key, row in source:
            new["return" not in row, key].append(row)
        for (kind, key), rows in new.items():
            told[kind].setdefault(key, pd.DataFrame(rows))
    return _joined(told[0], ["return"]), _joined(told[1], [])


def _joined(runs: dict[Key, pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    if not runs:
        return pd.DataFrame(columns=[*KEY, "env_step", *columns])
    return pd.concat(dict(sorted(runs.items())), names=[*KEY, ""]).reset_index(list(KEY)).reset_index(drop=True)
