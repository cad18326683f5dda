"""The one reader and the one writer: what is no whole file is one line that names it, and writers do not disturb each other."""

import gzip
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from experiment import files
from experiment.command import UserError
from experiment.files import (
    atomic,
    csv_text,
    header,
    locked,
    number,
    parse_json,
    read_json,
    read_table,
    read_text,
    unpacked,
    whole,
    write_text,
)


def told(path: Path, content: bytes, read: object) -> str:
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        read(path)  # type: ignore[operator]
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert error.value.code == 2
    return str(error.value)


def test_what_excel_saves_is_what_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b'\xef\xbb\xbfagent,note\r\nder,"a, ""b"""\r\n')
    table = read_table(path, ["agent"])
    assert table.columns == ("agent", "note")
    assert table.rows == [({"agent": "der", "note": 'a, "b"'}, f"{path}, line 2")]


def test_text_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    assert "byte 3 is not UTF-8" in told(path, b"abc\xe9\n", read_text)
    assert "zero byte" in told(path, b"a\0b\n", read_text)
    assert "whole line" in told(path, b"a,b\n1,2", read_table)
    assert "line 2: 2 values are needed, not 1" in told(path, b"a,b\n1\n", read_table)
    assert "one name" in told(path, b"a,a\n1,2\n", read_table)
    assert "line 2" in told(path, b'a,b\n1,"2\n', read_table)
    assert "line 2" in told(path, b"a\n" + b"x" * 200_000 + b"\n", read_table)  # more than a field of the csv module


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Is a directory|no regular file"):
        read_text(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match=r"pipe cannot be read: it is no regular file"):  # and does not wait
        read_text(tmp_path / "pipe")
    with pytest.raises(UserError, match=r"No such file"):
        read_text(tmp_path / "absent")
    with pytest.raises(UserError, match=r"cannot be read"):
        read_text(tmp_path / "a\0b")


def test_a_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "large").write_bytes(b"12345")
    with pytest.raises(UserError, match=r"5 bytes, more than 4"):
        files.read_bytes(tmp_path / "large", 4)
    assert files.read_bytes(tmp_path / "large", 5) == b"12345"


def test_what_is_packed(tmp_path: Path) -> None:
    path, packed = tmp_path / "t.json.gz", gzip.compress(b'{"a": 1}')
    path.write_bytes(packed + gzip.compress(b" \n"))  # two in one file are a gzip file too
    assert read_json(path) == {"a": 1}
    assert "cannot be unpacked" in told(path, packed[:-9], read_json)
    assert "cannot be unpacked" in told(path, packed[:12] + b"\xff" + packed[13:], read_json)
    assert "cannot be unpacked" in told(path, b"{}", read_json)
    bomb = gzip.compress(bytes(1 << 20))
    assert len(unpacked(bomb, "", 1 << 20)) == 1 << 20
    with pytest.raises(UserError, match=r"^there cannot be unpacked: it holds more than 1,000 bytes"):
        unpacked(bomb, "there", 1000)


def test_a_header_is_read_whatever_follows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b'\xef\xbb\xbfa,"b, c"\r\n\xff\0')
    assert header(path) == ("a", "b, c")
    path.write_bytes(b"")
    assert header(path) == ()
    assert "byte 0 is not UTF-8" in told(path, b"\xff\na,b\n", header)


def test_json_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    assert "half-written" in told(path, b'{"a": ', read_json)
    assert "nested too deep" in told(path, b"[" * 100_000, read_json)
    assert "surrogate" in told(path, b'{"a": "\\ud800"}', read_json)
    assert "cannot be read as JSON" in told(path, b"9" * 5_000, read_json)
    assert "'a' stands twice" in told(path, b'{"a": 1, "a": 2}', read_json)
    path.write_text('{"a": "\\ud83d\\udc07 \\u00e9"}')
    assert read_json(path) == {"a": "\U0001f407 é"}
    with pytest.raises(UserError, match=r"^there, line 3 is no JSON"):
        parse_json("{", "there, line 3")


@pytest.mark.parametrize("value", [None, "x", "", "1_0", [], {}, True, "nan", "inf", float("nan"), 10**400, "1e999"])
def test_cells_that_are_no_numbers(value: object) -> None:
    with pytest.raises(UserError, match=r"^f.csv: score is .{1,60}, not a (finite )?number$"):
        number(value, "f.csv: score")


def test_numbers() -> None:
    assert number("-1.5", "") == -1.5
    assert whole("3", "") == whole(3.0, "") == 3
    assert whole(2**60 + 1, "") == whole(str(2**60 + 1), "") == 2**60 + 1  # no double holds it
    assert math.isnan(number("nan", "", finite=False))
    with pytest.raises(UserError, match=r"seed is 1.5, not a whole number"):
        whole(1.5, "seed")


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    rows = [{"a": 'x,"y"\nz', "b": 0.1, "c": "left out"}]
    write_text(tmp_path / "t.csv", csv_text(["b", "a"], rows))
    assert [row for row, _ in read_table(tmp_path / "t.csv").rows] == [{"b": "0.1", "a": 'x,"y"\nz'}]


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "kept")
    with pytest.raises(UserError, match=r"cannot write .*file/below: Not a directory"):
        write_text(tmp_path / "file" / "below", "")
    with pytest.raises(UserError, match=r"Is a directory"):
        write_text(tmp_path, "")
    with pytest.raises(UserError, match=r"cannot write .*file"), locked(tmp_path / "file"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "kept"


def test_two_writers_of_one_file_do_not_share_a_temporary_one(tmp_path: Path) -> None:
    path = tmp_path / "t"
    with atomic(path) as first, atomic(path) as second:
        first.write(b"first")
        second.write(b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_locked_folder_is_entered_by_one_process_at_a_time(tmp_path: Path) -> None:
    """Each process adds one to a number that it reads and writes."""
    add = "p = Path('n'); n = int(p.read_text()); time.sleep(.02); p.write_text(str(n + 1))"
    code = f"import time; from pathlib import Path; from experiment.files import locked\nwith locked(Path()): {add}"
    (tmp_path / "n").write_text("0")
    where = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    processes = [subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=where) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert (tmp_path / "n").read_text() == "4"


def test_one_room_reads_and_writes_nothing_but_through_here() -> None:
    """Where others do, add them."""
    elsewhere = re.compile(r"\bopen\(|\.(?:read|write)_(?:text|bytes)\(|^import csv|json\.loads?\((?!json)", re.MULTILINE)
    for room in ("analysis",):
        for path in sorted((Path(__file__).parent.parent / room).rglob("*.py")):
            found = elsewhere.findall(path.read_text(encoding="utf-8"))
            assert not found, f"{path.name}: {found}"
