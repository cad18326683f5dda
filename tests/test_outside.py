"""Methods and bases from a module of the user's: in every program, in a run's record, refused in a line if they cannot be."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import eval as evaluation
import train
from agents import catalogue
from agents.bases import BASES
from analysis import collect, report
from analysis.read import settings
from experiment import outside
from experiment.command import UserError
from hare_tortoise.methods import METHODS
from options import read_command_line
from supervised import methods as supervised_methods
from supervised import report as supervised_report
from supervised import sweep as supervised_sweep
from supervised import train as supervised_train
from supervised.methods import EVERYTHING
from sweep import grid
from tests.fake_runs import leave_out_figures
from tests.supervised_files import install_fashion
from tests.test_command_line import refuse
from tests.toy_run import TOY

ROOT = Path(__file__).parent.parent
BACK = """
from hare_tortoise import changes as to
from hare_tortoise.methods import METHODS, Method, Use
from hare_tortoise.settings import Resets

def back(c):
    return to.reset(Resets("tortoise", every=5, keep_body=1, keep_neck=1))(to.average(0.9)(c))

METHODS["headback"] = Method(*[Use(back, "the head is set back", "ours")] * 2, "average")
"""
BASE = """
from dataclasses import replace
from agents.bases import BASES
BASES["der_wide"] = BASES["der"]._replace(config=replace(BASES["der"].config, initialisation="xavier"))
"""
METHOD = 'from hare_tortoise.methods import METHODS, Method, Use\nMETHODS["{}"] = Method({}, "reset")\n'
SAME = 'Use(lambda c: c, "", "")'
USE = f"{SAME}, None"
MINE = ["--import", "my_methods"]
WITHOUT = "was made with a module of its user's: say --import my_methods"
ANOTHER = "was made with another my_methods.py"
STUDY = ["--study", "warm_start", "--point", "small", "--images", "60", "--evaluations", "1", "--protocol.passes", "1"]

Write = Callable[[str], None]
Captured = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


def forget() -> None:
    """Be as a process that has imported nothing from outside."""
    for table in (METHODS, BASES):
        for name in set().union(*(module.added for module in outside.IMPORTED.values())) & table.keys():
            del table[name]
    for name in [*outside.IMPORTED, "my_methods"]:
        sys.modules.pop(name, None)
    outside.IMPORTED.clear()
    catalogue.fill()
    supervised_methods.fill()
    settings._catalogue.cache_clear()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: Patch) -> Iterator[Write]:
    """Writes my_methods.py into the current folder, a temporary one; nothing of it is left behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # of two files of one second Python would take the first

    def to(text: str) -> None:
        forget()
        Path("my_methods.py").write_text(text)

    yield to
    forget()


def test_a_run_is_made_recognised_and_played_with_its_module(write: Write, capsys: Captured, monkeypatch: Patch) -> None:
    write(BACK)
    run = [*TOY, "--agent", "der_headback", "--out", "runs"]
    folder = Path("runs/der_headback/Catch/seed0")
    train.main([*run, *MINE])
    recorded = json.loads((folder / "config.json").read_text())["settings"]["imports"]
    assert recorded == {"my_methods": outside.IMPORTED["my_methods"].sha256}
    assert recorded["my_methods"] == subprocess.check_output(["sha256sum", "my_methods.py"], text=True).split()[0]
    score = json.loads((folder / "score.json").read_text())["score"]
    capsys.readouterr()
    train.main([*run, *MINE])
    assert "finished on" in capsys.readouterr().err
    evaluation.main([str(folder), *MINE])
    assert f"score {score:.1f}" in capsys.readouterr().out

    forget()
    told = refuse(train.main, run, capsys, monkeypatch)
    assert told.startswith("program: unknown method 'headback' in 'der_headback': ")
    assert told.endswith(f"; {folder} was made with --import my_methods")
    assert refuse(evaluation.main, [str(folder)], capsys, monkeypatch) == f"program: {folder} {WITHOUT}"

    write(f"{BACK}\n# another\n")
    for main, arguments in ((train.main, run), (evaluation.main, [str(folder)])):
        told = refuse(main, [*arguments, *MINE], capsys, monkeypatch)
        assert told.startswith(
            f"program: {folder} was made with another my_methods.py (SHA-256 {recorded['my_methods'][:12]}, now "
        )
        assert "\n" not in told
    train.main([*run, *MINE, "--fresh"])


