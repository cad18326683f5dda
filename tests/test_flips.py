"""A flipped bit in what a report is made from is refused by one line, or changes nothing; collects at once lose nothing."""

import shutil
from pathlib import Path

import pytest

from analysis import collect
from benchmarks import flips
from benchmarks.flips import copies, flip_run, flip_tables, lost_at_once
from experiment import sums
from experiment.command import UserError
from tests.fake_runs import fake_run

PROTOCOL = ["--games", "Pong", "--env-steps", "100", "--episodes", "2"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return fake_run(tmp_path / "run", "der", "Pong", 5, -10.0, sealed=True)


def test_flips_in_tables_are_found(run: Path, tmp_path: Path) -> None:
    fake_run(tmp_path / "runs", "der", "Pong", 0, -10.0)
    fake_run(tmp_path / "runs", "der_ht", "Pong", 0, -5.0, config={"tortoise": {"decay": 0.5}})
    collect.main([str(tmp_path / "runs"), "--out", str(tmp_path / "results")])
    for outcomes in flip_tables(tmp_path / "results", run, 8, 0, PROTOCOL).values():
        assert outcomes["refused"] + outcomes["equal"] == 8
    (tmp_path / "results" / sums.FILE).unlink()  # as of tables that nobody listed
    for outcomes in flip_tables(tmp_path / "results", run, 12, 1, PROTOCOL).values():
        assert outcomes["traceback"] == 0
        assert outcomes["refused"] > 2


def test_flips_in_a_run_folder_are_found(run: Path) -> None:
    for what, outcomes in flip_run(run, 10, 0).items():
        assert outcomes["refused"] + outcomes["equal"] == 10, what


def test_flips_in_the_folder_of_an_older_run_give_no_traceback(tmp_path: Path) -> None:
    for what, outcomes in flip_run(fake_run(tmp_path, "der", "Pong", 5, -10.0), 12, 0).items():
        assert outcomes["traceback"] == 0, what
        assert outcomes["refused"] >= 2, what


def test_collects_at_once_lose_no_run(run: Path, tmp_path: Path) -> None:
    folders = copies(run, 2, tmp_path / "runs")
    assert [lost_at_once(folders, tmp_path / f"out{pair}") for pair in range(3)] == [0] * 3
    assert lost_at_once(copies(run, 6, tmp_path / "more"), tmp_path / "out") == 0
    for folder in [*tmp_path.glob("out*")]:
        assert not list(folder.glob("*.tmp"))
        sums.check(folder, [path.name for path in folder.glob("*.csv")])


def test_what_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no .*absent/scores\.csv"):
        flips.main([str(tmp_path / "absent"), str(tmp_path)])


def test_flips_in_the_committed_tables_of_the_study_are_refused(tmp_path: Path) -> None:
    """Of tasks.csv and curves.csv as they are committed; what is not read may be flipped."""
    results = Path(__file__).parent.parent / "results" / "supervised"
    found = flips.flip_study(Path(shutil.copytree(results, tmp_path / "supervised")), 12, 0)
    assert sum(found.values()) == 12
    assert not found["traceback"]
    assert not found["different"]
