"""Draws, weights and writes of the priorities, against shares and loops in NumPy."""

import numpy as np
import pytest
import torch

from replay.batch import Rule, uniform
from replay.priorities import LARGEST, ONE, Priorities

ROWS = 100_000


def filled(value: np.ndarray, alpha: float = 1.0) -> Priorities:
    """Priorities with these fixed-point values."""
    priorities = Priorities(len(value), Rule(alpha), "cpu")
    priorities.value.copy_(torch.from_numpy(value))
    return priorities


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw_many(priorities: Priorities, count: int, times: int) -> np.ndarray:
    """How often each row comes in `times` draws of `count`."""
    generator = seeded()
    index = torch.cat([priorities.draw(uniform(count, generator)) for _ in range(times)])
    return torch.bincount(index, minlength=len(priorities.value)).numpy()


def chi_square(seen: np.ndarray, expected: np.ndarray) -> float:
    return float(((seen - expected) ** 2 / expected).sum())


def over_six_orders(rows: int) -> np.ndarray:
    """Fixed-point values, log-uniform in 1e-6 .. 1."""
    exponent = np.random.default_rng(0).uniform(-6, 0, rows)
    return (10**exponent * ONE).round().clip(1).astype(np.int64)


def test_frequencies_match_the_priorities_and_rows_of_priority_0_never_come() -> None:
    rng = np.random.default_rng(0)
    value = (rng.uniform(0.1, 3, 60) * ONE).astype(np.int64)
    value[[0, 1, 7, 20, 21, 22, 40, 58, 59]] = 0  # both ends, alone and in runs
    seen = draw_many(filled(value), 64, 1000)
    assert seen[value == 0].sum() == 0
    alive = value > 0
    # 50 degrees of freedom; mean + 5 standard deviations of chi-square. A bias of 4 % in each row would be past it.
    assert chi_square(seen[alive], 64_000 * value[alive] / value.sum()) < 50 + 5 * 100**0.5


def test_single_draws_follow_the_priorities_too() -> None:
    value = np.array([1, 0, 2, 5, 0]) * ONE
    seen = draw_many(filled(value), 1, 4000)
    assert seen[[1, 4]].sum() == 0
    assert chi_square(seen[[0, 2, 3]], 4000 * np.array([1, 2, 5]) / 8) < 2 + 5 * 4**0.5


def test_one_draw_falls_in_each_equal_slice_of_the_total() -> None:
    value = over_six_orders(1000)
    value[::3] = 0
    after = value.cumsum()
    before, total = after - value, int(after[-1])
    for count in (1, 32, 1000):
        index, k = filled(value).draw(uniform(count, seeded())).numpy(), np.arange(count)
        assert (before[index] * count < (k + 1) * total).all()  # the row begins before slice k ends
        assert (after[index] * count > k * total).all()  # and ends after slice k begins


@pytest.mark.parametrize("count", [32, 1000, ROWS])
def test_100000_rows_over_six_orders_of_magnitude_are_drawn_exactly(count: int) -> None:
    value = over_six_orders(ROWS)
    value[-1] = 1  # the smallest there is, where rounding has added up most
    after = value.cumsum()
    total = int(after[-1])
    # In each slice aim at the first or the last unit of a row, where an error of one unit gives its neighbour.
    edges = np.linspace(0, total, count + 1)
    chosen = np.searchsorted(after, (edges[:-1] + edges[1:]) / 2).clip(max=ROWS - 1)
    unit = np.where(np.arange(count) % 2 == 0, after[chosen] - 1, after[chosen])
    unit[0], unit[-1] = 0, total - 1
    inside = (unit >= edges[:-1]) & (unit + 1 <= edges[1:])
    assert inside.mean() > 0.1
    offset = np.where(inside, (unit + 0.5) * (count / total) - np.arange(count), 0.5)
    index = filled(value).draw(torch.from_numpy(offset)).numpy()
    np.testing.assert_array_equal(index[inside], np.searchsorted(after, unit, side="right")[inside])


