"""Tables hold what the statistics say, and figures draw what the tables hold."""

import dataclasses

import numpy as np
import pytest

from analysis import statistics as s
from analysis import tables
from analysis.curves import Course
from analysis.grid import Grid, build_grid
from analysis.scores import Score
from analysis.standing import standing
from envs.games import find_game


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def score(agent: str, game: str, seed: int, hns: float, hours: float = 0.5) -> Score:
    found = find_game(game)
    raw = found.random + hns * (found.human - found.random)
    return Score(agent, "", game, seed, 1800, 2, raw, "c" * 40, "CPU", hours, "file")


def two_agents() -> tuple[Grid, dict[str, np.ndarray]]:
    draw = rng()
    scores = {agent: draw.uniform(0, 2, size=(4, 2)) for agent in ("der", "der_ht")}
    rows = [
        score(agent, game, seed, value)
        for agent, matrix in scores.items()
        for seed, row in enumerate(matrix)
        for game, value in zip(("Alien", "Pong"), row, strict=True)
    ]
    return build_grid(rows, ("Alien", "Pong"), incomplete=False), scores


def numbers(row: dict[str, str], name: str) -> list[float]:
    return [float(row[f"{name}{end}"]) for end in ("", "_low", "_high")]


def test_numbers_are_written_plainly() -> None:
    values = [1234567.0, 0.000123456, -0.0, 5.0, float("nan"), 3, "x"]
    assert [tables.text(value) for value in values] == ["1234600", "0.00012346", "0", "5", "", "3", "x"]
    assert [tables.share(value) for value in (0.12345, -0.00001, float("nan"))] == ["0.123", "0.000", ""]


def test_tables_of_aggregates_profiles_and_improvement() -> None:
    grid, scores = two_agents()
    rows = tables.agents(grid, {}).where(kind="run")
    for row in rows:
        for name, measure in s.AGGREGATES.items():
            value, low, high = numbers(row, name)
            assert value == pytest.approx(float(measure(scores[row["agent"]])), abs=5e-4)
            assert low <= value <= high
            assert row["runs"] == "4"
    found = tables.improvements(grid)
    forth, back = found.where(agent="der_ht")[0], found.where(agent="der")[0]
    assert float(forth["probability"]) == pytest.approx(s.improvement(scores["der_ht"], scores["der"]), abs=5e-4)
    assert numbers(back, "probability") == pytest.approx([1 - x for x in np.array(numbers(forth, "probability"))[[0, 2, 1]]])
    profile = tables.profiles(grid).where(agent="der", threshold="1.000")[0]
    assert float(profile["share"]) == pytest.approx((scores["der"] > 1).mean(), abs=5e-4)


def test_pairs_are_of_hare_and_tortoise_and_its_base() -> None:
    grid, scores = two_agents()
    found = tables.pairs(grid)
    difference = scores["der_ht"] - scores["der"]
    better = (difference > 0).sum(0)
    assert [(row["agent"], row["base"], row["game"], row["pairs"], row["better"], row["drawn"]) for row in found.where()] == [
        ("der_ht", "der", "all", "8", str(better.sum()), "runs"),
        ("der_ht", "der", "Alien", "4", str(better[0]), "runs"),
        ("der_ht", "der", "Pong", "4", str(better[1]), "runs"),
    ]
    values = [float(row["difference"]) for row in found.where()]
    np.testing.assert_allclose(values, [difference.mean(), *difference.mean(0)], atol=6e-4)


def test_with_one_run_a_game_comparisons_say_that_games_were_drawn() -> None:
    names = ("Alien", "Amidar", "Assault", "Asterix", "BankHeist", "Pong")
    rows = [score("der", name, 0, 0.0) for name in names]
    rows += [score("der_ht", name, 0, hns) for name, hns in zip(names, (0.5, 0.5, 0.5, 0.0, 0.0, 0.0), strict=True)]
    grid = build_grid(rows, names, incomplete=False)
    whole, *single = tables.pairs(grid).where()
    low, high = float(whole["difference_low"]), float(whole["difference_high"])
    assert (whole["difference"], whole["drawn"]) == ("0.250", "games")
    assert (low, high) == (-0.037, 0.537)  # 0.25 ± 2.571 x 0.2739 / root of 6
    assert [(row["difference_low"], row["drawn"]) for row in single] == [("", "")] * 6
    row = tables.improvements(grid).where(agent="der_ht")[0]
    assert (row["probability"], row["drawn"]) == ("0.750", "games")
    assert numbers(row, "probability")[1:] == pytest.approx(s.wilson(0.75, 6), abs=5e-4)


