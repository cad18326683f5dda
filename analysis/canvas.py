"""The look of figures: panels of one size, that a page can put in any number of columns, and styles that need no colour."""

import io
import re
import textwrap
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiment.files import write_bytes

INK, MUTED, GRID, PAPER = "#1b1b1b", "#6b6b6b", "#dedede", "#ffffff"
# Okabe and Ito's, made dark enough for white paper (3 to 1); black is ink, and their yellow is left out.
COLOURS = ("#0072b2", "#d55e00", "#00855f", "#b8588f", "#a86f00", "#3d3d3d")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.2, 1.6)), (0, (7, 2, 1.5, 2)))
MARKS = "osD^vPX<>hp*"
VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid", PAPER: "paper", **{c: f"c{i}" for i, c in enumerate(COLOURS)}}

WIDTH, TOP, RIGHT, BOTTOM = 300, 24, 12, 36  # points
KEY_LINE = 15.5  # points of a line of the key
KEY_LEFT, KEY_SAMPLE = 16, 42  # points at the left of the key, and of a line and its mark
LABEL, KEY_LABEL = 24, 34  # letters in a line of an agent's name
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
    "axes.titlesize": 11,
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

SVG = "http://www.w3.org/2000/svg"
ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")


@dataclass(frozen=True)
class Style:
    """How an agent is drawn everywhere: agents that differ in Hare & Tortoise or in flags share a colour and differ in dash."""

    colour: str
    dash: Any
    mark: str


def styles(families: dict[str, str]) -> dict[str, Style]:
    """A style for each agent, from agent -> family. Every agent has its own mark, as long as there are any."""
    colours = {family: COLOURS[index % len(COLOURS)] for index, family in enumerate(dict.fromkeys(families.values()))}
    seen: dict[str, int] = {}
    found = {}
    for index, (agent, family) in enumerate(families.items()):
        rank = seen[family] = seen.get(family, -1) + 1
        dash = DASHES[(rank + index // len(MARKS)) % len(DASHES)]  # marks begin again with another dash
        found[agent] = Style(colours[family], dash, MARKS[index % len(MARKS)])
    return found


class Canvas:
    """Panels in rows of `columns`, each `width` x `height` points with `left` for its labels; the first may be the key."""

    def __init__(self, titles: Sequence[str], height: float, left: float = 52, columns: int = 4, width: float = WIDTH) -> None:
        self.titles = list(titles)
        columns = min(columns, len(titles))
        rows = -(-len(titles) // columns)
        self.cell, self.foot = (width, height), 26
        self.size = (columns * width, rows * height + self.foot)
        self.key_height = height
        self.figure = Figure(figsize=(self.size[0] / 72, self.size[1] / 72))
        FigureCanvasAgg(self.figure)
        self.panels = []
        for index, title in enumerate(titles):
            x, y = self.corner(index)
            box = (x + left, self.size[1] - y - height + BOTTOM, width - left - RIGHT, height - TOP - BOTTOM)
            across, up = self.size
            panel = self.figure.add_axes((box[0] / across, box[1] / up, box[2] / across, box[3] / up))
            panel.set_gid(f"panel-{index}")
            panel.set_title(title)
            panel.xaxis.set_label_coords(0.5, -25 / box[3])
            panel.yaxis.set_label_coords(-36 / box[2], 0.5)
            self.panels.append(panel)

    def corner(self, index: int) -> tuple[float, float]:
        """Left and upper edge of a panel, in points from the upper left corner of the figure."""
        columns = round(self.size[0] / self.cell[0])
        return index % columns * self.cell[0], index // columns * self.cell[1]

    def key(self, looks: dict[str, Style]) -> None:
        """Make the first panel the key to all; it needs no place for labels at its left, and long names are written smaller."""
        lines = [Line2D([], [], color=s.colour, linestyle=s.dash, marker=s.mark, markersize=5) for s in looks.values()]
        self.panels[0].axis("off")
        names = [wrapped(name, KEY_LABEL) for name in looks]
        place = {"loc": "upper left", "borderpad": 0, "borderaxespad": 0, "handlelength": 3.4}
        box, across = self.panels[0].get_position(), self.size[0]
        self.panels[0].set_position((KEY_LEFT / across, box.y0, (self.cell[0] - KEY_LEFT - RIGHT) / across, box.height))
        room = (self.cell[0] - KEY_LEFT - KEY_SAMPLE - RIGHT) * self.figure.dpi / 72
        for text in self.panels[0].legend(lines, names, frameon=False, **place).get_texts():
            with quiet():
                text.set_fontsize(text.get_fontsize() * min(1, room / text.get_window_extent().width))
        self.key_height = key_height(looks)

    def save(self, path: Path, note: str) -> list[str]:
        """Write `path`.svg and `path`.png with `note` at the foot; the panels as SVG elements for a page, one each."""
        width = round(self.size[0] / 5)
        self.figure.text(0.01, 6 / self.size[1], textwrap.fill(note, width), fontsize=8.5, color=MUTED, va="bottom")
        held, drawn = io.BytesIO(), io.BytesIO()
        with mpl.rc_context({"svg.hashsalt": path.name}), quiet():  # the same tables give the same file
            self.figure.savefig(held, format="svg", facecolor=PAPER, metadata={"Date": None, "Creator": None})
            self.figure.savefig(drawn, format="png", dpi=110, facecolor=PAPER, metadata={"Software": None})
        write_bytes(path.with_suffix(".png"), drawn.getvalue())
        write_bytes(path.with_suffix(".svg"), held.getvalue())
        return self._split(held.getvalue(), path.name)

    def _split(self, svg: bytes, name: str) -> list[str]:
        """Each panel of the figure as an SVG element of its own, its colours as variables of the page's style."""
        root = ElementTree.fromstring(svg)
        groups = {element.get("id"): element for element in root.iter(f"{{{SVG}}}g")}
        clips = [element for element in root if element.tag == f"{{{SVG}}}defs"]
        found = []
        for index, title in enumerate(self.titles):
            x, y = self.corner(index)
            group = groups[f"panel-{index}"]
            for element in group.iter(f"{{{SVG}}}g"):
                element.attrib.pop("id", None)  # they repeat between figures, and nothing refers to them
            width, height = self.cell[0], self.key_height if index == 0 else self.cell[1]
            label = title.replace("\n", ", ") or "key"
            panel = ElementTree.Element(f"{{{SVG}}}svg", viewBox=f"{x:g} {y:g} {width:g} {height:g}", role="img")
            panel.set("aria-label", f"{name.replace('_', ' ')}: {label}")
            panel.extend([group] if index else [*clips, group])
            written = ElementTree.tostring(panel, encoding="unicode")
            found.append(re.sub("|".join(VARIABLES), lambda match: f"var(--{VARIABLES[match[0]]})", written))
        return found


@contextmanager
def quiet() -> Iterator[None]:
    """Within, nothing is said of a letter that the font has not: the SVG has it, the PNG a box."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        yield


def key_height(agents: Iterable[str]) -> float:
    """Points that the key to `agents` needs."""
    return TOP + KEY_LINE * sum(wrapped(name, KEY_LABEL).count("\n") + 1 for name in agents)


def wrapped(name: str, letters: int = LABEL) -> str:
    """A long name in several lines."""
    return "\n".join(textwrap.wrap(name, letters))


def margin(names: Sequence[str]) -> float:
    """Points that the longest line of `names` needs at the left of a panel."""
    return 16 + 6 * max((len(line) for name in names for line in wrapped(name).split("\n")), default=0)
