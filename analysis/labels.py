"""What an agent is called: a name of the catalogue, and as flags what its settings change of what that name means today."""

import contextlib
import csv
import json
from collections.abc import Iterable
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from agents.catalogue import find_agent
from experiment.command import UserError
from experiment.folder import filled

AGENTS = "agents.csv"  # beside tables of runs: every setting of each agent in them
COLUMNS = ("agent", "flags", "setting", "value")  # the value as JSON


def read_json(path: Path) -> Any:
    """What a JSON file holds. UserError if it is cut off."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as JSON; is it half-written?") from error


def flags_of(file: Path) -> str:
    """What the settings in config.json `file` change of the catalogue's agent, as flags; "" for nothing."""
    return _flags(*settings_of(file))


def settings_of(file: Path) -> tuple[str, dict[str, Any]]:
    """The agent in config.json `file` and its settings by path, as flags are spelt."""
    try:
        settings = read_json(file)["settings"]
        agent, config = settings["agent"], dict(settings["config"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{file} holds no settings of a run") from error
    try:
        found = _complete(agent, flat(config))
    except ValueError as error:
        raise UserError(f"{file}: {error}") from error
    if settings.get("num_lanes", 1) != 1:
        found["num-lanes"] = settings["num_lanes"]
    precision = settings.get("execution", {}).get("precision", "float32")  # compiled or captured, the arithmetic is the same
    if precision != "float32":
        found["execution.precision"] = precision
    return agent, found


def _complete(agent: str, settings: dict[str, Any]) -> dict[str, Any]:
    """`settings` by path with the defaults of what was added since they were written. ValueError if there is no `agent`."""
    nested: dict[str, Any] = {}
    for path, value in settings.items():
        *outer, name = path.replace("-", "_").split(".")
        place = nested
        for step in outer:
            place = place.setdefault(step, {})
        place[name] = value
    return flat(json.loads(json.dumps(filled(type(find_agent(agent)), nested))))


def _flags(agent: str, settings: dict[str, Any]) -> str:
    """What `settings` change of `agent`, as flags. ValueError if there is no such agent."""
    ours = _catalogue(agent)
    changed = {path: value for path, value in _complete(agent, settings).items() if path not in ours or ours[path] != value}
    return " ".join(f"--{path} {value}" for path, value in sorted(changed.items()))


def rows_of(files: Iterable[Path]) -> list[dict[str, str]]:
    """The rows of a table of the agents in the config.json `files`."""
    found = {(agent, _flags(agent, settings)): settings for agent, settings in map(settings_of, files)}
    return [
        dict(zip(COLUMNS, (*label, path, json.dumps(value)), strict=True))
        for label, settings in sorted(found.items())
        for path, value in settings.items()
    ]


def flags_now(folder: Path) -> dict[tuple[str, str], str]:
    """Agent and flags as the tables in `folder` have them -> the flags by today's catalogue; nothing if no table tells.

    A default that has changed since must not make two agents one.
    """
    path = folder / AGENTS
    settings: dict[tuple[str, str], dict[str, Any]] = {}
    try:
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                settings.setdefault((row["agent"], row["flags"]), {})[row["setting"]] = json.loads(row["value"])
    except FileNotFoundError:
        return {}
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} cannot be read; is it half-written?") from error
    now = {}
    for (agent, flags), found in settings.items():
        with contextlib.suppress(ValueError):  # no agent of today: whoever reads its scores says so
            now[agent, flags] = _flags(agent, found)
    return now


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """The leaves of nested dicts by path, as flags are spelt: {"replay.warmup-steps": 1600}."""
    if not isinstance(value, dict):
        return {path: value}
    inner = [flat(part, f"{path}.{name}".lstrip(".").replace("_", "-")) for name, part in value.items()]
    return {name: leaf for leaves in inner for name, leaf in leaves.items()}


@lru_cache
def _catalogue(agent: str) -> dict[str, Any]:
    return flat(json.loads(json.dumps(asdict(find_agent(agent)))))
