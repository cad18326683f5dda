"""The house rules that a machine can hold: which way imports run, where they stand, and sizes."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROGRAMS = ("train", "eval", "options", "flags", "evaluation", "policy")
ROOMS = (
    "agents",
    "analysis",
    "benchmarks",
    "envs",
    "examples",
    "experiment",
    "hare_tortoise",
    "networks",
    "replay",
    "supervised",
    "sweep",
)

# What each room or program may import of the others; a module with a dot is that module alone.
ALLOWED = {
    "train": {"agents", "replay", "envs", "experiment", "eval", "options"},
    "options": {
        *("agents.catalogue", "agents.config", "agents.execution", "agents.schedules"),
        *("envs.games", "hare_tortoise.idle", "hare_tortoise.ranges", "flags"),
        *(f"experiment.{name}" for name in ("command", "files", "help", "on_wandb", "outside", "start")),
    },
    "flags": {"agents.catalogue", "agents.config", "experiment.help"},
    "eval": {"agents", "replay", "envs", "experiment", "evaluation", "policy"},
    "evaluation": {
        *("agents.catalogue", "options", "experiment.command", "experiment.outside", "hare_tortoise.ranges"),
    },
    "policy": {"agents", "replay.batch", "envs", "experiment"},
    "agents": {"hare_tortoise", "networks", "replay.batch"},
    "hare_tortoise": set(),
    "networks": {"hare_tortoise"},
    "replay": set(),
    "envs": set(),
    "examples": {"hare_tortoise", "envs.gym", "eval"},
    "experiment": set(),
    "analysis": {
        *("agents.bases", "agents.catalogue"),
        "envs.games",
        "hare_tortoise.methods",
        *(
            f"experiment.{name}"
            for name in ("command", "files", "folder", "outside", "parser", "rows", "score", "settings", "sums")
        ),
    },
    "sweep": {
        "envs.games",
        "hare_tortoise.ranges",
        "options",
        *(f"experiment.{name}" for name in ("command", "folder", "interrupt", "outside", "progress", "rows", "signals")),
    },
    "supervised": {
        *("hare_tortoise", "experiment", "analysis"),
        *("analysis.compute.families", "analysis.compute.statistics", "analysis.draw.canvas", "analysis.draw.forest"),
        "analysis.read.settings",
    },
    "benchmarks": {*PROGRAMS, *ROOMS} - {"examples"},
}

# What may be imported inside a function: what an installation need not have, what one data set alone needs (cv2), and what
# loads torch's compiler, for three seconds (agents.rewrite).
OPTIONAL = {"agents.rewrite", "cv2", "datasets", "imageio_ffmpeg", "safetensors", "torch.utils.tensorboard", "wandb"}


def sources() -> list[Path]:
    """Every Python file of the project but its tests."""
    files = [ROOT / f"{name}.py" for name in PROGRAMS]
    return files + [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text())


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, inside functions too."""
    return imported_by(parsed(path))


def imported_by(tree: ast.AST) -> Iterator[str]:
    """The modules that a part of a file imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{ast.unparse(node)} is relative"
            yield from (f"{node.module}.{alias.name}" for alias in node.names) if node.module in ROOMS else (node.module or "",)


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
@pytest.mark.smoke
def test_imports_run_one_way(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0].removesuffix(".py")
    allowed = ALLOWED[room] | {room}
    for module in imported(path):
        top = module.split(".")[0]
        if top in ALLOWED:
            assert top in allowed or module in allowed, f"{path.name} of {room} imports {module}"


def test_no_two_files_import_each_other() -> None:
    """Not by way of others either, nor for annotations alone. CycleError, with the circle, if two do."""
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in sources()}
    graph: dict[str, set[str]] = {}
    for module, path in modules.items():
        froms = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.ImportFrom)]
        names = {f"{node.module}.{alias.name}" for node in froms for alias in node.names}  # which may be modules
        graph[module] = (names | set(imported(path))) & modules.keys()
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_stand_at_the_top(path: Path) -> None:
    """So that all the code of a run is loaded before it begins, and a reader finds them."""
    for function in ast.walk(parsed(path)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            inner = {name if name in OPTIONAL else name.split(".")[0] for name in imported_by(function)}
            assert inner <= OPTIONAL, f"{path.name}, line {function.lineno} imports {inner - OPTIONAL}"


def test_every_room_is_held() -> None:
    """A room added later must say what it may import."""
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert found == set(ROOMS)
    assert found | set(PROGRAMS) == set(ALLOWED)


def test_files_and_functions_are_small() -> None:
    for path in [*sources(), *(ROOT / "tests").glob("*.py")]:
        text = path.read_text()
        assert text.count("\n") <= 250, f"{path} has more than 250 lines"
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef):
                arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
                count = len([a for a in arguments if a.arg not in ("self", "cls")])
                assert node.end_lineno is not None
                assert node.end_lineno - node.lineno < 60, f"{path}: {node.name} is longer than 60 lines"
                assert count <= 6, f"{path}: {node.name} takes {count} arguments"
