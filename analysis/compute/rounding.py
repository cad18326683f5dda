"""How numbers of a report are rounded and written: in its frames as in its files, so that page, figures and files agree."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.read.settings import printable

SHARES = {"iqm", "median", "mean", "optimality_gap", "share", "threshold", "probability", "difference", "hns", "below"}
ENDS = ("", "_low", "_high")  # of the names of a number's column and of those of its interval


def ends(name: str) -> list[str]:
    """The columns of a number and of its interval."""
    return [f"{name}{end}" for end in ENDS]


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> pd.DataFrame:
    """A table of the report: floats in rows of `rows` are rounded, to 3 decimals in the columns of `SHARES`, else to 5 digits.

    Whole numbers stay as they are; None or nan is a number that is not known.
    """
    values = [[rounded(value, name) for name, value in zip(columns, row, strict=True)] for row in rows]
    frame = pd.DataFrame(values, columns=list(columns), dtype=object)
    return frame.infer_objects()


def rounded(value: Any, column: str) -> Any:
    """`value` as it is shown in `column`."""
    if not isinstance(value, float) or not np.isfinite(value):
        return value
    return (round(value, 3) if _is_share(column) else float(f"{value:.5g}")) + 0.0  # + 0: no -0


def _is_share(column: str) -> bool:
    return column.removesuffix("_low").removesuffix("_high") in SHARES


def text(value: Any, column: str = "") -> str:
    """`value` of `column` as it is written; "" for what is not known."""
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, float):
        return f"{value:.3f}" if _is_share(column) else np.format_float_positional(value, trim="-")
    return printable(str(value))


def as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` as it is written."""
    return pd.DataFrame({name: [text(value, name) for value in frame[name]] for name in frame}, dtype=str)


def counted(rows: pd.DataFrame) -> str:
    """Of how many runs and games the numbers of an agent in `rows` are: "10 games, one run each, no interval"."""
    runs, games = rows["runs"].dropna(), int(rows["games"].iloc[0]) if "games" in rows else 0
    if runs.empty:
        return "runs not known"
    least, most = int(runs.min()), int(runs.max())
    said = "one run" if most == 1 else f"{most} runs" if least == most else f"{least} to {most} runs"
    over = f"{games} games, " if games > 1 else "one game, " if games else ""
    return f"{over}{said}{' each' * (games > 1)}{', no interval' * (most == 1)}"
