"""Student's t against the tables of any textbook."""

import pytest

from experiment.student import quantile


@pytest.mark.parametrize(
    ("freedom", "expected"),
    [(1, 12.7062), (2, 4.30265), (3, 3.18245), (4, 2.77645), (9, 2.26216), (16, 2.11991), (30, 2.04227), (120, 1.97993)],
)
def test_quantiles_of_the_tables(freedom: int, expected: float) -> None:
    assert quantile(freedom) == pytest.approx(expected, rel=3e-5)


def test_between_whole_numbers_and_far_out() -> None:
    assert quantile(1) > quantile(1.5) > quantile(2)
    assert quantile(1e9) == pytest.approx(1.9600, abs=3e-3)
