"""The benchmark programs: what they time is whole, and what a machine cannot do is refused."""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.multiprocessing import start_processes

from agents.agent import Agent
from agents.bases import BASES
from benchmarks import coverage, env, flips, gpu, here, kills, many, methods, program, replay, resume, run, supervised, update
from benchmarks.learners import filled
from benchmarks.program import Row
from benchmarks.update import parts
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
    flags = ["--game", "Catch", "--agent", "der", "--env-steps", "130", "--replay.warmup-steps", "100", "--head.hidden", "16"]
    found = run.account(read_command_line([*flags, "--replay.batch-size", "2", "--eval-episodes", "3", "--device", "cpu"]))
    shares = [share for name, share in found.items() if name.startswith("share of ")]
    assert sum(shares) == pytest.approx(1)
    assert all(share >= 0 for share in shares)
    assert found["env steps"] == 30
    assert found["env steps a second"] == pytest.approx(30 / found["loop"])
    assert found["evaluation"] > 0
    assert 0 < found["share of update"] < 1


@pytest.mark.parametrize(
    "module",
    [coverage, env, flips, gpu, kills, many, methods, replay, resume, run, supervised, update],
    ids=lambda m: m.__name__,
)
def test_every_program_says_what_it_does_not_know(module: Any) -> None:
    with pytest.raises(UserError, match=r"--nosuch|required"):
        module.main(["--nosuch"])


