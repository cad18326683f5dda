"""The house rules that a machine can hold: arrows between rooms, sizes, and that the project speaks of itself alone."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROGRAMS = ("train", "eval", "options")
ROOMS = ("agents", "analysis", "benchmarks", "envs", "experiment", "networks", "replay", "supervised", "sweep")

# What each room or program may import of the others; a module with a dot is that module alone.
ALLOWED = {
    "train": {"agents", "replay", "envs", "experiment", "eval", "options"},
    "options": {
        *("agents.catalogue", "agents.checks", "agents.config", "agents.execution", "agents.schedules"),
        *("envs.games", "experiment.command"),
    },
    "eval": {"agents", "replay", "envs", "experiment"},
    "agents": {"networks", "replay.batch"},
    "networks": set(),
    "replay": set(),
    "envs": set(),
    "experiment": set(),
    "analysis": {
        "agents.catalogue",
        "envs.games",
        *(f"experiment.{name}" for name in ("command", "files", "folder", "parser", "score", "student", "sums")),
    },
    "sweep": {"envs.games", "options", *(f"experiment.{name}" for name in ("command", "folder", "interrupt", "rows"))},
    "supervised": {"networks", "experiment"},
    "benchmarks": {"agents", "analysis", "envs", "experiment", "networks", "replay", "supervised", "train", "eval", "options"},
}


def sources() -> list[Path]:
    """Every Python file of the project but its tests."""
    files = [ROOT / f"{name}.py" for name in PROGRAMS]
    return files + [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names) if node.module in ROOMS else (node.module or "",)


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0].removesuffix(".py")
    allowed = ALLOWED[room] | {room}
    for module in imported(path):
        top = module.split(".")[0]
        if top in ALLOWED:
            assert top in allowed or module in allowed, f"{path.name} of {room} imports {module}"


def test_every_room_is_held() -> None:
    """A room added later must say what it may import."""
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert found == set(ROOMS)
    assert found | set(PROGRAMS) == set(ALLOWED)


def test_files_and_functions_are_small() -> None:
    for path in [*sources(), *(ROOT / "tests").glob("*.py")]:
        text = path.read_text()
        assert text.count("\n") <= 250, f"{path} has more than 250 lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
                count = len([a for a in arguments if a.arg not in ("self", "cls")])
                assert node.end_lineno is not None
                assert node.end_lineno - node.lineno < 60, f"{path}: {node.name} is longer than 60 lines"
                assert count <= 6, f"{path}: {node.name} takes {count} arguments"
