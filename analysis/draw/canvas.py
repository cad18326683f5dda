"""The look of figures: panels of one size, that a page can put in any number of columns, and styles that need no colour."""

import io
import re
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from experiment.files import write_bytes

INK, MUTED, GRID, PAPER = "#1b1b1b", "#6b6b6b", "#dedede", "#ffffff"
# Okabe and Ito's, made dark enough for white paper (3 to 1); black is ink, and their yellow is left out.
COLOURS = ("#0072b2", "#d55e00", "#00855f", "#b8588f", "#a86f00", "#3d3d3d")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.2, 1.6)), (0, (7, 2, 1.5, 2)))
MARKS = "osD^vPX<>hp*"
VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid", PAPER: "paper", **{c: f"c{i}" for i, c in enumerate(COLOURS)}}

WIDTH, TOP, RIGHT = 300, 24, 12  # points
FOOT, KEY_LINE, KEY_SAMPLE = 26, 15.5, 48  # points: of the note at the foot, of a line of the key, of a line and its mark there
LABEL = 24  # letters in a line of an agent's name
TITLE, TITLE_LINE = 11, 13  # points: the size of a panel's title, and what each line but the first needs
HINTED = 1.06  # how much wider than its outlines a line may be in a PNG
mpl.rcParams |= {
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "text.parse_math": False,  # a label is shown as it is
    "svg.fonttype": "none",  # text stays text
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": TITLE,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titley": 1.0,  # looking for a place costs more than drawing
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.6,
}


@dataclass(frozen=True)
class Style:
    """How an agent is drawn everywhere."""

    colour: str
    dash: Any
    mark: str

    def line(self, x: Sequence[float] = (), y: Sequence[float] = (), **more: Any) -> Line2D:
        """A line of this style."""
        return Line2D(x, y, color=self.colour, linestyle=self.dash, marker=self.mark, markersize=5, **more)


class Panel(NamedTuple):
    """A panel for the page: what it shows, and its SVG, whose colours are variables of the page's style."""

    title: str
    svg: str


