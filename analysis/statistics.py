"""Statistics over runs and games that a reviewer trusts: those of Agarwal et al. (2021), in NumPy alone.

`scores` are human-normalised, float64 [..., runs, games]. Intervals are of 95 %. Those of aggregates, profiles and
probabilities are percentile intervals of a stratified bootstrap: runs are drawn anew within each game, and games never. Those
of differences, games and curves, means of few numbers, are Student's t (`mean_interval`). With one run there is nothing to go
by: the interval is nan; but to compare two agents games take the place of runs then (`over_games`, `wilson`).
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from experiment.student import quantile

RESAMPLES = 2000
LEVEL = (2.5, 97.5)  # percentiles
FEWEST = 6  # games for an interval over games: with fewer, even all of one sign has a probability above 5 %
CHUNK = 4_000_000  # scores held at once while resampling: 32 MB

Interval = tuple[float, float]


def iqm(scores: np.ndarray) -> np.ndarray:
    """Mean of the middle half of all runs of all games: a quarter, rounded down, is cut at either end. float64 [...]."""
    flat = scores.reshape(*scores.shape[:-2], -1)
    cut = flat.shape[-1] // 4
    return np.sort(flat, axis=-1)[..., cut : flat.shape[-1] - cut].mean(-1)


def median(scores: np.ndarray) -> np.ndarray:
    """Median over the games of each game's mean over runs. float64 [...]."""
    return np.median(scores.mean(-2), axis=-1)


def mean(scores: np.ndarray) -> np.ndarray:
    """Mean over runs and games. float64 [...]."""
    return scores.mean((-2, -1))


def optimality_gap(scores: np.ndarray) -> np.ndarray:
    """By how much runs miss the human score on average, those above it counted as 0. Lower is better. float64 [...]."""
    return 1 - np.minimum(scores, 1).mean((-2, -1))


AGGREGATES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "iqm": iqm,
    "median": median,
    "mean": mean,
    "optimality_gap": optimality_gap,
}


