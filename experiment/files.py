"""Files: the one reader of text, JSON and CSV, and the one way of writing.

A reader gives what a whole file holds, or one line that names file and cause. A writer puts a whole file in the place of
another, or leaves what was there; several processes may write to one folder at once.
"""

import csv
import fcntl
import gzip
import io
import json
import math
import os
import secrets
import stat
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from experiment.command import FULL, UserError

LARGEST = 1 << 30  # bytes of a file of text; curves of 2,600 runs are a tenth of it


def read_bytes(path: Path, largest: int = LARGEST) -> bytes:
    """What the regular file `path` holds. UserError, naming it, for anything else, and for more than `largest` bytes."""
    try:
        # Opening a pipe would wait for a writer.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise UserError(f"{path} cannot be read: it is no regular file")
            if found.st_size > largest:
                raise UserError(f"{path} cannot be read: it has {found.st_size:,} bytes, more than {largest:,}")
            return file.read()
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise UserError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def unpacked(packed: bytes, where: str, largest: int = LARGEST) -> bytes:
    """What the gzip file of the bytes `packed` holds. UserError, beginning with `where`, if it is damaged or too large."""
    try:
        found = gzip.GzipFile(fileobj=io.BytesIO(packed)).read(largest + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{where} cannot be unpacked: {error}") from error
    if len(found) > largest:
        raise UserError(f"{where} cannot be unpacked: it holds more than {largest:,} bytes")
    return found


def read_text(path: Path) -> str:
    """The UTF-8 text in `path`, unpacked if it is a .gz, without byte-order mark, its lines ended by LF. UserError if none."""
    content = read_bytes(path)
    return _decoded(unpacked(content, str(path)) if path.suffix == ".gz" else content, path)


def _decoded(content: bytes, path: Path) -> str:
    if b"\0" in content:
        raise UserError(f"{path} cannot be read: it holds a zero byte")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} cannot be read: byte {error.start} is not UTF-8") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_json(text: str, where: str) -> Any:
    """The value that `text` holds as JSON. UserError, beginning with `where`, if it is none, or not one that UTF-8 can hold."""
    try:
        value = _JSON.decode(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise UserError(f"{where} is no JSON (line {error.lineno}: {error.msg}); is it half-written?") from error
    except UnicodeEncodeError as error:
        raise UserError(f"{where} holds half of a surrogate pair, which is no character") from error
    except RecursionError as error:
        raise UserError(f"{where} is nested too deep") from error
    except ValueError as error:  # a number of thousands of digits, or a name twice
        raise UserError(f"{where} cannot be read as JSON: {error}") from error
    return value


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands twice in one table")
    return found


_JSON = json.JSONDecoder(object_pairs_hook=_table)


def read_json(path: Path) -> Any:
    """The value in the JSON file `path`. UserError, naming it and the cause, if it holds none."""
    return parse_json(read_text(path), str(path))


class Table(NamedTuple):
    """A CSV file with a header: its column names, and each row with its file and line."""

    columns: tuple[str, ...]
    rows: list[tuple[dict[str, str], str]]


def read_table(path: Path, columns: Iterable[str] = ()) -> Table:
    """The table in the CSV file `path`. UserError, naming file and line, if it lacks one of `columns` or is not whole."""
    lines = read_lines(path)
    names = tuple(lines[0][0]) if lines else ()
    for name in columns:
        if name not in names:
            raise UserError(f"{path} is no such table: it has no column {name!r}")
    if len(set(names)) < len(names):
        raise UserError(f"{path}: two columns have one name")
    for row, where in lines[1:]:
        if len(row) != len(names):
            raise UserError(f"{where}: {len(names)} values are needed, not {len(row)}; is it half-written?")
    return Table(names, [(dict(zip(names, row, strict=True)), where) for row, where in lines[1:]])


def header(path: Path) -> tuple[str, ...]:
    """The first line of the CSV file `path`, whatever follows. UserError if it cannot be read."""
    lines = _lines(_decoded(read_bytes(path).partition(b"\n")[0], path), path)
    return tuple(lines[0][0]) if lines else ()


def read_lines(path: Path) -> list[tuple[list[str], str]]:
    """The lines of the CSV file `path` that are not empty, each with its file and number. UserError if it is not whole."""
    text = read_text(path)
    if text and not text.endswith("\n"):
        raise UserError(f"{path} does not end with a whole line; is it half-written?")
    return _lines(text, path)


def _lines(text: str, path: Path) -> list[tuple[list[str], str]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        return [(row, f"{path}, line {reader.line_num}") for row in reader if row]
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num} cannot be read: {error}") from error


def number(value: Any, where: str, finite: bool = True) -> float:
    """`value`, a number or its text, as a float, which must be `finite`. UserError, beginning with `where`, if it is none."""
    try:
        no_number = isinstance(value, bool) or (isinstance(value, str) and "_" in value)  # whatever Python says
        found = math.nan if no_number else float(value)
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{where} is {shown(value)}, not a number") from None
    if not math.isfinite(found) and (finite or no_number):
        raise UserError(f"{where} is {shown(value)}, not a finite number")
    return found


def whole(value: Any, where: str) -> int:
    """`value`, a whole number or its text, as an int. UserError, beginning with `where`, if it is none."""
    found = number(value, where)
    if not found.is_integer():
        raise UserError(f"{where} is {shown(value)}, not a whole number")
    with suppress(ValueError):
        return int(value)  # beyond 2**53 a float has not every number
    return int(found)  # "3.0"


def shown(value: Any) -> str:
    """`value` as a line of an error message can show it."""
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**40 else "a number of over 40 digits"
    return text if len(text) <= 60 else f"{text[:57]}..."


@contextmanager
def atomic(path: Path, keep: Path | None = None) -> Iterator[IO[bytes]]:
    """A file to write to that takes the place of `path` only when it is whole and on the disk. Raises what the disk raises.

    What stood there goes to `keep`, if that is given. Each process has a temporary file of its own.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if keep is not None and path.exists():
            path.replace(keep)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, atomically. UserError if that fails: code 1 where the disk does not take it, else 2."""
    with writing(path), atomic(path) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, atomically. UserError as of `write_bytes`."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON to `path`, atomically. UserError as of `write_bytes`."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def csv_text(columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> str:
    """The `columns` of `rows` as CSV, without what rows have beside them."""
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Within, a failure to write `path` becomes a UserError that names it; what was there is kept."""
    try:
        yield
    except OSError as error:
        told = f"cannot write {path}: {error.strerror or error}; what was there is kept"
        raise UserError(told, code=1 if error.errno in FULL else 2) from error


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make `folder` if need be and wait until no other process is within. UserError if it cannot be written to."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("ab")
    with file:  # at its end the kernel gives the lock back
        with writing(folder):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
