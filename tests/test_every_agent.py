"""Every agent of the catalogue plays a little of a real game, and can learn a batch by heart.

By default every base and each method on `der` in one of the three tests; the rest is slow. All agents are in test_trace.py.
"""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import train
from agents.agent import Agent
from agents.catalogue import AGENTS
from agents.config import AgentConfig
from tests.every import every
from tests.fake_replay import FakeReplay, random_batch, small
from tests.test_agent_state import assert_equal, through_a_file
from tests.test_trace import hurried

STEPS = 100
GAME = ["--game", "Pong", "--device", "cpu", "--eval-episodes", "0", "--env-steps", str(STEPS)]
GAME += ["--log-every", str(STEPS), "--measure-every", str(STEPS)]
# 3 updates in the 60 env steps after the warm-up. Fewer hidden units: a checkpoint would else have up to 140 MB.
LITTLE = ["--replay.warmup-steps", "40", "--replay.ratio", "0.05", "--replay.batch-size", "2", "--head.hidden", "64"]

PLASTICITY = {"dormant", "dead", "zero_activations", "srank", "entropy_rank", "weight_norm", "initial_distance"}
PLASTICITY |= {"tortoise_distance", "zero_gradients"}

LEARNERS = [name for name in AGENTS if name != "random"]


@pytest.mark.parametrize("name", every(list(AGENTS), third=2, bases=["der"]))
def test_it_plays_a_game_and_learns(name: str, tmp_path: Path) -> None:
    arguments = ["--agent", name, *GAME, "--out", str(tmp_path), *(LITTLE if name in LEARNERS else [])]
    arguments += ["--injection.at", "1"] if name.endswith("_inject") else []
    train.main([*arguments, *(["--encoder.width", "1"] if name.startswith("bbf") else [])])
    folder = tmp_path / name / "Pong" / "seed0"
    rows: list[dict[str, Any]] = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert (folder / "checkpoint.pt").exists()
    shutil.rmtree(tmp_path)  # pytest keeps the folders of the last three runs
    (row,) = (row for row in rows if row["kind"] == "train")
    measured = [row for row in rows if row["kind"] == "plasticity"]
    assert row["env_step"] == STEPS
    if name == "random":
        assert (row["update"], row["epsilon"]) == (0, 1)
        assert "loss" not in row
        assert not measured
        return
    assert row["update"] == 3
    expected = {"loss", "td_loss", "q", "grad_norm"} | ({"spr_loss"} if "spr" in name or "bbf" in name else set())
    assert {key for key in row if key in expected | {"spr_loss"}} == expected
    assert all(math.isfinite(row[key]) for key in expected)
    assert row["loss"] > 0
    (plasticity,) = measured
    assert plasticity.keys() >= PLASTICITY
    assert all(math.isfinite(value) for key, value in plasticity.items() if key not in ("kind", "layers"))
    assert plasticity["hessian"] != 0
    assert all(math.isfinite(norm) for layer in plasticity["layers"].values() for norm in layer.values())
    assert plasticity["initial_distance"] > 0  # it has learnt something


def pupil(name: str) -> AgentConfig:
    """A small `name` that learns fast; its plans are thousands of updates away."""
    c = small(name)
    assert c.optimizer is not None
    return replace(
        c,
        encoder=replace(c.encoder, width=1),
        head=replace(c.head, hidden=64),  # with 16 units of size 1, layer normalisation makes learning slow
        optimizer=replace(c.optimizer, learning_rate=1e-3),
        replay=replace(c.replay, batch_size=2),
        prediction=replace(c.prediction, jumps=1) if c.prediction is not None else None,
    )


@pytest.mark.parametrize("name", every(LEARNERS, third=0, bases=["der", "spr", "bbf"]))
def test_it_learns_a_batch_by_heart(name: str) -> None:
    """The discount is 0, so that the targets are the returns alone and stay where they are.

    A distribution starts near ln 51 = 3.9 and can fall to its target's entropy, at most ln 2 = 0.7 between two atoms; a mean
    starts at 0.7 and can fall to 0. Twenty updates come down to half of the start or lower, of a mean to a fifth. Noisy
    layers and augmentation make single losses jitter by a third, so the last 5 are taken together, and what is asked for is
    no more than clearly below the start, which no agent comes near without learning.
    """
    c = pupil(name)
    batch = replace(random_batch(c, seed=0, size=2), discount=torch.zeros(2))
    agent, replay = Agent(c, 3, device="cpu", seed=0), FakeReplay([batch])
    losses = []
    for _ in range(20):
        agent.update(replay)
        losses.append(agent.metrics()["td_loss"])
    assert agent.resets == 0
    start, end = losses[0], sum(losses[-5:]) / 5
    if c.head.atoms == 1:
        assert start > 0.3
        assert end < 0.5 * start
    else:
        assert 3.4 < start < 5
        assert end < 0.7 * start


@pytest.mark.parametrize("name", every(LEARNERS, third=1))
def test_it_goes_on_to_the_bit(name: str) -> None:
    """Every plan falls within the first 24 updates, from which another agent takes over, and some again in the next 14."""
    c = hurried(name)
    planned = 60 if c.pruning is not None else None
    replay = FakeReplay([random_batch(c, seed, size=2) for seed in range(3)])
    one, other = (Agent(c, 3, device="cpu", seed=seed, planned=planned) for seed in (0, 1))
    for _ in range(24):
        one.update(replay)
    other.load_state_dict(through_a_file(one.state_dict()))
    again = FakeReplay(replay.batches, start=replay.turn)
    for _ in range(14):
        one.update(replay)
        other.update(again)
    assert_equal(one.state_dict(), other.state_dict())
    assert_equal(one.metrics(), other.metrics())
