"""Where runs of ours stand among published runs of one game: what a reimplementation is judged by."""

import numpy as np
import pandas as pd

from analysis.compute.rounding import table
from analysis.compute.statistics import LEVEL

MEDIAN = ("published_median", "published_median_low", "published_median_high")
COLUMNS = ("agent", "published", "game", "seed", "score", "published_runs", *MEDIAN, "below")


def below(score: float, published: np.ndarray) -> float:
    """The share of `published` [runs] that lies below `score`, a tie being a half: uniform if `score` is one more such run."""
    return float((np.sign(score - published) * 0.5 + 0.5).mean())


def ranks(runs: pd.DataFrame) -> pd.DataFrame:
    """A row for each run of ours and each agent with published runs of its game, and for all of an agent's runs their mean.

    `published_median` has beside it the ends between which 95 % of the published runs lie (not an interval of the median).
    """
    parts = []
    for name, theirs in runs[~runs["ours"]].groupby("label", sort=False):
        games = dict(iter(theirs.groupby("game")["score"]))
        ours = runs[runs["ours"] & runs["game"].isin(games)]
        each = ours[["label", "game", "seed", "score"]].rename(columns={"label": "agent"}).assign(published=name)
        each["published_runs"] = [len(games[game]) for game in each["game"]]
        each[list(MEDIAN)] = [np.percentile(games[game], (50, *LEVEL)) for game in each["game"]] or np.empty((0, 3))
        each["below"] = [below(score, games[game].to_numpy()) for game, score in zip(each["game"], each["score"], strict=True)]
        means = each.groupby("agent", sort=False, as_index=False)["below"].mean().assign(published=name, game="all")
        parts += [each.astype({"seed": object}), means]
    return table(COLUMNS, pd.concat(parts)[list(COLUMNS)].itertuples(index=False) if parts else ())