def test_small_rows_get_their_share_among_100000() -> None:
    value = over_six_orders(ROWS)
    value[value > ONE // 1000] //= 1000  # else the smallest would come once in a million draws
    value[::10_000] = ONE
    seen = draw_many(filled(value), ROWS, 10)
    decade = np.log10(value / ONE).round().astype(int) + 6
    expected = 10 * ROWS * np.bincount(decade, value) / value.sum()
    seen, expected = np.bincount(decade, seen)[expected > 0], expected[expected > 0]
    assert expected.min() > 100
    assert chi_square(seen, expected) < len(expected) + 5 * (2 * len(expected)) ** 0.5


def test_no_offset_draws_past_the_last_row() -> None:
    value = np.array([3, 5, 7, 0, 0]) * ONE // 7
    for offset, row in ((0.0, 0), (1 - 2**-53, 2)):  # the ends of what torch.rand gives
        for count in (1, 3, 32, 1000):
            index = filled(value).draw(torch.full((count,), offset, dtype=torch.float64))
            assert index.max() <= 2
            assert index[-1 if row else 0] == row


def test_alpha_0_makes_every_drawable_row_equal() -> None:
    value = np.array([1, 0, 1, 1, 0, 1]) * ONE
    priorities = filled(value, alpha=0.0)
    priorities.write_(torch.arange(6), torch.tensor([0.0, 1e-9, 3.0, 1e6, 5.0, 0.1]))
    assert priorities.value.tolist() == value.tolist()
    assert draw_many(priorities, 8, 50).tolist() == [100, 0, 100, 100, 0, 100]


@pytest.mark.parametrize("alpha", [0.5, 0.7, 1.0])
def test_a_write_stores_the_power_in_fixed_point(alpha: float) -> None:
    priority = np.array([0.0, 1e-13, 0.25, 0.3, 1.0, 3.7, 1e30], np.float32)
    priorities = filled(np.full(8, ONE), alpha)
    priorities.write_(torch.arange(7), torch.from_numpy(priority))
    expected = (priority.astype(np.float64) ** alpha * ONE).round().clip(1, LARGEST)
    assert priorities.value.tolist() == [*expected.astype(np.int64).tolist(), ONE]


def test_of_a_row_that_is_written_twice_the_larger_priority_stays() -> None:
    priorities = filled(np.array([ONE, ONE, 0, ONE]))
    priorities.write_(torch.tensor([1, 0, 1, 2, 1, 2]), torch.tensor([0.25, 0.5, 0.75, 8.0, 0.5, 9.0]))
    # And it replaces the old one, be that larger; a row of priority 0 keeps it.
    assert (priorities.value / ONE).tolist() == [0.5, 0.75, 0, 1]


def test_the_largest_priority_is_remembered_from_1_on() -> None:
    priorities = filled(np.full(4, ONE))
    seen = []
    for priority in (0.5, 3.0, 2.0):
        priorities.write_(torch.tensor([2]), torch.tensor([priority]))
        seen.append(priorities.largest.item() / ONE)
    assert seen == [1, 3, 3]


def test_a_priority_that_is_not_a_number_counts_as_the_smallest() -> None:
    priorities = filled(np.full(3, ONE), alpha=0.5)
    priorities.write_(torch.tensor([0, 1]), torch.tensor([float("nan"), 4.0]))
    assert priorities.value.tolist() == [1, 2 * ONE, ONE]
    assert priorities.largest.item() == 2 * ONE


@pytest.mark.parametrize("beta", [0.0, 0.4, 0.5, 1.0])
def test_weights_equal_those_of_the_probabilities(beta: float) -> None:
    value = over_six_orders(500)
    index = np.random.default_rng(1).integers(0, 500, 64)
    probability = value[index] / value.sum()
    expected = (len(value) * probability) ** -beta
    weights = filled(value).weights(torch.from_numpy(index), torch.tensor(beta))
    assert weights.dtype == torch.float32
    assert weights.max() == 1
    np.testing.assert_allclose(weights, expected / expected.max(), rtol=2e-6)
