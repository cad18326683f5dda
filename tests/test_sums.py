"""A table that SHA256SUMS lists is read as it was written, or not at all."""

import shutil
import subprocess
from pathlib import Path

import pytest

from analysis import collect
from analysis.read.scores import Protocol, read_table
from experiment import sums
from experiment.command import UserError
from tests.fake_runs import fake_run

ROOT = Path(__file__).parent.parent
TABLES = ["agents.csv", "curves.csv", "plasticity.csv", "scores.csv"]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """The tables of one run."""
    fake_run(tmp_path / "runs", "der", "Pong", 0, -10.0)
    collect.main([str(tmp_path / "runs"), "--out", str(tmp_path / "results")])
    return tmp_path / "results"


def test_collect_lists_its_tables_as_sha256sum_does(results: Path) -> None:
    text = (results / sums.FILE).read_text()
    assert [line.split("  ")[1] for line in text.splitlines()] == TABLES
    program = shutil.which("sha256sum") or pytest.skip("there is no sha256sum")
    assert subprocess.run([program, *TABLES], cwd=results, capture_output=True, text=True).stdout == text


def test_the_committed_tables_are_listed() -> None:
    for folder in ("results", "results/random", "results/report_files", "results/supervised"):
        names = [path.name for path in (ROOT / folder).glob("*.csv")]
        assert names
        assert sums.listed(ROOT / folder).keys() == set(names)
        sums.check(ROOT / folder, names)


def test_a_digit_that_nothing_contradicts_is_found(results: Path) -> None:
    """A return of a training game; a score whose hns is changed with it; a table that is lost."""
    protocol = Protocol(100, 2)
    table = results / "scores.csv"
    whole = table.read_text()
    (results / "agents.csv").rename(results / "kept")
    with pytest.raises(UserError, match=r"agents.csv is lost: .*SHA256SUMS lists it; if it was deleted on purpose"):
        read_table(table, protocol)
    (results / "kept").rename(results / "agents.csv")
    table.write_text(whole.replace("0.1,1.5\n", "0.2,1.5\n"))
    with pytest.raises(UserError, match=r"scores.csv is not as .*SHA256SUMS lists it: damaged, or changed on purpose"):
        read_table(table, protocol)
    with pytest.raises(UserError, match=r"scores.csv is not as"):
        collect.main([str(results.parent / "runs"), "--out", str(results)])
    lines = (results / sums.FILE).read_text().splitlines(keepends=True)
    (results / sums.FILE).write_text("".join(lines[:-1]))  # as the message says
    assert [score.hours for score in read_table(table, protocol)] == [0.2]


@pytest.mark.parametrize("damage", [lambda text: text[1:], lambda text: text.replace("  ", " "), lambda text: "\x00" + text])
def test_a_damaged_list_is_refused(damage: object, results: Path) -> None:
    (results / sums.FILE).write_text(damage((results / sums.FILE).read_text()))  # type: ignore[operator]
    with pytest.raises(UserError, match="SHA256SUMS"):
        read_table(results / "scores.csv", Protocol(100, 2))


def test_an_empty_line_lists_nothing_and_a_name_has_no_folder(results: Path) -> None:
    text = (results / sums.FILE).read_text()
    (results / sums.FILE).write_text(text.replace("\n", "\n\n", 1))
    assert set(sums.listed(results)) == set(TABLES)
    (results / sums.FILE).write_text(text.replace("  curves", "  ./curves"))
    with pytest.raises(UserError, match="SHA256SUMS, line 2 cannot be read: a name there has no folder"):
        sums.check(results, TABLES)


@pytest.mark.parametrize("written", range(5))
def test_wherever_collect_is_stopped_all_is_as_listed(
    written: int, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tables are whole, and the same command ends what it began."""
    fake_run(tmp_path / "more", "der", "Pong", 1, -9.0)
    write, left = sums.write_text, iter(range(written, -1, -1))

    def stopped(path: Path, text: str) -> None:
        if not next(left):
            raise KeyboardInterrupt
        write(path, text)

    monkeypatch.setattr(sums, "write_text", stopped)
    with pytest.raises(KeyboardInterrupt):
        collect.main([str(tmp_path / "more"), "--out", str(results)])
    monkeypatch.undo()
    sums.check(results, TABLES)
    assert len(read_table(results / "scores.csv", Protocol(100, 2))) == 1
    collect.main([str(tmp_path / "more"), "--out", str(results)])
    sums.check(results, TABLES)
    assert len((results / sums.FILE).read_text().splitlines()) == 4
    assert len(read_table(results / "scores.csv", Protocol(100, 2))) == 2


def test_a_table_that_is_written_meanwhile_is_no_damaged_one(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list is read before the table is written anew, the table after it."""
    before = sums.listed(results)
    answers = iter([before])
    sums.write(results, {"scores.csv": "new\n"})
    listed = sums.listed
    monkeypatch.setattr(sums, "listed", lambda folder: next(answers, None) or listed(folder))
    sums.check(results, ["scores.csv"])
