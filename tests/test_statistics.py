"""Statistics against hands, naive loops, simulation, and rliable where it is installed."""

import itertools

import numpy as np
import pytest

from analysis import statistics as s


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_aggregates_of_a_matrix_by_hand() -> None:
    scores = np.array([[0.0, 0.1, 3.0], [0.2, 0.5, 1.0], [0.4, 0.9, 8.0]])  # 3 runs of 3 games
    # Sorted 0 .1 .2 .4 .5 .9 1 3 8: a quarter of 9, rounded down, is 2; the rest is .2 .4 .5 .9 1.
    assert s.iqm(scores) == pytest.approx(0.6)
    assert s.median(scores) == pytest.approx(0.5)  # of the games' means .2 .5 4
    assert s.mean(scores) == pytest.approx(14.1 / 9)
    assert s.optimality_gap(scores) == pytest.approx(1 - (0 + 0.1 + 1 + 0.2 + 0.5 + 1 + 0.4 + 0.9 + 1) / 9)


@pytest.mark.parametrize("name", s.AGGREGATES)
def test_aggregates_of_many_draws_are_those_of_each(name: str) -> None:
    draws = rng().normal(size=(4, 5, 3))
    np.testing.assert_allclose(s.AGGREGATES[name](draws), [s.AGGREGATES[name](draw) for draw in draws])


def test_draws_stay_within_their_game_and_differ_between_games() -> None:
    scores = np.arange(5)[:, None] + 10 * np.arange(3)
    draws = np.concatenate(list(s.resampled(scores, 4000, rng())))
    assert draws.shape == (4000, 5, 3)
    assert (draws // 10 == np.arange(3)).all()
    assert (draws[:, :, 0] != draws[:, :, 1] - 10).any()
    np.testing.assert_allclose([(draws % 10 == run).mean() for run in range(5)], 0.2, atol=0.01)


def test_draws_come_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s, "CHUNK", 60)
    assert [len(draw) for draw in s.resampled(np.zeros((5, 3)), 10, rng())] == [4, 4, 2]


def test_profile_is_the_naive_one() -> None:
    scores = np.round(rng().normal(size=(6, 4)), 1)  # with scores that lie on a threshold
    thresholds = np.linspace(-2, 2, 41).round(1)
    naive = [np.mean([score > threshold for score in scores.ravel()]) for threshold in thresholds]
    np.testing.assert_allclose(s.profile(scores, thresholds), naive)


def test_the_band_of_a_profile_is_that_of_naive_draws() -> None:
    scores, thresholds = rng().normal(size=(6, 4)), np.array([-1.0, 0.0, 1.0])
    naive = [s.profile(draw, thresholds) for draws in s.resampled(scores, 4000, rng()) for draw in draws]
    np.testing.assert_allclose(s.profile_band(scores, thresholds, rng()), np.percentile(naive, s.LEVEL, axis=0), atol=0.05)


def test_improvement_is_the_naive_one() -> None:
    x, y = np.round(rng().normal(0.3, size=(5, 3)), 1), np.round(np.random.default_rng(1).normal(size=(7, 3)), 1)
    x[0, 0] = y[0, 0]  # a tie
    naive = [
        np.mean([(a > b) + (a == b) / 2 for a, b in itertools.product(x[:, game], y[:, game])]) for game in range(x.shape[1])
    ]
    assert s.improvement(x, y) == pytest.approx(np.mean(naive))
    assert s.improvement(x, y) + s.improvement(y, x) == pytest.approx(1)


def test_the_interval_of_improvement_is_that_of_naive_draws() -> None:
    x, y = rng().normal(0.5, size=(12, 3)), np.random.default_rng(1).normal(size=(4, 3))  # most of the doubt is in y
    draws = zip(*(np.concatenate(list(s.resampled(z, 4000, np.random.default_rng(len(z))))) for z in (x, y)), strict=True)
    naive = np.percentile([s.improvement(a, b) for a, b in draws], s.LEVEL)
    np.testing.assert_allclose(s.improvement_interval(x, y, rng(), 4000), naive, atol=0.02)
    np.testing.assert_allclose(1 - np.array(s.improvement_interval(y, x, rng(), 4000))[::-1], naive, atol=0.02)


