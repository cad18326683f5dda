"""What an update dispatches is counted, and does not grow unseen: on a GPU it is bound by the number of its kernels."""

import pytest
import torch

from agents.agent import Agent
from benchmarks.learners import filled
from benchmarks.ops import Operators
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


@pytest.mark.parametrize(("name", "most"), [("der_ht", 278), ("spr_ht", 525), ("bbf_ht", 563)])
def test_an_update_dispatches_no_more_than_it_did(name: str, most: int) -> None:
    config = small(name)
    agent, replay = Agent(config, ACTIONS, device="cpu", seed=0), filled(config, ACTIONS, 200, CPU)
    agent.update(replay)
    with Operators() as seen:
        agent.update(replay)
    assert seen.counts.total() <= most


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
