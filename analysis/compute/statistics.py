"""Statistics over runs and games that a reviewer trusts: those of Agarwal et al. (2021), ours.

`scores` are human-normalised, float64 [..., runs, games]. Intervals are of 95 % and about these games: runs are the sample.
Means have Student's t (`mean_interval`), shares that and Wilson's interval (`share_interval`), the IQM the standard error of a
stratified bootstrap, the median draws of each game's mean. The percentiles of a bootstrap are no interval of few runs: of two
they hold the truth in half to four fifths of cases (`tests/test_coverage.py` simulates all of this). With one run there is
nothing to go by: the interval is nan; but to compare two agents games take the place of runs then.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from scipy.special import stdtrit

RESAMPLES = 2000
LEVEL = (2.5, 97.5)  # percentiles
Z = 1.96
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


def student(freedom: np.ndarray) -> np.ndarray:
    """The 97.5 % point of Student's t with `freedom` degrees of freedom."""
    return stdtrit(freedom, 0.975)


AGGREGATES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "iqm": iqm,
    "median": median,
    "mean": mean,
    "optimality_gap": optimality_gap,
}


def generator(label: str, measure: str) -> np.random.Generator:
    """The random numbers for an interval of `measure` of the agent `label`: the same whatever else is reported."""
    named = f"{measure} of {label}".encode(errors="surrogatepass")
    return np.random.default_rng(int.from_bytes(hashlib.blake2b(named, digest_size=16).digest()))


