"""The settings that a folder holds, filled up with what was added since and compared with those of today. No torch here."""

import json
from collections.abc import Iterable
from dataclasses import MISSING, asdict, fields, is_dataclass
from typing import Any, get_args, get_type_hints

from experiment.files import shown

OF_SCORES = ("eval_episodes",)  # that training does not depend on
NAMED = 4  # that an error message names


def differences(kind: type, theirs: dict[str, Any], ours: dict[str, Any], scored: bool) -> str:
    """The first settings, fields of the dataclass `kind`, that differ, with both values; "" if none does.

    Settings that scores alone depend on count only if `scored`.
    Fields that were added since `theirs` was written have their defaults there: the run was made as these say.
    """
    theirs = {name: value for name, value in filled(kind, theirs).items() if name in ours or name in theirs}
    differing = sorted(_differences(theirs, json.loads(json.dumps(ours))))
    counting = [difference for difference in differing if scored or difference[0] not in OF_SCORES]
    more = f" and {len(counting) - NAMED} more" if len(counting) > NAMED else ""
    return ", ".join(f"{_flag(name)} ({shown(old)} there, {shown(new)} here)" for name, old, new in counting[:NAMED]) + more


def _flag(path: str) -> str:
    """The flag of the setting at `path`; a piece of the configuration has it without that word."""
    piece, _, name = path.partition(".")
    return f"--import {name}" if piece == "imports" else f"--{path.removeprefix('config.').replace('_', '-')}"


def filled(kind: type, values: dict[str, Any]) -> dict[str, Any]:
    """The dataclass `kind` as nested dicts `values`, in the names of today, with the defaults of fields that they lack."""
    values = kind.renewed(values) if hasattr(kind, "renewed") else values
    defaults = {field.name: field.default for field in fields(kind) if field.default is not MISSING}
    whole = {name: asdict(value) if is_dataclass(value) else value for name, value in defaults.items()} | values
    for name, hint in get_type_hints(kind).items():
        for inner in filter(is_dataclass, get_args(hint) or (hint,)):
            if isinstance(whole.get(name), dict):
                whole[name] = filled(inner, whole[name])
    return whole


def _differences(theirs: Any, ours: Any, path: str = "") -> Iterable[tuple[str, Any, Any]]:
    """Paths at which two JSON values differ, each with both."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in ours.keys() | theirs.keys():
            yield from _differences(theirs.get(key), ours.get(key), f"{path}.{key}" if path else key)
    elif ours not in (theirs, "auto"):  # auto leaves it to the run
        yield path, theirs, ours
