"""Numbers that documents repeat: tables of agents, and the work of an update."""

from pathlib import Path

import pytest

from agents.bases import BASES
from agents.catalogue import on_page
from benchmarks.learners import flops_of_an_update

PAGE = Path(__file__).parent.parent / "docs/agents.md"


def test_the_page_has_the_tables_of_the_catalogue() -> None:
    text = PAGE.read_text()
    assert on_page(text) == text, "run: python -m agents.catalogue"
    assert on_page(text.replace("van Hasselt et al. 2019 | data_efficient", "x")) == text


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n == "bbf" else n for n in BASES])
def test_the_table_counts_what_torch_counts(name: str) -> None:
    assert flops_of_an_update(BASES[name].config, 18) / 1e9 == pytest.approx(BASES[name].gflop, rel=1e-3)


def test_the_count_is_that_of_the_layers() -> None:
    """`der`, 18 actions, batch 32, by hand: two operations for each multiplication."""
    first = 2 * 16 * 16 * 32 * (4 * 25)
    second = 2 * 3 * 3 * 64 * (32 * 25)
    head = 2 * (2 * 576 * 256 + 256 * 51 * (18 + 1))  # of the noisy weights, whose forming is not counted
    forward = first + second + head
    backward = 2 * forward - first  # the frames need no gradient
    passes = 32 * (3 * forward + backward)  # hare at s_t and s_{t+n}, tortoise at s_{t+n}
    assert flops_of_an_update(BASES["der"].config, 18) == passes