def test_another_agent_is_the_same_with_or_without_it(write: Write, capsys: Captured) -> None:
    write(BACK)
    train.main([*TOY, "--out", "runs", *MINE])
    assert "imports" not in json.loads(Path("runs/der/Catch/seed0/config.json").read_text())["settings"]
    forget()
    train.main([*TOY, "--out", "runs"])
    assert "finished on" in capsys.readouterr().err


def test_an_analysis_asks_for_it(write: Write, capsys: Captured, monkeypatch: Patch) -> None:
    write(BACK)
    train.main([*TOY, "--agent", "der_headback", "--out", "runs", *MINE])
    protocol = ["--games", "Catch", "--env-steps", "60", "--episodes", "2"]
    leave_out_figures(monkeypatch)
    collect.main(["runs", "--out", "tables", *MINE])
    for source in ("runs", "tables"):
        report.main([source, *protocol, *MINE])
        assert "der_headback" in Path("report_files/runs.csv").read_text()
    assert "--imports" not in Path("report_files/runs.csv").read_text()  # which module it is of is no flag
    forget()
    capsys.readouterr()
    run = "runs/der_headback/Catch/seed0"
    assert refuse(collect.main, ["runs", "--out", "more"], capsys, monkeypatch) == f"program: {run} {WITHOUT}"
    assert refuse(report.main, ["runs", *protocol], capsys, monkeypatch) == f"program: {run} {WITHOUT}"
    told = refuse(report.main, ["tables", *protocol], capsys, monkeypatch)
    assert told == f"program: der_headback in tables/agents.csv {WITHOUT}"
    write(f"{BACK}\n# another\n")
    told = refuse(report.main, ["tables", *protocol, *MINE], capsys, monkeypatch)
    assert told.startswith(f"program: der_headback in tables/agents.csv {ANOTHER} (SHA-256 ")


def test_a_sweep_hands_it_on(write: Write, capsys: Captured) -> None:
    write(BACK + BASE)
    grid.main(["--agents", "der_wide_headback", "der", "--games", "Pong", *MINE])
    assert capsys.readouterr().out.splitlines() == [
        "sbatch --array=20%1 sweep/array.sbatch der_wide_headback --import my_methods",
        "sbatch --array=20%1 sweep/array.sbatch der --import my_methods",
    ]
    grid.main(["--agents", "der_headback", "--games", "Pong", "--commands", "--", *MINE])
    assert capsys.readouterr().out == "python train.py --agent der_headback --game Pong --seed 0 --import my_methods\n"


@pytest.mark.parametrize("flags", [["--import", "my_methods", "--import=more"], ["--import", "more", *MINE]])
def test_there_may_be_several(flags: list[str], write: Write, capsys: Captured) -> None:
    write(BACK)
    Path("more.py").write_text(BASE)
    asked = read_command_line([*flags, "--agent", "der_wide_headback"])
    assert asked.imports == tuple(flag.removeprefix("--import=") for flag in flags if flag != "--import")
    assert set(asked.identity()["imports"]) == {"my_methods", "more"}
    assert set(read_command_line([*flags, "--agent", "der_wide"]).identity()["imports"]) == {"more"}
    with pytest.raises(SystemExit):
        read_command_line([*flags, "--agent", "help"])
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("  _headback") for line in lines)
    assert any(line.startswith("  der_wide") for line in lines)


