"""Published results: published.csv holds per-game means and aggregates, each with its source.

`basis` is `computed` where the figure was computed anew from published scores of single runs or games, `recalled` where it is a
paper's figure that has not been checked against the paper.
"""

from pathlib import Path

import pandas as pd

from experiment.files import number, read_table

FILE = Path(__file__).with_name("published.csv")
ALL = "all"  # in place of a game: an aggregate over the 26


def published() -> pd.DataFrame:
    """Columns method, game, measure, value, runs ("" if not known), basis, source."""
    rows = [row | {"value": number(row["value"], where)} for row, where in read_table(FILE).rows]
    return pd.DataFrame(rows)
