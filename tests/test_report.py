"""The report: every number comes from its table, nothing from the network, and what is missing is said everywhere."""

import csv
import re
import resource
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from analysis import report
from analysis.draw import page
from analysis.read.published import ALL, published
from envs.games import GAMES
from experiment.command import UserError
from tests.fake_runs import fake_run, leave_out_figures, score_table

ROOT = Path(__file__).parent.parent
PROTOCOL = ["--env-steps", "100", "--episodes", "2"]
STUDY = ["--games", "Pong", "alien", *PROTOCOL]
FIGURES = {"aggregates", "profiles", "improvement", "pairs", "games", "learning", "learning_games", "plasticity", "cost"}
SCORES = {"der": 0.1, "der_ht": 0.4, "random": 0.0}


def study(folder: Path) -> Path:
    """Three agents, two games, four seeds."""
    for agent, level in SCORES.items():
        for game, low, high in (("Pong", -20.7, 14.6), ("Alien", 227.8, 7127.7)):
            for seed in range(4):
                fake_run(folder, agent, game, seed, low + (level + 0.13 * seed**1.5) * (high - low))
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a complete study of two games."""
    folder = tmp_path_factory.mktemp("report")
    out = folder / "report.html"
    report.main([str(study(folder / "runs")), *STUDY, "--out", str(out)])
    return out


class Page(HTMLParser):
    """Cells of each table by its file; tags and what they link to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._rows: list[list[str]] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag == "table":
            self._rows = self.tables[str(dict(attributes)["data-file"])] = []
        elif tag == "tr" and self._rows is not None:
            self._rows.append([])
        elif tag in ("td", "th") and self._rows:
            self._rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self._rows = None

    def handle_data(self, data: str) -> None:
        if self._rows and self._rows[-1]:
            self._rows[-1][-1] += data.strip("\n")


def check(shown: list[list[str]], file: Path) -> None:
    """Every shown row is one of the file, number for number and in order; a short table is shown whole."""
    with file.open() as opened:
        written = iter([[cell for cell in row if cell] for row in csv.reader(opened)][1:])
    rows = [numbers(row) for row in shown]
    for row in rows:
        assert row in written, f"{file.name}: {row} is not in the file, or not in this place"
    assert rows
    assert len(rows) > report.LONG or file.read_text().count("\n") > report.LONG or not list(written)


def numbers(cells: list[str]) -> list[str]:
    """What the cells say, an interval as two more, without the reason why there is none."""
    plain = (cell.removesuffix(" one run, no interval") for cell in cells)
    return [part for cell in plain for part in re.sub(r" \[(.*), (.*)\]$", r"|\1|\2", cell).split("|") if part]


def test_every_number_of_the_page_is_in_its_file(made: Path) -> None:
    found = Page(made.read_text()).tables
    assert {name.removesuffix(".csv") for name in found} == {*FIGURES, "runs"}
    for name, rows in found.items():
        check(rows[1:], made.parent / "report_files" / name)


def test_a_long_table_is_shown_in_part(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "LONG", 100)
    leave_out_figures(monkeypatch)
    report.main([str(made.parent / "runs"), "--games", "Pong", *PROTOCOL, "--out", str(tmp_path / "report.html")])
    found = Page((tmp_path / "report.html").read_text()).tables
    assert {row[3] for row in found["profiles.csv"][1:]} == {"0.250", "0.500", "1.000", "2.000", "4.000"}
    assert [row[:3] for row in found["learning_games.csv"][1:]] == [["Pong", agent, "100"] for agent in SCORES]
    with (tmp_path / "report_files/profiles.csv").open() as file:
        assert [row["agent"] for row in csv.DictReader(file)].count("der") == 65


def test_the_page_needs_nothing_else(made: Path) -> None:
    text = made.read_text()
    assert set(re.findall(r"https?://[^\"' >]*", text)) == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    parsed = Page(text)
    assert not {tag for tag, _ in parsed.tags} & {"script", "img", "iframe", "object"}
    for tag, attributes in parsed.tags:
        if tag == "a":
            link = str(attributes["href"])
            assert link.startswith("#") or (made.parent / link).is_file()
    names = [str(attributes["id"]) for _, attributes in parsed.tags if "id" in attributes]
    assert len(names) == len(set(names))
    assert all(f"#{name}" in text for name in FIGURES)
    assert "--games Pong alien" in text  # the command


