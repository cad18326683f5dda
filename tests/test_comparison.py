"""Runs x games matrices, and what is said of an incomplete grid."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.compute.comparison import Comparison, compare
from analysis.compute.tables import pairs
from analysis.read.scores import Score, as_frame
from envs.games import GAMES
from experiment.command import UserError
from tests.test_tables import score


def compared(rows: list[Score], games: tuple[str, ...], incomplete: bool) -> Comparison:
    return compare(as_frame(rows), games, incomplete)


def test_a_matrix_holds_each_game_in_its_column_and_seeds_in_order() -> None:
    rows = [
        score("der", "Pong", 1, 0.4),
        score("der", "Pong", 0, 0.3),
        score("der", "Alien", 0, 0.1),
        score("der", "Alien", 1, 0.2),
    ]
    found = compared(rows, ("Alien", "Pong"), incomplete=False)
    np.testing.assert_allclose(found.matrix("der"), [[0.1, 0.3], [0.2, 0.4]])
    assert "Not the benchmark's 26 games but Alien, Pong" in found.note


def test_a_complete_benchmark_needs_no_note() -> None:
    found = compared([score("der", game, 0, 0.1) for game in GAMES], tuple(GAMES), incomplete=False)
    assert found.note == ""
    assert found.missing.empty
    assert found.shared == tuple(GAMES)


def test_an_incomplete_grid_is_refused_or_told() -> None:
    rows = [
        score("der", "Pong", 0, 0.3),
        score("der", "Pong", 1, 0.5),
        score("der", "Alien", 0, 0.1),
        score("spr", "Pong", 0, 1.0),
    ]
    with pytest.raises(UserError, match=r"1 of 2 runs of der on Alien missing \(1 more such cells\); --incomplete"):
        compared(rows, ("Alien", "Pong"), incomplete=False)
    found = compared(rows, ("Alien", "Pong"), incomplete=True)
    assert found.shared == ("Pong",)
    assert found.missing.to_dict() == {("der", "Alien"): 1, ("spr", "Alien"): 1}
    assert "der has all its runs on 1 of 2 games; spr has all its runs on 1 of 2 games" in found.note
    assert "Aggregates are over the one game that all agents have, Pong" in found.note


def test_games_count_the_same_where_one_has_more_runs() -> None:
    rows = [score("der", "Pong", seed, seed / 10) for seed in range(3)] + [score("der", "Alien", seed, 1.0) for seed in (5, 4)]
    found = compared(rows, ("Alien", "Pong"), incomplete=True)
    np.testing.assert_allclose(found.matrix("der"), [[1, 0], [1, 0.1]], atol=1e-12)


def test_no_game_that_all_agents_have() -> None:
    found = compared([score("der", "Pong", 0, 0.3), score("spr", "Alien", 0, 0.1)], ("Alien", "Pong"), incomplete=True)
    assert found.shared == ()
    assert found.count("der") == 0
    assert "no game" in found.note


def test_nothing_at_all_is_refused() -> None:
    with pytest.raises(UserError, match="no finished run"):
        compared([], tuple(GAMES), incomplete=True)


def test_differences_are_of_the_same_game_and_seed() -> None:
    rows = [score("der", "Pong", 0, 0.1), score("der", "Pong", 1, 0.2), score("der", "Alien", 0, 0.5)]
    rows += [score("der_ht", "Pong", 1, 0.7), score("der_ht", "Pong", 2, 0.9), score("der_ht", "Alien", 1, 0.9)]
    found = compared(rows, ("Alien", "Pong"), incomplete=True).differences("der_ht", "der")
    assert list(found) == ["Pong"]
    np.testing.assert_allclose(found["Pong"], [0.5])


@pytest.mark.parametrize("published", [{"der"}, {"der_ht"}, {"der", "der_ht"}])
def test_published_runs_have_no_seeds_to_pair(published: set[str]) -> None:
    rows = [replace(score(name, "Pong", 0, 0.1), ours=name not in published) for name in ("der", "der_ht", "spr", "spr_ht")]
    found = compared(rows, ("Pong",), incomplete=False)
    assert found.differences("der_ht", "der") == {}
    assert list(found.differences("spr_ht", "spr")) == ["Pong"]
    assert set(pairs(found)["agent"]) == {"spr_ht"}
