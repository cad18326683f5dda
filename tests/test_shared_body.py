"""Where the tortoise copies the hare after every update, one pass of the body serves both."""

from dataclasses import replace

import pytest

from agents.agent import Agent
from agents.catalogue import AGENTS
from agents.config import AgentConfig
from tests.fake_replay import FakeReplay, random_batch, small


@pytest.mark.parametrize("name", ["spr", "drq_eps", "spr_head", "spr_redo", "spr_inject"])
def test_one_body_for_both_networks_is_as_good_as_two(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the tortoise is a copy whenever an update begins, its latents stand for the hare's."""
    config = small(name)
    config = replace(config, replay=replace(config.replay, batch_size=2))
    plans = {"resets": ("every", 3), "recycling": ("every", 3), "injection": ("at", 4)}
    for piece, (field, value) in plans.items():
        if getattr(config, piece) is not None:
            config = replace(config, **{piece: replace(getattr(config, piece), **{field: value})})
    assert config.shares_body
    batches = [random_batch(config, seed, size=2) for seed in range(3)]
    agent, other = (Agent(config, 3, device="cpu", seed=0) for _ in range(2))
    replay, others = FakeReplay(batches), FakeReplay(batches)
    for _ in range(7):
        agent.update(replay)
        with monkeypatch.context() as patch:
            patch.setattr(AgentConfig, "shares_body", property(lambda _: False))
            other.update(others)
        assert agent.metrics() == pytest.approx(other.metrics(), rel=1e-4)


def test_a_body_is_shared_only_where_it_is_a_copy() -> None:
    shared = {name for name, config in AGENTS.items() if config.shares_body}
    assert {"spr", "spr_head", "drq", "drq_eps_redo"} <= shared
    assert not {"der", "spr_ht", "spr_sp", "sr_spr", "bbf", "otrainbow", "drq_sp", "spr_ht_redo"} & shared
