"""What is counted in updates: the annealing of n and gamma, and how many resets there are."""

from dataclasses import replace

import pytest

from agents.agent import Agent
from agents.catalogue import AGENTS
from agents.config import AgentConfig, Resets, TargetEnd
from agents.schedules import annealed, updates_due
from tests.fake_replay import FakeReplay, fake_replay, random_batch, small

# Updates since the last restart, n, gamma to 6 digits: BBF's n = round(10 * 0.3^u), gamma = 1 - 0.03 * 0.1^u.
FIXTURES = [
    (0, 10, 0.970000),
    (1000, 9, 0.976170),
    (2500, 7, 0.983130),
    (5000, 5, 0.990513),
    (7500, 4, 0.994665),
    (10_000, 3, 0.997000),
    (10_001, 3, 0.997000),
    (40_000, 3, 0.997000),
]


@pytest.mark.parametrize(("elapsed", "n", "gamma"), FIXTURES)
def test_n_and_gamma_go_as_in_bbf(elapsed: int, n: int, gamma: float) -> None:
    found = annealed(AGENTS["bbf"].target, elapsed)
    assert found == (n, pytest.approx(gamma, abs=5.1e-7))
    assert isinstance(found[0], int)


@pytest.mark.parametrize("elapsed", [0, 1, 10_000, 1_000_000])
@pytest.mark.parametrize(("name", "n"), [("spr", 10), ("der", 20), ("otrainbow", 3), ("sr_spr", 10)])
def test_without_an_end_they_stay(name: str, n: int, elapsed: int) -> None:
    assert annealed(AGENTS[name].target, elapsed) == (n, 0.99)


def small_bbf(restart: bool) -> AgentConfig:
    """BBF annealed within 8 updates and reset after every sixth."""
    config = small("bbf")
    assert config.resets is not None
    assert config.prediction is not None
    return replace(
        config,
        prediction=replace(config.prediction, jumps=1),
        replay=replace(config.replay, batch_size=1),
        encoder=replace(config.encoder, width=1),
        target=replace(config.target, end=TargetEnd(n=3, gamma=0.997, updates=8)),
        resets=replace(config.resets, every=6, restart=restart, warmup_counts=False),
    )


# 10 * 0.3^(x/8) and 1 - 0.03 * 0.1^(x/8) for x = 0 .. 8
N = [10, 9, 7, 6, 5, 5, 4, 3, 3]
GAMMA = [0.97, 0.977503, 0.983130, 0.987349, 0.990513, 0.992886, 0.994665, 0.995999, 0.997]


@pytest.mark.parametrize("restart", [True, False])
def test_a_replay_is_asked_for_them_and_resets_restart_them_if_told(restart: bool) -> None:
    config = small_bbf(restart)
    agent, replay = Agent(config, 3, device="cpu", seed=0), FakeReplay([random_batch(config, 0, size=1)])
    for _ in range(14):
        agent.update(replay)
    assert agent.resets == 2
    asked = [(n.item(), gamma.item()) for _, n, gamma, _ in replay.asked]
    steps = [0, 1, 2, 3, 4, 5] * 2 + [0, 1] if restart else [*range(9)] + [8] * 5
    assert [n for n, _ in asked] == [N[x] for x in steps]
    assert [gamma for _, gamma in asked] == pytest.approx([GAMMA[x] for x in steps], abs=6e-7)


def test_an_agent_without_an_end_asks_for_the_same_for_ever() -> None:
    config = small("der", resets=replace(small_bbf(True).resets, every=2))
    agent, replay = Agent(config, 3, device="cpu", seed=0), fake_replay(config)
    for _ in range(5):
        agent.update(replay)
    assert [(n.item(), gamma.item()) for _, n, gamma, _ in replay.asked] == [(20, pytest.approx(0.99))] * 5


@pytest.mark.parametrize(
    ("name", "ratio", "expected"),
    [("sr_spr", 2, 4), ("sr_spr", 4, 9), ("sr_spr", 8, 19), ("sr_spr", 16, 39), ("bbf", 2, 4), ("bbf", 8, 19)],
)
def test_there_are_as_many_resets_as_in_the_originals(name: str, ratio: int, expected: int) -> None:
    """Theirs come every 20,000, 10,000, 5,000, 2,500 env steps, counted from the first, and none at the end of 100,000."""
    config = replace(AGENTS[name], replay=replace(AGENTS[name].replay, ratio=float(ratio)))
    planned = updates_due(config, 100_000)
    at, made = [], 0
    for env_step in range(1, 100_001):
        due = updates_due(config, env_step)
        assert due - made == (ratio if env_step > 2000 else 0)
        while made < due:
            made += 1
            at += [env_step] if config.resets.due(made, planned, config.missed) else []
    assert at == list(range(40_000 // ratio, 100_000, 40_000 // ratio))
    assert len(at) == expected


# An agent for each pair of resets and of what decides when they are due.
RESET = {(c.resets, updates_due(c, 100_000), c.missed): name for name, c in AGENTS.items() if c.resets is not None}


@pytest.mark.parametrize("name", RESET.values())
def test_no_agent_is_scored_with_weights_that_are_new(name: str) -> None:
    """The last reset has a whole interval behind it; a tortoise's reset, at least one update."""
    config = AGENTS[name]
    assert config.resets is not None
    planned = updates_due(config, 100_000)
    last = next(update for update in range(planned, 0, -1) if config.resets.due(update, planned, config.missed))
    fresh = config.resets.source != "tortoise"
    assert planned - last >= (config.resets.every if fresh else 1)
    assert planned - last < (2 if fresh else 1) * config.resets.every + 1


def test_the_last_update_of_a_run_is_followed_by_no_reset() -> None:
    config = small("der", resets=Resets("fresh", every=2))
    for planned, resets in ((None, 3), (6, 2), (7, 2), (8, 3)):
        agent, replay = Agent(config, 3, device="cpu", seed=0, planned=planned), fake_replay(config)
        for _ in range(6):
            agent.update(replay)
        assert agent.resets == resets


@pytest.mark.parametrize(
    ("name", "updates"),
    [("der", 98_400), ("der_dopamine", 98_400), ("drq", 98_400), ("otrainbow", 640_000), ("spr", 196_000), ("bbf", 196_000)],
)
def test_updates_in_100_000_env_steps(name: str, updates: int) -> None:
    assert updates_due(AGENTS[name], 100_000) == updates
    assert updates_due(AGENTS[name], AGENTS[name].replay.warmup_steps) == 0
    assert updates_due(AGENTS["random"], 100_000) == 0


@pytest.mark.parametrize("agent", ["der_ht", "spr_ht", "sr_spr", "bbf", "der_head", "otrainbow_head"])
def test_planned_resets_are_those_that_are_due(agent: str) -> None:
    config = AGENTS[agent]
    for env_steps in (3_000, 20_000, 79_000, 81_000):
        planned = updates_due(config, env_steps)
        due = [update for update in range(1, planned + 1) if config.resets.due(update, planned, config.missed)]
        assert config.resets.count(planned, config.missed) == len(due)
