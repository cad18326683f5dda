"""Names in figures, however long, stay within their panel and touch no other."""

from itertools import combinations
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from analysis.compute.ranks import COLUMNS
from analysis.draw import canvas, figures
from analysis.draw.forest import forest
from envs.games import GAMES

NAMES = ("der", "der --tortoise.warmup-counts False", "W" * 60, "der --replay.warmup-steps 300 --recycling.tau 0.2")


@pytest.mark.parametrize("left", [52, canvas.margin(["BankHeist"]), 160])
def test_names_of_the_key_end_within_it(left: float) -> None:
    """Whatever place the labels of the other panels take."""
    made = canvas.Canvas(["Pong"], 300, left, key=canvas.styles({name: name for name in NAMES}))
    made.figure.draw_without_rendering()
    texts = made.figure.legends[0].get_texts()
    ends = [text.get_window_extent().x1 * 72 / made.figure.dpi for text in texts]
    assert len(ends) == len(NAMES)
    assert max(ends) <= canvas.WIDTH
    assert texts[0].get_fontsize() == texts[1].get_fontsize() == 10


def boxes(made: canvas.Canvas, *texts: Text) -> list[Bbox]:
    """Where `texts` lie in the PNG, in points."""
    made.figure.set_dpi(110)
    agg = FigureCanvasAgg(made.figure)
    agg.draw()
    ends = [text.get_window_extent(agg.get_renderer()).extents * 72 / 110 for text in texts]
    return [Bbox.from_extents(*extents) for extents in ends]


def within(made: canvas.Canvas, *texts: Text) -> bool:
    """Whether no text ends beyond the figure, and no two overlap."""
    found = boxes(made, *texts)
    whole = all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= made.size[0] and box.y1 <= made.size[1] for box in found)
    return whole and not any(a.overlaps(b) for a, b in combinations(found, 2))


@pytest.mark.parametrize("names", [list(GAMES), ["UpNDown"], ["MMMMMMMMMMWWWWWWWWWW", "der"]])
def test_labels_at_the_left_are_whole(names: list[str]) -> None:
    made = canvas.Canvas(["Pong"], 500, canvas.margin(names))
    made.panels[0].set_yticks(range(len(names)), names, fontsize=9)
    assert within(made, *made.panels[0].get_yticklabels())


def test_a_long_title_takes_lines_and_no_other_panel() -> None:
    names = ["DER", "CURL with a long name that tells which paper and which file it is of", "W" * 40]
    rows = [("der", name, "Alien", 0, 300.0, 100, 1.0, 0.5, 2.0, 0.5) for name in names]
    looks = canvas.styles({"der": "der"})
    made = figures.ranks(
        pd.DataFrame([*rows, *(("der", name, "all", *[None] * 6, 0.5) for name in names)], columns=COLUMNS), looks
    )
    titles = [panel._left_title for panel in made.panels]
    assert titles[0].get_text() == "Among runs of DER"
    assert titles[1].get_text().replace("\n", " ") == f"Among runs of {names[1]}"
    assert within(made, *titles, *made.figure.legends[0].get_texts())


def test_a_column_of_the_key_with_long_names_ends_above_the_panels() -> None:
    names = [f"der --replay.warmup-steps 300 --tortoise.decay 0.98765 --name of-number-{i}" for i in range(8)]
    made = canvas.Canvas(["a", "b", "c"], 200, key=canvas.styles({name: name for name in (*names, *"efghijkl")}))
    assert within(made, *(panel._left_title for panel in made.panels), *made.figure.legends[0].get_texts())


def test_names_of_many_lines_have_room_in_the_matrix() -> None:
    agents = [f"der_ht --replay.ratio 4.0 --replay.warmup-steps 333 --tortoise.decay 0.9{i}" for i in range(3)]
    rows = [(x, y, 0.5, 0.4, 0.6) for x in agents for y in agents if x != y]
    table = pd.DataFrame(rows, columns=["agent", "over", "probability", "probability_low", "probability_high"])
    made = figures.improvements(table, canvas.styles({name: name for name in agents}))
    assert within(made, *made.panels[0].get_xticklabels(), *made.panels[0].get_yticklabels())


def test_the_label_below_a_narrow_panel_is_whole(tmp_path: Path) -> None:
    row = {"base": "der", "family": "reset", "method": "head --replay.ratio 4.0 --replay.warmup-steps 333"}
    made = forest(
        pd.DataFrame([row | {"difference": 0.1, "difference_low": 0.0, "difference_high": 0.2}]), "human-normalised score"
    )
    label = made.panels[0].xaxis.label
    made.save(tmp_path / "methods", "")
    made.panels[0].set_visible(True)
    assert within(made, label)
