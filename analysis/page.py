"""The page: one HTML file without a script or a link to the network."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from analysis.labels import printable
from analysis.tables import Table
from experiment.files import read_text

STYLE = Path(__file__).with_name("page.css")
SHORT = 100  # rows; a longer table is closed at first, and not printed
LONG = 500  # rows; a longer table is shown in part, and its file has all


@dataclass(frozen=True)
class Section:
    """A part of the page: `panels` are SVG elements, `shown` what its table shows of `table`, `absent` why it is empty."""

    name: str
    title: str
    words: str
    table: Table
    panels: Sequence[str] = ()
    width: float = 0  # of a panel, in points
    shown: Table | None = None
    absent: str = ""


def page(facts: dict[str, str], note: str, sections: Sequence[Section], folder: str) -> str:
    """The whole page; figures and tables lie in `folder` beside it."""
    links = "".join(f'<li><a href="#{part.name}">{escape(part.title)}</a></li>' for part in sections)
    told = "".join(f"<dt>{escape(name)}</dt><dd>{escape(printable(value))}</dd>" for name, value in facts.items())
    warning = f'<p class="note">{escape(note)}</p>' if note else ""
    body = "\n".join(_section(part, note, folder) for part in sections)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>Atari-100k report</title>
<style>
{read_text(STYLE)}</style>
</head>
<body>
<h1>Atari-100k report</h1>
{warning}
<dl>{told}</dl>
<nav aria-label="Sections"><ul>{links}</ul></nav>
<main>
{body}
</main>
</body>
</html>
"""


def _section(part: Section, note: str, folder: str) -> str:
    head = f'<section id="{part.name}">\n<h2>{escape(part.title)}</h2>'
    if part.absent:
        return f"{head}\n<p>{escape(part.absent)}</p>\n</section>"
    shown = part.shown or part.table
    parts = [head, f"<p>{escape(part.words)}</p>"]
    endings = ["csv"]
    if part.panels:
        endings = ["svg", "png", "csv"]
        fixed = " fixed" if len(part.panels) == 1 else ""
        drawn = "\n".join(part.panels)
        region = (
            f'class="panels{fixed}" style="--width: {part.width:g}" tabindex="0" role="group" aria-label="{escape(part.title)}"'
        )
        caption = f'<figcaption class="note">{escape(note)}</figcaption>' if note else ""
        parts.append(f"<figure>\n<div {region}>\n{drawn}\n</div>\n{caption}</figure>")
    files = ", ".join(f'<a href="{escape(quote(folder))}/{part.name}.{ending}">{part.name}.{ending}</a>' for ending in endings)
    all_rows = (
        f"{len(part.table.rows):,} rows" if shown is part.table else f"{len(shown.rows):,} of {len(part.table.rows):,} rows"
    )
    opened = " open" if not part.panels and len(shown.rows) <= SHORT else ""
    parts.append(f"<details{opened}><summary>Table, {all_rows}</summary>{_table(shown, part)}</details>")
    parts.append(f'<p class="files">Files: {files}</p>\n</section>')
    return "\n".join(parts)


def _table(shown: Table, part: Section) -> str:
    """The table with an interval in the cell of its value."""
    columns = [name for name in shown.columns if not name.endswith(("_low", "_high"))]
    head = "".join(f'<th scope="col">{escape(name.replace("_", " "))}</th>' for name in columns)
    rows = []
    for row in shown.where():
        cells = []
        for name in columns:
            value, low, high = (row.get(f"{name}{end}", "") for end in ("", "_low", "_high"))
            band = f" <small>[{low}, {high}]</small>" if low else ""
            kind = ' class="n"' if _is_number(value) else ' class="long"' if len(value) > 40 else ""
            cells.append(f"<td{kind}>{escape(value)}{band}</td>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    region = f'class="table" tabindex="0" role="region" aria-label="{escape(part.title)}, table"'
    inner = f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'<div {region}><table data-file="{part.name}.csv">{inner}</table></div>'


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
