"""Tables hold what the statistics say."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.compute import curves, rounding, tables
from analysis.compute import statistics as s
from analysis.compute.comparison import Comparison, compare
from analysis.compute.rounding import as_text
from analysis.read.scores import Score, as_frame
from envs.games import find_game

COURSE = ("label", "game", "seed", "env_step")


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def score(agent: str, game: str, seed: int, hns: float, hours: float = 0.5, memory: float = np.nan) -> Score:
    found = find_game(game)
    raw = found.random + hns * (found.human - found.random)
    return Score(agent, "", game, seed, 1800, 2, raw, "c" * 40, "CPU", hours, "file", memory)


def two_agents() -> tuple[Comparison, dict[str, np.ndarray]]:
    draw = rng()
    scores = {agent: draw.uniform(0, 2, size=(4, 2)) for agent in ("der", "der_ht")}
    rows = [
        score(agent, game, seed, value)
        for agent, matrix in scores.items()
        for seed, row in enumerate(matrix)
        for game, value in zip(("Alien", "Pong"), row, strict=True)
    ]
    return compare(as_frame(rows), ("Alien", "Pong"), incomplete=False), scores


def numbers(row: pd.Series, name: str) -> list[float]:
    return [float(row[column]) for column in rounding.ends(name)]


def where(table: pd.DataFrame, **equal: Any) -> pd.DataFrame:
    """The rows that have these values, by column."""
    return table[np.logical_and.reduce([table[name] == value for name, value in equal.items()])]


def test_numbers_are_written_plainly() -> None:
    values = [1234567.0, 0.000123456, -0.0, 5.0, float("nan"), 3, "x"]
    assert list(as_text(rounding.table(("score",), [(x,) for x in values]))["score"]) == [
        *("1234600", "0.00012346", "0", "5", "", "3", "x")
    ]
    shares = rounding.table(("hns", "iqm_low"), [(0.12345, -0.00001), (float("nan"), None), (1.0, 2.0)])
    assert as_text(shares).values.tolist() == [["0.123", "0.000"], ["", ""], ["1.000", "2.000"]]
    assert shares["hns"].dtype == float


def test_tables_of_aggregates_profiles_and_improvement() -> None:
    grid, scores = two_agents()
    for _, row in tables.aggregates(grid, {}).iterrows():
        for name, measure in s.AGGREGATES.items():
            value, low, high = numbers(row, name)
            assert value == pytest.approx(float(measure(scores[row["agent"]])), abs=5e-4)
            assert low <= value <= high
            assert (row["kind"], row["runs"], row["games"]) == ("run", 4, 2)
    found = tables.improvements(grid)
    forth, back = where(found, agent="der_ht").iloc[0], where(found, agent="der").iloc[0]
    assert float(forth["probability"]) == pytest.approx(s.improvement(scores["der_ht"], scores["der"]), abs=5e-4)
    assert numbers(back, "probability") == pytest.approx([1 - x for x in np.array(numbers(forth, "probability"))[[0, 2, 1]]])
    profile = where(tables.profiles(grid), agent="der", threshold=1.0).iloc[0]
    assert float(profile["share"]) == pytest.approx((scores["der"] > 1).mean(), abs=5e-4)


def test_pairs_are_of_hare_and_tortoise_and_its_base() -> None:
    grid, scores = two_agents()
    found = tables.pairs(grid)
    difference = scores["der_ht"] - scores["der"]
    better = (difference > 0).sum(0)
    assert found[["agent", "base", "game", "pairs", "better", "interval_over"]].values.tolist() == [
        ["der_ht", "der", "all", 8, better.sum(), "runs"],
        ["der_ht", "der", "Alien", 4, better[0], "runs"],
        ["der_ht", "der", "Pong", 4, better[1], "runs"],
    ]
    np.testing.assert_allclose(found["difference"], [difference.mean(), *difference.mean(0)], atol=6e-4)


def test_with_one_run_a_game_comparisons_say_that_games_were_drawn() -> None:
    names = ("Alien", "Amidar", "Assault", "Asterix", "BankHeist", "Pong")
    rows = [score("der", name, 0, 0.0) for name in names]
    rows += [score("der_ht", name, 0, hns) for name, hns in zip(names, (0.5, 0.5, 0.5, 0.0, 0.0, 0.0), strict=True)]
    grid = compare(as_frame(rows), names, incomplete=False)
    found = tables.pairs(grid)
    whole, single = found.iloc[0], found[1:]
    assert (whole["difference"], whole["interval_over"]) == (0.25, "games")
    assert numbers(whole, "difference")[1:] == [-0.037, 0.537]  # 0.25 ± 2.571 x 0.2739 / root of 6
    assert as_text(single)[["difference_low", "interval_over"]].values.tolist() == [["", ""]] * 6
    row = where(tables.improvements(grid), agent="der_ht").iloc[0]
    assert (row["probability"], row["interval_over"]) == (0.75, "games")
    assert numbers(row, "probability")[1:] == pytest.approx(s.wilson(0.75, 6), abs=5e-4)


def test_pairs_differ_in_hare_and_tortoise_alone() -> None:
    labels = (
        "der",
        "der_ht",
        "der --replay.ratio 4",
        "der_ht --replay.ratio 4",
        "der_ht --resets.every 9 --tortoise.decay 0.9",
        "der_ht --name slow --tortoise.decay 0.99",
        "der --name new",
    )
    rows = []
    for label in labels:
        agent, _, flags = label.partition(" ")
        rows.append(dataclasses.replace(score(agent, "Pong", 0, 0.1), flags=flags))
    found = tables.pairs(compare(as_frame(rows), ("Pong",), incomplete=False))
    assert where(found, game="all")[["agent", "base"]].values.tolist() == [
        ["der_ht", "der"],
        ["der_ht --replay.ratio 4", "der --replay.ratio 4"],
        ["der_ht --resets.every 9 --tortoise.decay 0.9", "der"],
        ["der_ht --name slow --tortoise.decay 0.99", "der"],
    ]


@pytest.mark.parametrize(
    ("agent", "base"), [("spr", None), ("spr_ht", "spr"), ("der_dopamine_ht_wd", "der_dopamine_wd"), ("random", None)]
)
def test_the_base_of_an_agent(agent: str, base: str | None) -> None:
    assert tables.without_ht(agent) == base


def test_games_have_their_references_and_published_means() -> None:
    grid, scores = two_agents()
    found = tables.games(grid)
    row = where(found, game="Pong", agent="der").iloc[0]
    assert row["hns"] == pytest.approx(scores["der"][:, 1].mean(), abs=5e-4)
    assert where(found, game="Alien", agent="human")["score"].item() == 7127.7
    assert where(found, game="Pong", agent="BBF RR2")["score"].item() == 13.7
    assert where(found, game="CrazyClimber", agent="SPR").empty  # not asked for
    kinds = [where(found, game="Pong", agent=name)["kind"].item() for name in ("der", "DER", "DER (authors)", "human")]
    assert kinds == ["run", "published", "recalled", "reference"]


def test_learning_curves_and_plasticity_by_hand() -> None:
    grid, _ = two_agents()
    pong, alien = find_game("Pong"), find_game("Alien")
    returns, ranks = [], []
    for game in (alien, pong):
        for seed in range(4):
            last = game.random + 0.1 * seed * (game.human - game.random)
            returns += [("der", game.name, seed, 100, game.random), ("der", game.name, seed, 1000, last)]
            ranks += [("der", game.name, seed, 90, 1.0), ("der", game.name, seed, 900, 2.0 + seed)]
    whole, single = curves.returns(pd.DataFrame(returns, columns=[*COURSE, "return"]), grid, 1800)
    # From env step 1000 on: the mean of the two games, which is half of the last; 0 .05 .1 .15, each twice; the middle: .05 .1
    last = where(whole, env_step=1800).iloc[0]
    assert (last["agent"], last["runs"], last["games"], last["iqm"]) == ("der", 4, 2, 0.075)
    assert whole["env_step"][0] == 135  # the first place after 100
    last = where(single, game="Pong", env_step=1800).iloc[0]
    assert last["return"] == pytest.approx(-20.7 + 0.075 * 35.3, rel=1e-3)
    assert last["return_low"] < last["return"] < last["return_high"]
    measured = curves.plasticity(pd.DataFrame(ranks, columns=[*COURSE, "srank"]), grid, 1800)
    assert measured[["measure", "env_step", "runs", "games", "value"]].values[[0, -1]].tolist() == [
        ["srank", 90, 4, 2, 1.0],
        ["srank", 1800, 4, 2, 3.5],
    ]


def test_curves_over_all_games_need_all_games() -> None:
    grid, _ = two_agents()
    course = pd.DataFrame([("der", "Pong", 0, 100, 1.0)], columns=[*COURSE, "return"])
    whole, single = curves.returns(course, grid, 1800)
    assert whole.empty
    assert len(single)
    assert curves.plasticity(course.rename(columns={"return": "srank"}), grid, 1800).empty


def test_cost_is_of_runs_that_trained() -> None:
    rows = [
        score("der", "Pong", 0, 0, hours=0.5, memory=2.0),
        score("der", "Pong", 1, 0, hours=1.0, memory=4.0),
        score("random", "Pong", 0, 0, hours=0),
    ]
    found = tables.cost(as_frame(rows))
    assert list(found["agent"]) == ["der"]
    assert numbers(found.iloc[0], "hours") == [0.75, 0.5, 1.0]
    assert numbers(found.iloc[0], "env_steps_per_second") == [0.75, 0.5, 1.0]  # 1800 / 3600 / hours
    assert numbers(found.iloc[0], "memory_gb") == [3.0, 2.0, 4.0]
    assert found["hours_of_all"].item() == 1.5


def test_runs_name_their_commit() -> None:
    row = as_text(tables.runs(as_frame([score("der", "Pong", 3, 1.0)]))).to_dict("records")[0]
    assert row == {
        "agent": "der",
        "flags": "",
        "game": "Pong",
        "seed": "3",
        "env_steps": "1800",
        "episodes": "2",
        "score": "14.6",
        "hns": "1.000",
        "hours": "0.5",
        "memory_gb": "",
        "device": "CPU",
        "commit": "c" * 12,
    }
    assert tables.short("c" * 40 + "-dirty") == "c" * 12 + "-dirty"


def test_unfinished_runs_are_missing() -> None:
    grid, _ = two_agents()
    why = "runs/der/Pong/seed7 is not finished"
    assert tables.missing(grid, [("der", "Pong", why)]).values.tolist() == [["der", "Pong", 1, why]]
