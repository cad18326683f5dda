"""Differences of many methods on one page: intervals by family, and no colour for each."""

import pandas as pd
from matplotlib.axes import Axes

from analysis.compute.families import FAMILIES
from analysis.draw.canvas import COLOURS, INK, MUTED, WIDTH, Canvas, Style, margin, wrapped
from analysis.draw.figures import Looks, height, intervals

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
    panels = [(base, _with_headings(rows)) for base, rows in table.groupby("base", sort=False)]
    names = [wrapped(name) for _, rows in panels for name in rows["name"]]
    most = max((list(map(wrapped, rows["name"])) for _, rows in panels), key=len)
    canvas = Canvas([f"minus {wrapped(base, 40)}" for base, _ in panels], height(most, ROW), margin(names), WIDTH)
    for panel, (_, rows) in zip(canvas.panels, panels, strict=True):
        rows = rows[::-1].reset_index(drop=True)
        looks = {i: verdict(row) for i, row in rows.iterrows()}
        intervals(panel, [wrapped(name) for name in rows["name"]], rows.assign(agent=rows.index), "difference", looks)
        for label, is_heading in zip(panel.get_yticklabels(), rows["is_heading"], strict=True):
            label.set(weight="bold" if is_heading else "normal", color=INK)
        panel.axvline(0, color=INK, linewidth=1)
        panel.set_xlabel(f"difference in {unit}", fontsize=9)
        _cut(panel, rows)
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


def _with_headings(rows: pd.DataFrame) -> pd.DataFrame:
    """`rows` with their `name`, and above each family one with its name and no numbers."""
    parts = []
    for family, members in rows.groupby("family", sort=False):
        heading = pd.DataFrame([{"name": FAMILIES.get(family, family), "is_heading": True}])
        parts += [heading, members.assign(name=members["method"], is_heading=False)]
    return pd.concat(parts, ignore_index=True)


def methods(table: pd.DataFrame, _looks: Looks) -> Canvas:
    """Differences of the methods of agents."""
    return forest(table, "human-normalised score")
