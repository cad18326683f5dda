"""README is short, and what README and the pages link to exists."""

import csv
import re
from pathlib import Path
from statistics import fmean, stdev

import pytest

from agents.bases import BASES
from agents.catalogue import METHODS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text()


def test_readme_is_short() -> None:
    assert len(README.encode()) <= 10_000


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    headings = {
        re.sub(r"[^\w -]", "", line.lstrip("# ")).lower().replace(" ", "-")
        for line in text.splitlines()
        if line.startswith("#")
    }
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if link.startswith("#"):
            assert link[1:] in headings, link
        elif not link.startswith("https://"):
            assert (page.parent / link.split("#")[0]).exists(), link


def test_every_page_is_linked_from_another() -> None:
    linked = {Path(link.split("#")[0]).name for page in PAGES for link in re.findall(r"\]\(([^)]+)\)", page.read_text())}
    assert {page.name for page in PAGES[1:]} <= linked


def test_readme_names_every_base_and_method() -> None:
    section = README.split("## Agents and methods")[1].split("\n## ")[0]
    names = set(re.findall(r"`(\w+)`", section))
    assert {*BASES, *METHODS} <= names


def test_readmes_scores_are_those_of_the_results() -> None:
    table = README.split("| agent | IQM | runs |")[1].split("\n\n")[0]
    (row,) = (line for line in (ROOT / "docs/results.md").read_text().splitlines() if line.startswith("| IQM of 10 games"))
    cells = [line.split("|")[2].strip() for line in table.splitlines() if "`der" in line or "published" in line]
    assert len(cells) == 5
    assert all(f"| {cell} |" in row for cell in cells)


def test_readmes_differences_are_those_of_the_results() -> None:
    """Each by Student's t over ten pairs, from the table of scores."""
    scores: dict[tuple[str, str], dict[str, float]] = {}
    with (ROOT / "results/scores.csv").open() as file:
        for row in csv.DictReader(file):
            scores.setdefault((row["agent"], row["flags"]), {})[row["game"]] = float(row["hns"])
    for flags in ("", "--tortoise.no-warmup-counts"):
        base, ours = scores["der", flags], scores["der_ht", ""]
        differences = [ours[game] - base[game] for game in ours]
        assert len(differences) == 10
        mean, half = fmean(differences), 2.262 * stdev(differences) / 10**0.5
        assert f"{mean:.3f}" in README
        assert f"[{mean - half:.3f}, {mean + half:.3f}]" in README
