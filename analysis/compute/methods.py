"""Agents with methods against their bases without any, by family of method."""

from collections.abc import Collection

import pandas as pd

from agents.bases import BASES
from agents.catalogue import changed, find_agent, parts
from analysis.compute import statistics as s
from analysis.compute.comparison import Comparison
from analysis.compute.families import by_family
from analysis.compute.rounding import ends, table
from analysis.compute.tables import interval_over
from hare_tortoise.methods import METHODS


def base_of(label: str, labels: Collection[str] = ()) -> tuple[str, str, str] | None:
    """The label of the base of the agent `label`, its methods, and their family; None if it has none, or is not known.

    Both have the same flags, but for those of what the methods change, and for a --name with which the base is not in `labels`.
    """
    agent, *flags = label.split(" --")
    try:
        base, methods = parts(agent)
        touched = changed(BASES[base].config, find_agent(agent)) if methods else set()
    except ValueError:
        return None
    if not methods:
        return None
    own = tuple(name.replace("_", "-") for name in touched)
    family = METHODS[methods[0]].family if len(methods) == 1 else "several"
    kept = [flag for flag in flags if not flag.startswith(own)]
    named, unnamed = (" --".join([base, *some]) for some in (kept, [flag for flag in kept if not flag.startswith("name ")]))
    return unnamed if unnamed in labels and named not in labels else named, label.removeprefix(f"{base}_"), family


def methods(compared: Comparison) -> pd.DataFrame:
    """Agents with methods against their bases, over the same games and seeds; none if all have the same method."""
    rows = []
    for label in compared.labels:
        found = base_of(label, compared.labels)
        by_game = compared.differences(label, found[0]) if found is not None and found[0] in compared.labels else {}
        if found is not None and by_game:
            base, method, family = found
            values = list(by_game.values())
            value, (low, high) = s.paired(values)
            counts = (len(by_game), sum(map(len, values)), sum(int((game > 0).sum()) for game in values))
            rows.append((base, family, method, label, *counts, value, low, high, interval_over(low, min(map(len, values)))))
    columns = ("base", "family", "method", "agent", "games", "pairs", "better", *ends("difference"), "interval_over")
    made = table(columns, rows)
    return by_family(made) if made["method"].nunique() > 1 else made[:0]
