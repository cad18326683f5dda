"""SHA256SUMS beside tables, as sha256sum writes it: a table that it lists is read as it was written, or not at all."""

import os
import re
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from experiment.command import UserError
from experiment.files import read_bytes, read_text, write_text

FILE = "SHA256SUMS"

Sums = dict[str, set[str]]  # name of a file -> its checksum; two while it is written anew


def listed(folder: Path) -> Sums:
    """What `folder` says of its tables, nothing if it has no such file. UserError if that is damaged."""
    file, found = folder / FILE, Sums()
    for number, line in enumerate(read_text(file).splitlines() if file.exists() else (), 1):
        if not line:
            continue
        match = re.fullmatch(r"([0-9a-f]{64}) [ *]([^/]+)", line)
        if match is None:
            told = "a name there has no folder" if "/" in line else "it is no checksum with a file's name"
            raise UserError(f"{file}, line {number} cannot be read: {told}")
        found.setdefault(match[2], set()).add(match[1])
    return found


def check(folder: Path, names: Iterable[str]) -> None:
    """UserError if one of the files `names` in `folder` is not as listed, or if any that is listed is not there."""
    known = listed(folder)
    for name in known:
        if not os.path.exists(folder / name):
            raise UserError(f"{folder / name} is lost: {folder / FILE} lists it; if it was deleted on purpose, delete its line")
    for name in names:
        # Listed before or after: another process may write the table meanwhile.
        found = checksum(folder / name) if name in known else ""
        if found and found not in known[name] and found not in listed(folder).get(name, ()):
            told = f"is not as {folder / FILE} lists it: damaged, or changed on purpose; if so, delete its line there"
            raise UserError(f"{folder / name} {told}")


def write(folder: Path, files: dict[str, str]) -> None:
    """Write `files`, name -> text, to `folder`, and list them. Wherever it is stopped, every file is as listed."""
    old, new = listed(folder), {name: {sha256(text.encode()).hexdigest()} for name, text in files.items()}
    there = {name: old.get(name) or {checksum(folder / name)} for name in (*old, *new) if (folder / name).exists()}
    _save(folder, {name: sums | new.get(name, set()) for name, sums in there.items()})
    for name, text in files.items():
        write_text(folder / name, text)
    _save(folder, old | new)


def _save(folder: Path, sums: Sums) -> None:
    write_text(folder / FILE, "".join(f"{digest}  {name}\n" for name in sorted(sums) for digest in sorted(sums[name])))


def checksum(path: Path) -> str:
    """The SHA-256 of what the file `path` holds."""
    return sha256(read_bytes(path)).hexdigest()
