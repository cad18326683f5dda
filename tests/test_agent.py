"""How an agent learns: what an update reads, changes, measures and leaves alone."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from agents.agent import Agent
from agents.config import AgentConfig, Optimizer, Resets, Tortoise
from tests.fake_replay import ACTIONS, FakeReplay, fake_replay, fresh_often, random_batch, small

BOTH = pytest.mark.parametrize("name", ["der", "spr"])


def agent_of(config: AgentConfig, seed: int = 0) -> Agent:
    return Agent(config, ACTIONS, device="cpu", seed=seed)


def weights(agent: Agent) -> dict[str, Tensor]:
    both = (("hare", agent.hare), ("tortoise", agent.tortoise))
    return {f"{owner} {name}": p.detach().clone() for owner, net in both for name, p in net.named_parameters()}


def same(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


@BOTH
def test_updates_overfit_one_batch(name: str) -> None:
    config = small(name, optimizer=Optimizer(learning_rate=2e-3), tortoise=Tortoise(every=1000), augmentation=None)
    agent, batch = agent_of(config), random_batch(config, 0)
    # Returns that fall on atoms and end there: the target distribution has no entropy, so the loss can fall to 0.
    ret = torch.tensor([-2.0, 0.4, 1.2, 2.0])
    replay = FakeReplay([replace(batch, ret=ret, discount=torch.zeros(4))])
    agent.update(replay)
    first = agent.metrics()
    for _ in range(50):
        agent.update(replay)
    agent.metrics()
    agent.update(replay)
    last = agent.metrics()
    assert first["td_loss"] > 3.5  # ln 51 = 3.9
    assert last["td_loss"] < 0.1 * first["td_loss"]
    assert last["loss"] < 0.1 * first["loss"]
    if name == "spr":
        assert last["spr_loss"] < 0.1 * first["spr_loss"]
    x = batch.frames[:, :4].float() / 255 * batch.visible[0, :, :, None, None]
    values = agent.hare.values(agent.hare.logits(agent.hare.encode(x), agent.hare.noisy(None)))
    torch.testing.assert_close(values[torch.arange(4), batch.action[:, 0]], ret, rtol=0, atol=0.5)


@BOTH
def test_an_update_asks_replay_as_configured(name: str) -> None:
    config = small(name)
    replay = fake_replay(config)
    agent_of(config).update(replay)
    batch_size, n, gamma, beta = replay.asked[0]
    assert batch_size == 4
    assert n.dtype == torch.int64
    assert n.item() == {"der": 20, "spr": 10}[name]
    assert gamma.item() == pytest.approx(0.99)
    assert beta.item() == pytest.approx(0.4)


@BOTH
def test_the_tortoise_gets_no_gradient(name: str) -> None:
    config = small(name, tortoise=Tortoise(every=1000))
    agent = agent_of(config)
    before = weights(agent)
    for _ in range(2):
        agent.update(fake_replay(config))
    assert all(p.grad is None and not p.requires_grad for p in agent.tortoise.parameters())
    assert all(p.grad is not None for p in agent.hare.parameters())
    after = weights(agent)
    assert all(torch.equal(after[key], before[key]) for key in before if key.startswith("tortoise"))
    assert not any(torch.equal(after[key], before[key]) for key in before if key.startswith("hare"))


@BOTH
def test_steps_are_those_of_adam(name: str) -> None:
    config = small(name, optimizer=Optimizer(learning_rate=3e-3, epsilon=1e-2, beta1=0.7, beta2=0.95, clip=None))
    agent, replay = agent_of(config), fake_replay(config)
    twins = [p.detach().double().requires_grad_() for p in agent.hare.parameters()]
    adam = torch.optim.Adam(twins, lr=3e-3, eps=1e-2, betas=(0.7, 0.95), foreach=False)
    for _ in range(5):
        agent.update(replay)
        for twin, parameter in zip(twins, agent.hare.parameters(), strict=True):
            twin.grad = parameter.grad.double()
        adam.step()
    for twin, (key, parameter) in zip(twins, agent.hare.named_parameters(), strict=True):
        torch.testing.assert_close(parameter.double(), twin, rtol=1e-4, atol=1e-6, msg=key)


def test_no_clipping_is_a_clip_that_is_never_reached() -> None:
    agents = []
    for clip in (None, 1e9):
        config = small("spr", optimizer=Optimizer(clip=clip))
        agents.append(agent_of(config))
        agents[-1].update(fake_replay(config))
    none, high = agents
    assert none.metrics() == high.metrics()
    assert none.metrics() == {}
    assert all(torch.equal(p.grad, q.grad) for p, q in zip(none.hare.parameters(), high.hare.parameters(), strict=True))


def test_clipping_is_by_group_and_spares_the_predictor() -> None:
    gradients, norms = [], []
    for clip in (None, 1e-2):
        config = small("spr", optimizer=Optimizer(clip=clip))
        agent = agent_of(config)
        agent.update(fake_replay(config))
        gradients.append({key: p.grad for key, p in agent.hare.named_parameters()})
        norms.append(agent.metrics()["grad_norm"])
    free, clipped = gradients

    def norm(grads: dict[str, Tensor], *prefixes: str) -> float:
        return sum(g.double().square().sum().item() for key, g in grads.items() if key.startswith(prefixes)) ** 0.5

    assert norm(free, "transition.") > 0.02
    assert norm(free, "encoder.", "head.") > 0.02
    assert norm(clipped, "transition.") == pytest.approx(1e-2, rel=1e-3)
    assert norm(clipped, "encoder.", "head.") == pytest.approx(1e-2, rel=1e-3)
    assert all(torch.equal(clipped[key], free[key]) for key in free if key.startswith("predictor."))
    assert norm(free, "predictor.") > 0.02
    assert norms == [pytest.approx(norm(free, "encoder.", "head."), rel=1e-4)] * 2  # measured before clipping


@BOTH
def test_a_seed_fixes_everything_and_the_global_generator_plays_no_part(name: str) -> None:
    config = fresh_often(name)
    frames = torch.zeros(50, 4, 84, 84, dtype=torch.uint8)
    runs = []
    for seed, noise in ((7, 1), (7, 2), (8, 1)):
        torch.manual_seed(noise)
        before = torch.get_rng_state()
        agent, replay = agent_of(config, seed), fake_replay(config)
        actions = []
        for _ in range(5):
            actions.append(agent.act(frames))
            agent.update(replay)
        assert torch.equal(torch.get_rng_state(), before), "the global generator has moved"
        runs.append((weights(agent), torch.stack(actions)))
    (one, first), (two, second), (other, third) = runs
    assert same(one, two)
    assert torch.equal(first, second)
    drawn = [key for key in one if "sigma" not in key and "norm" not in key]  # those start as constants
    assert not any(torch.equal(one[key], other[key]) for key in drawn)
    if name == "spr":  # explores at random, der by its noise alone
        assert not torch.equal(first, third)


@pytest.mark.parametrize(("field", "value"), [("ret", float("nan")), ("discount", float("nan")), ("weight", float("inf"))])
@pytest.mark.parametrize("number", [1, 3])
def test_the_first_loss_that_is_not_finite_is_named(number: int, field: str, value: float) -> None:
    config = small("der")
    agent = agent_of(config)
    batches = [random_batch(config, i) for i in range(5)]
    bad = getattr(batches[number - 1], field).clone()
    bad[2] = value
    batches[number - 1] = replace(batches[number - 1], **{field: bad})
    replay = FakeReplay(batches)
    assert agent.broken() is None
    for update in range(1, 6):
        agent.update(replay)
        assert agent.broken() == (number if update >= number else None)


def test_a_broken_loss_is_not_forgotten_when_a_reset_heals_the_weights() -> None:
    config = small("der", resets=Resets("fresh", every=2, tortoise_too=True, moments="zero"))
    agent = agent_of(config)
    good, bad = random_batch(config, 0), random_batch(config, 1)
    bad = replace(bad, ret=torch.full_like(bad.ret, float("nan")))
    replay = FakeReplay([good, bad, good, good, good])
    for _ in range(5):
        agent.update(replay)
    assert all(p.isfinite().all() for p in agent.hare.parameters())
    assert agent.broken() == 2


@BOTH
def test_metrics_are_means_since_the_last_call(name: str) -> None:
    config = small(name)
    often, seldom = agent_of(config), agent_of(config)
    one, two = fake_replay(config), fake_replay(config)
    assert often.metrics() == {}
    seen = []
    for _ in range(3):
        often.update(one)
        seen.append(often.metrics())
        seldom.update(two)
    means = seldom.metrics()
    assert ("spr_loss" in means) == (name == "spr")
    assert means == {key: pytest.approx(sum(s[key] for s in seen) / 3, rel=1e-4, abs=1e-5) for key in seen[0]}
    assert len({s["loss"] for s in seen}) == 3
    assert seldom.metrics() == {}
