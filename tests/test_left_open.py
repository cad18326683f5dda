"""What a command line leaves to the program: how it is said, chosen once, and kept by the run."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

import train
from agents import engine
from agents.engine import settle
from agents.execution import AUTO, Execution
from experiment.command import UserError
from experiment.folder import CONFIG, RunFolder
from experiment.settings import differences
from options import Run, read_command_line

CPU, GPU = torch.device("cpu"), torch.device("cuda")
FLAGS = "--game Catch --agent random --env-steps 40 --log-every 20 --eval-episodes 1 --device cpu"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("", AUTO),
        ("--execution.compiled", replace(AUTO, compiled=True)),
        ("--execution.compiled --fresh", replace(AUTO, compiled=True)),
        ("--execution.compiled off --execution.captured=on", replace(AUTO, compiled=False, captured=True)),
        ("--execution.captured auto --execution.precision bf16", replace(AUTO, precision="bf16")),
    ],
)
def test_a_switch_may_be_on_off_or_left_open(flags: str, expected: Execution) -> None:
    assert read_command_line(flags.split()).execution == expected


@pytest.mark.parametrize("words", ["maybe", "on off"])
def test_another_word_is_refused(words: str) -> None:
    with pytest.raises(UserError, match=f"--execution.compiled: it is on, off or auto, not {words}"):
        read_command_line(["--execution.compiled", *words.split()])


def test_a_run_keeps_what_was_chosen_when_it_was_begun(tmp_path: Path) -> None:
    """The same command goes on with it, whatever this machine's own choice would be; a flag that says otherwise is refused."""
    asked = Run(agent="der", out=tmp_path)
    begun = replace(asked, execution=Execution("tf32", compiled=True, captured=True))
    with RunFolder(asked.folder) as folder:
        folder.begin(begun.identity(), {})
        assert folder.check(asked.identity(), Run) is None  # unfinished, and this very run
        assert asked.going_on(begun.identity()) == begun
        said = replace(asked, execution=replace(AUTO, captured=False))
        with pytest.raises(UserError, match=r"another --execution.captured \(True there, False here\)"):
            folder.check(said.identity(), Run)


def test_a_run_from_before_there_was_a_choice_was_a_plain_one() -> None:
    old = {name: value for name, value in Run().identity().items() if name != "execution"}
    assert differences(Run, old, Run().identity(), scored=True) == ""
    assert Run().going_on(old).execution == Execution()
    assert differences(Run, old, Run(execution=Execution(compiled=True)).identity(), scored=True).startswith(
        "--execution.compiled"
    )


def test_what_was_chosen_is_written_down(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train.main([*FLAGS.split(), "--out", str(tmp_path)])
    (config,) = tmp_path.rglob(CONFIG)
    assert json.loads(config.read_text())["settings"]["execution"] == asdict(Execution())
    train.main([*FLAGS.split(), "--out", str(tmp_path)])
    assert "finished on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("device", "updates", "expected"),
    [
        (CPU, None, Execution()),
        (CPU, 19_999, Execution()),
        (CPU, 20_000, Execution(compiled=True)),
        (GPU, 100, Execution("tf32", captured=True)),
        (GPU, 98_000, Execution("tf32", compiled=True, captured=True)),
    ],
)
def test_what_is_left_open_becomes_what_is_fastest(
    device: torch.device, updates: int | None, expected: Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_missing_compiler", lambda device: None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    assert settle(AUTO, device, updates) == expected
    assert settle(Execution(), device, updates) == Execution()
    assert settle(replace(AUTO, precision="bf16"), device, updates) == replace(expected, precision="bf16")
    monkeypatch.setattr(engine, "_missing_compiler", lambda device: "none is there")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert settle(AUTO, device, updates) == replace(expected, compiled=False, precision="float32")


def test_a_run_that_lost_its_configuration_keeps_what_its_checkpoint_says(tmp_path: Path) -> None:
    command = [*FLAGS.replace("--eval-episodes 1", "--eval-episodes 0").split(), "--out", str(tmp_path)]
    train.main([*command, "--execution.precision", "bf16"])
    (config,) = tmp_path.rglob(CONFIG)
    config.unlink()
    train.main(command)
    assert json.loads(config.read_text())["settings"]["execution"]["precision"] == "bf16"