def test_pairs_differ_in_hare_and_tortoise_alone() -> None:
    labels = (
        "der",
        "der_ht",
        "der --replay.ratio 4",
        "der_ht --replay.ratio 4",
        "der_ht --resets.every 9 --tortoise.decay 0.9",
    )
    rows = []
    for label in labels:
        agent, _, flags = label.partition(" ")
        rows.append(dataclasses.replace(score(agent, "Pong", 0, 0.1), flags=flags))
    found = tables.pairs(build_grid(rows, ("Pong",), incomplete=False)).where(game="all")
    assert [(row["agent"], row["base"]) for row in found] == [
        ("der_ht", "der"),
        ("der_ht --replay.ratio 4", "der --replay.ratio 4"),
        ("der_ht --resets.every 9 --tortoise.decay 0.9", "der"),
    ]


@pytest.mark.parametrize(
    ("agent", "base"), [("spr", None), ("spr_ht", "spr"), ("der_dopamine_ht_wd", "der_dopamine_wd"), ("random", None)]
)
def test_the_base_of_an_agent(agent: str, base: str | None) -> None:
    assert tables.without_ht(agent) == base


def test_games_have_their_references_and_published_means() -> None:
    grid, scores = two_agents()
    found = tables.games(grid)
    row = found.where(game="Pong", agent="der")[0]
    assert float(row["hns"]) == pytest.approx(scores["der"][:, 1].mean(), abs=5e-4)
    assert found.where(game="Alien", agent="human")[0]["score"] == "7127.7"
    assert found.where(game="Pong", agent="BBF RR2")[0]["score"] == "13.7"
    kinds = [found.where(game="Pong", agent=name)[0]["kind"] for name in ("der", "DER", "DER (authors)", "human")]
    assert kinds == ["run", "published", "recalled", "reference"]


def test_learning_curves_and_plasticity_by_hand() -> None:
    grid, _ = two_agents()
    pong, alien = find_game("Pong"), find_game("Alien")
    courses = {}
    for game in (alien, pong):
        for seed in range(4):
            at = [(100.0, game.random), (1000.0, game.random + 0.1 * seed * (game.human - game.random))]
            courses["der", game.name, seed] = Course(at, {"srank": [(90.0, 1.0), (900.0, 2.0 + seed)]})
    whole, single = tables.returns(courses, grid, 1800)
    # From env step 1000 on: the mean of the two games, which is half of the last; 0 .05 .1 .15, each twice; the middle: .05 .1
    last = whole.where(env_step="1800")[0]
    assert (last["agent"], last["runs"], last["iqm"]) == ("der", "4", "0.075")
    assert whole.where()[0]["env_step"] == "135"  # the first place after 100
    last = single.where(game="Pong", env_step="1800")[0]
    assert float(last["return"]) == pytest.approx(-20.7 + 0.075 * 35.3, rel=1e-3)
    assert float(last["return_low"]) < float(last["return"]) < float(last["return_high"])
    measured = tables.plasticity(courses, grid, 1800).where(measure="srank")
    assert [(row["env_step"], row["value"]) for row in (measured[0], measured[-1])] == [("90", "1"), ("1800", "3.5")]


def test_curves_over_all_games_need_all_games() -> None:
    grid, _ = two_agents()
    courses = {("der", "Pong", 0): Course([(100.0, 1.0)], {"srank": [(100.0, 1.0)]})}
    whole, single = tables.returns(courses, grid, 1800)
    assert not whole.rows
    assert single.rows
    assert not tables.plasticity(courses, grid, 1800).rows


