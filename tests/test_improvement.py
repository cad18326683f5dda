"""The probability of improvement and its interval against loops, hands and scipy."""

import itertools
import math

import numpy as np
import pytest

from analysis.compute import statistics as s


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_improvement_is_the_naive_one() -> None:
    x, y = np.round(rng().normal(0.3, size=(5, 3)), 1), np.round(np.random.default_rng(1).normal(size=(7, 3)), 1)
    x[0, 0] = y[0, 0]  # a tie
    naive = [
        np.mean([(a > b) + (a == b) / 2 for a, b in itertools.product(x[:, game], y[:, game])]) for game in range(x.shape[1])
    ]
    assert s.improvement(x, y) == pytest.approx(np.mean(naive))
    assert s.improvement(x, y) + s.improvement(y, x) == pytest.approx(1)


def test_the_interval_of_improvement_by_placements() -> None:
    """Against loops, on two games: each run's placement, the variance of a mean of these, the freedom of all four means."""
    x, y = np.round(rng().normal(0.5, size=(6, 2)), 1), np.round(np.random.default_rng(1).normal(size=(4, 2)), 1)
    errors, known = [], []
    for game in range(2):
        for ours, theirs, sign in ((x[:, game], y[:, game], 1), (y[:, game], x[:, game], -1)):
            placed = [np.mean([(sign * (a - b) > 0) + (a == b) / 2 for b in theirs]) for a in ours]
            errors.append(np.var(placed, ddof=1) / len(ours))
            known.append(len(ours) - 1)
    freedom = sum(errors) ** 2 / sum(e**2 / k for e, k in zip(errors, known, strict=True))
    share, count, variance = s.improvement(x, y), 8, sum(errors) / 4
    usual = s.student(freedom) * np.sqrt(variance)
    half = np.sqrt(usual**2 + 1.96**4 / (4 * count**2))
    low, high = ((share + 1.96**2 / (2 * count) + sign * half) / (1 + 1.96**2 / count) for sign in (-1, 1))
    ends = min(low, share - usual), max(high, share + usual)
    assert s.improvement_interval(x, y) == pytest.approx(ends)
    assert 1 - np.array(s.improvement_interval(y, x))[::-1] == pytest.approx(ends)


def test_variance_and_freedom_are_brunners_and_munzels() -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed")
    x, y = rng().normal(0.5, size=(12, 1)), np.random.default_rng(1).normal(size=(7, 1))
    found = stats.brunnermunzel(y[:, 0], x[:, 0])  # tests whether x tends to be the larger
    share = s.improvement(x, y)
    error = abs((share - 0.5) / found.statistic)
    low, high = s.improvement_interval(x, y)
    assert 0 < low < high < 1
    t = (high - share) / error  # of the two intervals, the end away from one half is Student's
    placed = [np.var(a, ddof=1) / len(a) for a in (s.wins(x, y)[0].mean(1), s.wins(x, y)[0].mean(0))]
    freedom = sum(placed) ** 2 / (placed[0] ** 2 / 11 + placed[1] ** 2 / 6)
    assert t == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-3)
    assert found.pvalue == pytest.approx(2 * stats.t.sf(abs(found.statistic), freedom), rel=1e-6)


def test_a_share_that_varies_little_is_not_pulled_towards_one_half() -> None:
    """Of 100 answers, 98 yes, with a standard error of 0.001: Wilson's interval alone ends at 0.979; Student's at 0.982."""
    share, spread = np.array([0.98]), np.array([0.00196])
    low, high = s.share_interval(share, spread, 100)[:, 0]
    assert high == pytest.approx(0.98196, abs=1e-5)
    assert low == pytest.approx((0.98 + 0.019208 - 0.019308) / 1.038416, abs=1e-4)
    assert s.share_interval(1 - share, spread, 100)[::-1, 0] == pytest.approx((1 - low, 1 - high))


def test_the_share_of_games_won_by_hand() -> None:
    """With half a game at either end: of 4 of 10 [0.137, 0.726], of 0 of 10 [0, 0.345], as R's prop.test has it."""
    x, y = np.arange(10.0)[None], np.arange(10.0)[None] + np.array([[1, 1, 1, 1, 1, 1, -1, -1, -1, -1]])
    assert s.improvement_interval(x, y) == pytest.approx((0.137, 0.726), abs=8e-4)
    assert s.improvement_interval(x, x + 1) == pytest.approx((0, 0.345), abs=8e-4)
    assert s.improvement_interval(x, x) == s.wilson(0.5, 10)


def test_games_that_chance_decides_leave_out_one_half_in_one_of_twenty() -> None:
    for games in range(s.FEWEST, 41):
        ends = [s.wilson(won / games, games) for won in range(games + 1)]
        outside = [math.comb(games, won) for won, (low, high) in enumerate(ends) if not low <= 0.5 <= high]
        assert sum(outside) / 2**games <= 0.05


def test_winning_everything_is_no_certainty() -> None:
    """2 against 2 of a game are won in full in a third of cases by chance alone, 3 against 3 in a tenth, 5 in 1 of 126."""
    for runs, excluded in ((2, False), (3, False), (5, True), (10, True)):
        low, high = s.improvement_interval(np.arange(runs)[:, None] + 99, np.arange(runs)[:, None])
        assert (low > 0.5) == excluded
        assert low == pytest.approx(runs / (runs + 1.96**2))  # Wilson's lower end where all are yes
        assert high == 1
    many = np.repeat(np.arange(3.0)[:, None], 26, 1)
    assert s.improvement_interval(many + 5, many) == pytest.approx((78 / (78 + 1.96**2), 1))
    one, five = np.zeros((1, 26)), np.ones((5, 26))
    assert s.improvement_interval(five, one) == s.wilson(1, 26, 5)
    assert s.wilson(1, 26)[0] < s.wilson(1, 26, 5)[0] < 26 / (26 + 1.96**2)
    assert np.isnan(s.improvement_interval(five[:, :5], one[:, :5])).all()
