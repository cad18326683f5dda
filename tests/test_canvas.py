"""Names in figures, however long, stay within their panel."""

import pytest

from analysis.draw import canvas

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
