"""The page of results are those of the committed report, and the report is that of the committed runs."""

import json
import os
from pathlib import Path

import pytest

from analysis import report, summary
from envs.games import GAMES
from experiment.command import UserError
from tests.fake_runs import leave_out_figures, score_table

ROOT = Path(__file__).parent.parent
FILES = os.environ.get("ATARI_100K_SCORES")  # a folder of published scores
PUBLISHED = {"DER": "atari_100k_DER.json", "CURL": "atari_100k_CURL_10_evals.json"}  # which the committed report is beside
PROTOCOL = ["--env-steps", "100", "--episodes", "2"]


@pytest.fixture(autouse=True)
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_out_figures(monkeypatch)


def reported(tmp_path: Path, flags: list[str], scores: dict[str, tuple[float, float]]) -> Path:
    """The folder of a report of `scores`, agent -> hns on Alien and Pong, one seed."""
    games = GAMES["Alien"], GAMES["Pong"]
    rows = [
        (agent, "", game.name, 0, game.random + hns * (game.human - game.random))
        for agent, both in scores.items()
        for game, hns in zip(games, both, strict=True)
    ]
    score_table(tmp_path / "results/scores.csv", rows)
    report.main([str(tmp_path / "results"), "--games", "Alien", "Pong", *PROTOCOL, *flags, "--out", str(tmp_path / "r.html")])
    return tmp_path / "r_files"


def test_the_table_by_hand(tmp_path: Path) -> None:
    published = {"Alien": [100.0, 200.0, 1000.0, 3000.0], "Pong": [-21.0, -20.0, -21.0, -20.0]}
    (tmp_path / "DER.json").write_text(json.dumps(published))
    flags = ["--per-run", f"Dopamine={tmp_path / 'DER.json'}"]
    folder = reported(tmp_path, flags, {"der": (0.1, 0.0), "der_ht": (0.3, 0.5)})
    lines = summary.summary(folder).splitlines()
    assert lines[0] == "| game | `der` | `der_ht` | Dopamine: median, 95 % of its runs | DER (authors) |"
    # 227.8 + .1 x 6899.9 = 917.79, above 2 of 4; 2297.8, above 3 of 4; -20.7 above 1 of 2; -3.05 above both
    assert lines[2] == "| Alien | 917.8 (0.50) | 2,298 (0.75) | 600 [107.5, 2,850] | 739.9 |"
    assert lines[3] == "| Pong | -20.7 (0.50) | -3.05 (1.00) | -20.5 [-21, -20] | -19.3 |"
    assert lines[4].startswith("| IQM of 2 games, hns | 0.05 | 0.4 | ")  # two scores: their middle half is their mean
    assert lines[5].startswith("| mean of 2 games, hns | 0.05 | 0.4 | ")
    assert lines[6] == "| mean share of Dopamine's runs below ours | 0.50 | 0.88 |  |  |"
    told = "`der_ht` - `der`: 0.35 human-normalised, mean of 2 pairs, better in 2; probability of improvement 1"
    assert lines[8] == f"{told}."


def test_several_published_agents_stand_side_by_side(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"Alien": [100.0, 200.0, 1000.0, 3000.0], "Pong": [-21.0, -20.0] * 2}))
    (tmp_path / "b.json").write_text(json.dumps({"Alien": [900.0, 910.0]}))
    flags = ["--per-run", f"A={tmp_path / 'a.json'}", "--per-run", f"B={tmp_path / 'b.json'}", "--incomplete"]
    lines = summary.summary(reported(tmp_path, flags, {"der": (0.1, 0.0), "der_ht": (0.3, 0.5)})).splitlines()
    assert lines[0] == "| game | `der` | `der_ht` | A: median, 95 % of its runs | B: median, 95 % of its runs | DER (authors) |"
    assert lines[2] == "| Alien | 917.8 (0.50, 1.00) | 2,298 (0.75, 1.00) | 600 [107.5, 2,850] | 905 [900.2, 909.8] | 739.9 |"
    assert lines[3] == "| Pong | -20.7 (0.50, -) | -3.05 (1.00, -) | -20.5 [-21, -20] |  | -19.3 |"
    assert lines[6] == "| mean share of A's runs below ours | 0.50 | 0.88 |  |  |  |"
    assert lines[7] == "| mean share of B's runs below ours | 1.00 | 1.00 |  |  |  |"


