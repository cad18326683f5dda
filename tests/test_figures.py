"""Figures draw what their tables hold, and agents can be told apart."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from analysis.compute import rounding, tables
from analysis.compute.ranks import ranks
from analysis.compute.rounding import as_text
from analysis.draw import canvas, figures
from analysis.read.scores import Score, as_frame
from tests.test_tables import numbers, score, two_agents, where


def test_figures_draw_their_tables() -> None:
    grid, _ = two_agents()
    looks = canvas.styles({"der": "der", "der_ht": "der"})
    assert looks["der"].colour != looks["der_ht"].colour
    assert looks["der"].dash != looks["der_ht"].dash
    assert looks["der"].mark != looks["der_ht"].mark
    table = tables.aggregates(grid, {})
    panel = figures.aggregates(table, looks).panels[0]
    marks = {tuple(line.get_xdata()) for line in panel.lines}
    for _, row in table.iterrows():
        value, low, high = numbers(row, "iqm")
        assert {(value,), (low, high)} <= marks
    table = tables.profiles(grid)
    lines = figures.profiles(table, looks).panels[0].lines
    np.testing.assert_array_equal(lines[1].get_ydata(), where(table, agent="der_ht")["share"])
    table = tables.improvements(grid)
    drawn = [label.get_text() for label in figures.improvements(table, looks).panels[0].texts]
    assert drawn == list(as_text(table)["probability"])
    theirs = [
        Score("DER", "", "Pong", seed, None, None, seed, "", "", float("nan"), "file", ours=False) for seed in range(-10, 10)
    ]
    table = ranks(as_frame([score("der", "Pong", 0, 0.9), score("der_ht", "Pong", 0, 0.4), *theirs]))
    lines = figures.ranks(table, looks).panels[0].lines
    drawn = {(line.get_xdata()[0], line.get_ydata()[0], line.get_marker()) for line in lines}
    rows = [(row.below, ["Pong", "all"].index(row.game), looks[row.agent].mark) for row in table.itertuples()]
    assert sorted(drawn) == sorted(rows)
    table = tables.games(grid)
    bars = figures.games(table, looks).panels[1].patches
    ends = [bar.get_x() + bar.get_width() for bar in bars]
    assert sorted(ends) == pytest.approx(sorted(where(table, game="Pong", kind="run")["score"]))


@pytest.mark.parametrize("values", [[0.113], [1.74], [0.0], [-0.0021], [7.93], [0.1130, 0.1134], [0.1, 0.5], [123.4]])
def test_numbers_below_an_axis_do_not_touch(values: list[float]) -> None:
    """Single runs have no intervals: without these an axis would show a hundredth of a value."""
    rows = pd.DataFrame([{"agent": f"a{i}", "iqm": v, "iqm_low": np.nan, "iqm_high": np.nan} for i, v in enumerate(values)])
    drawn = canvas.Canvas(["IQM", "Mean", "Median", "Gap"], 120, left=120)
    panel = drawn.panels[0]
    figures.intervals(panel, list(rows["agent"]), rows, "iqm", canvas.styles({name: name for name in rows["agent"]}))
    drawn.figure.canvas.draw()
    low, high = panel.get_xlim()
    shown = [label for label in panel.get_xticklabels() if low <= label.get_position()[0] <= high]
    boxes = [label.get_window_extent() for label in shown]
    assert len(boxes) >= 2
    assert all(left.x1 + 2 < right.x0 for left, right in pairwise(boxes))
    assert all(low < value < high for value in values)


def test_agents_of_a_family_share_a_colour_where_there_are_few() -> None:
    looks = canvas.styles({f"{base}{method}": base for base in ("der", "drq", "spr", "bbf") for method in ("", "_ht")})
    assert looks["spr"].colour == looks["spr_ht"].colour != looks["der"].colour
    assert looks["spr"].dash != looks["spr_ht"].dash


def test_thirty_agents_look_different_and_have_room_in_the_key() -> None:
    names = [f"agent{index} --with.some-long-flag {index}" for index in range(30)]
    looks = canvas.styles({name: name for name in names})
    assert len(set(looks.values())) == 30
    rows = [(name, step, 1, 26, 0.5, None, None) for name in names for step in (100, 200)]
    table = rounding.table(("agent", "env_step", "runs", "games", "iqm", "iqm_low", "iqm_high"), rows)
    drawn = figures.learning(table, looks)
    key = drawn.figure.legends[0].get_window_extent()
    assert key.y0 > drawn.panels[0].get_tightbbox().y1  # above the panel, and within the figure
    assert key.y1 <= drawn.size[1] * drawn.figure.dpi / 72
    assert key.x1 <= drawn.size[0] * drawn.figure.dpi / 72


@pytest.mark.parametrize(
    ("runs", "games", "told"),
    [
        ([1, 1], [10, 10], "10 games, one run each, no interval"),
        ([100], [10], "10 games, 100 runs each"),
        ([1], [1], "one game, one run, no interval"),
        ([2, 5], None, "2 to 5 runs"),
        ([None], [26], "runs not known"),
    ],
)
def test_beside_a_number_stands_of_how_many_runs_it_is(runs: list[int | None], games: list[int] | None, told: str) -> None:
    assert rounding.counted(pd.DataFrame({"runs": runs} | ({"games": games} if games else {}))) == told
