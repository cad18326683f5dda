"""docs/python.md: its lines run as they stand, and the names that it lists are there."""

import re
from pathlib import Path
from pkgutil import resolve_name

import pytest

from eval import main

PAGE = (Path(__file__).parent.parent / "docs" / "python.md").read_text()


@pytest.fixture
def here(toy_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which TOY's run is runs/der/Catch/seed0."""
    (tmp_path / "runs").symlink_to(toy_run)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_lines_of_python_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(block, names)
    said = capsys.readouterr().out.splitlines()
    assert re.match(r"Policy\(der on Catch, 60 env steps, score -?[\d.]+\) (1|-1)\.0 tensor\(", said[0])
    assert names["result"]["episodes"] == 2  # type: ignore[index]


def test_the_commands_run(here: Path) -> None:
    (commands,) = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    for line in commands.splitlines():
        program, *arguments = line.removeprefix("python ").split()
        assert program == "eval.py"
        main(arguments)
    assert {path.name for path in here.iterdir()} == {"runs", "der-catch.safetensors", "der-catch", "small.safetensors"}


def test_the_names_are_there() -> None:
    rows = [row for row in PAGE.split("## Names")[1].splitlines() if row.startswith("| `")]
    names = [name for row in rows for name in re.findall(r"`([\w.]+)", row.split("|")[1])]
    assert len(names) > 20
    for name in names:
        resolve_name(name)  # ImportError or AttributeError