def test_published_runs_of_other_games_leave_cells_empty(tmp_path: Path) -> None:
    score_table(tmp_path / "results/scores.csv", [("der", "", "Alien", 0, 500.0), ("spr", "", "Pong", 0, -20.0)])
    (tmp_path / "a.json").write_text(json.dumps({"Alien": [100.0, 900.0]}))
    (tmp_path / "b.json").write_text(json.dumps({"Pong": [-21.0, -19.0]}))
    flags = ["--per-run", f"A={tmp_path / 'a.json'}", "--per-run", f"B={tmp_path / 'b.json'}", "--incomplete", *PROTOCOL]
    report.main([str(tmp_path / "results"), "--games", "Alien", "Pong", *flags, "--out", str(tmp_path / "r.html")])
    lines = summary.summary(tmp_path / "r_files").splitlines()
    assert lines[2:] == [
        "| Alien | 500 (0.50, -) |  | 500 [120, 880] |  | 739.9 |",
        "| Pong |  | -20 (-, 0.50) |  | -20 [-20.95, -19.05] | -19.3 |",
        "| IQM of 0 games, hns |  |  |  |  |  |",
        "| mean of 0 games, hns |  |  |  |  |  |",
        "| mean share of A's runs below ours | 0.50 | - |  |  |  |",
        "| mean share of B's runs below ours | - | 0.50 |  |  |  |",
    ]


def test_a_name_with_a_bar_is_one_cell(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"Alien": [100.0, 200.0], "Pong": [-21.0, -20.0]}))
    folder = reported(tmp_path, ["--per-run", f"A|B={tmp_path / 'a.json'}"], {"der": (0.1, 0.0)})
    lines = summary.summary(folder).splitlines()
    assert lines[0] == "| game | `der` | A\\|B: median, 95 % of its runs | DER (authors) |"
    assert "mean share of A\\|B's runs below ours" in lines[6]


def test_it_goes_between_the_marks_alone(tmp_path: Path) -> None:
    text = f"before\n{summary.BEGIN}\nold\n{summary.END}\nafter\n"
    assert summary.inserted(text, "new") == text.replace("old", "new")
    with pytest.raises(UserError, match="once each"):
        summary.inserted("no marks", "new")


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no .*games.csv; analysis.report writes it"):
        summary.main([str(tmp_path)])
    with pytest.raises(UserError, match="without --per-run"):
        summary.main([str(reported(tmp_path, [], {"der": (0.1, 0.0)}))])


def test_the_page_says_what_the_committed_report_says() -> None:
    text = (ROOT / "docs/results.md").read_text()
    assert summary.inserted(text, summary.summary(ROOT / "results/report_files")) == text


def test_the_committed_report_is_of_the_committed_runs(tmp_path: Path) -> None:
    """Made anew from results/ it has the same numbers; of the published runs, if they are at hand, else of ours."""
    folder = ROOT / "results/report_files"
    ranks = summary.read(folder / "ranks.csv")
    ours, games = list(ranks["agent"].unique()), summary.read(folder / "games.csv")["game"].unique()
    command = [str(ROOT / "results"), "--incomplete", "--agents", *ours, "--games", *games]
    if FILES is not None:
        for name in ranks["published"].unique():
            command += ["--per-run", f"{name}={FILES}/rl_with_resets/{PUBLISHED[name]}"]
    report.main([*command, "--out", str(tmp_path / "report.html")])
    for path in sorted(folder.glob("*.csv")):
        again, committed = (summary.read(place / path.name).to_dict("records") for place in (tmp_path / "report_files", folder))
        if FILES is None:  # `over` is the other of two agents
            again, committed = ([row for row in rows if ours_alone(row, ours)] for rows in (again, committed))
        assert again == committed, path.name


def ours_alone(row: dict[str, str], ours: list[str]) -> bool:
    """Whether the published runs have no part in it."""
    return "published" not in row and {row.get("agent", ours[0]), row.get("over", ours[0])} <= set(ours)


def test_a_report_among_the_results_is_not_read_as_results(tmp_path: Path) -> None:
    results = tmp_path / "results"
    score_table(results / "scores.csv", [("der", "", "Pong", 0, -1 / 3)])  # which a report rounds
    command = [str(results), "--games", "Pong", *PROTOCOL, "--out", str(results / "report.html")]
    report.main(command)
    first = (results / "report_files/runs.csv").read_text()
    report.main(command)
    assert (results / "report_files/runs.csv").read_text() == first
    (results / "report.html").unlink()  # the page may be elsewhere
    report.main(command)
    for name in ("aggregates.csv", "SHA256SUMS"):
        (results / "report_files" / name).unlink()  # then they are tables like others
    with pytest.raises(UserError, match="is not that of score"):
        report.main(command)
