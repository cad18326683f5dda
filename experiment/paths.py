"""Paths of a command line."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import get_args, get_type_hints


def refuse_empty(kind: type, argv: Sequence[str]) -> None:
    """ValueError if `argv`, which is to become a `kind`, has an empty path, as of `--out "$OUT"` without OUT.

    Nor may what follows no flag be empty.
    """
    hints = get_type_hints(kind)
    paths = {f"--{name.replace('_', '-')}" for name, hint in hints.items() if Path in (hint, *get_args(hint))}
    for before, word in pairwise(["", *argv]):
        flag = (word.removesuffix("=") or before).replace("_", "-")
        if flag in paths and (not word or word.endswith("=")):
            raise ValueError(f"{flag}: a path is empty")
        if not word and (not before.startswith("--") or "=" in before):
            raise ValueError("an argument is empty")
