"""Which agents a test goes through by default, and which only with -m slow."""

from typing import Any

import pytest

from agents.bases import BASES
from agents.catalogue import METHODS


def every(names: list[str]) -> list[Any]:
    """`names` for `parametrize`; only bases and what is made of `der` are run by default."""
    default = {"random", *BASES, *(name for name in names if name.startswith("der_") and name.removeprefix("der_") in METHODS)}
    marks = {name: [] if name in default else [pytest.mark.slow] for name in names} | {"der_ht": [pytest.mark.smoke]}
    return [pytest.param(name, marks=marks[name]) for name in names]
