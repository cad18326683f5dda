"""What pip installs: the library, from any folder, and nothing whose name another distribution could have."""

import ast
import configparser
import os
import re
import shutil
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


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def pins() -> dict[str, str]:
    """Name and version of every line of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    matches = [re.fullmatch(r"([a-z0-9-]+)==([0-9][0-9a-z.]*)", line) for line in lines]
    assert all(matches), "a line is a name and a version, without an address"
    found = {match[1]: match[2] for match in matches if match}
    assert lines == [f"{name}=={found[name]}" for name in sorted(found)]
    return found


def test_the_versions_that_were_tested_lie_within_what_is_asked_for(pins: dict[str, str]) -> None:
    """And with them everything is pinned that pip would install, but for what PyTorch's builds for GPUs bring along."""
    requirements = pytest.importorskip("packaging.requirements")
    metadata = configparser.ConfigParser()
    metadata.read(ROOT / "setup.cfg")
    extras = metadata["options.extras_require"]
    texts = "".join((metadata["options"]["install_requires"], *extras.values())).split("\n")
    ranges = [requirements.Requirement(text) for text in texts if text]
    for asked in ranges:
        assert normal(asked.name) not in pins or asked.specifier.contains(pins[normal(asked.name)]), asked
    for extra in ("suite", "test", "report", "video", "watch"):
        names = {normal(requirements.Requirement(text).name) for text in extras[extra].split("\n") if text}
        assert names <= pins.keys(), extra
    assert "torch" in pins


def test_the_container_is_made_of_what_is_there() -> None:
    """Its Python is one that setup.cfg takes, and its extras are setup.cfg's. Without Docker it is not built."""
    text, metadata = (ROOT / "Dockerfile").read_text(), (ROOT / "setup.cfg").read_text()
    assert re.search(r"FROM python:3\.12-slim\n", text)
    assert "python_requires = >=3.11,<3." in metadata
    (extras,) = re.findall(r"-e '\.\[([\w,]+)\]'", text)
    assert all(f"\n{extra} =\n" in metadata for extra in extras.split(","))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("docker") is None, reason="there is no docker")
def test_a_container_trains() -> None:
    image = "atari-100k-test"
    subprocess.run(["docker", "build", "-q", "-t", image, ROOT], check=True)
    line = "python train.py --game Catch --agent random --env-steps 20 --eval-episodes 1"
    subprocess.run(["docker", "run", "--rm", image, *line.split()], check=True)
