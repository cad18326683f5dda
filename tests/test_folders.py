"""What lies in a folder is taken for what it is, or named."""

import os
import shutil
from pathlib import Path

import pytest

from analysis.read.folders import find
from analysis.read.scores import Protocol, read_table
from experiment.command import UserError
from tests.fake_runs import fake_run, score_table

ROWS = [("der", "", "Pong", 0, -10.0), ("der", "", "Pong", 1, -9.0)]


def test_a_table_saved_by_a_spreadsheet_is_the_table(tmp_path: Path) -> None:
    """With a byte-order mark and CRLF, and in quotes."""
    table = score_table(tmp_path / "scores.csv", ROWS)
    text = table.read_text().replace("\n", "\r\n").replace("agent,", '"agent",', 1)
    table.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert find([tmp_path]).scores == [table]
    assert [(score.seed, score.score) for score in read_table(table, Protocol(100, 2))] == [(0, -10.0), (1, -9.0)]


def test_what_is_none_of_ours_is_left_out_and_named(tmp_path: Path) -> None:
    table = score_table(tmp_path / "scores.csv", ROWS)
    (tmp_path / "._scores.csv").write_bytes(b"\0\5\26\7")  # macOS
    (tmp_path / ".ipynb_checkpoints").mkdir()
    shutil.copy(table, tmp_path / ".ipynb_checkpoints/scores-checkpoint.csv")
    fake_run(tmp_path / ".trash", "der", "Pong", 0, 1.0)
    (tmp_path / "latin.csv").write_bytes(b"gr\xf6\xdfe,1\n")
    (tmp_path / "utf16.csv").write_bytes("agent,score\n".encode("utf-16"))
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "tasks.csv").write_text("dataset,model,study,point,method,seed\n")  # of a study that has its own report
    found = find([tmp_path])
    assert (found.scores, found.courses, found.finished, found.unfinished) == ([table], [], [], [])
    assert {path.name: why.removeprefix(f"{path} ") for path, why in found.left.items()} == {
        "._scores.csv": "is hidden",
        "scores-checkpoint.csv": "is hidden",
        "folder.csv": "cannot be read: Is a directory",
        "latin.csv": "cannot be read: byte 2 is not UTF-8",
        "notes.csv": "is no table of runs",
        "pipe.csv": "cannot be read: it is no regular file",
        "utf16.csv": "cannot be read: it holds a zero byte",
    }
    assert found.note().startswith(f"not taken: {tmp_path}/._scores.csv (is hidden), ")
    assert found.note().endswith(", and 4 more")
    assert find([table]).note() == ""


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"gr\xf6\xdfe,1\n", "byte 2 is not UTF-8"),
        (b"a,b\n1,2\n", "is no such table: it has no column 'agent'"),
        (b"", "it has no column 'agent'"),
        (None, "it is no regular file"),
    ],
)
def test_a_file_that_is_named_must_be_a_table(content: bytes | None, told: str, tmp_path: Path) -> None:
    path = tmp_path / "named"
    if content is None:
        os.mkfifo(path)
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match=told) as error:
        [read_table(table, Protocol()) for table in find([path]).scores]
    assert str(path) in str(error.value)


@pytest.mark.parametrize("name", ["absent", "a" * 5000, "a\0b"])
def test_a_path_that_is_not_there_is_one_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no"):
        find([tmp_path / name])


def test_a_damaged_table_of_ours_is_not_left_out(tmp_path: Path) -> None:
    """Its header tells what it is: what follows must be read, or refused."""
    table = score_table(tmp_path / "scores.csv", ROWS)
    table.write_bytes(table.read_bytes()[:-3] + b"\xff9\n")
    with pytest.raises(UserError, match="is not UTF-8"):
        [read_table(path, Protocol(100, 2)) for path in find([tmp_path]).scores]
