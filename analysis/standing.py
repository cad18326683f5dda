"""Where runs of ours stand among published runs of one game: what a reimplementation is judged by."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from analysis.scores import Score
from analysis.statistics import LEVEL
from analysis.tables import Table, share, table

COLUMNS = ("agent", "published", "game", "seed", "score", "published_runs")
COLUMNS += ("published_median", "published_median_low", "published_median_high", "below")


def below(score: float, published: np.ndarray) -> float:
    """The share of `published` [runs] that lies below `score`, a tie being a half: uniform if `score` is one more such run."""
    return float((np.sign(score - published) * 0.5 + 0.5).mean())


def standing(scores: Sequence[Score]) -> Table:
    """A row for each run of ours and each agent with published runs of its game, and for all of an agent's runs their mean.

    `published_median` has beside it the ends between which 95 % of the published runs lie (not an interval of the median).
    """
    published: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for score in scores:
        if not score.ours:
            published[score.label][score.game].append(score.score)
    rows = []
    for name, games in published.items():
        shares: dict[str, list[float]] = defaultdict(list)
        for run in (score for score in scores if score.ours and score.game in games):
            theirs = np.array(games[run.game])
            shares[run.label].append(below(run.score, theirs))
            spread = [float(x) for x in np.percentile(theirs, (50, *LEVEL))]
            rows.append((run.label, name, run.game, run.seed, run.score, len(theirs), *spread, share(shares[run.label][-1])))
        for label, found in shares.items():
            rows.append((label, name, "all", "", "", "", "", "", "", share(float(np.mean(found)))))
    return table(COLUMNS, rows)
