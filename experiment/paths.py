"""Paths of a command line."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import get_args, get_type_hints


def refuse_empty(kind: type, argv: Sequence[str]) -> None:
    """ValueError if `argv`, which is to become a `kind`, has an empty path, as of `--out "$OUT"` without OUT."""
    hints = get_type_hints(kind)
    paths = {f"--{name.replace('_', '-')}" for name, hint in hints.items() if Path in (hint, *get_args(hint))}
    for before, word in pairwise(["", *argv]):
        if word in {f"{flag}=" for flag in paths} or (not word and (before in paths or not before.startswith("--"))):
            raise ValueError(f"{word.rstrip('=') or (before if before in paths else 'an argument')}: a path is empty")
