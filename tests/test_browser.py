"""The report in a real browser: drawn whole, readable at any width and in the dark, silent, and without the network."""

import csv
import json
from pathlib import Path

import pytest

from analysis import report
from tests.browser import CHROMIUM, Browser
from tests.test_report import FIGURES, PROTOCOL, check, study

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")]
pytest.importorskip("matplotlib", reason="the report needs matplotlib")

TABLES = """Object.fromEntries([...document.querySelectorAll("table")].map(table =>
  [table.dataset.file, [...table.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.textContent))]))"""
FLAT = """[...document.querySelectorAll("figure svg")].filter(svg => {
  const box = svg.getBoundingClientRect(), drawn = svg.querySelectorAll("path, use").length;
  return box.width < 100 || box.height < 30 || drawn < 2;
}).map(svg => svg.getAttribute("aria-label"))"""
CUT = """[...document.querySelectorAll("figure svg text")].filter(text => {
  const box = text.getBoundingClientRect(), frame = text.closest("svg").getBoundingClientRect();
  return box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1;
}).map(text => text.closest("svg").getAttribute("aria-label") + ": " + text.textContent)"""
COLOURS = """(() => { const text = document.querySelector("#games svg text");
  return [getComputedStyle(document.body).backgroundColor, getComputedStyle(text).fill]; })()"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a small study."""
    folder = tmp_path_factory.mktemp("browser")
    out = folder / "report.html"
    report.main([str(study(folder / "runs")), "--games", "Pong", "Alien", *PROTOCOL, "--out", str(out)])
    return out


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    with Browser(tmp_path_factory.mktemp("profile") / "chromium") as found:
        yield found


def brightness(colour: str) -> float:
    """Mean of red, green and blue of `rgb(r, g, b)`."""
    return sum(map(float, colour[colour.index("(") + 1 : -1].split(",")[:3])) / 3


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390, 320])
def test_the_page_is_whole_at_any_width(width: int, dark: bool, made: Path, browser: Browser) -> None:
    browser.open(made, width, 900, dark)
    assert browser.said == []
    assert [url for url in browser.requested if not url.startswith(("file:", "data:"))] == []
    assert browser.value("[...document.querySelectorAll('figure')].length") == len(FIGURES)
    assert browser.value(FLAT) == []
    assert browser.value(CUT) == []
    assert browser.value("document.documentElement.scrollWidth") <= width
    paper, ink = map(brightness, browser.value(COLOURS))
    assert (paper < 60 and ink > 180) if dark else (paper > 200 and ink < 80)


def test_every_number_that_is_shown_is_in_its_file(made: Path, browser: Browser) -> None:
    browser.open(made, 1280, 900)
    for name, rows in browser.value(TABLES).items():
        check(rows, made.parent / "report_files" / name)
    texts = browser.value("[...document.querySelectorAll('#improvement svg text')].map(text => text.textContent.trim())")
    with (made.parent / "report_files/improvement.csv").open() as file:
        chances = sorted(row["probability"] for row in csv.DictReader(file))
    assert sorted(text for text in texts if text.replace(".", "").isdigit()) == chances


def test_the_keyboard_reaches_everything_that_scrolls(made: Path, browser: Browser) -> None:
    browser.open(made, 390, 900)
    wanted = browser.value("[...document.querySelectorAll('a, summary, .panels')].length")
    reached = set()
    for _ in range(wanted + 40):
        for kind in ("keyDown", "keyUp"):
            browser.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        script = "[...document.querySelectorAll('a, summary, .panels')].indexOf(document.activeElement)"
        reached.add(browser.value(script))
    assert set(range(wanted)) <= reached, json.dumps(sorted(set(range(wanted)) - reached))
