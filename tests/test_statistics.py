"""Statistics against hands, naive loops and simulation; tests/test_rliable.py compares with rliable."""

import numpy as np
import pytest

from analysis.compute import statistics as s
from analysis.compute import tables
from analysis.compute.comparison import compare
from analysis.read.scores import Score, as_frame


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


def test_the_band_of_a_profile_by_hand() -> None:
    """8 of 8 above: Wilson's [0.676, 1]. 1 of 2 and 2 of 2: variance 1/2 / 2 of the one, so 1/16 of the mean, and t 12.706."""
    scores, thresholds = np.array([[0.0, 2.0], [1.0, 2.0]]), np.array([0.5, 3.0])
    assert s.profile_band(np.ones((4, 2)), np.zeros(1))[:, 0] == pytest.approx((0.6756, 1), abs=1e-3)
    band = s.profile_band(scores, thresholds)
    middle, half, pull = 0.75 + 1.96**2 / 8, np.hypot(12.7062 / 8, 1.96**2 / 8), 1 + 1.96**2 / 4
    assert band[:, 0] == pytest.approx((max(0, (middle - half) / pull), min(1, (middle + half) / pull)), abs=1e-4)
    assert band[:, 1] == pytest.approx((0, 0.4899), abs=1e-3)  # 0 of 4


def test_of_many_runs_intervals_are_those_of_a_plain_bootstrap() -> None:
    """100 runs of 7 games, skewed: the percentiles of naive draws, which are right here."""
    scores, other = rng().lognormal(-1, 1, (100, 7)), np.random.default_rng(1).lognormal(-0.8, 1, (100, 7))
    draws, theirs = (
        np.concatenate(list(s.resampled(z, 2000, np.random.default_rng(2 + i)))) for i, z in enumerate((scores, other))
    )
    for name, interval in zip(s.AGGREGATES, s.intervals(scores, "der"), strict=True):
        naive = np.percentile(s.AGGREGATES[name](draws), s.LEVEL)
        np.testing.assert_allclose(interval, naive, atol=0.15 * np.ptp(naive))
    thresholds = np.array([0.2, 0.5, 1.0])
    naive = np.percentile([s.profile(draw, thresholds) for draw in draws], s.LEVEL, axis=0)
    np.testing.assert_allclose(s.profile_band(scores, thresholds), naive, atol=0.006)
    naive = np.percentile([s.improvement(a, b) for a, b in zip(draws, theirs, strict=True)], s.LEVEL)
    np.testing.assert_allclose(s.improvement_interval(scores, other), naive, atol=0.006)


def test_aggregates_of_one_game_by_hand() -> None:
    """Runs 1 2 3: mean and median 2 ± 4.303 x 1 / root of 3, the IQM's too (nothing is cut); gap 1 - mean of 1 1 1."""
    scores = np.array([[1.0], [2.0], [3.0]])
    half = 4.302653 / 3**0.5
    iqm, median, mean, gap = s.intervals(scores, "der", 20_000)
    assert mean == pytest.approx((2 - half, 2 + half), rel=1e-4)
    assert median == pytest.approx((2 - half, 2 + half), abs=0.15)
    assert iqm == pytest.approx((2 - half, 2 + half), abs=0.05)
    assert gap == (0, 0)
    assert s.intervals(scores / 4, "der")[3] == pytest.approx((0.5 - half / 4, 0.5 + half / 4), rel=1e-4)


def test_the_iqms_interval_is_yuens_where_it_has_a_closed_form() -> None:
    """40 runs of a game: deviation of the clipped scores, times root of 40 / 20, Student's t of the 20 in the middle."""
    scores = rng().normal(size=(40, 1))
    low, high = s.iqm_interval(scores, "der")
    clipped = np.clip(scores, *np.sort(scores[:, 0])[[10, 29]])
    yuen = 2.093024 * clipped.std(ddof=1) * np.sqrt(39 / (20 * 19))
    assert (high - low) / 2 == pytest.approx(yuen, rel=0.12)
    assert (high + low) / 2 == pytest.approx(float(s.iqm(scores)))


def test_an_interval_does_not_depend_on_who_else_is_reported() -> None:
    rows = [
        Score(agent, "", game, seed, 1800, 2, value, "c" * 40, "CPU", 0.5, "file")
        for agent, shift in (("der", 0), ("der_ht", 100), ("spr", 300))
        for game in ("Alien", "Amidar", "Pong")
        for seed, value in enumerate(rng().normal(shift, 50, 4))
    ]
    two, three = (
        compare(as_frame([r for r in rows if r.agent in names]), ("Alien", "Amidar", "Pong"), incomplete=False)
        for names in (("der_ht", "spr"), ("der", "der_ht", "spr"))
    )
    for make in (lambda compared: tables.aggregates(compared, {}), tables.profiles, tables.improvements):
        few, many = (table[table["agent"] == "spr"].to_dict("records") for table in (make(two), make(three)))
        assert few == [row for row in many if row.get("over") != "der"]
    assert s.generator("der", "iqm").random() == pytest.approx(0.325092284241, abs=1e-11)  # in every process
    assert (
        s.generator("der", "iqm").random() != s.generator("der", "median").random() != s.generator("der_ht", "median").random()
    )


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


def test_intervals_over_games_cover_the_mean_of_games() -> None:
    for games in (6, 10, 20):
        draw = rng()
        held = [low <= 0.3 <= high for low, high in (s.over_games(draw.normal(0.3, 1, games)) for _ in range(600))]
        assert 0.93 <= np.mean(held) <= 0.98


@pytest.mark.parametrize(
    ("freedom", "expected"),
    [(1, 12.7062), (2, 4.30265), (3, 3.18245), (4, 2.77645), (9, 2.26216), (16, 2.11991), (30, 2.04227), (120, 1.97993)],
)
def test_students_t_is_that_of_the_tables(freedom: int, expected: float) -> None:
    assert s.student(np.array(freedom)) == pytest.approx(expected, rel=3e-6)
    assert s.student(np.array(1e9)) == pytest.approx(1.95996, abs=1e-5)


def test_one_run_has_no_interval() -> None:
    one = np.ones((1, 3))
    assert np.isnan(s.intervals(one, "der")).all()
    assert np.isnan(s.profile_band(one, np.zeros(2))).all()
    assert np.isnan(s.paired([np.ones(1)])[1]).all()
    assert np.isnan(s.mean_interval([np.ones((2, 4)), np.ones((1, 4))])).all()
    assert s.mean_interval([np.ones((2, 0))]).shape == (2, 0)
