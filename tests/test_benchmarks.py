"""The benchmark programs: what they time is whole, and what a machine cannot do is refused."""

import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
import torch

from agents.agent import Agent
from benchmarks import gpu, many, run, update
from benchmarks.flops import filled
from benchmarks.parts import parts
from experiment.command import UserError
from options import read_command_line
from tests.fake_replay import ACTIONS, small


@pytest.mark.parametrize("name", ["der_ht", "spr"])
@pytest.mark.smoke
def test_the_parts_of_an_update_are_the_whole_of_it(name: str) -> None:
    """An update timed by part changes what an update changes, and nothing is timed twice but what is said to be."""
    config, device = small(name), torch.device("cpu")
    agent, whole = (Agent(config, ACTIONS, device="cpu", seed=0) for _ in range(2))
    found = parts(agent, filled(config, ACTIONS, 200, device), rounds=2, warmup=1)
    replay = filled(config, ACTIONS, 200, device)
    for _ in range(3):
        whole.update(replay)
    assert all(len(times) == 2 and min(times) >= 0 for times in found.values())
    assert {"draw, weights", "gather", "backward", "Adam", "priorities", "tortoise", "targets"} <= found.keys()
    assert ("unroll" in found) == (name == "spr")
    for mine, theirs in zip(agent.hare.parameters(), whole.hare.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    for mine, theirs in zip(agent.tortoise.parameters(), whole.tortoise.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert statistics.median(found["backward"]) > 0


def test_the_account_of_a_run_adds_up() -> None:
    flags = ["--game", "Catch", "--agent", "der", "--env-steps", "160", "--replay.warmup-steps", "100", "--head.hidden", "16"]
    found = run.account(read_command_line([*flags, "--replay.batch-size", "2", "--eval-episodes", "3", "--device", "cpu"]))
    shares = [share for name, share in found.items() if name.startswith("share of ")]
    assert sum(shares) == pytest.approx(1)
    assert all(share >= 0 for share in shares)
    assert found["env steps"] == 60
    assert found["env steps a second"] == pytest.approx(60 / found["loop"])
    assert found["evaluation"] > 0
    assert 0 < found["share of update"] < 1


@pytest.mark.parametrize(
    ("module", "flags", "said"),
    [
        (gpu, ["--device", "cpu", "--out", "/"], "--out must name a file"),
        (gpu, ["--device", "cpu", "--out", "file/gpu"], "cannot write file/gpu: "),
        (many, ["--streams"], "cuda"),
        (many, ["--agent", "nosuch"], "--agent: unknown agent 'nosuch'"),
        (many, ["--runs", "1", "0"], "--runs and --threads must be 1 or more"),
        (many, ["--seconds", "nan"], "--seconds more than 0"),
        pytest.param(
            gpu, [], "no GPU is visible", marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
        ),
    ],
)
def test_a_command_that_cannot_be_is_one_line(
    module: Any, flags: list[str], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(UserError) as refused:
        module.main(flags)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(("flags", "said"), [(["--captured"], "captured"), (["--precision", "tf32"], "tf32")])
def test_what_the_machine_cannot_do_is_refused(
    flags: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark", *flags])
    with pytest.raises(SystemExit) as refused:
        update.main()
    assert refused.value.code == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def _die(together: Barrier) -> None:
    os._exit(3)


def _wait(together: Barrier) -> None:
    together.wait()


@pytest.mark.parametrize(
    ("second", "seconds", "said"), [(_die, 60, "a run of 3 ended with 3"), (_wait, 0.2, "3 of 3 runs did not")]
)
def test_runs_that_wait_for_one_that_is_dead_are_ended(second: Callable[[Barrier], None], seconds: float, said: str) -> None:
    fork = multiprocessing.get_context("fork")
    together = fork.Barrier(4)  # more than there are, so that all wait
    workers = [fork.Process(target=target, args=(together,)) for target in (_wait, second, _wait)]
    for worker in workers:
        worker.start()
    began = time.monotonic()
    with pytest.raises(RuntimeError, match=said):
        many.join_all(workers, seconds)
    assert time.monotonic() - began < 10
    assert not any(worker.is_alive() for worker in workers)


def test_a_section_that_fails_leaves_the_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    out, kept = tmp_path / "absent/dir/run1.5", tmp_path / "absent/dir/run1.5.json"

    def slow(*args: object, timeout: float, **_: object) -> None:
        assert json.loads(kept.read_text())["sections"] == {}  # it can be written to before anything is measured
        raise subprocess.TimeoutExpired("pytest", timeout, output=b"3 passed, and then")

    def broken(*_: object) -> Iterator[gpu.Row]:
        yield {"updates a second": 1.0}
        raise OSError("no space left")

    def last(*_: object) -> Iterator[gpu.Row]:
        assert json.loads(kept.read_text())["sections"]["Updates"][1] == {"failed": "OSError: no space left"}
        yield {"runs": 2}

    monkeypatch.setattr(subprocess, "run", slow)
    monkeypatch.setattr(gpu, "circumstances", lambda: "c")
    monkeypatch.setattr(gpu, "real_run", lambda *_: iter([{"x": 1}]))
    monkeypatch.setattr(gpu, "updates", broken)
    monkeypatch.setattr(gpu, "several", last)
    gpu.main(["--device", "cpu", "--quick", "--out", str(out)])
    assert json.loads(kept.read_text())["sections"] == {
        "Tests that need a GPU": [{"failed": "not done in 240 s", "said": "3 passed, and then"}],
        "A short run": [{"x": 1}],
        "Updates": [{"updates a second": 1.0}, {"failed": "OSError: no space left"}],
        "Several runs": [{"runs": 2}],
    }
    assert "| OSError: no space left |" in (out.parent / "run1.5.md").read_text()


def test_a_row_says_what_could_not_be_done() -> None:
    row = next(r for r in gpu.updates(torch.device("cpu"), 2, ["der"]) if r["precision"] == "tf32")
    assert "tf32" in row["failed"]
    text = gpu.markdown({"device": "d", "circumstances": "c", "sections": {"Updates": [row, {"agent": "a|b", "x": 0.123456}]}})
    assert "| agent |" in text
    assert "a\\|b" in text
    assert "0.1235" in text