def resampled(scores: np.ndarray, count: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """`count` stratified draws from `scores` [runs, games], as float64 [some, runs, games] at a time."""
    runs, games = scores.shape
    some = max(1, CHUNK // scores.size)
    for start in range(0, count, some):
        drawn = rng.integers(runs, size=(min(some, count - start), runs, games))
        yield scores[drawn, np.arange(games)]


def intervals(
    scores: np.ndarray, measures: Sequence[Callable[[np.ndarray], np.ndarray]], rng: np.random.Generator, count: int = RESAMPLES
) -> list[Interval]:
    """The interval of each of `measures` of `scores` [runs, games]."""
    if len(scores) < 2:
        return [(np.nan, np.nan)] * len(measures)
    found = [[measure(draw) for measure in measures] for draw in resampled(scores, count, rng)]
    return [_interval(np.concatenate(values)) for values in zip(*found, strict=True)]


def shares(runs: int, rng: np.random.Generator, count: int = RESAMPLES) -> np.ndarray:
    """What share each run is of each of `count` draws of as many runs: float32 [count, runs].

    A mean over a draw is a weighted mean over the runs, which is a matrix product instead of a copy.
    """
    drawn = rng.integers(runs, size=(count, runs)) + runs * np.arange(count)[:, None]
    return (np.bincount(drawn.ravel(), minlength=count * runs) / runs).astype(np.float32).reshape(count, runs)


def profile(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Share of the runs of all games that score above each of `thresholds` [T]. float64 [T]."""
    flat = np.sort(scores, axis=None)
    return 1 - np.searchsorted(flat, thresholds, side="right") / flat.size


def profile_band(scores: np.ndarray, thresholds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The interval of `profile` at each threshold. float64 [2, T]."""
    above = scores.T[:, :, None] > thresholds  # [games, runs, T]
    games, runs, places = above.shape
    if runs < 2:
        return np.full((2, places), np.nan)
    total = np.zeros((RESAMPLES, places))
    for game in above:
        total += shares(runs, rng) @ game.astype(np.float32)
    return np.percentile(total / games, LEVEL, axis=0)


def mean_interval(values: Sequence[np.ndarray]) -> np.ndarray:
    """The interval of the mean over games of each game's mean over runs; `values` float64 [runs, T] of each game.

    Student's t, its degrees of freedom by Welch and Satterthwaite. float64 [2, T], nan if a game has a single run.
    """
    if any(len(game) < 2 for game in values):
        return np.full((2, values[0].shape[1]), np.nan)
    middle = np.mean([game.mean(0) for game in values], 0)
    errors = np.array([game.var(0, ddof=1) / len(game) for game in values])  # [games, T]
    total = errors.sum(0)
    known = np.array([len(game) - 1 for game in values])[:, None]
    freedom = total**2 / np.maximum((errors**2 / known).sum(0), np.finfo(float).tiny)
    half = np.array([quantile(max(f, 1)) for f in freedom]) * np.sqrt(total) / len(values)
    return np.stack((middle - half, middle + half))


def wins(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whether each run of `x` [n, games] beats each of `y` [m, games] on a game: 1, 0, or 1/2. float32 [games, n, m]."""
    difference = x.T[:, :, None] - y.T[:, None, :]
    return (np.sign(difference) * 0.5 + 0.5).astype(np.float32)


def improvement(x: np.ndarray, y: np.ndarray) -> float:
    """Probability that a run of `x` [n, games] beats one of `y` [m, games] on a game drawn at random; a tie is a half."""
    return float(wins(x, y).mean(dtype=np.float64))


def improvement_interval(x: np.ndarray, y: np.ndarray, rng: np.random.Generator, count: int = RESAMPLES) -> Interval:
    """The interval of `improvement`; runs of both are drawn anew.

    If either has a single run, or two of too few games, games are the sample: Wilson's interval, which is wider than need be
    where a game can be won in part.
    """
    won_by_game = wins(x, y)
    if min(len(x), len(y)) < (3 if len(won_by_game) < FEWEST else 2):
        return wilson(float(won_by_game.mean(dtype=np.float64)), len(won_by_game))
    total = np.zeros(count)
    for won in won_by_game:
        ours, theirs = shares(len(x), rng, count), shares(len(y), rng, count)
        total += ((ours @ won) * theirs).sum(1)
    return _interval(total / x.shape[1])


def paired(differences: Sequence[np.ndarray]) -> tuple[float, Interval]:
    """Mean over games of the mean of each game's paired differences, float64 [pairs] each, and its interval.

    If a game has a single pair, games are the sample.
    """
    means = np.array([game.mean() for game in differences])
    if any(len(game) < 2 for game in differences):
        return float(means.mean()), over_games(means)
    low, high = mean_interval([game[:, None] for game in differences])[:, 0]
    return float(means.mean()), (float(low), float(high))


def over_games(values: np.ndarray) -> Interval:
    """The interval of the mean of `values` [games], these being a sample: wider, and about games like these instead of these.

    Student's t; nan for fewer than `FEWEST` games.
    """
    if len(values) < FEWEST:
        return np.nan, np.nan
    low, high = mean_interval([values[:, None]])[:, 0]
    return float(low), float(high)


def wilson(share: float, games: int) -> Interval:
    """Wilson's 95 % interval of a `share` of `games` that are won: not of no width when all are. A tie is half a game.

    It is nan for fewer than `FEWEST` games.
    """
    if games < FEWEST:
        return np.nan, np.nan
    z = 1.96
    middle = (share + z**2 / (2 * games)) / (1 + z**2 / games)
    half = z / (1 + z**2 / games) * np.sqrt(share * (1 - share) / games + z**2 / (4 * games**2))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def _interval(values: np.ndarray) -> Interval:
    low, high = np.percentile(values, LEVEL)
    return float(low), float(high)