def test_paired_differences_weigh_games_equally() -> None:
    """Errors of the means 1 and 0: all degrees of freedom, one, are the first game's, so 3.5 ± 12.706 x 1 / 2."""
    value, (low, high) = s.paired([np.array([1.0, 3.0]), np.array([5.0, 5.0, 5.0])])
    assert value == pytest.approx(3.5)
    assert (low, high) == pytest.approx((3.5 - 6.353, 3.5 + 6.353), abs=1e-3)
    assert s.paired([np.ones(3)] * 2) == (1, (1, 1))


def test_degrees_of_freedom_by_welch_and_satterthwaite() -> None:
    """Of two games with 4 runs each and equal spread, 6; of n games with k runs, n (k - 1)."""
    game = np.array([1.0, 2.0, 3.0, 4.0])[:, None]  # variance 5/3
    low, high = s.mean_interval([game, game + 7])[:, 0]
    assert (high - low) / 2 == pytest.approx(2.446912 * np.sqrt(5 / 3 / 4 / 2), rel=1e-5)
    assert (low + high) / 2 == pytest.approx(6)
    low, high = s.mean_interval([game[:2]] * 5)[:, 0]
    assert (high - low) / 2 == pytest.approx(2.570582 * np.sqrt(1 / 2 / 2 / 5), rel=1e-5)


@pytest.mark.parametrize(("games", "runs"), [(1, 2), (1, 3), (26, 2), (26, 5)])
def test_intervals_of_means_hold_the_truth(games: int, runs: int) -> None:
    """Also of few runs, and where games differ in spread."""
    draw, spread, held = rng(), np.linspace(0.1, 1, games)[:, None, None], []
    for _ in range(600):
        low, high = s.mean_interval(list(draw.normal(size=(games, runs, 1)) * spread))[:, 0]
        held.append(low <= 0 <= high)
    assert 0.93 <= np.mean(held) <= 0.985


def test_games_are_the_sample_where_a_game_has_a_single_pair() -> None:
    games = [np.array([1.0, 3.0]), *(np.array([x]) for x in (5.0, 0.0, 1.0, 1.0, 4.0))]  # means 2 5 0 1 1 4
    value, interval = s.paired(games)
    half = 2.570582 * np.std([2, 5, 0, 1, 1, 4], ddof=1) / np.sqrt(6)
    assert value == pytest.approx(13 / 6)
    assert interval == pytest.approx((13 / 6 - half, 13 / 6 + half), abs=1e-4)
    assert np.isnan(s.paired(games[:5])[1]).all()


def test_the_share_of_games_won_by_hand() -> None:
    """Wilson's interval of 4 of 10 is [0.168, 0.687], of 0 of 10 [0, 0.278]."""
    x, y = np.arange(10.0)[None], np.arange(10.0)[None] + np.array([[1, 1, 1, 1, 1, 1, -1, -1, -1, -1]])
    assert s.improvement_interval(x, y, rng()) == pytest.approx((0.168, 0.687), abs=5e-4)
    assert s.improvement_interval(x, x + 1, rng()) == pytest.approx((0, 0.278), abs=5e-4)
    assert s.improvement_interval(x, x, rng()) == pytest.approx(s.wilson(0.5, 10))
    held = [low <= 0.3 <= high for low, high in (s.wilson(wins / 26, 26) for wins in rng().binomial(26, 0.3, 4000))]
    assert 0.93 <= np.mean(held) <= 0.98


def test_few_runs_of_few_games_are_compared_over_games() -> None:
    """Two against two of one game are won in full in a third of cases by chance alone."""
    two = np.arange(2.0)[:, None]
    assert np.isnan(s.improvement_interval(two + 5, two, rng())).all()
    six = np.repeat(two, 6, 1)
    assert s.improvement_interval(six + 5, six, rng()) == (1, 1)
    one, five = np.zeros((1, 26)), np.ones((5, 26))
    low, high = s.improvement_interval(five, one, rng())
    assert (low, high) == s.wilson(1, 26)
    assert low < 0.9


