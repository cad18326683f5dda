"""Differences of many methods on one page: intervals by family, and no colour for each."""

from collections.abc import Callable

import pandas as pd
from matplotlib.axes import Axes

from analysis.compute.families import FAMILIES
from analysis.draw.canvas import COLOURS, INK, MUTED, WIDTH, Canvas, Style, margin, wrapped
from analysis.draw.figures import height, intervals

BETTER, WORSE, OPEN = Style(COLOURS[2], "-", "^"), Style(COLOURS[1], "-", "v"), Style(MUTED, "-", "o")
ROW = 14  # points
FAR = 4  # times the size that three quarters of the intervals lie within: what is beyond is left out


def verdict(row: pd.Series) -> Style:
    """How a difference is drawn: better or worse where its interval leaves out 0."""
    return BETTER if row["difference_low"] > 0 else WORSE if row["difference_high"] < 0 else OPEN


def forest(table: pd.DataFrame, unit: str) -> Canvas:
    """A panel for each base, in it a row with an interval for each method, under the heading of its family.

    `table` has columns base, family, method and difference with its interval; rows are shown in its order (`by_family`).
    """
    panels = {f"minus {base}": rows for base, rows in table.groupby("base", sort=False)}
    canvas = in_rows(panels, "difference", verdict)
    for panel, rows in zip(canvas.panels, panels.values(), strict=True):
        panel.axvline(0, color=INK, linewidth=1)
        panel.set_xlabel(f"difference in {unit}", fontsize=9)
        _cut(panel, with_headings(rows)[::-1].reset_index(drop=True))
    return canvas


def in_rows(panels: dict[str, pd.DataFrame], column: str, look: Callable[[pd.Series], Style]) -> Canvas:
    """An interval of `column` for each row of each of `panels`, from above, in the style that `look` gives it."""
    tables = [with_headings(rows)[::-1].reset_index(drop=True) for rows in panels.values()]
    named = [[wrapped(name) for name in rows["name"]] for rows in tables]
    canvas = Canvas(list(panels), height(max(named, key=len), ROW), margin([name for names in named for name in names]), WIDTH)
    for panel, rows, names in zip(canvas.panels, tables, named, strict=True):
        looks = {i: look(row) for i, row in rows.iterrows()}
        intervals(panel, names, rows.assign(agent=rows.index), column, looks)
        for label, is_heading in zip(panel.get_yticklabels(), rows["is_heading"], strict=True):
            label.set(weight="bold" if is_heading else "normal", color=INK)
    return canvas


def _cut(panel: Axes, rows: pd.DataFrame) -> None:
    """Leave out what lies so far off that the others could not be told from 0; its number stands at the edge, in its row."""
    ends = rows[["difference", "difference_low", "difference_high"]]
    sizes = ends.abs()
    limit = FAR * sizes.max(axis=1).quantile(0.75)
    far = sizes["difference"] > limit
    if not far.any():
        return
    low, high = min(ends[~far].min(axis=None), 0), max(ends[~far].max(axis=None), 0)
    room = 0.2 * (high - low)  # for the number
    panel.set_xlim(max(low, -limit) - room, min(high, limit) + room)
    for index, value in rows.loc[far, "difference"].items():
        edge, side = (1, "right") if value > 0 else (0, "left")
        place = {"transform": panel.get_yaxis_transform(), "ha": side, "va": "center"}
        panel.text(edge, index, f" {value:+.3g} ", fontsize=8.5, color=INK, **place)


def with_headings(rows: pd.DataFrame) -> pd.DataFrame:
    """`rows` with their `name`, and above each family, if it is one, a row with its name alone."""
    parts = []
    for family, members in rows.groupby("family", sort=False):
        heading = [pd.DataFrame([{"name": FAMILIES.get(family, family), "is_heading": True}])] if family else []
        parts += [*heading, members.assign(name=members["method"], is_heading=False)]
    return pd.concat(parts, ignore_index=True)
