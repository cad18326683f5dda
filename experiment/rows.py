"""Rows of metrics.jsonl: those of a kind, or what the end of a file tells, however it was cut."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from experiment.command import UserError
from experiment.files import parse_json, read_bytes, read_text

WITHIN = 10_000  # bytes of the end that are looked at


def read_metrics(path: Path, kinds: Iterable[str]) -> list[tuple[dict[str, Any], str]]:
    """The rows of metrics.jsonl that are of one of `kinds`, each with its file and line. UserError for a broken one."""
    starts = tuple(f'{{"kind": "{kind}"' for kind in kinds)  # most rows need not be parsed
    kept = []
    text = read_text(path).removesuffix("\n")
    for index, line in enumerate(text.split("\n") if text else (), 1):
        if line.startswith(starts) or not (line.startswith('{"kind": "') and line.endswith("}")):
            where = f"{path}, line {index}"
            row = parse_json(line, where)
            if not isinstance(row, dict) or "kind" not in row:
                raise UserError(f"{where} is no row of metrics")
            if row["kind"] in kinds:
                kept.append((row, where))
    return kept


def tail(path: Path) -> list[str]:
    """The last lines of a file, the first of them perhaps cut; none if it cannot be read."""
    try:
        return read_bytes(path)[-WITHIN:].decode("utf-8", errors="replace").splitlines()
    except UserError:
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
