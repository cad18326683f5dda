"""What a GPU records as a graph holds no number of Python's: recorded once and replayed, it goes on as if it were run."""

from contextlib import nullcontext
from functools import cache, partial
from itertools import count

import numpy as np
import pytest
import torch

from agents import engine
from agents.agent import Agent
from agents.engine import WARMUP
from benchmarks.learners import filled
from hare_tortoise.measure import distance
from options import read_command_line
from replay.batch import Rule, Window
from replay.buffer import ReplayBuffer
from replay.stack import FrameStack
from replay.upload import Upload, file_row_
from tests.fake_replay import ACTIONS, small
from tests.tape import Recording
from tests.test_agent_device import NoWaiting, trap_

CPU = torch.device("cpu")


def test_a_tape_holds_numbers_and_reads_tensors() -> None:
    total, step, seen = torch.zeros(()), torch.ones(()), []

    def work() -> None:
        seen.append(1)
        total.add_(step * 2 + len(seen))

    again = Recording(work)
    step.fill_(10)
    again()
    assert (total.item(), len(seen)) == (3 + 21, 1)


def test_all_that_is_recorded_runs_on_one_other_stream_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stream that multiplies keeps memory of the card's for ever."""
    told: list[object] = []

    class Stream:
        def wait_stream(self, other: object) -> None:
            told.append((self, other))

    current, made = Stream(), []
    monkeypatch.setattr(torch.cuda, "Stream", lambda: made.append(Stream()) or made[-1])
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: current)
    monkeypatch.setattr(torch.cuda, "stream", nullcontext)
    monkeypatch.setattr(engine, "_side", cache(engine._side.__wrapped__))
    for number in range(3):
        assert engine._aside(lambda number=number: told.append(number) or number) == number
    (side,) = made
    assert told == [step for number in range(3) for step in ((side, current), number, (current, side))]


@pytest.mark.parametrize("call", range(1, WARMUP + 2))
def test_what_fails_while_it_is_prepared_says_how_to_go_without(call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the parser of train.py, so that what is said can be typed."""

    def fail(at: int, result: object) -> object:
        if at == call:
            raise RuntimeError("a driver's own words")
        return result

    calls = count(1)
    monkeypatch.setattr(engine, "_aside", lambda _: fail(next(calls), None))
    monkeypatch.setattr(engine, "_record", lambda *_: fail(next(calls), (None, None)))
    recorded = engine.Captured(lambda: None)
    for _ in range(call - 1):
        recorded()
    with pytest.raises(RuntimeError, match="own words") as caught:
        recorded()
    (note,) = caught.value.__notes__
    asked = read_command_line(note.partition(": ")[2].split())
    assert (asked.execution.compiled, asked.execution.captured) == (False, False)


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.smoke
def test_env_steps_are_taken_in_by_a_recording_as_by_a_run(lanes: int) -> None:
    """Several times round the ring, with ends, time limits and draws between."""

    def memory() -> tuple[ReplayBuffer, FrameStack, Upload]:
        replay = ReplayBuffer(40 * lanes, lanes, Window(3, 2, 8), Rule(0.5), device="cpu", seed=0)
        return replay, FrameStack(lanes, 8, "cpu"), Upload(lanes, 8, "cpu")

    plain, recorded, rng = memory(), memory(), np.random.default_rng(0)
    again = None
    for step in range(150):
        sent = (
            rng.integers(256, size=(lanes, 8, 8), dtype=np.uint8),
            rng.integers(4, size=lanes),
            rng.normal(size=lanes),
            rng.random(lanes) < 0.1,
            rng.random(lanes) < 0.05,
        )
        for _, _, upload in (plain, recorded):
            upload(*sent)
        file_row_(*plain[:2], plain[2].row)
        if again is None:
            again = Recording(partial(file_row_, *recorded[:2], recorded[2].row))
        else:
            again()
        if step > 10:
            drawn = torch.from_numpy(rng.integers(step, size=4).clip(max=39)), torch.from_numpy(rng.random(4)).float()
            for replay, _, _ in (plain, recorded):
                replay.reprioritise_(*drawn)
    for name in ("frame", "action", "reward", "terminal", "ended"):
        assert torch.equal(getattr(plain[0], name), getattr(recorded[0], name))
    assert torch.equal(plain[0].priorities.value, recorded[0].priorities.value)
    assert plain[0].priorities.value.count_nonzero() > 20 * lanes
    assert torch.equal(plain[1].frames, recorded[1].frames)
    assert plain[0].time == recorded[0].time == 150


def test_an_env_step_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    replay = ReplayBuffer(40, 1, Window(3, 2), Rule(0.5), device="cpu", seed=0)
    stack, upload = FrameStack(1, 84, "cpu"), Upload(1, 84, "cpu")
    with monkeypatch.context() as patch, NoWaiting():
        trap_(patch)
        for _ in range(4):
            file_row_(replay, stack, upload.row)
    assert replay.time == 4


@pytest.mark.parametrize("name", ["der", "spr", "der_snr", "der_cbp", "der_nap", "der_prune", "der_sam", "der_snorm"])
def test_updates_are_made_by_a_recording_as_by_a_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The part that is recorded; what is planned behind it is done by both."""
    monkeypatch.setattr("hare_tortoise.renewal.AT_HOST", ())  # a CPU looks, since it need not wait
    plain, recorded = (Agent(small(name), ACTIONS, device="cpu", seed=0, planned=40) for _ in range(2))
    replays = [filled(small(name), ACTIONS, 200, CPU) for _ in range(2)]
    learn, learn_on_tape = (partial(agent._learn, replay) for agent, replay in zip((plain, recorded), replays, strict=True))
    tape: Recording | None = None
    for update in range(1, 8):
        plain.upkeep.after_update(update, learn())
        if update <= 2:  # Adam makes its moments in the first
            states = learn_on_tape()
        elif tape is None:
            tape = Recording(learn_on_tape)
            states = tape.result
        else:
            states = tape()
        recorded.upkeep.after_update(update, states)
        assert torch.equal(plain._tally._sums, recorded._tally._sums)
    assert distance(plain.hare.parameters(), recorded.hare.parameters()) == 0
    assert distance(plain.tortoise.parameters(), recorded.tortoise.parameters()) == 0
    assert torch.equal(replays[0].priorities.value, replays[1].priorities.value)
