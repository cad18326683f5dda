"""What is planned behind an update: by which clock, in which order, and that nothing is done only to be undone."""

from dataclasses import replace

import pytest
import torch

from agents.agent import Agent
from agents.catalogue import AGENTS, find_agent
from agents.config import AgentConfig, Recycling, Resets, Tortoise
from agents.schedules import updates_due
from replay.batch import Window
from tests.fake_replay import ACTIONS, fake_replay, small
from tests.test_agent_resets import copy, same

ALL = 1e9  # a threshold at which every unit is dormant


def learnt(config: AgentConfig, updates: int, planned: int | None = None) -> Agent:
    agent, replay = Agent(config, ACTIONS, device="cpu", seed=0, planned=planned), fake_replay(config)
    for _ in range(updates):
        agent.update(replay)
    return agent


@pytest.mark.parametrize(("name", "every"), [("der", 2_000), ("der_dopamine", 2_000), ("otrainbow", 500), ("spr_jax", 1)])
def test_targets_are_copied_at_the_originals_env_steps(name: str, every: int) -> None:
    """Their clock counts env steps from the very first: Kaixhin/Rainbow, Dopamine."""
    config = AGENTS[name]
    at, made = [], 0
    for env_step in range(1, 100_001):
        while made < updates_due(config, env_step):
            made += 1
            at += [env_step] if config.tortoise.due(made, config.missed) else []
    first = every * (config.replay.warmup_steps // every + 1)
    assert at == list(range(first, 100_001, every))
    assert name != "der" or len(at) == 50


def test_an_agent_follows_by_that_clock() -> None:
    config = small("der", tortoise=Tortoise(decay=0.0, every=5, warmup_counts=True))
    config = replace(config, replay=replace(config.replay, warmup_steps=1602))
    agent, replay = Agent(config, ACTIONS, device="cpu", seed=0), fake_replay(config)
    copies = []
    for update in range(1, 15):
        agent.update(replay)
        copies += [update] if same(copy(agent.hare), copy(agent.tortoise)) else []
    assert copies == [3, 8, 13]


def test_no_recycling_is_done_that_the_hares_return_would_undo() -> None:
    plans = {"tortoise": Tortoise(decay=0.5), "resets": Resets("tortoise", every=4)}
    config = small("der", recycling=Recycling(every=2, tau=ALL), **plans)
    counts = [int(learnt(config, updates).state_dict()["recycled"]) for updates in (1, 2, 4, 6, 8)]
    once = counts[1]
    assert counts == [0, once, once, 2 * once, 2 * once]
    assert once == sum(layer.activation.units for layer in learnt(config, 1).hare.layers())


@pytest.mark.parametrize(("kept", "counted"), [("body", (0, 1)), ("neck", (2, 3)), ("head", ())])
def test_what_a_reset_leaves_is_recycled_before_it(kept: str, counted: tuple[int, ...]) -> None:
    resets = replace(Resets("fresh", every=2), **{f"keep_{kept}": 1.0})
    config = small("der", recycling=Recycling(every=2, tau=ALL), resets=resets)
    agent = learnt(config, 2)
    units = [layer.activation.units for layer in agent.hare.layers()]
    assert int(agent.state_dict()["recycled"]) == sum(units[i] for i in counted)


def test_the_order_is_recycle_follow_reset() -> None:
    """The average takes in what was recycled, and a reset of the head finds it."""
    config = small("der", recycling=Recycling(every=1, tau=ALL), tortoise=Tortoise(decay=0.75))
    agent = learnt(config, 1)
    fresh = learnt(replace(config, recycling=None), 0)
    recycled, before, after = agent.hare, copy(fresh.tortoise), copy(agent.tortoise)
    for name, value in copy(recycled).items():
        torch.testing.assert_close(after[name], 0.75 * before[name] + 0.25 * value)
    head = [value for name, value in copy(recycled).items() if ".outputs." in name and "weight" in name]
    assert not torch.cat([value.flatten() for value in head]).any()  # units that start anew are silent


@pytest.mark.parametrize("by", ["activation", "gradient"])
def test_units_are_renewed_only_if_an_interval_is_left_to_learn_in(by: str) -> None:
    config = small("der", recycling=Recycling(every=2, tau=ALL, by=by))
    units = sum(layer.activation.units for layer in learnt(config, 0).hare.layers())
    for planned, times in ((None, 3), (8, 3), (7, 2), (6, 2)):
        assert int(learnt(config, 6, planned=planned).state_dict()["recycled"]) == times * units


@pytest.mark.parametrize("name", ["der_ht_redo", "spr_ht_redo"])
def test_a_whole_run_loses_no_recycling_that_was_counted(name: str) -> None:
    """Of 97 (195) times a sixteenth falls on a return of the hare; no other one is near it."""
    c = find_agent(name)
    assert c.recycling is not None
    planned = updates_due(c, 100_000)
    due = [update for update in range(1, planned + 1) if c.recycling.due(update, planned)]
    undone = [update for update in due if c.resets.due(update, planned, c.missed)]
    assert len(due) - len(undone) == (91 if name.startswith("der") else 183)


@pytest.mark.parametrize(
    ("every", "counts", "refused"), [(1, False, True), (4, False, True), (3, False, False), (4, True, True), (8, True, False)]
)
def test_a_return_to_a_copy_is_refused(every: int, counts: bool, refused: bool) -> None:
    """Where the copy is made in the same update."""
    base = replace(AGENTS["der"].replay, warmup_steps=1604)  # a multiple of 4 and not of 8
    changes = {"tortoise": Tortoise(0.0, every, warmup_counts=counts), "resets": Resets("tortoise", every=8), "replay": base}
    if not refused:
        assert replace(AGENTS["der"], **changes).tortoise.every == every
        return
    with pytest.raises(ValueError, match=r"--tortoise\.decay 0 makes the tortoise a copy"):
        replace(AGENTS["der"], **changes)


@pytest.mark.parametrize("name", list(AGENTS))
def test_the_command_line_asks_for_as_many_rows_as_the_replay_needs(name: str) -> None:
    config = AGENTS[name]
    assert config.steps_needed == Window(config.target.n_max, config.jumps).steps_needed


def test_there_is_no_reset_before_its_start() -> None:
    resets = Resets("tortoise", every=3, start=7)
    assert [update for update in range(1, 20) if resets.due(update, planned=19)] == [9, 12, 15, 18]
    assert resets.count(19) == 4
    assert Resets("tortoise", every=3, start=9).count(19) == 4
    agent = learnt(small("der", tortoise=Tortoise(decay=0.5), resets=resets), 13)
    assert agent.resets == 2


@pytest.mark.parametrize("missed", [0, 5, 6, 40])
@pytest.mark.parametrize("start", [0, 1, 3, 6, 7])
def test_there_are_no_more_resets_than_that(start: int, missed: int) -> None:
    """The first ones of those that there would be."""
    endless = Resets("initial", every=6, start=start, warmup_counts=True)
    every = [update for update in range(1, 100) if endless.due(update, missed=missed)]
    for times in (1, 3):
        resets = replace(endless, times=times)
        assert [update for update in range(1, 100) if resets.due(update, missed=missed)] == every[:times]
        assert resets.count(99, missed, known=False) == times


@pytest.mark.parametrize("base", ["der", "bbf"])
def test_fire_acts_once_whatever_the_ratio(base: str) -> None:
    config = AGENTS[f"{base}_fire"]
    for ratio in (config.replay.ratio, 8.0):
        longer = replace(config, replay=replace(config.replay, ratio=ratio))
        assert longer.resets is not None
        assert longer.resets.count(updates_due(longer, 200_000), longer.missed) == 1
