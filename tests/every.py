"""Which agents and cases a test goes through by default, and which only with -m slow."""

import itertools
from collections.abc import Iterable
from typing import Any

import pytest

from agents.bases import BASES
from agents.catalogue import METHODS


def every(names: list[str], third: int, bases: Iterable[str] = ()) -> list[Any]:
    """`names` for `parametrize`; by default only `bases` and a `third` of all bases and of all methods on `der` are run."""
    by_default = {i: name for i, name in enumerate([*BASES, *(f"der_{method}" for method in METHODS)]) if i % 3 == third}
    default = {"random", "der_ht", *bases, *by_default.values()}
    marks = {name: [] if name in default else [pytest.mark.slow] for name in names} | {"der_ht": [pytest.mark.smoke]}
    return [pytest.param(name, marks=marks[name]) for name in names]


def crossed(k: int, *values: Iterable[Any]) -> list[Any]:
    """The product of `values` for `parametrize`; by default one in `k` of it, evenly, so that each value is met."""
    numbered = itertools.product(*map(enumerate, values))
    cases = [([i for i, _ in case], [value for _, value in case]) for case in numbered]
    return [pytest.param(*case, marks=[pytest.mark.slow] if sum(numbers) % k else []) for numbers, case in cases]
