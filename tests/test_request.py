"""What a report is asked for, and what it says of what it left out."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from analysis import report
from analysis.request import answer, read_command_line
from analysis.summary import read
from experiment.command import UserError
from tests.fake_runs import fake_run, leave_out_figures, score_table
from tests.test_report import PROTOCOL, Page

ROOT = Path(__file__).parent.parent


def test_unfinished_runs_are_of_what_is_asked_for(tmp_path: Path) -> None:
    for agent in ("der", "spr"):
        fake_run(tmp_path, agent, "Pong", 0, -10.0)
        for game in ("Pong", "Alien"):
            fake_run(tmp_path, agent, game, 1, finished=False)
    fake_run(tmp_path, "der", "Pong", 2, finished=False, config={"tortoise": {"decay": 0.5}})
    fake_run(tmp_path, "der", "Pong", 3, finished=False)
    (tmp_path / "der/Pong/seed3/config.json").write_text("{")
    asked = read_command_line([str(tmp_path), *PROTOCOL, "--games", "Pong", "--agents", "der"], None)
    found = [(label, game, why.removeprefix(f"{tmp_path}/")) for label, game, why in answer(asked).unfinished]
    damaged = "der/Pong/seed3/config.json is no JSON (line 1: Expecting property name enclosed in double quotes)"
    assert found == [
        ("der", "Pong", "der/Pong/seed1 is not finished"),
        ("", "", f"{damaged}; is it half-written?"),  # whose it is nobody knows
    ]
    asked = read_command_line([str(tmp_path), *PROTOCOL, "--games", "Pong"], None)
    assert [label for label, _, _ in answer(asked).unfinished] == ["der", "der --tortoise.decay 0.5", "", "spr"]


def test_a_run_that_diverged_is_told_from_one_that_may_go_on(tmp_path: Path) -> None:
    fake_run(tmp_path, "der", "Pong", 0, -10.0)
    with (fake_run(tmp_path, "der", "Pong", 1, finished=False) / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"kind": "diverged", "env_step": 100, "update": 1234}) + "\n")
    asked = read_command_line([str(tmp_path), *PROTOCOL, "--games", "Pong"], None)
    told = f"{tmp_path}/der/Pong/seed1 diverged: the loss of update 1,234 was not finite"
    assert answer(asked).unfinished == [("der", "Pong", told)]


def test_what_was_left_out_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """On the error stream, and on the page; published runs are said to be of no protocol."""
    leave_out_figures(monkeypatch)
    score_table(tmp_path / "results/scores.csv", [("der", "", "Pong", 0, -10.0)])
    (tmp_path / "results/notes.csv").write_text("a,b\n")
    (tmp_path / "bbf.csv").write_text("game,score\npong,19\npong,20\nzaxxon,3\n")
    command = [str(tmp_path / "results"), "--games", "Pong", *PROTOCOL, "--out", str(tmp_path / "a.html")]
    report.main([*command, "--per-run", f"BBF={tmp_path}/bbf.csv", "--incomplete"])
    notes = [
        f"not taken: {tmp_path}/results/notes.csv (is no table of runs)",
        f"{tmp_path}/bbf.csv: left out, as no games of Atari-100k: zaxxon",
    ]
    assert capsys.readouterr().err.splitlines() == notes
    text = (tmp_path / "a.html").read_text()
    assert f"<dt>Notes</dt><dd>{'; '.join(notes)}</dd>" in text
    assert "no sticky actions; of published runs their files do not tell it</dd>" in text


LABELS = {
    r"$\frac{$": r"$\frac{$",
    "$x$ & <b>": "$x$ & <b>",
    "a\x01b\x1b[0m": "a\ufffdb\ufffd[0m",
    "half\udcff": "half\ufffd",
    "größe": "größe",
    "兔": "兔",
}


def test_labels_are_shown_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signs that a formula, XML or UTF-8 cannot have kill no figure; what cannot be shown is replaced."""
    table = score_table(tmp_path / "results/scores.csv", [("der", "--a $_^{", "Pong", 0, -10.0), ("der", "", "Pong", 0, -9.0)])
    table.write_text(table.read_text().replace("CPU, 1 threads", "C\x02PU $\\alpha"))
    (tmp_path / "one.csv").write_text("pong,19\n")
    leave_out_figures(monkeypatch, "aggregates", "cost")
    more = [flag for label in LABELS for flag in ("--per-run", f"{label}={tmp_path}/one.csv")]
    report.main([str(tmp_path / "results"), "--games", "Pong", *PROTOCOL, *more, "--out", str(tmp_path / "a.html")])
    labels = {*LABELS.values(), "der", "der --a $_^{"}
    rows = read(tmp_path / "a_files/aggregates.csv")
    assert set(rows["agent"]) == labels
    assert {row[0] for row in Page((tmp_path / "a.html").read_text()).tables["aggregates.csv"][1:]} == labels
    for name, expected in (("aggregates", labels), ("cost", {"der (C\ufffdPU $\\alpha)"})):
        drawn = ElementTree.parse(tmp_path / f"a_files/{name}.svg").getroot()
        texts = {"".join(element.itertext()).strip() for element in drawn.iter("{http://www.w3.org/2000/svg}text")}
        assert expected <= texts


