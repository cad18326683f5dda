"""A sharpness-aware step takes the gradient of one function at two places."""

from typing import Any

import pytest
import torch

from agents import objective as module
from agents.agent import Agent
from agents.objective import Objective, objective
from tests.fake_replay import FakeReplay, random_batch, small


@pytest.mark.parametrize("name", ["der_sam", "spr_sam", "drq_sam", "plastic"])
def test_both_passes_have_the_same_targets(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With double Q-learning the hare chooses the action of a target, and between the passes it is moved uphill."""
    agent = Agent(small(name), 3, device="cpu", seed=0)
    targets, asked, found = module.targets, [], list[Objective]()

    def counted(*arguments: Any) -> Any:
        asked.append(targets(*arguments))
        return asked[-1]

    monkeypatch.setattr(module, "targets", counted)
    monkeypatch.setattr(agent, "_objective", lambda *arguments: found.append(objective(*arguments)) or found[-1])
    for update in range(1, 4):
        replay = FakeReplay([random_batch(agent.config, update)])
        agent.update(replay)
        assert len(asked) == update
        downhill, uphill = found[-2:]
        assert downhill.aim is uphill.aim is asked[-1]
        assert uphill.loss > downhill.loss
        ((_, written),) = replay.written  # once, and what the first pass found
        assert torch.equal(written, downhill.priority)
        assert not torch.equal(written, uphill.priority)
