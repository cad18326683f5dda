"""A compiler that is there and does not work is one line, and the run goes on without it."""

import shutil
from pathlib import Path
from types import ModuleType

import pytest
import torch

import train
from agents.engine import _missing_compiler, prepare
from agents.execution import Execution
from benchmarks import learners
from tests.fake_replay import small
from tests.toy_run import TOY


@pytest.mark.parametrize("name", ["false", "true", "text"])
def test_a_compiler_that_does_not_work(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text").write_text("no program")
    (tmp_path / "text").chmod(0o755)
    path = str(tmp_path / "text") if name == "text" else shutil.which(name)
    monkeypatch.setenv("CXX", str(path))
    assert prepare(Execution(compiled=True), torch.device("cpu"))(len) is len
    told = capsys.readouterr().err
    assert told.startswith(f"--execution.compiled: the C++ compiler {path} does not work")
    assert told.count("\n") == 1


def test_a_compiler_that_works_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    if not shutil.which("g++"):
        pytest.skip("there is none")
    monkeypatch.setenv("CXX", "g++")
    assert _missing_compiler(torch.device("cpu")) is None


@pytest.mark.parametrize("fault", ["there is no C compiler (gcc or clang)", "the C compiler", "Triton is not installed"])
def test_a_gpu_needs_triton_and_a_c_compiler(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton would fail at the first update: by default long runs are compiled, so this is asked before."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if fault.startswith("Triton") else name)
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    if fault == "the C compiler":
        (tmp_path / "gcc").write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / "gcc").chmod(0o755)
    assert (_missing_compiler(torch.device("cuda")) or "").startswith(fault)


@pytest.mark.filterwarnings("ignore")  # torch.compile warns of its own ways
def test_the_tenth_agent_of_a_process_is_compiled_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has versions of its own; by torch's default the ninth version of a function would run eager, without a word."""
    monkeypatch.setattr("agents.engine._missing_compiler", lambda _: None)
    prepare(Execution(compiled=True), torch.device("cpu"))
    compiled: list[object] = []

    def times(x: torch.Tensor, agent: int) -> torch.Tensor:
        return x * agent

    made = torch.compile(times, dynamic=False, backend=lambda module, _: compiled.append(module) or module.forward)
    for agent in range(2, 12):
        made(torch.ones(1), agent)
    assert len(compiled) == 10


@pytest.mark.parametrize("module", [train, learners])
def test_what_learns_sets_how_this_process_computes(
    module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent leaves that alone; `test_policy` has the evaluation's."""
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(module, "configure", lambda *how: asked.append(how))
    if module is train:
        train.main([*TOY, "--out", str(tmp_path), "--device", "cpu"])
    else:
        learners.learner(small("der"), torch.device("cpu"))
    assert asked == [(Execution(), torch.device("cpu"))]
