"""Published results: published.csv holds per-game means and aggregates, each with its source.

`basis` is `computed` where the figure was computed anew from published scores of single runs or games, `recalled` where it is a
paper's figure that has not been checked against the paper.
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from experiment.files import read_table

FILE = Path(__file__).with_name("published.csv")
ALL = "all"  # in place of a game: an aggregate over the 26


@dataclass(frozen=True)
class Published:
    """A method's raw mean `scores` by game, if known, and its human-normalised `aggregates` by name, those that are known."""

    scores: dict[str, str]
    aggregates: dict[str, str]
    runs: str
    basis: str
    source: str


def published() -> dict[str, Published]:
    """Every published method by name. Values are text, as they stand in the file."""
    rows: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row, _ in read_table(FILE).rows:
        rows[row["method"]].append(row)
    return {
        method: Published(
            {row["game"]: row["value"] for row in found if row["game"] != ALL},
            {row["measure"]: row["value"] for row in found if row["game"] == ALL},
            found[0]["runs"],
            found[0]["basis"],
            found[0]["source"],
        )
        for method, found in rows.items()
    }
