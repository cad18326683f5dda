"""While something is compiled, a signal that a terminal sends to all programs ends no compiler."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from agents import engine
from agents.agent import Agent
from agents.engine import SIGNALS, WARMUP, compiling
from agents.execution import Execution
from agents.objective import objective
from experiment.signals import NUMBERS
from tests.fake_replay import FakeReplay, random_batch, small

MASK = "import signal; print(*sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, []))))"


def blocked() -> set[int]:
    """The signals that a program which is started now does not hear."""
    return set(
        map(int, subprocess.run([sys.executable, "-c", MASK], capture_output=True, text=True, check=True).stdout.split())
    )


def test_programs_that_are_started_hear_no_signal_and_this_one_hears_it_later() -> None:
    heard: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        heard.append(number)

    before, outside = signal.signal(signal.SIGUSR1, handle), blocked()
    try:
        with compiling():
            assert blocked() == {*map(int, SIGNALS)} | outside
            os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert heard == [signal.SIGUSR1]
    assert blocked() == outside
    assert set(SIGNALS) == set(NUMBERS)


def test_a_library_that_was_half_made_is_deleted_and_told(tmp_path: Path) -> None:
    file = tmp_path / "c7kv.main.so"
    file.touch()
    with pytest.raises(RuntimeError) as error, compiling():
        raise RuntimeError(f"ImportError: {file}: file too short\nmore")
    assert not file.exists()
    assert error.value.__notes__ == [
        f"{file} was half made, by a compiler that was killed. It is deleted: the same command goes on"
    ]
    with pytest.raises(RuntimeError) as error, compiling():
        raise RuntimeError("another")
    assert not hasattr(error.value, "__notes__")


@pytest.mark.parametrize("compiled", [False, True])
def test_signals_are_held_back_in_the_first_update_alone(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """And in that behind which another network is compiled: an injected one."""
    monkeypatch.setattr("agents.agent.prepare", lambda *_: lambda function: function)
    agent = Agent(small("der_inject"), 3, device="cpu", seed=0, execution=Execution(compiled=compiled))
    held: list[bool] = []

    def seen(*arguments: Any) -> Any:
        held.append(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))
        return objective(*arguments)

    monkeypatch.setattr(agent, "_objective", seen)
    replay = FakeReplay([random_batch(agent.config, 0)])
    for update in range(4):
        if update == 2:
            agent.hare.set_injected_(True)
        agent.update(replay)
    assert held == [compiled, False, compiled, False]


def test_signals_are_held_back_in_the_first_call_of_what_becomes_a_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_aside", lambda function: function())
    held: list[bool] = []
    recorded = engine.Captured(lambda: held.append(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])))
    for _ in range(WARMUP):
        recorded()
    assert held == [True, *[False] * (WARMUP - 1)]
