"""Differences of many methods in the order in which they are shown, and which of them are beyond chance."""

import pandas as pd

# What the families of methods are called, in the order in which they are shown.
FAMILIES = {
    "average": "averaging",
    "reset": "resets",
    "recycle": "units renewed",
    "penalty": "penalties",
    "constraint": "constraints",
    "network": "networks",
    "optimizer": "optimizers",
    "data": "data",
    "several": "several methods",
    "reference": "references",
}


def by_family(differences: pd.DataFrame) -> pd.DataFrame:
    """Rows in the order in which they are shown: those of a base together, in these families, within one the best first."""
    ranks = {name: i for i, name in enumerate(FAMILIES)}
    bases = {name: i for i, name in enumerate(differences["base"].unique())}
    keys = {"base": differences["base"].map(bases), "family": differences["family"].map(ranks).fillna(len(ranks))}
    order = differences.assign(**keys, worse=-differences["difference"]).sort_values(["base", "family", "worse"], kind="stable")
    return differences.loc[order.index].reset_index(drop=True)


def told_apart(differences: pd.DataFrame) -> list[str]:
    """For each base a sentence: which methods are better or worse than it beyond chance, of how many; references are none."""
    said = []
    for base, rows in differences[differences["family"] != "reference"].groupby("base", sort=False):
        known = rows[rows["difference_low"].notna()]
        sides = {"better": known[known["difference_low"] > 0], "worse": known[known["difference_high"] < 0]}
        named = [f"{side}: {_listed(found)}" for side, found in sides.items()]
        few = f"; without an interval, of too few runs: {len(rows) - len(known)}" if len(known) < len(rows) else ""
        said.append(f"Of {len(rows)} methods against {base}, beyond chance {'; '.join(named)}{few}.")
    return said


def _listed(rows: pd.DataFrame) -> str:
    return ", ".join(rows.sort_values("difference", ascending=False, kind="stable")["method"]) or "no method"