def styles(families: dict[str, str]) -> dict[str, Style]:
    """A style for each agent, from agent -> family. Every agent has its own mark, as long as there are any.

    Agents of a family differ in dash, and share a colour where there are more agents than colours.
    """
    few = len(families) <= len(COLOURS)
    hues = {key: COLOURS[i % len(COLOURS)] for i, key in enumerate(families if few else dict.fromkeys(families.values()))}
    seen: dict[str, int] = {}
    looks = {}
    for index, (agent, family) in enumerate(families.items()):
        rank = seen[family] = seen.get(family, -1) + 1
        dash = DASHES[(rank + index // len(MARKS)) % len(DASHES)]  # marks begin again with another dash
        looks[agent] = Style(hues[agent if few else family], dash, MARKS[index % len(MARKS)])
    return looks


class Canvas:
    """Panels in rows of up to three, below the key to their styles.

    Each has `width` x `height` points, with `left` and `bottom` for its labels; they are higher where a title needs more than a
    line. A title that has several already has room for them.
    """

    def __init__(
        self,
        titles: Sequence[str],
        height: float,
        left: float = 52,
        width: float = WIDTH,
        bottom: float = 36,
        key: dict[str, Style] | None = None,
    ) -> None:
        lines = [title if "\n" in title else fitted(title, width - left) for title in titles]
        more = TITLE_LINE * max(line.count("\n") - title.count("\n") for title, line in zip(titles, lines, strict=True))
        height, top = height + more, TOP + more
        self.titles, self.width, self.height, self.key = list(titles), width, height, key or {}
        self.columns = 2 if len(titles) == 4 else min(3, len(titles))
        rows = -(-len(titles) // self.columns)
        across = self.columns * width
        key_lines = [wrapped(name, 60).split("\n") for name in self.key]
        longest = max((len(line) for lines_of_one in key_lines for line in lines_of_one), default=0)
        in_a_row = max(1, int(across // (KEY_SAMPLE + 6.2 * longest + 16)))
        columns = np.array_split(list(map(len, key_lines)), in_a_row)  # as matplotlib fills them
        self.head = KEY_LINE * max(map(sum, columns)) + 10 if self.key else 0
        self.size = (across, rows * height + self.head + FOOT)
        self.figure = Figure(figsize=(self.size[0] / 72, self.size[1] / 72))
        self.panels = []
        for index, title in enumerate(lines):
            x, y = self.corner(index)
            panel = self.figure.add_axes(self.share(x + left, y + bottom, width - left - RIGHT, height - top - bottom))
            panel.set_title(title)
            panel.xaxis.set_label_coords(0.5, (11 - bottom) / (height - top - bottom))
            panel.yaxis.set_label_coords(-36 / (width - left - RIGHT), 0.5)
            panel.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
            self.panels.append(panel)
        if self.key:
            self._write_key(in_a_row)

    def corner(self, index: int) -> tuple[float, float]:
        """Left and lower edge of a panel, in points from the lower left corner of the figure."""
        row, column = divmod(index, self.columns)
        return column * self.width, self.size[1] - self.head - (row + 1) * self.height

    def share(self, x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
        """A box in points as shares of the figure."""
        return x / self.size[0], y / self.size[1], width / self.size[0], height / self.size[1]

    def _write_key(self, columns: int) -> None:
        lines = [style.line() for style in self.key.values()]
        names = [wrapped(name, 60) for name in self.key]
        place = {"loc": "upper left", "borderpad": 0.4, "borderaxespad": 0, "handlelength": 3.4, "frameon": False}
        room = (self.size[0] / columns - KEY_SAMPLE - 16) * self.figure.dpi / 72
        for text in self.figure.legend(lines, names, ncols=columns, **place).get_texts():
            with quiet():
                text.set_fontsize(text.get_fontsize() * min(1, room / text.get_window_extent().width))

    def save(self, path: Path, note: str) -> list[Panel]:
        """Write `path`.svg and `path`.png with `note` at the foot; the panels for a page."""
        for index, panel in enumerate(self.panels):
            self._keep_label(panel, self.corner(index)[0])
        width = round(self.size[0] / 5)
        footnote = self.figure.text(0.01, 6 / self.size[1], textwrap.fill(note, width), fontsize=8.5, color=MUTED, va="bottom")
        drawn = io.BytesIO()
        with quiet():
            self.figure.savefig(drawn, format="png", dpi=110, facecolor=PAPER, metadata={"Software": None})
        write_bytes(path.with_suffix(".png"), drawn.getvalue())
        write_bytes(path.with_suffix(".svg"), svg(self.figure, path.name, facecolor=PAPER).encode())
        for artist in (footnote, *self.figure.legends, *self.panels):
            artist.set_visible(False)
        return [
            Panel(self.titles[index].replace("\n", ", "), self._panel(index, path.name)) for index in range(len(self.panels))
        ]

    def _keep_label(self, panel: Axes, edge: float) -> None:
        """Move the label below `panel`, whose left edge is at `edge`, to the left if it would end beyond the right edge."""
        label, box = panel.xaxis.label, panel.get_position()
        left, width = box.x0 * self.size[0] - edge, box.width * self.size[0]
        last = self.width - extent(label.get_text(), label.get_fontsize()) / 2
        label.set_x(min(0.5, (last - left) / width))

    def _panel(self, index: int, name: str) -> str:
        x, y = self.corner(index)
        self.panels[index].set_visible(True)
        box = Bbox.from_bounds(x / 72, y / 72, self.width / 72, self.height / 72)
        drawn = svg(self.figure, f"{name} {index}", bbox_inches=box, transparent=True)
        self.panels[index].set_visible(False)
        return for_page(drawn)


def svg(figure: Figure, salt: str, **flags: Any) -> str:
    """The figure as matplotlib writes it; `salt` decides the names of its parts: the same figure gives the same file."""
    drawn = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": salt}), quiet():
        figure.savefig(drawn, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")), **flags)
    return drawn.getvalue().decode()


def for_page(text: str) -> str:
    """An SVG for within a page: its element alone, colours as variables, and no name for groups, to which nothing refers."""
    text = re.sub(r'<g id="[^"]*"', "<g", text[text.index("<svg") :])
    return re.sub("|".join(VARIABLES), lambda match: f"var(--{VARIABLES[match[0]]})", text)


def sample(style: Style, salt: str) -> str:
    """A line and its mark, for the page's key."""
    figure = Figure(figsize=(34 / 72, 12 / 72))
    figure.add_artist(style.line((0, 0.5, 1), (0.5, 0.5, 0.5), markevery=[1]))
    return for_page(svg(figure, salt, transparent=True))


@contextmanager
def quiet() -> Iterator[None]:
    """Within, nothing is said of a letter that the font has not: the SVG has it, the PNG a box."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        yield


def wrapped(name: str, letters: int = LABEL) -> str:
    """A long name in several lines."""
    return "\n".join(textwrap.wrap(name, letters))


def fitted(title: str, room: float, size: float = TITLE) -> str:
    """A title in as many lines as it needs to take no more than `room` points, in bold letters of `size` points."""
    letters = max(1, len(title))
    while letters > 1 and extent(wrapped(title, letters), size, "bold") > room:
        letters -= 1
    return wrapped(title, letters)


def extent(text: str, size: float, weight: str = "normal") -> float:
    """Points that the longest line of `text` takes."""
    font = FontProperties(family=mpl.rcParams["font.family"], size=size, weight=weight)
    with quiet():
        return HINTED * max(text_to_path.get_text_width_height_descent(line, font, False)[0] for line in text.split("\n"))


def margin(names: Sequence[str]) -> float:
    """Points that the longest line of `names` needs at the left of a panel, and a mark of the axis beside it."""
    lines = [line for name in names for line in name.split("\n")]
    return max(16 + 5.6 * max(map(len, lines), default=0), *(10 + extent(line, 9) for line in lines), 0)