def resampled(scores: np.ndarray, count: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """`count` stratified draws from `scores` [runs, games], as float64 [some, runs, games] at a time."""
    runs, games = scores.shape
    some = max(1, CHUNK // scores.size)
    for start in range(0, count, some):
        drawn = rng.integers(runs, size=(min(some, count - start), runs, games))
        yield scores[drawn, np.arange(games)]


def intervals(scores: np.ndarray, label: str, count: int = RESAMPLES) -> list[Interval]:
    """The interval of each of `AGGREGATES` of `scores` [runs, games] of the agent `label`, with `count` draws if any."""
    low, high = interval(np.minimum(scores, 1).T)
    average = interval(scores.T)
    return [iqm_interval(scores, label, count), median_interval(scores, label, count), average, (1 - high, 1 - low)]


def iqm_interval(scores: np.ndarray, label: str, count: int = RESAMPLES) -> Interval:
    """The interval of `iqm`: Student's t times the standard error of a bootstrap, mended for its runs being those at hand.

    Degrees of freedom are Welch's and Satterthwaite's of scores that are clipped to the middle half, which the IQM depends on
    (Tukey and McLaughlin 1963); of a game's runs those within it count.
    """
    runs = len(scores)
    if runs < 2:
        return np.nan, np.nan
    draws = np.concatenate([iqm(draw) for draw in resampled(scores, count, generator(label, "iqm"))])
    flat = np.sort(scores, axis=None)
    low, high = flat[flat.size // 4], flat[-1 - flat.size // 4]
    inside = ((scores >= low) & (scores <= high)).sum(0)
    _, freedom = _errors(scores.clip(low, high).T[:, :, None], np.maximum(inside - 1, 1))
    half = student(freedom[0]) * draws.std() * np.sqrt(runs / (runs - 1))
    middle = float(iqm(scores))
    return middle - float(half), middle + float(half)


def median_interval(scores: np.ndarray, label: str, count: int = RESAMPLES) -> Interval:
    """The interval of `median`: percentiles of it where each game's mean is drawn from Student's t around the one found."""
    runs, games = scores.shape
    if runs < 2:
        return np.nan, np.nan
    errors = scores.std(0, ddof=1) / np.sqrt(runs)
    means = scores.mean(0) + errors * generator(label, "median").standard_t(runs - 1, size=(count, games))
    low, high = np.percentile(np.median(means, axis=1), LEVEL)
    return float(low), float(high)


def profile(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Share of the runs of all games that score above each of `thresholds` [T]. float64 [T]."""
    flat = np.sort(scores, axis=None)
    return 1 - np.searchsorted(flat, thresholds, side="right") / flat.size


def profile_band(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The interval of `profile` at each threshold. float64 [2, T].

    Two runs of a game that both are above tell of no variance there, and may be the only ones that are above. So the spread is
    no less than that of games whose shares are drawn towards that of all, by the weight of one run.
    """
    above = (scores.T[:, :, None] > thresholds).astype(float)  # [games, runs, T]
    games, runs, places = above.shape
    if runs < 2:
        return np.full((2, places), np.nan)
    total, freedom = _errors(list(above))
    share = above.mean((0, 1))
    drawn = (above.sum(1) + share) / (runs + 1)
    least = Z * np.sqrt((drawn * (1 - drawn)).sum(0) / runs)
    return share_interval(share, np.maximum(student(freedom) * np.sqrt(total), least) / games, games * runs)


def mean_interval(values: Sequence[np.ndarray]) -> np.ndarray:
    """The interval of the mean over games of each game's mean over runs; `values` float64 [runs, T] of each game.

    Student's t, its degrees of freedom by Welch and Satterthwaite. float64 [2, T], nan if a game has a single run.
    """
    if any(len(game) < 2 for game in values):
        return np.full((2, values[0].shape[1]), np.nan)
    middle = np.mean([game.mean(0) for game in values], 0)
    total, freedom = _errors(values)
    half = student(freedom) * np.sqrt(total) / len(values)
    return np.stack((middle - half, middle + half))


def interval(values: Iterable[np.ndarray]) -> Interval:
    """`mean_interval` of a single number of each run; `values` float64 [runs] of each game."""
    low, high = mean_interval([game[:, None] for game in values])[:, 0]
    return float(low), float(high)


def _errors(values: Sequence[np.ndarray] | np.ndarray, known: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The variance of the sum of the means of `values`, float64 [runs, T] each, and its degrees of freedom; float64 [T] both.

    By Welch and Satterthwaite; `known` [games] are the degrees of freedom of each, if not its runs but one.
    """
    errors = np.array([game.var(0, ddof=1) / len(game) for game in values])  # [games, T]
    total = errors.sum(0)
    known = np.array([len(game) - 1 for game in values]) if known is None else known
    freedom = total**2 / np.maximum((errors**2 / known[:, None]).sum(0), np.finfo(float).tiny)
    return total, np.maximum(freedom, 1)


def share_interval(share: np.ndarray, spread: np.ndarray, count: int) -> np.ndarray:
    """The interval of a `share` of `count` answers whose half is `spread` by their variance; float64 [2, T], both [T].

    Each end is the outer one of two intervals: that `spread` around the share, and Wilson's with it. Where all answers are yes
    the variance found is 0, and only Wilson's has a width. Where answers vary less than independent ones would, Wilson's lies
    too near to one half to hold a share near 1, and only the other one does.
    """
    low, high = _wilson_ends(share, spread, count)
    return np.stack((np.minimum(low, share - spread), np.maximum(high, share + spread))).clip(0, 1)


def _wilson_ends(share: np.ndarray, spread: np.ndarray, count: int) -> np.ndarray:
    """Wilson's interval of a `share` of `count` answers, half of whose usual interval is `spread`; float64 [2, T], both [T]."""
    middle = share + Z**2 / (2 * count)
    half = np.sqrt(spread**2 + Z**4 / (4 * count**2))
    return np.stack((middle - half, middle + half)) / (1 + Z**2 / count)


def wins(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whether each run of `x` [n, games] beats each of `y` [m, games] on a game: 1, 0, or 1/2. float32 [games, n, m]."""
    difference = x.T[:, :, None] - y.T[:, None, :]
    return (np.sign(difference) * 0.5 + 0.5).astype(np.float32)


def improvement(x: np.ndarray, y: np.ndarray) -> float:
    """Probability that a run of `x` [n, games] beats one of `y` [m, games] on a game drawn at random; a tie is a half."""
    return float(wins(x, y).mean(dtype=np.float64))


def improvement_interval(x: np.ndarray, y: np.ndarray) -> Interval:
    """The interval of `improvement`, from the spread of each run's placement: the share of the other's runs that it beats.

    A game's variance is as DeLong et al. (1988) or Brunner and Munzel (2000) have it; a share of as many answers as the fewer
    runs varies no less (Birnbaum and Klose 1957). If either agent has a single run, games are the sample.
    """
    won, games, fewer = wins(x, y).astype(float), x.shape[1], min(len(x), len(y))
    if fewer < 2:
        return wilson(float(won.mean()), games, len(x) * len(y))
    total, freedom = _errors([game.mean(axis)[:, None] for axis in (1, 0) for game in won])
    low, high = share_interval(np.array([won.mean()]), student(freedom) * np.sqrt(total) / games, games * fewer)[:, 0]
    return float(low), float(high)


def paired(differences: Sequence[np.ndarray]) -> tuple[float, Interval]:
    """Mean over games of the mean of each game's paired differences, float64 [pairs] each, and its interval.

    If a game has a single pair, games are the sample.
    """
    means = np.array([game.mean() for game in differences])
    if any(len(game) < 2 for game in differences):
        return float(means.mean()), over_games(means)
    return float(means.mean()), interval(differences)


def over_games(values: np.ndarray) -> Interval:
    """The interval of the mean of `values` [games], these being a sample: wider, and about games like these instead of these.

    Student's t; nan for fewer than `FEWEST` games.
    """
    return interval([values]) if len(values) >= FEWEST else (np.nan, np.nan)


def wilson(share: float, games: int, compared: int = 1) -> Interval:
    """Wilson's 95 % interval of a `share` of `games` that are won: not of no width when all are. A tie is half a game.

    In each game `compared` pairs of runs are. Half a pair is added at either end (Newcombe 1998): without, 8 games that chance
    decides would leave out one half in 7 % of cases. It is nan for fewer than `FEWEST` games.
    """
    if games < FEWEST:
        return np.nan, np.nan
    half = 0.5 / (games * compared)
    ends = np.array([share - half, share + half]).clip(0, 1)
    found = _wilson_ends(ends, Z * np.sqrt(ends * (1 - ends) / games), games).clip(0, 1)
    return float(found[0, 0]), float(found[1, 1])
