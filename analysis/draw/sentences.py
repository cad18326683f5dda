"""What the numbers of a report say: which agent is best, what Hare & Tortoise and other methods add, what is missing."""

import pandas as pd

from analysis.compute.comparison import Comparison
from analysis.compute.families import told_apart
from analysis.compute.rounding import as_text, counted, ends
from analysis.compute.tables import short

NAMED = 3  # agents, devices or commits that a sentence names


def sentences(tables: dict[str, pd.DataFrame], compared: Comparison, unfinished: int) -> list[str]:
    """A sentence or more on each, from the numbers of the tables; `unfinished` runs are begun."""
    methods = told_apart(tables["methods"]) if "methods" in tables else []
    said = [best(tables["aggregates"]), against_its_base(tables["pairs"]), *methods, *mixed(compared.runs)]
    return [*said, lacking(compared, unfinished)]


def banded(row: pd.Series, name: str) -> str:
    """A number of a row of text, and its interval if it has one."""
    value, low, high = (row[column] for column in ends(name))
    return f"{value} [{low}, {high}]" if low else value


def best(aggregates: pd.DataFrame) -> str:
    """Which agent has the highest IQM, of ours and of published runs."""
    runs = aggregates[aggregates["kind"] == "run"]
    if runs.empty:
        return "No game has runs of all agents, so none can be called the best."
    is_ours, said = runs["source"] == "runs of ours", []
    for whose, rows in (("Of our agents", runs[is_ours]), ("of published runs", runs[~is_ours])):
        if len(rows):
            at = rows["iqm"].astype(float).idxmax()
            row, count = as_text(rows).set_index(rows.index).loc[at], counted(rows.loc[[at]])
            said.append(f"{whose}, {row['agent']} has the highest IQM: {banded(row, 'iqm')} human-normalised ({count})")
    return f"{'; '.join(said)}."


def against_its_base(pairs: pd.DataFrame) -> str:
    """By how much the Hare & Tortoise agent with the most pairs differs from its base, and whether that is beyond chance."""
    rows = pairs[pairs["game"] == "all"].sort_values("pairs", ascending=False, kind="stable")
    if rows.empty:
        return "No agent with Hare & Tortoise has runs of the same games and seeds as its base."
    row, low, high = as_text(rows).iloc[0], rows["difference_low"].iloc[0], rows["difference_high"].iloc[0]
    games = (pairs.loc[(pairs["agent"] == row["agent"]) & (pairs["base"] == row["base"]), "game"] != "all").sum()
    over = ", the interval over games" if row["interval_over"] == "games" else ""
    verdict = (
        "so Hare & Tortoise is better"
        if low > 0
        else "so Hare & Tortoise is worse"
        if high < 0
        else "which leaves open whether it is better"
    )
    if not row["difference_low"]:
        verdict = "too few runs for an interval"
    more = f" {len(rows) - 1} more such comparisons are below." if len(rows) > 1 else ""
    said = (
        f"Hare & Tortoise against its base: {row['agent']} minus {row['base']} is {banded(row, 'difference')} human-normalised"
    )
    return f"{said} ({row['pairs']} pairs of runs on {games} games, better in {row['better']}{over}), {verdict}.{more}"


def mixed(runs: pd.DataFrame) -> list[str]:
    """Whose runs are of several devices or commits, and are averaged all the same; nothing if nobody's."""
    said = []
    for label, own in runs[runs["ours"]].groupby("label", sort=False):
        of = {"devices": own["device"].unique(), "commits": own["commit"].map(short).unique()}
        if several := {what: values for what, values in of.items() if len(values) > 1}:
            told = (f"{len(v)} {what} ({_some([value or 'unknown' for value in v])})" for what, v in several.items())
            said.append(f"{label} is averaged over runs of {' and '.join(told)}")
    return [f"{_some(said)}."] if said else []


def _some(texts: list[str]) -> str:
    """The first of `texts`, and how many more there are."""
    more = [f"{len(texts) - NAMED} more"] if len(texts) > NAMED else []
    return "; ".join(texts[:NAMED] + more)


def lacking(compared: Comparison, unfinished: int) -> str:
    """What is missing, or that nothing is."""
    begun = f"{unfinished} run{'s are' if unfinished > 1 else ' is'} begun and not finished." if unfinished else ""
    of = f"these {len(compared.games)} games" if len(compared.games) > 1 else "this game"
    whole = "" if len(compared.missing) or unfinished else f"No run of {of} is missing."
    return " ".join(filter(None, (compared.note, begun, whole)))
