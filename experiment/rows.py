"""What the end of a file tells, however it was cut: of metrics.jsonl, of a log."""

import json
import os
import stat
from pathlib import Path
from typing import Any

WITHIN = 10_000  # bytes of the end that are read


def tail(path: Path) -> list[str]:
    """The last lines of a file, the first of them perhaps cut; none if it cannot be read."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                return []
            file.seek(max(0, found.st_size - WITHIN))
            return file.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return []


def last_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of JSON at the end of a file, the last one first, without what is none."""
    found = []
    for line in reversed(tail(path)):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):  # half a row, at the start or at the end
            continue
        if isinstance(row, dict):
            found.append(row)
    return found


def diverged(path: Path) -> int | None:
    """The update before which a loss was not finite if that is the last thing that metrics.jsonl tells of."""
    rows = last_rows(path)[:1]
    update = rows[0].get("update") if rows and rows[0].get("kind") == "diverged" else None
    return update if isinstance(update, int) else None
