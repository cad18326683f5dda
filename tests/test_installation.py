"""What pip installs: the library, from any folder, and nothing whose name another distribution could have."""

import ast
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hare_tortoise import __version__

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of what git would clone, as pip builds it."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "hare_tortoise", "agents", "train.py"):
        subprocess.run(["cp", "-r", ROOT / name, source], check=True)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--wheel-dir", out, source]
    subprocess.run(command, check=True, capture_output=True)
    return next(out.glob("*.whl"))


def test_the_library_alone_is_installed(wheel: Path) -> None:
    names = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert names == {"hare_tortoise", f"hare_and_tortoise-{__version__}.dist-info"}
    metadata = zipfile.ZipFile(wheel).read(f"hare_and_tortoise-{__version__}.dist-info/METADATA").decode()
    needed = [line for line in metadata.splitlines() if line.startswith("Requires-Dist") and "extra" not in line]
    assert needed == ["Requires-Dist: torch<2.14,>=2.11"]


def test_it_works_from_another_folder(wheel: Path, tmp_path: Path) -> None:
    program = (
        "import hare_tortoise as library, torch; net = torch.nn.Linear(2, 2); pair = library.HareTortoise(net); pair.step(); "
        "print(library.__file__, pair.steps, [name for name in library.__all__ if not hasattr(library, name)])"
    )
    environment = {**os.environ, "PYTHONPATH": str(wheel)}
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split(maxsplit=1) == [f"{wheel}/hare_tortoise/__init__.py", "1 []\n"]


@pytest.mark.parametrize("path", sorted((ROOT / "hare_tortoise").glob("*.py")), ids=lambda path: path.name)
def test_the_library_imports_torch_and_itself_alone(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            tops = {module.split(".")[0] for module in modules}
            assert tops <= {"torch", "hare_tortoise"} | set(sys.stdlib_module_names)