@pytest.mark.parametrize(
    ("module", "flags", "said"),
    [
        (gpu, ["--device", "cpu", "--out", "/"], "--out must name a file"),
        (gpu, ["--device", "cpu", "--out", "file/gpu"], "cannot write file/gpu: "),
        (env, ["--lanes", "1", "1025"], "--lanes must lie in [1, 1_024], not 1025"),
        (many, ["--streams"], "cuda"),
        (many, ["--agent", "nosuch"], "--agent: unknown agent 'nosuch'"),
        (many, ["--runs", "1", "0"], "--runs: '0' is no whole number of 1 or more"),
        (many, ["--seconds", "nan"], "--seconds must be more than 0"),
        (many, ["--captured"], "captured"),
        (update, ["--captured"], "captured"),
        (update, ["--precision", "tf32"], "tf32"),
        (update, ["--agent", "nosuch"], "unknown agent 'nosuch'"),
        pytest.param(gpu, [], "--device cuda: ", marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")),
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


def _die_or_wait(number: int, together: Barrier) -> None:
    if number == 1:
        os._exit(3)
    together.wait()


def _raise_or_wait(number: int, together: Barrier) -> None:
    if number == 1:
        raise ValueError("no such thing")
    together.wait()


def _wait(_: int, together: Barrier) -> None:
    together.wait()


@pytest.mark.parametrize(
    ("work", "seconds", "said"),
    [
        (_die_or_wait, 60, "a run of 3 failed: process 1 terminated with exit code 3"),
        (_raise_or_wait, 60, "a run of 3 failed: ValueError: no such thing"),
        (_wait, 0.2, "3 of 3 runs did not"),
    ],
)
def test_runs_that_wait_for_one_that_is_dead_are_ended(work: Callable[..., None], seconds: float, said: str) -> None:
    together = multiprocessing.get_context("fork").Barrier(4)  # more than there are, so that all wait
    runs = start_processes(work, (together,), 3, join=False, start_method="fork")
    began = time.monotonic()
    with pytest.raises(RuntimeError, match=said):
        many.join_all(runs, seconds)
    assert time.monotonic() - began < 10
    assert not any(process.is_alive() for process in runs.processes)


def test_a_row_that_fails_leaves_the_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    out, kept = tmp_path / "absent/dir/run1.5", tmp_path / "absent/dir/run1.5.json"

    def slow(*args: object, timeout: float, **_: object) -> None:
        assert json.loads(kept.read_text())["sections"] == {}  # it can be written to before anything is measured
        raise subprocess.TimeoutExpired("pytest", timeout, output=b"3 passed, and then")

    def broken(words: list[str]) -> Iterator[Row]:
        yield {"x": 1.0}
        if "spr" in words:
            raise OSError("no space left")

    def last(_: object) -> Iterator[Row]:
        assert "update" not in json.loads(kept.read_text())["sections"]
        yield {"runs": 2}

    monkeypatch.setattr(gpu, "commit", lambda: "a")
    monkeypatch.setattr(subprocess, "run", slow)
    monkeypatch.setattr(gpu, "circumstances", lambda: "c")
    monkeypatch.setattr(
        gpu, "PROGRAMS", gpu.PROGRAMS | {"run": lambda _: iter([{"y": 1}]), "update": broken, "many": last, "here": last}
    )
    gpu.main(["--device", "cpu", "--quick", "--out", str(out)])
    found = json.loads(kept.read_text())["sections"]
    said = {"failed": "not done in 240 s", "said": "3 passed, and then"}
    assert [{name: row[name] for name in said} for row in found["pytest"]] == [said]
    assert [row["y"] for row in found["run"]] == [1]
    assert [row["runs"] for row in found["many"]] == [2]
    assert [row.get("x", row.get("failed")) for row in found["update"]] == [1, 1, "OSError: no space left"] * 6
    assert "| OSError: no space left |" in (out.parent / "run1.5.md").read_text()


def test_what_did_not_fit_into_the_time_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gpu, "circumstances", lambda: "c")
    gpu.main(["--device", "cpu", "--quick", "--minutes", "0", "--out", str(tmp_path / "gpu")])
    sections = json.loads((tmp_path / "gpu.json").read_text())["sections"]
    assert {name: len(rows) for name, rows in sections.items()} == {"pytest": 1, "here": 1, "run": 1, "many": 1, "update": 12}
    assert {row["failed"] for rows in sections.values() for row in rows} == {"the time was up"}
    rows = gpu.measured(lambda _: iter([{"x": 1}, {"x": 2}]), "", time.monotonic() + 0.2)
    assert next(rows) == {"x": 1}
    time.sleep(0.3)
    assert list(rows) == [{"failed": "the time was up"}]


def test_a_row_says_what_could_not_be_done() -> None:
    (row,) = gpu.measured(gpu.PROGRAMS["update"], "--agents der --precision tf32 --device cpu", time.monotonic() + 60)
    assert "tf32" in row["failed"]
    text = gpu.markdown({"device": "d", "circumstances": "c", "sections": {"update": [row, {"agent": "a|b", "x": 0.123456}]}})
    assert "| agent |" in text
    assert "a\\|b" in text
    assert "0.1235" in text


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("quick", [False, True])
def test_what_is_planned_are_command_lines(device: str, quick: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    for module in (run, update, many, here):
        monkeypatch.setattr(module.main, "_rows", asked.append)
    monkeypatch.setattr(program, "choose_device", torch.device)
    monkeypatch.setattr(program, "check_execution", lambda *_: None)
    planned = list(gpu.plan(device, quick))
    for name, words in planned[1:]:
        gpu.PROGRAMS[name](words.split())
    assert {str(found.device) for found in asked if "device" in found} == {device}
    updates = [found for found in asked if "agents" in found]
    compiled = [(found.agents[0], found.ops) for found in updates if found.execution.compiled]
    of_headline = [(name, ops) for ops in (True, False, False) for name in ("der_ht", "spr_ht", "bbf_ht")]
    assert compiled == of_headline * (device == "cuda")
    others = {(found.agents[0], found.execution) for found in updates if not found.execution.compiled}
    assert len(others) == 6 * (2 if quick else len(BASES))


def test_a_second_visit_keeps_what_the_first_one_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    out, counts = tmp_path / "gpu", iter(range(10))
    monkeypatch.setattr(gpu, "circumstances", lambda: "c")
    monkeypatch.setattr(gpu, "PROGRAMS", {name: lambda _: iter([{"x": next(counts)}]) for name in gpu.PROGRAMS})
    for only in ("run", "here", "run"):
        gpu.main(["--device", "cpu", "--quick", "--out", str(out), "--only", only])
    sections = json.loads((tmp_path / "gpu.json").read_text())["sections"]
    assert {name: [row["x"] for row in rows] for name, rows in sections.items()} == {"here": [1], "run": [2]}
    monkeypatch.setattr(gpu, "commit", lambda: "another")
    with pytest.raises(UserError, match=r"gpu\.json is of another device or commit; choose another --out"):
        gpu.main(["--device", "cpu", "--quick", "--out", str(out), "--only", "run"])
    with pytest.raises(UserError, match="--only rum: did you mean run"):
        gpu.main(["--device", "cpu", "--out", str(out), "--only", "rum"])


def test_runs_side_by_side_are_whole_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures are those of the runs that `sweep.here` made: a stand-in leaves two, of 10 and 20 env steps a second."""

    commands: list[list[str]] = []

    def made(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(words)
        folder = Path(words[words.index("--out") + 1])
        for seed in range(2):
            place = folder / f"der/Pong/seed{seed}"
            place.mkdir(parents=True)
            row = {"kind": "train", "clock": {"env_steps_per_second": 10.0 * (seed + 1)}}
            (place / "metrics.jsonl").write_text(json.dumps(row) + "\n")
        return subprocess.CompletedProcess(words, 0, "", "")

    monkeypatch.setattr(here, "query", lambda *fields: [])
    monkeypatch.setattr(subprocess, "run", made)
    (row,) = here.main.measure(["--agent", "der", "--runs", "2", "--device", "cpu"])
    assert row["env steps a second"] == 30
    assert "power, W" not in row
    for device, number in (("cpu", 0), ("cuda", 1)):  # as whole runs are by default; auto leaves so short ones eager
        here.side_by_side(argparse.Namespace(agent="der", env_steps=9, device=torch.device(device)), 2)
        assert commands[-1].count("--execution.compiled") == number
    broken = subprocess.CompletedProcess([], 1, "", "a\nb: it failed")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: broken)
    with pytest.raises(UserError, match="2 runs at once: b: it failed"):
        list(here.main.measure(["--agent", "der", "--runs", "2", "--device", "cpu"]))
