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
EARLIER = "--resets.every 4000 --tortoise.acts --tortoise.decay 0.99"  # the defaults of der_ht when it had ten games


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


def paired(ours: list[float], base: list[float]) -> tuple[float, float, float]:
    """Mean of the differences and its 95 % interval, by Student's t over as many pairs as there are (5, 6 or 10)."""
    differences = [x - y for x, y in zip(ours, base, strict=True)]
    half = {5: 2.7764, 6: 2.5706, 10: 2.2622}[len(differences)] * stdev(differences) / len(differences) ** 0.5
    mean = fmean(differences)
    return mean, mean - half, mean + half


def rows(path: str) -> list[dict[str, str]]:
    """Of a table among the results."""
    with (ROOT / "results" / path).open() as file:
        return list(csv.DictReader(file))


def sentence(start: str) -> str:
    """README's lines from `start` to the next sentence or empty line, without breaks."""
    return re.split(r"[.] (?=[A-Z])", README.split(start)[1].split("\n\n")[0].replace("\n", " "))[0]


def test_readmes_differences_are_those_of_the_results() -> None:
    """Both, in full: against the base of the same commit, and against the later one, as the page's generated line has it."""
    scores: dict[tuple[str, str], dict[str, float]] = {}
    for row in rows("scores.csv"):
        scores.setdefault((row["agent"], row["flags"]), {})[row["game"]] = float(row["hns"])
    ours = scores["der_ht", EARLIER]
    expected = [
        tuple(f"{x:.3f}" for x in paired(list(ours.values()), [scores["der", flags][game] for game in ours]))
        for flags in ("--tortoise.no-warmup-counts", "")
    ]
    number = r"(-?\d+\.\d+)"
    written = rf"{number}(?: with a 95 % interval of)? \[{number}, {number}\]"
    assert re.findall(written, sentence("`der_ht` minus its base")) == expected
    page = (ROOT / "docs/results.md").read_text()
    generated = page.split("<!-- results:")[1].split("<!-- end of results -->")[0]
    assert re.findall(rf"`der_ht [^`]*` - `der`: {written}", generated) == expected[1:]
    assert re.findall(rf"mean difference {written}", page) == expected[:1]


def test_the_six_games_of_der_ht_are_those_of_the_results() -> None:
    """With its defaults: scores, differences, and how plasticity changed."""
    page = (ROOT / "docs/results.md").read_text().split("## `der_ht` with its defaults")[1].split("\n![")[0]
    scores: dict[str, dict[str, dict[str, str]]] = {}
    for row in rows("scores.csv"):
        scores.setdefault(f"{row['agent']} {row['flags']}".strip(), {})[row["game"]] = row
    ours, bases = scores["der_ht"], (scores["der"], scores["der --tortoise.no-warmup-counts"])
    table = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ") and " (0." in line]
    assert [game for game, *_ in table] == sorted(ours)
    for game, *cells in table:
        for cell, agent in zip(cells, (ours, *bases), strict=True):
            assert float(cell.split(" ")[0].replace(",", "")) == pytest.approx(float(agent[game]["score"]), rel=1e-3)
    hns = [[float(agent[game]["hns"]) for game in sorted(ours)] for agent in (ours, *bases)]
    written = re.findall(r"(-?\d\.\d{3}) \[(-?\d\.\d{3}), (-?\d\.\d{3})\]", page)
    assert written == [tuple(f"{x:.3f}" for x in paired(hns[0], base)) for base in hns[1:]]
    at = {
        (row["game"], row["env_step"]): row for row in rows("plasticity.csv") if (row["agent"], row["flags"]) == ("der_ht", "")
    }
    for column, digits in (("dormant", 3), ("srank", 1)):
        mean, low, high = paired(*ends(at, column))
        assert f"by {abs(mean):.{digits}f} ± {(high - low) / 2:.{digits}f}" in page


def ends(of_agent: dict[tuple[str, str], dict[str, str]], column: str) -> tuple[list[float], list[float]]:
    """A measure of each game at env steps 100,000 and 10,000."""
    games = sorted({game for game, _ in of_agent})
    last, first = ([float(of_agent[game, step][column]) for game in games] for step in ("100000", "10000"))
    return last, first


def test_the_changes_of_plasticity_are_those_of_the_results() -> None:
    """From env step 10,000 to 100,000: of dormant units, srank and weights without a gradient."""
    at: dict[tuple[str, str], dict[tuple[str, str], dict[str, str]]] = {}
    for row in rows("plasticity.csv"):
        at.setdefault((row["agent"], row["flags"]), {})[row["game"], row["env_step"]] = row
    page = " ".join((ROOT / "docs/results.md").read_text().split())
    told = page.split("- No loss of plasticity shows")[1].split("All of that")[0]
    for column, digits in (("dormant", 3), ("srank", 1), ("zero_gradients", 3)):
        for agent in (("der", ""), ("der", "--tortoise.no-warmup-counts"), ("der_ht", EARLIER)):
            mean, low, high = paired(*ends(at[agent], column))
            assert f"{(high - low) / 2:.{digits}f}" in told
            assert f"{abs(mean):.{digits}f} ± " in told
    mean, low, high = paired(*ends(at["der", ""], "dormant"))
    assert f"{-mean:.3f} ± {(high - low) / 2:.3f}" in sentence("Nor do these networks lose plasticity")


def test_readmes_points_are_those_of_the_supervised_study() -> None:
    """What a warm start costs against both fresh networks, and what two methods regain, at the last update of each seed."""
    last = {(row["method"], row["seed"]): row for row in rows("supervised/tasks.csv") if row["study"] == "warm_start"}
    accuracy: dict[str, list[float]] = {}
    for method, seed in sorted(last):
        accuracy.setdefault(method, []).append(100 * float(last[method, seed]["test"]))
    expected = [f"{paired(accuracy[method], accuracy['none'])[0]:.1f}" for method in ("fresh", "fresh_ema", "ht", "ema")]
    assert re.findall(r"\d+\.\d+", sentence("In the supervised study")) == expected


def test_readme_counts_bases_and_methods() -> None:
    assert f"with {len(METHODS)} methods against" in README
    assert f"| {len(BASES)} bases, among them" in README
    assert f"| {len(METHODS)}, on each of these agents |" in README
