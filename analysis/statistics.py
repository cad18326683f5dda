"""Statistics over runs and games that a reviewer trusts: those of Agarwal et al. (2021), in NumPy alone.

`scores` are human-normalised, float64 [..., runs, games]. Intervals are 95 % percentile intervals of a stratified bootstrap:
runs are drawn anew within each game, and games never. With one run there is nothing to draw: the interval is nan; but to
compare two agents games take the place of runs then (`over_games`, `wilson`).
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

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
    return mean_band(above, rng)


def mean_band(values: np.ndarray, rng: np.random.Generator, count: int = RESAMPLES) -> np.ndarray:
    """The interval of the mean over games and runs of `values` [games, runs, T], at each of T places. float64 [2, T]."""
    games, runs, places = values.shape
    if runs < 2:
        return np.full((2, places), np.nan)
    total = np.zeros((count, places))
    for game in values:
        total += shares(runs, rng, count) @ game.astype(np.float32)
    return np.percentile(total / games, LEVEL, axis=0)


def wins(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whether each run of `x` [n, games] beats each of `y` [m, games] on a game: 1, 0, or 1/2. float32 [games, n, m]."""
    difference = x.T[:, :, None] - y.T[:, None, :]
    return (np.sign(difference) * 0.5 + 0.5).astype(np.float32)


def improvement(x: np.ndarray, y: np.ndarray) -> float:
    """Probability that a run of `x` [n, games] beats one of `y` [m, games] on a game drawn at random; a tie is a half."""
    return float(wins(x, y).mean(dtype=np.float64))


def improvement_interval(x: np.ndarray, y: np.ndarray, rng: np.random.Generator, count: int = RESAMPLES) -> Interval:
    """The interval of `improvement`; runs of both are drawn anew. If either has a single one, games are
    the sample: Wilson's interval if both have, for games are then won, lost or even; otherwise `over_games`.
    """
    won_by_game = wins(x, y)
    if min(len(x), len(y)) < 2:
        by_game = won_by_game.mean((1, 2), dtype=np.float64)
        return wilson(float(by_game.mean()), len(by_game)) if max(len(x), len(y)) < 2 else over_games(by_game, rng, count)
    total = np.zeros(count)
    for won in won_by_game:
        ours, theirs = shares(len(x), rng, count), shares(len(y), rng, count)
        total += ((ours @ won) * theirs).sum(1)
    return _interval(total / x.shape[1])


def paired(differences: Sequence[np.ndarray], rng: np.random.Generator, count: int = RESAMPLES) -> tuple[float, Interval]:
    """Mean over games of the mean of each game's paired differences, float64 [pairs] each, and its interval.

    Pairs are drawn anew within each game, or, if a game has a single one, games.
    """
    means = np.array([game.mean() for game in differences])
    value = float(means.mean())
    if any(len(game) < 2 for game in differences):
        return value, over_games(means, rng, count)
    total = np.zeros(count)
    for game in differences:
        total += shares(len(game), rng, count) @ game
    return value, _interval(total / len(differences))


def over_games(values: np.ndarray, rng: np.random.Generator, count: int = RESAMPLES) -> Interval:
    """The interval of the mean of `values` [games], games drawn anew: wider, and about games like these instead of these.

    It is nan for fewer than `FEWEST` games.
    """
    if len(values) < FEWEST:
        return np.nan, np.nan
    return _interval(shares(len(values), rng, count) @ values)


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