def test_intervals_over_games_cover_the_mean_of_games() -> None:
    for games in (6, 10, 20):
        draw = rng()
        held = [low <= 0.3 <= high for low, high in (s.over_games(draw.normal(0.3, 1, games)) for _ in range(600))]
        assert 0.93 <= np.mean(held) <= 0.98


def test_one_run_has_no_interval() -> None:
    one = np.ones((1, 3))
    assert np.isnan(s.intervals(one, [s.iqm, s.mean], rng())).all()
    assert np.isnan(s.profile_band(one, np.zeros(2), rng())).all()
    assert np.isnan(s.paired([np.ones(1)])[1]).all()
    assert np.isnan(s.mean_interval([np.ones((2, 4)), np.ones((1, 4))])).all()
    assert s.mean_interval([np.ones((2, 0))]).shape == (2, 0)


@pytest.mark.parametrize("name", ["iqm", "mean"])
def test_intervals_cover_the_truth(name: str) -> None:
    """10 runs of 12 games, normal around each game's own level: 95 % intervals should hold the truth in some 92 % of cases.

    A percentile bootstrap of 10 runs is too narrow by a factor of root 9/10, so 93.7 % is expected for the mean.
    """
    draw, level = rng(), np.linspace(0, 1, 12)
    truth = float(s.AGGREGATES[name](draw.normal(level, 0.3, size=(40_000, 12))))
    held = []
    for _ in range(400):
        low, high = s.intervals(draw.normal(level, 0.3, size=(10, 12)), [s.AGGREGATES[name]], draw, 300)[0]
        held.append(low <= truth <= high)
    assert 0.89 <= np.mean(held) <= 0.975


@pytest.mark.parametrize(
    ("games", "runs", "expected"), [(1, 2, 0.5), (1, 3, 0.7), (1, 5, 0.83), (1, 10, 0.9), (26, 2, 0.81), (26, 5, 0.9)]
)
def test_intervals_of_few_runs_are_as_narrow_as_readme_says(games: int, runs: int, expected: float) -> None:
    draw, held = rng(), []
    for _ in range(500):
        low, high = s.intervals(draw.normal(size=(runs, games)), [s.mean], draw, 300)[0]
        held.append(low <= 0 <= high)
    assert np.mean(held) == pytest.approx(expected, abs=0.045)


@pytest.mark.parametrize("shape", [(5, 26), (10, 7)])
def test_rliable_agrees(shape: tuple[int, int]) -> None:
    """Optional: needs rliable with pandas below 3."""
    pytest.importorskip("rliable", reason="rliable is not installed")
    from rliable import library, metrics

    scores, other = np.random.default_rng(2).lognormal(-1, 1, shape), np.random.default_rng(3).lognormal(-1, 1, shape)
    theirs = (metrics.aggregate_iqm, metrics.aggregate_median, metrics.aggregate_mean, metrics.aggregate_optimality_gap)
    points, bands = library.get_interval_estimates({"x": scores}, lambda x: np.array([f(x) for f in theirs]), reps=3000)
    ours = list(s.AGGREGATES.values())
    np.testing.assert_allclose([measure(scores) for measure in ours], points["x"], rtol=1e-12)
    width = bands["x"][1] - bands["x"][0]
    difference = np.array(s.intervals(scores, ours, rng(), 3000)).T - bands["x"]
    assert (np.abs(difference) < 0.12 * width).all()
    assert s.improvement(scores, other) == pytest.approx(metrics.probability_of_improvement(scores, other))
    thresholds = np.linspace(0, 2, 21)
    profiles, _ = library.create_performance_profile({"x": scores}, thresholds, reps=10)
    np.testing.assert_allclose(s.profile(scores, thresholds), profiles["x"])
