"""The sentences at the head of a report say what its tables hold."""

from dataclasses import replace

import pandas as pd
import pytest

from analysis.compute import tables
from analysis.compute.comparison import Comparison, compare
from analysis.draw import sentences
from analysis.read.scores import as_frame
from tests.test_tables import score

GAMES = ("Alien", "Amidar", "Assault", "Asterix", "BankHeist", "Pong")


def compared(der: float, der_ht: float, spread: float, games: tuple[str, ...] = GAMES) -> Comparison:
    """One run of each game; differences vary by `spread` between games."""
    rows = [score("der", game, 0, der) for game in games]
    rows += [score("der_ht", game, 0, der_ht + spread * (-1) ** i) for i, game in enumerate(games)]
    return compare(as_frame(rows), games, incomplete=False)


def test_the_best_agent_and_of_how_many_runs_it_is() -> None:
    told = sentences.best(tables.aggregates(compared(0.1, 0.3, 0.0), {}))
    assert told == "Of our agents, der_ht has the highest IQM: 0.300 human-normalised (6 games, one run each, no interval)."
    told = sentences.best(tables.aggregates(compared(0.1, 0.3, 0.0), {"der": "published runs, der.json"}))
    assert told.endswith(
        "; of published runs, der has the highest IQM: 0.100 human-normalised (6 games, one run each, no interval)."
    )
    assert "none can be called the best" in sentences.best(pd.DataFrame(columns=["kind", "iqm", "source"]))


@pytest.mark.parametrize(
    ("der_ht", "spread", "verdict"),
    [
        (0.3, 0.01, "so Hare & Tortoise is better."),
        (-0.1, 0.01, "so Hare & Tortoise is worse."),
        (0.2, 0.5, "which leaves open whether it is better."),
    ],
)
def test_hare_and_tortoise_against_its_base(der_ht: float, spread: float, verdict: str) -> None:
    pairs = tables.pairs(compared(0.1, der_ht, spread))
    told = sentences.against_its_base(pairs)
    value, low, high = (f"{x:.3f}" for x in pairs[["difference", "difference_low", "difference_high"]].iloc[0])
    assert f"der_ht minus der is {value} [{low}, {high}] human-normalised (6 pairs of runs on 6 games, better in " in told
    assert told.endswith(f", the interval over games), {verdict}")


def test_too_few_runs_and_no_pair_at_all() -> None:
    few = compared(0.1, 0.2, 0.0, GAMES[:2])
    assert sentences.against_its_base(tables.pairs(few)).endswith("better in 2), too few runs for an interval.")
    alone = compare(as_frame([score("der", "Pong", 0, 0.1)]), ("Pong",), incomplete=False)
    assert sentences.against_its_base(tables.pairs(alone)).startswith("No agent with Hare & Tortoise has runs")


def test_what_is_missing_is_told_or_that_nothing_is() -> None:
    assert sentences.lacking(compared(0.1, 0.2, 0.0), 0).endswith("No run of these 6 games is missing.")
    assert sentences.lacking(compared(0.1, 0.2, 0.0, GAMES[:1]), 0).endswith("No run of this game is missing.")
    assert sentences.lacking(compared(0.1, 0.2, 0.0), 2).endswith("2 runs are begun and not finished.")


def test_runs_of_several_devices_or_commits_are_told() -> None:
    """Of our agents, each by itself: two agents may have a device each."""
    rows = [score("der", "Pong", seed, 0.1) for seed in range(5)] + [replace(score("spr", "Pong", 0, 0.1), device="H100")]
    assert sentences.mixed(as_frame(rows)) == []
    rows[1] = replace(rows[1], device="H100", commit="a" * 40 + "-dirty")
    told = f"der is averaged over runs of 2 devices (CPU; H100) and 2 commits ({'c' * 12}; {'a' * 12}-dirty)"
    assert sentences.mixed(as_frame(rows)) == [f"{told}."]
    rows[2:5] = [replace(row, device=f"GPU {i}") for i, row in enumerate(rows[2:5])]
    assert "of 5 devices (CPU; H100; GPU 0; 2 more) and" in sentences.mixed(as_frame(rows))[0]
    theirs = [replace(row, ours=False) for row in rows]
    assert sentences.mixed(as_frame(theirs)) == []
    one = compare(as_frame(rows[:2]), ("Pong",), incomplete=False)
    whole = {"aggregates": tables.aggregates(one, {}), "pairs": tables.pairs(one)}
    assert f"{told}." in sentences.sentences(whole, one, 0)
