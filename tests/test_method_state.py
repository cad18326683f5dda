"""Killed in the middle of what a method does, a run goes on to the last bit; and what fights is refused in a line."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from agents.agent import Agent
from hare_tortoise.settings import Pruning, Recycling, Replacement, Resets, Silence, Tortoise
from supervised.learner import Learner
from supervised.methods import METHODS
from supervised.settings import Config
from tests.fake_replay import ACTIONS, fake_replay, small
from tests.test_agent_state import assert_equal, through_a_file
from tests.test_supervised_methods import BASE, SHAPE, step_
from tests.test_supervised_models import TINY
from tests.test_supervised_resets import hush_

CUT, END = 6, 12  # updates: there is an event on both sides of the cut
# What makes each method act within so few updates.
HASTE = {
    "snr": {"silence": Silence(rate=0.4, longest=3, every=4)},
    "grama": {"recycling": Recycling(every=4, tau=0.7, by="gradient")},
    "cbp": {"replacement": Replacement(rate=0.1, maturity=2)},
    "nap": {},
    "snorm": {},
    "clip": {},
    "prune": {"pruning": Pruning(0.9, 0.1, 0.9, every=3)},
    "fire": {"resets": Resets("orthogonal", every=4, tortoise_too=True)},
}
OTHERS = {"parseval": {}, "fourier": {}, "sam": {}, "ht": {"resets": Resets("tortoise", every=4)}}


def events_of(state: dict) -> tuple[int, int]:
    """How many units have been renewed so far, and how many weights are masked."""
    masks: list[Tensor] = state["upkeep"]["masks"]
    return int(state["recycled"]), sum(int((mask == 0).sum()) for mask in masks)


def assert_acts(name: str, states: list[dict], resets: list[int]) -> None:
    """There was something to lose: something happened before the cut, and again behind it."""
    (renewed, masked), (renewed_later, masked_later) = map(events_of, states)
    assert 0 < renewed < renewed_later if name in ("snr", "grama", "cbp") else renewed_later == 0
    assert 0 < masked < masked_later if name == "prune" else masked_later == 0
    assert resets[0] < resets[1] if name in ("fire", "ht") else resets == [0, 0]


@pytest.mark.parametrize("name", list(HASTE))
def test_an_agent_goes_on_to_the_bit(name: str) -> None:
    config = small(f"der_{name}", tortoise=Tortoise(0.9, every=2), **HASTE[name])
    one, other = (Agent(config, ACTIONS, device="cpu", seed=seed, planned=END + 4) for seed in (1, 2))
    for update in range(CUT):
        one.update(fake_replay(config, start=update))
    state = through_a_file(one.state_dict())
    resets = [one.resets]
    other.load_state_dict(state)
    for update in range(CUT, END):
        for agent in (one, other):
            agent.update(fake_replay(config, start=update))
    later = through_a_file(one.state_dict())
    assert_equal(through_a_file(other.state_dict()), later)
    assert other.metrics() == one.metrics()
    assert_acts(name, [state, later], [*resets, one.resets])


def learners(config: Config) -> tuple[Learner, Learner]:
    """Two of one seed: the configuration and the seed are the run's, which a checkpoint is not for."""
    return Learner(config, SHAPE, "cpu", 0, END + 4), Learner(config, SHAPE, "cpu", 0, END + 4)


@pytest.mark.parametrize(
    ("name", "kind"),
    [*((name, "mlp") for name in [*HASTE, *OTHERS]), *((name, "resnet18") for name in ("snr", "sam", "prune"))],
)
def test_a_classifier_goes_on_to_the_bit_within_a_task_and_into_the_next(name: str, kind: str) -> None:
    haste = (HASTE | OTHERS)[name]
    tortoise = {"tortoise": Tortoise(0.9, acts=name == "ht")}
    one, other = learners(replace(METHODS[name].apply(replace(BASE, network=TINY[kind])), **(tortoise | haste)))
    one.begin_task_(END - 2)
    hush_(one.hare, 0, [1])  # else none is silent
    for update in range(CUT):
        step_(one, update)
    state = through_a_file(one.state_dict())
    resets = [one.resets]
    other.load_state_dict(state)
    for made in (one, other):
        hush_(made.hare, 0, [1])
    for update in range(CUT, END):
        for made in (one, other):
            if update == END - 2:
                made.begin_task_(4)
            step_(made, update)
    later = through_a_file(one.state_dict())
    assert_equal(through_a_file(other.state_dict()), later)
    assert_acts(name, [state, later], [*resets, one.resets])


def composed(*names: str) -> Callable[[], Config]:
    def make() -> Config:
        config = BASE
        for name in names:
            config = METHODS[name].apply(config)
        return config

    return make


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("redo", "snr"), "recycling and silence both renew units: one of them at most"),
        (("snr", "cbp"), "silence and replacement both renew units: one of them at most"),
        (("grama", "cbp"), "recycling and replacement both renew units: one of them at most"),
        (("clip", "nap"), "--constraints.norms would undo --constraints.bound: one of them at most"),
        (("fourier", "redo"), "recycling by activation would renew no unit: under fourier none is ever silent"),
        (("fourier", "snr"), "silence would renew no unit: under fourier none is ever silent"),
        (("crelu", "snr"), "silence would renew no unit: under crelu none is ever silent"),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, tuple) else "",
)
def test_methods_of_classifiers_that_fight_are_refused_in_whichever_order(names: tuple[str, str], told: str) -> None:
    for order in (names, names[::-1]):
        with pytest.raises(ValueError, match=r".") as error:
            composed(*order)()
        assert str(error.value) == told


def test_a_run_of_unknown_length_cannot_be_pruned() -> None:
    with pytest.raises(ValueError, match=r"^pruning needs to know how many updates the run has$"):
        Learner(METHODS["prune"].apply(BASE), SHAPE, "cpu", 0)


@pytest.mark.parametrize(
    "names",
    [
        ("crelu", "cbp"),
        ("fourier", "grama"),
        ("ln", "snr", "clip", "sam", "ht"),
        ("nap", "snorm", "parseval", "prune"),
        ("clip", "prune", "fire"),
        ("snr", "prune", "head"),
    ],
    ids="_".join,
)
def test_many_methods_at_once_learn(names: tuple[str, ...]) -> None:
    one, other = learners(replace(composed(*names)(), network=replace(composed(*names)().network, hidden=(8,))))
    for made in (one, other):
        for task in range(2):
            made.begin_task_(4)
            for update in range(3):
                step_(made, 4 * task + update)
    assert not one.broken()
    assert all(torch.equal(p, q) for p, q in zip(one.hare.parameters(), other.hare.parameters(), strict=True))
    assert not all(torch.equal(p, q) for p, q in zip(one.hare.parameters(), one.initial.parameters(), strict=True))