def test_cost_is_of_runs_that_trained() -> None:
    rows = [
        score("der", "Pong", 0, 0, hours=0.5),
        score("der", "Pong", 1, 0, hours=1.0),
        score("random", "Pong", 0, 0, hours=0),
    ]
    found = tables.cost(rows).where()
    assert [row["agent"] for row in found] == ["der"]
    assert numbers(found[0], "hours") == [0.75, 0.5, 1.0]
    assert numbers(found[0], "env_steps_per_second") == [0.75, 0.5, 1.0]  # 1800 / 3600 / hours
    assert found[0]["hours_of_all"] == "1.5"


def test_runs_name_their_commit() -> None:
    row = tables.runs([score("der", "Pong", 3, 1.0)]).where()[0]
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
        "device": "CPU",
        "commit": "c" * 12,
    }
    assert tables.short("c" * 40 + "-dirty") == "c" * 12 + "-dirty"


def test_unfinished_runs_are_missing() -> None:
    grid, _ = two_agents()
    run = tables.Unfinished("der", "Pong", "runs/der/Pong/seed7 is not finished")
    assert tables.missing(grid, [run]).where() == [{"agent": "der", "game": "Pong", "runs": "1", "why": run.why}]


def test_figures_draw_their_tables() -> None:
    pytest.importorskip("matplotlib", reason="figures need matplotlib")
    from analysis import canvas, drawings

    grid, _ = two_agents()
    looks = canvas.styles({"der": "der", "der_ht": "der"})
    assert looks["der"].colour == looks["der_ht"].colour
    assert looks["der"].dash != looks["der_ht"].dash
    assert looks["der"].mark != looks["der_ht"].mark
    table = tables.agents(grid, {})
    panel = drawings.aggregates(table, looks).panels[0]
    marks = {tuple(line.get_xdata()) for line in panel.lines}
    for row in table.where():
        value, low, high = numbers(row, "iqm")
        assert {(value,), (low, high)} <= marks
    table = tables.profiles(grid)
    lines = drawings.profiles(table, looks).panels[1].lines
    np.testing.assert_array_equal(lines[1].get_ydata(), [float(row["share"]) for row in table.where(agent="der_ht")])
    table = tables.improvements(grid)
    assert [label.get_text() for label in drawings.improvements(table, looks).panels[0].texts] == [
        row["probability"] for row in table.where()
    ]
    theirs = [Score("DER", "", "Pong", seed, 0, 0, seed, "", "", float("nan"), "file", ours=False) for seed in range(-10, 10)]
    table = standing([score("der", "Pong", 0, 0.9), score("der_ht", "Pong", 0, 0.4), *theirs])
    lines = drawings.standing(table, looks).panels[1].lines
    drawn = {(line.get_xdata()[0], line.get_ydata()[0], line.get_marker()) for line in lines}
    rows = [(float(row["below"]), ["Pong", "all"].index(row["game"]), looks[row["agent"]].mark) for row in table.where()]
    assert sorted(drawn) == sorted(rows)
    table = tables.games(grid)
    bars = drawings.games(table, looks).panels[1].patches
    ends = [bar.get_x() + bar.get_width() for bar in bars]
    assert sorted(ends) == pytest.approx(sorted(float(row["score"]) for row in table.where(game="Pong", kind="run")))


def test_thirty_agents_look_different_and_have_room_in_the_key() -> None:
    pytest.importorskip("matplotlib", reason="figures need matplotlib")
    from analysis import canvas, drawings

    names = [f"agent{index} --with.some-long-flag {index}" for index in range(30)]
    looks = canvas.styles({name: name for name in names})
    assert len(set(looks.values())) == 30
    rows = [(name, step, 1, 0.5, "", "") for name in names for step in (100, 200)]
    table = tables.table(("agent", "env_step", "runs", "iqm", "iqm_low", "iqm_high"), rows)
    drawn = drawings.learning(table, looks)
    key = drawn.panels[0].get_legend().get_window_extent()
    assert key.y0 > drawn.foot * drawn.figure.dpi / 72  # above the note