# What `python -m analysis.report ...` and others would do, in one process and with one figure.
ONE_AFTER_THE_OTHER = """
import importlib, json, sys
from experiment.command import run
from analysis import report
report.PARTS = {n: (title, words, draw if n == "aggregates" else None) for n, (title, words, draw) in report.PARTS.items()}
def all(argv):
    for name, *flags in json.loads(argv[0]):
        importlib.import_module(f"analysis.{name}").main(flags)
run(all)
"""


def test_a_locale_that_is_not_utf_8_changes_nothing(tmp_path: Path) -> None:
    score_table(tmp_path / "results/scores.csv", [("der", "", "Pong", 0, -10.0)])
    (tmp_path / "one.csv").write_text("pong,19\n")
    (tmp_path / "into.md").write_text(
        "ü\n<!-- results: python -m analysis.summary results/report_files --into docs/results.md -->\n"
    )
    with (tmp_path / "into.md").open("a") as file:
        file.write("<!-- end of results -->\n")
    where = {**os.environ, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    command = [str(tmp_path / "results"), "--games", "Pong", *PROTOCOL, "--per-run", f"größe={tmp_path}/one.csv"]
    lines = [
        ["report", *command, "--out", str(tmp_path / "a.html")],
        ["summary", str(tmp_path / "a_files"), "--into", str(tmp_path / "into.md")],
        ["random_policy", "results/random/scores.csv"],
    ]
    program = [sys.executable, "-c", ONE_AFTER_THE_OTHER, json.dumps(lines, ensure_ascii=False)]
    done = subprocess.run(program, cwd=ROOT, env=where, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert " ± " in done.stdout.decode()
    assert "größe" in (tmp_path / "a.html").read_bytes().decode()
    assert "größe" in (tmp_path / "into.md").read_bytes().decode()


def test_what_is_named_twice_counts_once(tmp_path: Path) -> None:
    asked = read_command_line([str(tmp_path), "--games", "Alien", "alien", "Pong", "Alien", "--agents", "der", "der"], None)
    assert (asked.games, asked.agents) == (("Alien", "Pong"), ["der"])


def test_an_empty_path_is_not_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="a path is empty"):
        read_command_line([""], None)


def test_the_same_published_runs_under_two_names_are_refused(tmp_path: Path) -> None:
    """Whatever the file is called; but two single scores may agree by chance."""
    score_table(tmp_path / "scores.csv", [("der", "", "Pong", 0, -10.0)])
    for name, text in (("a.json", '{"Pong": [-9.0, -8.5]}'), ("b.csv", "pong,-8.5,-9\n"), ("c.csv", "pong,-9\n")):
        (tmp_path / name).write_text(text)
    command = [str(tmp_path / "scores.csv"), "--games", "Pong", *PROTOCOL]
    for first, second in (("a.json", "a.json"), ("a.json", "b.csv")):
        flags = ["--per-run", f"A={tmp_path / first}", "--per-run", f"B={tmp_path / second}"]
        with pytest.raises(UserError, match=r"^--per-run: A and B are the same runs; give each file once$"):
            answer(read_command_line([*command, *flags], None))
    flags = ["--per-run", f"A={tmp_path / 'c.csv'}", "--per-run", f"B={tmp_path / 'c.csv'}"]
    assert len(answer(read_command_line([*command, *flags], None)).runs.runs) == 3


@pytest.mark.parametrize("flags", [[], ["--agents", "der"]])
def test_what_was_left_out_is_told_where_nothing_else_is_there(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = score_table(tmp_path / "scores.csv", [("der", "", "Pong", 0, -10.0)])
    table.write_text(table.read_text().replace(",", ";"))
    with pytest.raises(UserError, match="there is no finished run to report"):
        report.main([str(tmp_path), *PROTOCOL, *flags, "--out", str(tmp_path / "a.html")])
    assert capsys.readouterr().err == f"not taken: {table} (is no table of runs)\n"


def test_a_damaged_list_of_checksums_is_told_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "a_files").mkdir()
    (tmp_path / "a_files/SHA256SUMS").write_text("hello\n")
    with pytest.raises(UserError, match="a_files/SHA256SUMS, line 1 cannot be read: it is no checksum"):
        report.main([str(tmp_path / "absent"), "--out", str(tmp_path / "a.html")])
