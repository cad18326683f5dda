"""What an update dispatches is counted, and does not grow unseen: on a GPU it is bound by the number of its kernels."""

import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from agents.agent import Agent
from agents.engine import _missing_compiler
from benchmarks.learners import filled
from benchmarks.ops import Operators
from replay.batch import Rule, Window
from replay.buffer import ReplayBuffer
from replay.stack import FrameStack
from replay.upload import Upload, file_row_
from tests.fake_replay import ACTIONS, small

CPU = torch.device("cpu")


def test_what_computes_or_copies_counts_and_what_only_looks_does_not() -> None:
    x, others = torch.rand(4, 6), [torch.rand(2), torch.rand(3)]
    with Operators() as seen:
        y = x.view(2, 12).T[1:].unsqueeze(0).detach().expand(3, -1, -1)
        assert seen.counts.total() == 0
        torch._foreach_mul_(others, 2.0)
        (y.contiguous() * 2).relu_().reshape(-1)
    assert dict(seen.counts) == {"_foreach_mul_": 1, "clone": 1, "mul": 1, "relu_": 1}


@pytest.mark.parametrize(("name", "most"), [("der_ht", 278), ("spr_ht", 526), ("bbf_ht", 564)])
def test_an_update_dispatches_no_more_than_it_did(name: str, most: int) -> None:
    config = small(name)
    agent, replay = Agent(config, ACTIONS, device="cpu", seed=0), filled(config, ACTIONS, 200, CPU)
    agent.update(replay)
    with Operators() as seen:
        agent.update(replay)
    one_more = torch.__version__ < "2.12" and config.prediction is not None  # in PyTorch 2.11
    assert seen.counts.total() <= most + one_more


@pytest.mark.parametrize("name", ["der", pytest.param("spr", marks=pytest.mark.slow)])
def test_the_draw_and_the_notes_of_an_update_can_be_compiled(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, but for the code that is generated: each one whole graph; equal to the bit."""
    config = small(name)
    eager, compiled = (Agent(config, ACTIONS, device="cpu", seed=0) for _ in range(2))
    compiled._look, compiled._note = (
        torch.compile(part, dynamic=False, fullgraph=True, backend="aot_eager") for part in (compiled._look, compiled._note)
    )
    replays = [filled(config, ACTIONS, 200, CPU) for _ in range(2)]
    for _ in range(3):
        for agent, replay in zip((eager, compiled), replays, strict=True):
            agent.update(replay)
    assert eager.metrics() == compiled.metrics()
    assert torch.equal(replays[0].priorities.value, replays[1].priorities.value)
    for mine, theirs in zip(eager.hare.parameters(), compiled.hare.parameters(), strict=True):
        assert torch.equal(mine, theirs)


Memory = tuple[ReplayBuffer, FrameStack, Upload]


def memory(steps: int) -> Memory:
    replay = ReplayBuffer(steps, 1, Window(3, 2, 8), Rule(0.5), device="cpu", seed=0)
    return replay, FrameStack(1, 8, "cpu"), Upload(1, 8, "cpu")


def test_what_an_env_step_takes_can_be_compiled() -> None:
    """As on a GPU, but for the code that is generated: each one whole graph; equal to the bit."""
    whole = partial(torch.compile, dynamic=False, fullgraph=True, backend="aot_eager")
    rng, memories = np.random.default_rng(0), (memory(40), memory(40))
    for _ in range(60):
        sent = rng.integers(256, size=(1, 8, 8), dtype=np.uint8), rng.integers(4, size=1), rng.normal(size=1)
        ends = rng.random(1) < 0.1, rng.random(1) < 0.05
        for (replay, stack, upload), take_in in zip(memories, (file_row_, whole(file_row_)), strict=True):
            take_in(replay, stack, upload(*sent, *ends))
    (one, stack, _), (two, other, _) = memories
    for name in ("frame", "action", "reward", "terminal", "ended", "_time"):
        assert torch.equal(getattr(one, name), getattr(two, name))
    assert torch.equal(one.priorities.value, two.priorities.value)
    assert torch.equal(stack.frames, other.frames)
    config = small("der")
    config = replace(config, head=replace(config.head, noise=3.0))  # so large that it decides which action is chosen
    eager, compiled = (Agent(config, ACTIONS, device="cpu", seed=0) for _ in range(2))
    compiled._choose = whole(compiled._choose)
    frames = torch.from_numpy(rng.integers(256, size=(2, 4, 84, 84), dtype=np.uint8))
    chosen = [(eager.act(frames), compiled.act(frames)) for _ in range(20)]
    assert all(torch.equal(*actions) for actions in chosen)
    assert len(torch.stack([action for action, _ in chosen]).unique(dim=0)) > 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch.compile warns of its own ways
@pytest.mark.skipif(_missing_compiler(CPU) is not None, reason="there is no compiler")
def test_compiled_an_env_step_makes_no_second_buffer_of_frames() -> None:
    """That would be 700 MB an env step. What is written in place, or within a library, is not seen here."""
    replay, stack, upload = memory(1_111)
    run_and_get_code = pytest.importorskip("torch._inductor.utils").run_and_get_code  # three seconds to import
    _, codes = run_and_get_code(torch.compile(file_row_, dynamic=False, fullgraph=True), replay, stack, upload.row)
    assert "1111" in "".join(codes)
    assert not any(re.search(r"empty_strided\w*\(\(1, 1111, 8, 8\)", code) for code in codes)
