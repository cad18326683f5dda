"""Fifty updates of every agent against a record of them: what changes when nothing was meant to.

python -m tests.test_trace               records anew, when something was meant to
python -m tests.test_trace --missing     records what is new, and leaves the rest
"""

import json
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from agents.agent import Agent
from agents.bases import BASES
from agents.catalogue import AGENTS
from agents.config import AgentConfig, Penalties
from hare_tortoise.measure import distance
from hare_tortoise.settings import Silence
from tests.every import every
from tests.fake_replay import FakeReplay, random_batch, small

RECORD = Path(__file__).with_name("trace.json")
COMMAND = "python -m tests.test_trace"
NAMES = [name for name in AGENTS if name != "random"]
BATCH = 2  # windows; more of them would take a minute longer and show no more
LOSSES_OF = (1, 10, 25, 50)  # updates
# Another CPU adds in another order, and a tie that falls the other way is carried on: with convolutions summed by another
# library the norms of weights differ by 1e-6 at most, the distances by 8e-4, the last losses by 6e-3, and the rest by 5e-5. A
# forgotten step shows in the distances first, by far more.
TOLERANCE = 1e-3
OTHER = {"hare": 3e-5, "tortoise": 3e-5, "moved": 3e-3, "apart": 3e-3, "recycled": 1e-2, "loss 25": 3e-2, "loss 50": 3e-2}
# GraMa renews units whose gradients are small, down to rounding: on another CPU 93 of sr_spr_grama's, in place of 104.
RENEWED = 0.15


def hurried(name: str) -> AgentConfig:
    """A small `name` whose every plan falls within fifty updates, none of them on the last."""
    c = small(name)
    assert c.optimizer is not None
    optional: dict[str, object] = {}
    if c.resets is not None:
        optional["resets"] = replace(c.resets, every=12, warmup_counts=False)
    if c.recycling is not None:
        tau = c.recycling.tau if c.recycling.by == "activation" else 0.3  # else too few gradients are small
        optional["recycling"] = replace(c.recycling, every=10, tau=tau)
    if c.silence is not None:
        optional["silence"] = Silence(rate=0.3, longest=12, every=10)
    if c.replacement is not None:
        optional["replacement"] = replace(c.replacement, rate=0.01, maturity=10)
    if c.pruning is not None:
        optional["pruning"] = replace(c.pruning, every=10)
    if c.constraints.bound is not None:
        optional["constraints"] = replace(c.constraints, bound=0.9)
    if c.injection is not None:
        optional["injection"] = replace(c.injection, at=20)
    if c.target.end is not None:
        optional["target"] = replace(c.target, end=replace(c.target.end, updates=20))
    return replace(
        c,
        encoder=replace(c.encoder, width=1),
        replay=replace(c.replay, batch_size=BATCH),
        # Slow, so that a difference in the last digit does not grow into another course.
        optimizer=replace(c.optimizer, learning_rate=0.2 * c.optimizer.learning_rate),
        # Else fifty updates would not show them.
        penalties=Penalties(*(100 * getattr(c.penalties, field.name) for field in fields(Penalties))),
        tortoise=replace(c.tortoise, every=min(c.tortoise.every, 4)),  # 50 is not a multiple: hare and tortoise differ
        **optional,
    )


def trace(name: str) -> dict[str, float]:
    """What fifty updates of `name` come to, to 7 digits."""
    config = hurried(name)
    agent = Agent(config, 3, device="cpu", seed=0, planned=60 if config.pruning is not None else None)
    batches = [random_batch(config, seed, BATCH) for seed in range(3)]
    # Nothing is black: where it is, all units of a channel cross 0 at once, and the last digit becomes the first.
    replay = FakeReplay([replace(batch, visible=torch.ones_like(batch.visible)) for batch in batches])
    losses: list[float] = []
    for _ in range(LOSSES_OF[-1]):
        agent.update(replay)
        losses.append(agent.metrics()["loss"])
    hare, tortoise, initial = (list(net.parameters()) for net in (agent.hare, agent.tortoise, agent.initial))
    _, n, gamma, _ = replay.asked[-1]
    assert agent.optimizer is not None
    steps = [int(agent.optimizer.state[p]["step"]) for p in agent.hare.parameters() if p in agent.optimizer.state]
    found = {f"loss {update}": losses[update - 1] for update in LOSSES_OF} | {
        "hare": distance(hare).item(),
        "tortoise": distance(tortoise).item(),
        "moved": distance(hare, initial).item(),
        "apart": distance(hare, tortoise).item(),
        "n": n.item(),
        "gamma": gamma.item(),
        "adam": sum(steps) / len(steps),  # updates since its moments were 0, over all weights that have any
        "recycled": int(agent.state_dict()["recycled"]),  # type: ignore[call-overload]
    }
    return {key: float(f"{value:.7g}") for key, value in found.items()}


@pytest.fixture(scope="module")
def recorded() -> dict[str, dict[str, float]]:
    return json.loads(RECORD.read_text())


def test_the_record_has_every_agent_that_learns(recorded: dict[str, dict[str, float]]) -> None:
    assert list(recorded) == NAMES, f"{RECORD.name} is of other agents; {COMMAND} --missing records them"


def test_every_plan_is_carried_out_in_fifty_updates() -> None:
    """Else the record would say nothing of it."""
    for name in NAMES:
        c = hurried(name)
        assert c.tortoise.every <= 5
        plans = [c.resets and c.resets.every, c.recycling and c.recycling.every, c.injection and c.injection.at]
        plans += [c.silence and c.silence.longest, c.replacement and c.replacement.maturity, c.pruning and c.pruning.every]
        assert all(10 <= plan <= 20 for plan in plans if plan is not None)
        assert c.target.end is None or c.target.end.updates == 20


@pytest.mark.parametrize("name", every(NAMES, third=0, bases=BASES))
def test_fifty_updates_go_as_recorded(name: str, recorded: dict[str, dict[str, float]]) -> None:
    assert name in recorded, f"{RECORD.name} has not {name}; {COMMAND} --missing records it"
    recycling = AGENTS[name].recycling
    least = RENEWED if recycling is not None and recycling.by == "gradient" else 0.0
    expected = {
        key: pytest.approx(value, rel=max(least, OTHER.get(key, TOLERANCE)), abs=1e-9) for key, value in recorded[name].items()
    }
    assert trace(name) == expected, f"if {name} was meant to change: {COMMAND}"


def record(known: dict[str, dict[str, float]]) -> None:
    """Write the record, an agent a line, as it is for those that are `known`."""
    torch.set_num_threads(1)  # as in the tests
    lines = [f"  {json.dumps(name)}: {json.dumps(known.get(name) or trace(name))}" for name in NAMES]
    RECORD.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    record(json.loads(RECORD.read_text()) if sys.argv[1:] == ["--missing"] else {})
