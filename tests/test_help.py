"""What --help and --help-all print: short, whole, true, and with lines that can be typed."""

import dataclasses
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import flags as train_flags
import options
from agents.catalogue import find_agent
from experiment import command
from experiment.help import Flag, described, everything, one_screen
from supervised import options as supervised

ROOT = Path(__file__).parent.parent


class Program(NamedTuple):
    """A program's command line, what its help says, and a run of it by default."""

    start: str
    module: Any
    guide: Any
    run: Any


TRAIN = Program("python train.py", options, train_flags.GUIDE, options.Run())
SUPERVISED = Program("python -m supervised.train", supervised, supervised.GUIDE, supervised.Run())
BOTH = pytest.mark.parametrize("program", [TRAIN, SUPERVISED], ids=lambda program: program.start)


def printed(program: Program, line: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines that the program prints and ends with."""
    with pytest.raises(SystemExit) as end:
        program.module.read_command_line(line.split())
    assert not end.value.code
    return capsys.readouterr().out.splitlines()


@BOTH
def test_help_is_one_screen(program: Program, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    lines = printed(program, "--help", capsys)
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 100
    assert printed(program, "-h", capsys) == lines
    told = "\n".join(lines)
    assert all(f"  {flag} " in told for flag in program.guide.every_day)
    assert "--help-all" in lines[-1]
    assert f"(default: {program.run.seed})" in told


@BOTH
def test_examples_can_be_typed(program: Program) -> None:
    for line in program.guide.examples:
        assert line.startswith(f"{program.start} ")
        program.module.read_command_line(shlex.split(line.removeprefix(program.start), comments=True))


@BOTH
def test_every_flag_is_in_one_group(program: Program) -> None:
    grouped = [name for names in program.guide.groups.values() for name in names]
    own = {field.name for value in (program.run, program.run.config) for field in dataclasses.fields(value)} - {"config"}
    assert sorted(grouped) == sorted(own)
    assert all(flag.text for flag in described(program.run) if not flag.piece)


def given(flag: Flag) -> list[str]:
    """The command line that gives a flag the value that its help says it has."""
    _, _, default = flag.text.removesuffix(")").rpartition("(default: ")
    if flag.metavar is None:
        return [flag.names[default == "False"]]
    words = {"True": "on", "False": "off"} if flag.metavar == command.SWITCH else {}
    return [flag.names[0], *(words.get(word, word) for word in default.split())]


@pytest.mark.parametrize("line", ["--agent der", "--agent bbf_ht_redo", "--agent random", "--agent plastic_prune --game Alien"])
def test_help_all_has_every_flag_with_the_agents_own_value(
    line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the parser has them: all that it says, typed in, is the same run."""
    agent = line.split()[1]
    run = options.Run(agent=agent, config=find_agent(agent))
    known = list(described(run))
    assert [flag.names[0] for flag in known] == command.flags(run)
    typed = [word for flag in known if "(default: " in flag.text for word in given(flag)]
    assert options.read_command_line(typed) == run

    monkeypatch.setenv("COLUMNS", "4000")
    lines = printed(TRAIN, f"{line} --help-all", capsys)
    told = " ".join(" ".join(lines).split())
    for flag in known:
        names = ", ".join(flag.names) if flag.metavar is None else f"{flag.names[0]} {flag.metavar}"
        assert f"{names} {flag.text}".strip() in told
    assert sum(text.startswith("  --") for text in lines) == len(known)


@BOTH
def test_what_a_run_has_not_is_told(program: Program) -> None:
    assert f"Not here: {'target.end' if program is TRAIN else 'augmentation'}, " in everything(program.run, program.guide)
    assert "Not here" not in one_screen(program.run, program.guide)


def test_help_is_answered_by_the_program_itself_without_torch() -> None:
    code = "import sys, runpy; sys.argv = ['train.py', '--help_all']\ntry: runpy.run_path('train.py', run_name='__main__')\n"
    code += "finally: print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.startswith("usage: train.py [--FLAG VALUE ...]\n")
    assert found.stdout.endswith("\nFalse\n")