def test_the_study_takes_it(write: Write, capsys: Captured, monkeypatch: Patch, tmp_path: Path) -> None:
    write(BACK)
    data = ["--dataset", "fashion_mnist", "--data-dir", str(install_fashion(monkeypatch, tmp_path))]
    methods = ["--points", "small", "--methods", "none", "headback", "--seeds", "1"]
    supervised_sweep.main([*STUDY[:2], *methods, *STUDY[4:], *data, *MINE])
    supervised_report.main(["runs/supervised", "--collect", "tables", *MINE])
    assert "| `headback` |" in Path("tables/report.md").read_text()
    assert list(EVERYTHING)[-1] == "fresh_ema"
    forget()
    capsys.readouterr()
    run = "runs/supervised/fashion_mnist/mlp/warm_start/small/headback/seed0"
    told = refuse(supervised_train.main, [*STUDY, *data, "--method", "headback"], capsys, monkeypatch)
    assert told.startswith("program: unknown --method 'headback': ")
    assert told.endswith(f"; {run} was made with --import my_methods")
    told = refuse(supervised_report.main, ["runs/supervised", "--collect", "more"], capsys, monkeypatch)
    assert told == f"program: {run} {WITHOUT}"
    told = refuse(supervised_report.main, ["tables"], capsys, monkeypatch)
    assert told == "program: tables/tasks.csv, line 2: method cannot be 'headback'; one of your own needs --import"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "{file} adds nothing to METHODS or BASES"),
        ("x = 1\ny =\n", "{file}, line 2: SyntaxError: invalid syntax"),
        ("\nimport no_such_module\n", "{file}, line 2: No module named 'no_such_module'"),
        ("1 / 0", "{file}, line 1: ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "{file}, line 1: SystemExit: 3"),
        (METHOD.format("ht", USE), "{file}: there is a 'ht' already; give yours another name"),
        (BASE.replace("der_wide", "spr"), "{file}: there is a 'spr' already; give yours another name"),
        (BASE.replace("der_wide", "spr_ht"), "{file}: no base can be called 'spr_ht'"),
        (BASE.replace("der_wide", "random"), "{file}: no base can be called 'random'"),
        (BASE.replace("der_wide", "help"), "{file}: no base can be called 'help'"),
        (METHOD.format("my_own", USE), "{file}: a method's name has small letters and digits alone"),
        (METHOD.format("eps", USE), "{file}: the base 'drq_eps' and a method 'eps' could not be told apart"),
        (METHOD.format("mine", "lambda c: c, None"), "{file}: the method 'mine' is no Method(Use(...) or None, Use(...)"),
        (METHOD.format("mine", USE.replace(": c", ": None")), "{file}: TypeError: the method 'mine' makes of an agent's"),
        (BASE.replace("config=", "gflop=None, config="), "{file}: the base 'der_wide' is no Base(AgentConfig(...), what, "),
        (METHOD.format("mine", USE).replace("reset", "resets"), "{file}: the family of 'mine' is average, reset, recycle, "),
        (METHOD.format("mine", USE.replace(": c", ": c.x")), "{file}, line 2: AttributeError: 'AgentConfig' object"),
    ],
)
def test_a_bad_module_is_one_line_and_leaves_nothing(
    text: str, told: str, write: Write, tmp_path: Path, capsys: Captured, monkeypatch: Patch
) -> None:
    write(text)
    before = [list(table) for table in (METHODS, BASES, catalogue.AGENTS)]
    found = refuse(train.main, [*TOY, *MINE], capsys, monkeypatch)
    assert found.startswith(f"program: --import my_methods: {told.format(file=tmp_path / 'my_methods.py')}"), found
    assert "\n" not in found
    assert [list(table) for table in (METHODS, BASES, catalogue.AGENTS)] == before
    assert "my_methods" not in sys.modules
    assert not Path("runs").exists()


def test_what_is_not_there_is_one_line(write: Write, capsys: Captured, monkeypatch: Patch, tmp_path: Path) -> None:
    write(METHOD.format("none", f"None, {SAME}"))
    told = refuse(supervised_train.main, MINE, capsys, monkeypatch)
    assert told.endswith("my_methods.py: the study has a 'none' of its own; give yours another name")
    told = refuse(train.main, ["--import", "no_such_module"], capsys, monkeypatch)
    assert told == f"program: --import no_such_module: there is no such module, in {tmp_path} or elsewhere"
    told = refuse(train.main, ["--import", "./my_methods.py"], capsys, monkeypatch)
    assert told == "program: --import takes the name of a module, as my_methods for the file my_methods.py, not ./my_methods.py"
    assert refuse(train.main, ["--import"], capsys, monkeypatch).startswith("program: argument --import: expected one argument")
    with pytest.raises(UserError, match="imports are no table of modules"):
        outside.require(["my_methods"], "runs")


def test_it_needs_no_torch(write: Write, tmp_path: Path) -> None:
    write(BACK)
    read = f"options.read_command_line({[*MINE, '--agent', 'der_headback']})"
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import options; {read}; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
