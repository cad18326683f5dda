"""Figures of many agents, by family of method: no panel has more curves than can be told apart."""

from collections.abc import Callable

import pandas as pd

from analysis.compute.families import FAMILIES, by_family
from analysis.compute.methods import base_of
from analysis.draw import figures
from analysis.draw.canvas import COLOURS, INK, Canvas, Style, styles
from analysis.draw.figures import Looks
from analysis.draw.forest import forest, in_rows

MANY = 8  # agents; with more, curves have a panel for each base and family, and what is left of them intervals
BASE, METHOD = Style(INK, "-", "D"), Style(COLOURS[0], "-", "o")


def families(labels: list[str]) -> pd.DataFrame:
    """Which agents of `labels` are shown with which base: columns agent, base, family, method; a base is of the family "".

    What is no base of others, and has none among them, is of the base "".
    """
    known = {label: found for label in labels if (found := base_of(label, labels)) is not None and found[0] in labels}
    bases = {base for base, _, _ in known.values()}
    alone = {label: (label if label in bases else "", label, "") for label in labels}
    rows = [(label, base, family, method) for label, (base, method, family) in (alone | known).items()]
    return pd.DataFrame(rows, columns=["agent", "base", "family", "method"])


def looks(labels: list[str]) -> Looks:
    """A style for each agent: bases have one colour, and so have the first, the second, ... of every family."""
    place = families(labels).assign(rank=lambda x: x.groupby(["base", "family"]).cumcount() + (x["family"] != ""))
    return styles({row.agent: f"{row.rank}" for row in place.itertuples()})


def by_panel(table: pd.DataFrame) -> pd.DataFrame:
    """`table`, which has an agent in each row, with a `panel` for each base and family of methods: these and the base."""
    place = families(list(table["agent"].unique()))
    order = place[place["family"] != ""].assign(difference=0).pipe(by_family)
    panels = {
        f"{base}: {FAMILIES.get(family, family)}": [base, *rows["agent"]]
        for (base, family), rows in order.groupby(["base", "family"], sort=False)
    }
    rest = list(place.loc[place["base"] == "", "agent"])
    panels |= {"others": rest} if rest else {}
    parts = [table[table["agent"].isin(members)].assign(panel=title) for title, members in panels.items()]
    return pd.concat(parts, ignore_index=True)


def profiles(table: pd.DataFrame, looks: Looks) -> Canvas:
    """The share of runs above each score."""
    return figures.profiles(by_panel(table), looks)


def learning(table: pd.DataFrame, looks: Looks) -> Canvas:
    """The IQM of training returns over all shared games."""
    return figures.learning(by_panel(table), looks)


def plasticity(table: pd.DataFrame, _looks: Looks) -> Canvas:
    """Every measurement of plasticity as it was made last, an interval for each agent, a line at the base."""
    last = table.groupby(["measure", "agent"], sort=False).tail(1).assign(difference=lambda x: x["value"])
    last = last.merge(families(list(table["agent"].unique())), on="agent")
    panels, lines = {}, []
    for (measure, base), rows in last.groupby(["measure", "base"], sort=False):
        title = f"{figures.TITLES.get(measure, measure)}, {base or 'others'}"
        panels[title] = pd.concat((rows[rows["family"] == ""], by_family(rows[rows["family"] != ""])))
        lines.append(rows.loc[rows["agent"] == base, "value"].tolist())
    canvas = in_rows(panels, "value", lambda row: BASE if row["family"] == "" else METHOD)
    for panel, values in zip(canvas.panels, lines, strict=True):
        panel.set_title(panel.get_title(loc="left"), fontsize=9, loc="left")
        for value in values:
            panel.axvline(value, color=INK, linewidth=1)
    return canvas


def methods(table: pd.DataFrame, _looks: Looks) -> Canvas:
    """Differences of methods to their bases."""
    return forest(table, "human-normalised score")


# In place of the figures of few agents.
FIGURES: dict[str, Callable[[pd.DataFrame, Looks], Canvas]] = {
    "profiles": profiles,
    "learning": learning,
    "plasticity": plasticity,
}
