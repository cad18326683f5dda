"""The report in a real browser: drawn whole, readable at any width and in the dark, silent, and without the network."""

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analysis import report
from tests.test_report import FIGURES, PROTOCOL, check, study

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")  # Debian's packages chromium and chromium-driver
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="there is no chromium with a chromedriver"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:selenium"),
]

TAB = "\ue004"  # as selenium writes the key
TABLES = """Object.fromEntries([...document.querySelectorAll("table")].map(table =>
  [table.dataset.file, [...table.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.textContent))]))"""
FLAT = """[...document.querySelectorAll(".panels svg")].filter(svg => {
  const box = svg.getBoundingClientRect(), drawn = svg.querySelectorAll("path, use").length;
  return box.width < 100 || box.height < 30 || drawn < 2;
}).map(svg => svg.parentElement.getAttribute("aria-label"))"""
CUT = """[...document.querySelectorAll(".panels svg text")].filter(text => {
  const box = text.getBoundingClientRect(), frame = text.closest("svg").getBoundingClientRect();
  return box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1;
}).map(text => text.closest("div").getAttribute("aria-label") + ": " + text.textContent)"""
OVERLAPS = """[...document.querySelectorAll(".panels svg")].flatMap(svg => {
  const texts = [...svg.querySelectorAll("text")].map(text => [text.textContent.trim(), text.getBoundingClientRect()]);
  return texts.flatMap(([one, a], i) => texts.slice(i + 1).filter(([two, b]) =>
    a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 4 && b.top < a.bottom - 4
  ).map(([two]) => svg.parentElement.getAttribute("aria-label") + ": " + one + " | " + two));
})"""
COLOURS = """(() => { const text = document.querySelector("#games svg text");
  return [getComputedStyle(document.body).backgroundColor, getComputedStyle(text).fill]; })()"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a small study."""
    folder = tmp_path_factory.mktemp("browser")
    out = folder / "report.html"
    report.main([str(study(folder / "runs")), "--games", "Pong", "Alien", *PROTOCOL, "--out", str(out)])
    return out


class Browser:
    """A headless Chromium with one page; it is emulated at any size, in the light or in the dark."""

    def __init__(self) -> None:
        options = webdriver.ChromeOptions()
        for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
            options.add_argument(flag)
        options.binary_location = CHROMIUM
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))

    def open(self, page: Path, width: int, dark: bool = False) -> None:
        """Show a file and wait until it is loaded."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get(page.absolute().as_uri())

    def value(self, script: str) -> Any:
        """What a JavaScript expression is."""
        return self.driver.execute_script(f"return {script}")

    def said(self) -> list[str]:
        """The messages of the console since the last call, exceptions and loads that failed among them."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requested(self) -> list[str]:
        """Every address that was asked for since the last call."""
        events = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = Browser()
    yield found
    found.driver.quit()


def brightness(colour: str) -> float:
    """Mean of red, green and blue of `rgb(r, g, b)`."""
    return sum(map(float, colour[colour.index("(") + 1 : -1].split(",")[:3])) / 3


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390, 320])
def test_the_page_is_whole_at_any_width(width: int, dark: bool, made: Path, browser: Browser) -> None:
    browser.open(made, width, dark)
    assert browser.said() == []
    requested = browser.requested()
    assert made.absolute().as_uri() in requested
    assert [url for url in requested if not url.startswith(("file:", "data:"))] == []
    assert browser.value("[...document.querySelectorAll('figure')].length") == len(FIGURES)
    assert browser.value(FLAT) == []
    assert browser.value(CUT) == []
    assert browser.value(OVERLAPS) == []
    assert browser.value("document.documentElement.scrollWidth") <= width
    paper, ink = map(brightness, browser.value(COLOURS))
    assert (paper < 60 and ink > 180) if dark else (paper > 200 and ink < 80)


def test_every_number_that_is_shown_is_in_its_file(made: Path, browser: Browser) -> None:
    browser.open(made, 1280)
    for name, rows in browser.value(TABLES).items():
        check(rows, made.parent / "report_files" / name)
    texts = browser.value("[...document.querySelectorAll('#improvement svg text')].map(text => text.textContent.trim())")
    with (made.parent / "report_files/improvement.csv").open() as file:
        chances = sorted(row["probability"] for row in csv.DictReader(file))
    assert sorted(text for text in texts if text.replace(".", "").isdigit()) == chances


def test_the_keyboard_reaches_everything_that_scrolls(made: Path, browser: Browser) -> None:
    browser.open(made, 390)
    wanted = browser.value("[...document.querySelectorAll('a, summary, .panels')].length")
    reached = set()
    for _ in range(wanted + 40):
        webdriver.ActionChains(browser.driver, duration=0).send_keys(TAB).perform()
        reached.add(browser.value("[...document.querySelectorAll('a, summary, .panels')].indexOf(document.activeElement)"))
    assert set(range(wanted)) <= reached, sorted(set(range(wanted)) - reached)


def test_what_is_said_and_asked_for_is_heard(tmp_path: Path, browser: Browser) -> None:
    """The checks above can fail."""
    page = tmp_path / "page.html"
    page.write_text("<img src='nothing.png'><script>console.log('hello'); nobody()</script>")
    browser.said()
    browser.open(page, 1280)
    told = browser.said()
    for part in ("hello", "nobody is not defined", "ERR_FILE_NOT_FOUND"):
        assert any(part in line for line in told), told
    assert any(url.endswith("nothing.png") for url in browser.requested())
