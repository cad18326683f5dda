"""Which agents a test goes through by default, and which only with -m slow."""

from typing import Any

import pytest

from agents.bases import BASES
from agents.catalogue import METHODS


def every(names: list[str], third: int | None = None) -> list[Any]:
    """`names` for `parametrize`; only bases and what is made of `der`, or a `third` of that, are run by default."""
    methods = [method for i, method in enumerate(METHODS) if third in (None, i % 3)]
    default = {"random", *BASES, *(f"der_{method}" for method in methods)}
    marks = {name: [] if name in default else [pytest.mark.slow] for name in names} | {"der_ht": [pytest.mark.smoke]}
    return [pytest.param(name, marks=marks[name]) for name in names]