def test_every_figure_is_three_files(made: Path) -> None:
    for name in FIGURES:
        path = made.parent / "report_files" / name
        assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in path.with_suffix(".svg").read_text()
        assert path.with_suffix(".csv").read_text().count("\n") > 1


def test_colours_follow_the_page(made: Path) -> None:
    """Figures of the page have no colour of their own: in the dark all of them change."""
    drawn = re.findall(r'aria-label="([^"]*)"><svg(.*?)</svg>', made.read_text(), re.DOTALL)
    assert len(drawn) > 15
    fixed = {
        colour for name, panel in drawn if not name.startswith("Probability") for colour in re.findall(r"#[0-9a-f]{6}\b", panel)
    }
    assert not fixed
    assert "prefers-color-scheme: dark" in page.STYLE.read_text()


def test_the_same_files_give_the_same_report(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the figures three: all are written by one function."""
    leave_out_figures(monkeypatch, *(drawn := {"aggregates", "improvement", "learning"}))
    report.main([str(made.with_name("runs")), *STUDY, "--out", str(out := made.with_name("a.html"))])
    ours, theirs = ({p.name: p.read_bytes() for p in made.with_name(name).iterdir()} for name in ("a_files", "report_files"))
    assert ours.items() <= theirs.items()
    assert theirs.keys() - ours.keys() == {f"{name}.{kind}" for name in FIGURES - drawn for kind in ("svg", "png")}
    pages = made.read_text(), out.read_text().replace("a_files", "report_files").replace("a.html", "report.html")
    sections = zip(*(page.split('<section id="') for page in pages), strict=True)
    assert {one.split('"')[0] for one, two in sections if one != two} == FIGURES - drawn


@pytest.mark.smoke
def test_an_incomplete_study_is_refused_or_told_at_every_figure(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    fake_run(runs, "der", "Pong", 0, -10.0)
    fake_run(runs, "der", "Alien", 0, 900.0)
    fake_run(runs, "der_ht", "Pong", 0, -5.0)
    fake_run(runs, "der_ht", "Alien", 0, finished=False)
    command = [str(runs), "--games", "Pong", "Alien", *PROTOCOL, "--out", str(tmp_path / "report.html")]
    with pytest.raises(UserError, match="1 of 1 runs of der_ht on Alien missing"):
        report.main(command)
    report.main([*command, "--incomplete"])
    text = (tmp_path / "report.html").read_text()
    told = "Incomplete: der_ht has all its runs on 1 of 2 games. Aggregates are over the one game that all agents have, Pong."
    assert text.count("<figure>") == len(FIGURES)
    assert text.count(told) == text.count("Incomplete:") == 1
    assert "1 run is begun and not finished." in text
    for figure in (tmp_path / "report_files").glob("*.svg"):
        assert "Incomplete: der_ht has" in figure.read_text()
    rows = Page(text).tables["missing.csv"][1:]
    assert rows[0] == ["der_ht", "Alien", "1", "not in the files"]
    assert rows[1][3].endswith("der_ht/Alien/seed0 is not finished")


def test_published_runs_are_agents_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, first in (("Dopamine", -9.0), ("DER", -9.5)):
        (tmp_path / f"{name}.json").write_text(f'{{"Pong": [{first}, -8.5, -8.0]}}')
    score_table(tmp_path / "results/scores.csv", [("der", "", "Pong", seed, -10.0) for seed in range(3)])
    command = [str(tmp_path / "results"), "--games", "Pong", *PROTOCOL, "--out", str(tmp_path / "a.html")]
    leave_out_figures(monkeypatch, "ranks")
    report.main([*command, "--per-run", f"Dopamine={tmp_path / 'Dopamine.json'}", "--per-run", f"DER={tmp_path / 'DER.json'}"])
    found = Page((tmp_path / "a.html").read_text()).tables
    assert ["Dopamine", "der", "1", "1.000 [0.438, 1.000]", "runs"] in found["improvement.csv"]
    assert {row[0] for row in found["runs.csv"][1:]} == {"der"}
    check(found["ranks.csv"][1:], tmp_path / "a_files/ranks.csv")
    assert ["der", "Dopamine", "Pong", "1", "-10", "3", "-8.5 [-8.975, -8.025]", "0.000"] in found["ranks.csv"]
    assert (tmp_path / "a_files/ranks.svg").is_file()
    assert [row[2] for row in found["games.csv"] if row[1] == "DER"] == ["run"]  # not the published mean as well
    sources = {row[0]: row[-1] for row in found["aggregates.csv"][1:]}
    assert sources == {"der": "runs of ours", "Dopamine": "published runs, Dopamine.json", "DER": "published runs, DER.json"}
    report.main([*command, "--agents", "der", "--per-run", f"Dopamine={tmp_path / 'Dopamine.json'}"])
    assert "Agents</dt><dd>der, Dopamine<" in (tmp_path / "a.html").read_text()


def test_published_aggregates_stand_beside_whole_benchmarks_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_out_figures(monkeypatch)
    rows = [("der", "", game, 0, GAMES[game].human) for game in GAMES]
    score_table(tmp_path / "results/scores.csv", rows)
    command = [str(tmp_path / "results"), *PROTOCOL, "--out", str(tmp_path / "a.html")]
    report.main(command)
    found = {row[0]: row for row in Page((tmp_path / "a.html").read_text()).tables["aggregates.csv"]}
    assert found["der"][2:8] == ["1 one run, no interval", "26", "1.000", "1.000", "1.000", "0.000"]
    known = published()
    source = known.loc[(known["method"] == "BBF RR2") & (known["game"] == ALL), "source"].iloc[0]
    assert found["BBF RR2"][2:] == ["14", "26", "0.940", "0.755", "2.175", "0.377", source]
    assert found["OTRainbow"][1] == "recalled"


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ([], "is no game of Atari-100k; --games Catch reports it alone"),
        (["--games", "Pnog"], "--games: unknown game 'Pnog'"),
        (["--games", "Catch", "--agents", "derr"], "--agents: there is no run of 'derr'; did you mean der"),
        (["--games", "Catch", "--per-run", "x"], "--per-run must be NAME=FILE"),
        (["--games", "Catch", "--per-run", "der=x"], "--per-run: there is an agent der already"),
        (["--games", "Catch", "--per-run", "x=nowhere"], "nowhere cannot be read: No such file"),
        (["--out", "x.pdf"], "--out must name an .html file"),
        (["--out", "nowhere/x.html"], "there is no folder"),
        (["--env-steps", "many"], "argument --env-steps: invalid int value: 'many'; see --help"),
        (["--color"], "unrecognized arguments: --color; see --help"),
    ],
)
def test_a_command_that_cannot_be_is_one_line(flags: list[str], told: str, tmp_path: Path) -> None:
    fake_run(tmp_path, "der", "Catch", 0, 0.5)
    with pytest.raises(UserError) as error:
        report.main([str(tmp_path), *PROTOCOL, *flags])
    assert told in str(error.value)
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"there is no nowhere$"):
        report.main(["nowhere"])


@pytest.mark.slow
def test_a_whole_study_takes_seconds(tmp_path: Path) -> None:
    """10 agents x 26 games x 10 seeds with 250 games and measurements each: under 30 s of one core, under 1 GB."""
    agents = [f"{base}{method}" for base in ("der", "drq_eps", "spr", "sr_spr", "bbf") for method in ("", "_ht")]
    for level, agent in enumerate(agents):
        for game in GAMES.values():
            for seed in range(10):
                score = game.random + (0.1 * level + 0.01 * seed) * (game.human - game.random)
                fake_run(tmp_path / "runs", agent, game.name, seed, score, log={"rows": 250})
    command = [sys.executable, "-m", "analysis.report", str(tmp_path / "runs"), *PROTOCOL]
    subprocess.run([*command, "--out", str(tmp_path / "report.html")], cwd=ROOT, check=True, timeout=300)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{used.ru_utime + used.ru_stime:.1f} s of processor time, {used.ru_maxrss / 1e6:.2f} GB")
    assert used.ru_utime + used.ru_stime < 30
    assert used.ru_maxrss < 1e6  # kB
