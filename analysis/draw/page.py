"""The page: one HTML file without a script or a link to the network, from the template page.html and page.css."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pandas as pd
from jinja2 import Environment, StrictUndefined

from analysis.compute.rounding import as_text
from analysis.draw.canvas import Panel
from analysis.read.scores import is_number
from analysis.read.settings import printable
from experiment.files import read_text

TEMPLATE, STYLE = (Path(__file__).with_name(f"page.{kind}") for kind in ("html", "css"))
SHORT = 100  # rows; a longer table is closed at first, and not printed
LONG = 500  # rows; a longer table is shown in part, and its file has all


@dataclass(frozen=True)
class Section:
    """A part of the page: `shown` is what the page has of `table`, `key` the SVG of each name in the key to the panels."""

    name: str
    title: str
    words: str
    table: pd.DataFrame
    shown: pd.DataFrame
    panels: Sequence[Panel] = ()
    width: float = 0  # of a panel, in points
    key: Sequence[tuple[str, str]] = ()

    @property
    def files(self) -> list[str]:
        """The names of its files."""
        return [f"{self.name}.{kind}" for kind in (("svg", "png", "csv") if self.panels else ("csv",))]

    @property
    def is_open(self) -> bool:
        """Whether the table can be seen at first."""
        return not self.panels and len(self.shown) <= SHORT

    @property
    def columns(self) -> list[str]:
        """The columns of the page's table: intervals stand in the cells of their numbers."""
        return [name for name in self.shown if not name.endswith(("_low", "_high"))]

    @property
    def rows(self) -> list[list[tuple[str, str]]]:
        """The cells of each row, and what stands beside: an interval, or why there is none."""
        return [[_cell(row, name) for name in self.columns] for row in as_text(self.shown).to_dict("records")]


def _cell(row: dict[str, str], name: str) -> tuple[str, str]:
    low, high = (row.get(f"{name}{end}", "") for end in ("_low", "_high"))
    lows = [row[column] for column in row if column.endswith("_low")]
    if name == "runs" and row[name] == "1" and lows and not any(lows):
        return row[name], "one run, no interval"
    return row[name], f"[{low}, {high}]" if low else ""


def page(sentences: Sequence[str], facts: dict[str, str], sections: Sequence[Section], folder: str) -> str:
    """The whole page: what the numbers say, what it is of, and its parts, whose files lie in `folder` beside it."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    environment.tests["number"] = is_number
    shown = {name: printable(value) for name, value in facts.items()}
    template = environment.from_string(read_text(TEMPLATE))
    return template.render(style=read_text(STYLE), sentences=sentences, facts=shown, sections=sections, folder=quote(folder))
