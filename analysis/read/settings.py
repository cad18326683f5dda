"""What an agent is called: a name of the catalogue, and as flags what its settings change of what that name means today."""

import contextlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from agents.catalogue import find_agent
from envs.games import find_game
from experiment import sums
from experiment.command import UserError, user_errors
from experiment.files import parse_json, read_json, read_table, whole
from experiment.folder import CONFIG
from experiment.outside import require
from experiment.settings import filled

AGENTS = "agents.csv"  # beside tables of runs: every setting of each agent in them
COLUMNS = ("agent", "flags", "setting", "value")  # the value as JSON
IMPORTS = "imports."  # begins a setting that is the SHA-256 of a module of the user's which the agent is made with
LONGEST = 1000  # characters of a label


def printable(text: str) -> str:
    """`text` with a sign in place of control characters and halves of surrogate pairs, which no figure or file can hold."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def identity(run: Path) -> dict[str, Any]:
    """Agent, flags, game and seed of the run folder `run`, by its config.json. UserError, naming it, if it does not tell."""
    return read_settings(run / CONFIG)[0]


def read_settings(file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Whose run config.json `file` is of, as `identity` has it, and the settings of its agent by path, as flags are spelt."""
    content = read_json(file)
    try:
        told = content["settings"]
        agent, game, seed, config = str(told["agent"]), str(told["game"]), told["seed"], {**told["config"]}
        # Compiled or captured, the arithmetic is the same.
        precision, lanes = told.get("execution", {}).get("precision", "float32"), told.get("num_lanes", 1)
        imports, name = told.get("imports", {}), str(told.get("name", ""))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{file} holds no settings of a run") from error
    require(imports, file.parent)
    with user_errors(str(file)):
        settings = _complete(agent, flat(config))
        if name:
            settings["name"] = name
        if lanes != 1:
            settings["num-lanes"] = lanes
        if precision != "float32":
            settings["execution.precision"] = precision
        run = {"agent": agent, "game": find_game(game).name, "seed": whole(seed, f"{file}: seed")}
        run |= {"flags": _flags(agent, settings)}
        return run, settings | {f"{IMPORTS}{module}": sha256 for module, sha256 in imports.items()}


def _complete(agent: str, settings: dict[str, Any]) -> dict[str, Any]:
    """`settings` by path with the defaults of what was added since they were written.

    ValueError if there is no `agent`, or one setting is a value and a piece at once.
    """
    nested: dict[str, Any] = {}
    for path, value in settings.items():
        *outer, name = path.replace("-", "_").split(".")
        place = nested
        for step in outer:
            place = place.setdefault(step, {})
            if not isinstance(place, dict):
                raise ValueError(f"setting {path} is of a piece that is none")
        place[name] = value
    return flat(json.loads(json.dumps(filled(type(find_agent(agent)), nested))))


def _flags(agent: str, settings: dict[str, Any]) -> str:
    """What `settings` change of `agent`, as flags. ValueError if there is no such agent."""
    return as_flags(_complete(agent, settings), _catalogue(agent))


def as_flags(settings: dict[str, Any], usual: dict[str, Any]) -> str:
    """What `settings` change of the `usual` ones, both by path, as flags. ValueError if that is too long for a label."""
    changed = {path: value for path, value in settings.items() if path not in usual or usual[path] != value}
    flags = printable(" ".join(_flag(path, value) for path, value in sorted(changed.items())))
    if len(flags) > LONGEST:
        raise ValueError(f"{len(flags):,} characters of changed settings, more than {LONGEST:,}")
    return flags


def _flag(path: str, value: Any) -> str:
    """A setting as the command line takes it."""
    if not isinstance(value, bool):
        return f"--{path} {value}"
    *pieces, name = path.split(".")
    return "--" + ".".join([*pieces, name if value else f"no-{name}"])


def rows_of(files: Iterable[Path]) -> list[dict[str, str]]:
    """The rows of a table of the agents in the config.json `files`."""
    by_label = {(run["agent"], run["flags"]): settings for run, settings in map(read_settings, files)}
    return [
        dict(zip(COLUMNS, (*label, path, json.dumps(value)), strict=True))
        for label, settings in sorted(by_label.items())
        for path, value in settings.items()
    ]


def flags_now(folder: Path) -> dict[tuple[str, str], str]:
    """Agent and flags as the tables in `folder` have them -> the flags by today's catalogue; nothing if no table tells.

    A default that has changed since must not make two agents one.
    """
    path = folder / AGENTS
    if not path.exists():
        return {}
    sums.check(folder, [AGENTS])
    settings: dict[tuple[str, str], dict[str, Any]] = {}
    for row, where in read_table(path, COLUMNS).rows:
        of_agent = settings.setdefault((row["agent"], row["flags"]), {})
        value = parse_json(row["value"], where)
        if of_agent.setdefault(row["setting"], value) != value:
            raise UserError(f"{where}: {row['setting']} has another value above")
    now = {}
    for (agent, flags), of_agent in settings.items():
        modules = {name: of_agent.pop(name) for name in list(of_agent) if name.startswith(IMPORTS)}
        require({name.removeprefix(IMPORTS): sha256 for name, sha256 in modules.items()}, f"{agent} in {path}")
        with contextlib.suppress(ValueError):  # no agent of today: whoever reads its scores says so
            now[agent, flags] = _flags(agent, of_agent)
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
