"""docs/add_a_method.md: its files are written and its commands run, as they stand, in a temporary folder."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "add_a_method.md"
BLOCK = re.compile(r"(<!-- long: .* -->\n)?```(\w+)\n(.*?)```\n", re.DOTALL)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder that is like the repository's root to whoever types commands in it."""
    for path in ROOT.iterdir():
        if path.suffix == ".py" or (path / "__init__.py").exists():
            (tmp_path / path.name).symlink_to(path)
    return tmp_path


def carried_out(script: str, folder: Path) -> str:
    """What a shell says to `script`, a line of which must not fail."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"}
    line = ["bash", "-eu", "-c", script]
    found = subprocess.run(line, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert found.returncode == 0, f"{script}\n{found.stdout}"
    return found.stdout


@pytest.mark.slow
@pytest.mark.skipif(find_spec("mlxtend") is None, reason="the extra data is not installed")
def test_the_page_does_what_it_says(here: Path) -> None:
    said = ""
    for section in PAGE.read_text().split("\n## "):
        for long, kind, text in BLOCK.findall(section):
            if kind == "python":
                (here / text.splitlines()[0].removeprefix("# ")).write_text(text)
            elif kind == "bash" and not long:
                said = carried_out(text, here)
            elif kind == "text":
                assert text in said
    assert {path.name for path in here.glob("my_*.py")} == {"my_methods.py", "my_schedule.py"}
    assert (here / "report.html").exists()


def test_every_block_is_of_a_known_kind() -> None:
    text = PAGE.read_text()
    kinds = [kind for _, kind, _ in BLOCK.findall(text)]
    assert {*kinds} == {"python", "bash", "text"}
    assert text.count("```") == 2 * len(kinds)
