"""Resets against their rule, recycling against a twin that goes from unit to unit."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from hare_tortoise.measure import activations, dormancy
from hare_tortoise.recycle import renew_
from supervised.methods import METHODS
from supervised.models import Classifier
from supervised.settings import Recycling, Resets, Tortoise
from tests.test_supervised_methods import BASE, batch, equal, learner, step_, weights
from tests.test_supervised_models import TINY, tiny


@pytest.mark.parametrize("kind", ["mlp", "resnet18"])
def test_the_hare_is_set_back_and_shares_no_storage(kind: str) -> None:
    made = learner(replace(BASE, network=TINY[kind], tortoise=Tortoise(0.9), resets=Resets("tortoise", every=3)), updates=2)
    hare, tortoise = made.hare, made.tortoise
    assert tortoise is not None
    made.update(*batch(2))
    assert not equal(weights(hare), weights(tortoise))  # what an evaluation finds
    made.change_weights_(batch(2)[0])
    assert made.resets == 1
    for mine, its in zip(hare.state_dict().values(), tortoise.state_dict().values(), strict=True):
        assert torch.equal(mine, its)
        assert mine.untyped_storage().data_ptr() != its.untyped_storage().data_ptr()
    steps = {float(state["step"]) for state in made.optimizer.state.values()}
    assert steps == {3.0}  # Adam goes on
    assert any(state["exp_avg"].abs().max() > 0 for state in made.optimizer.state.values())
    slow = weights(tortoise)
    step_(made, 3)
    for now, before, fast in zip(weights(tortoise), slow, weights(hare), strict=True):
        torch.testing.assert_close(now, 0.9 * before + 0.1 * fast)  # and not the hare itself


def test_the_interval_counts_updates_over_all_tasks() -> None:
    made = learner(METHODS["ht"].apply(BASE))
    assert made.config.resets == Resets("tortoise", every=1_000)
    made = learner(replace(made.config, resets=Resets("tortoise", every=4)), updates=3)
    made.begin_task_(10)
    assert made.resets == 0
    step_(made, 3)
    assert made.resets == 1


@pytest.mark.parametrize("kind", ["mlp", "resnet18"])
@pytest.mark.parametrize("name", ["head", "sp", "reinit"])
def test_resets_between_tasks(kind: str, name: str) -> None:
    made = learner(METHODS[name].apply(replace(BASE, network=TINY[kind])), updates=3)
    old = {key: value.clone() for key, value in made.hare.state_dict().items()}
    start = made.initial.state_dict()
    assert made.resets == 0  # none before the first task
    made.begin_task_(5)
    assert made.resets == 1
    for key, value in made.hare.state_dict().items():
        if not value.is_floating_point():
            assert int(value) == (0 if name == "reinit" else 3)
        elif name == "head":
            assert torch.equal(value, start[key] if key.startswith("head") else old[key])
        elif name == "sp":
            torch.testing.assert_close(value, 0.2 * old[key] + 0.8 * start[key])
        elif "running" in key:
            assert torch.equal(value, start[key])
        elif value.ndim > 1:
            assert not torch.equal(value, start[key])  # another draw
            assert not torch.equal(value, old[key])
    assert not made.optimizer.state  # a new optimizer in each task


@pytest.mark.parametrize(
    ("limits", "resets"),
    [({}, [1, 2, 3, 4]), ({"times": 2}, [1, 2, 2, 2]), ({"start": 5}, [0, 0, 1, 2]), ({"start": 4}, [0, 1, 2, 3])],
)
def test_resets_between_tasks_have_a_start_and_a_number(limits: dict[str, int], resets: list[int]) -> None:
    """Tasks of two updates, so that the fifth update is within the third."""
    made, found = learner(replace(BASE, resets=Resets("initial", **limits)), updates=2), []
    for task in range(1, 5):
        made.begin_task_(2)
        found.append(made.resets)
        for i in range(2):
            step_(made, 2 * task + i)
    assert found == resets


def test_fresh_draws_differ_and_initial_ones_do_not() -> None:
    config = replace(BASE, resets=Resets("fresh", every=2, moments="zero"))
    made = learner(config, updates=2)
    first = weights(made.hare)
    assert all(float(state["step"]) == 0 for state in made.optimizer.state.values())
    for i in range(2):
        step_(made, i)
    assert not equal(weights(made.hare), first)
    assert equal(weights(learner(config, updates=2).hare), first)  # by the seed
    made = learner(replace(config, resets=Resets("initial", every=2)), updates=4)
    assert equal(weights(made.hare), weights(made.initial))


def hush_(model: nn.Module, layer: int, units: list[int]) -> None:
    """Make `units` of a hidden layer put out exactly 0."""
    incoming = model.layers()[layer].incoming
    last = [module for module in incoming.modules() if isinstance(module, nn.Linear | nn.BatchNorm2d)][-1]
    with torch.no_grad():
        last.weight[units] = 0
        last.bias[units] = -1.0


def dormant_units(model: Classifier, x: Tensor) -> list[Tensor]:
    return [dormancy(layer, out) <= 0 for layer, out in zip(model.layers(), activations(model, x), strict=True)]


@pytest.mark.parametrize("kind", ["mlp", "resnet18", "vgg16_bn"])
def test_redo_changes_exactly_the_dormant_units(kind: str) -> None:
    model, fresh = tiny(kind), tiny(kind, seed=5)
    hushed = {0: [1, 3], 1: [0]}
    for layer, units in hushed.items():
        hush_(model, layer, units)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.fill_(0.2)
            module.running_var.fill_(2.0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, weight_decay=0.0)
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    x = batch(0)[0]
    model.eval()
    dormant = [
        mask & torch.tensor([i in hushed.get(n, []) for i in range(len(mask))])
        for n, mask in enumerate(dormant_units(model, x))
    ]
    assert [mask.nonzero().flatten().tolist() for mask in dormant[:2]] == [[1, 3], [0]]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    said = model(x)
    for layer, source, units in zip(model.layers(), fresh.layers(), dormant, strict=True):
        renew_(layer, source, units, optimizer)
    torch.testing.assert_close(model(x), said)  # nothing that listens notices
    expected = naive_recycling(model, before, fresh.state_dict(), hushed)
    for name, value in model.state_dict().items():
        assert torch.equal(value, expected[name]), name
    names = {id(p): name for name, p in model.named_parameters()}
    for p, state in optimizer.state.items():
        same = expected[names[id(p)]] == before[names[id(p)]]
        assert (state["exp_avg"][~same] == 0).all()
        assert (state["exp_avg_sq"][~same] == 0).all()


def naive_recycling(
    model: nn.Module, before: dict[str, Tensor], fresh: dict[str, Tensor], hushed: dict[int, list[int]]
) -> dict[str, Tensor]:
    """Unit after unit, parameter after parameter."""
    names = {id(module): name for name, module in model.named_modules()}
    expected = {name: value.clone() for name, value in before.items()}
    for layer, units in hushed.items():
        found = model.layers()[layer]
        incoming, outgoing = names[id(found.incoming)], names[id(found.listeners[0])]
        for unit in units:
            for name in expected:
                if name.startswith(incoming + ".") and expected[name].ndim > 0:
                    expected[name][unit] = 0 if name.endswith("bias") else fresh[name][unit]
            expected[f"{outgoing}.weight"][:, unit] = 0
    return expected


@pytest.mark.parametrize("kind", TINY)
def test_redo_at_work(kind: str) -> None:
    config = METHODS["redo"].apply(replace(BASE, network=TINY[kind]))
    assert config.recycling is not None
    made = learner(replace(config, recycling=replace(config.recycling, every=2, tau=0.6)), updates=2)
    assert made.metrics()["recycled"] > 0


@pytest.mark.parametrize(
    ("keep_body", "keep_neck", "layers"), [(0.0, 0.0, ()), (1.0, 0.0, (0, 1)), (0.0, 1.0, (2,)), (0.5, 0.5, (0, 1, 2))]
)
def test_nothing_is_recycled_that_the_reset_behind_it_would_undo(
    keep_body: float, keep_neck: float, layers: tuple[int, ...]
) -> None:
    """Two hidden layers of the body, one of the head; every unit counts as dormant."""
    resets = Resets("tortoise", every=2, keep_body=keep_body, keep_neck=keep_neck)
    config = replace(BASE, network=TINY["mlp"], tortoise=Tortoise(0.5), resets=resets, recycling=Recycling(2, tau=1e9))
    made = learner(config, updates=2)
    units = [layer.activation.units for layer in made.hare.layers()]
    assert made.metrics()["recycled"] == sum(units[i] for i in layers)
    assert made.resets == 1


def test_the_order_is_recycle_follow_reset() -> None:
    """As an agent's: the average takes in what was recycled."""
    config = replace(BASE, network=TINY["mlp"], tortoise=Tortoise(0.75), recycling=Recycling(1, tau=1e9))
    made = learner(config, updates=1)
    assert made.tortoise is not None
    for start, hare, tortoise in zip(weights(made.initial), weights(made.hare), weights(made.tortoise), strict=True):
        torch.testing.assert_close(tortoise, 0.75 * start + 0.25 * hare)
    assert not made.hare.layers()[-1].listeners[0].weight.any()


def test_zero_means_the_moments_of_all_weights() -> None:
    """As an agent's resets have it."""
    resets = Resets("initial", every=2, keep_body=1.0, moments="zero")
    made = learner(replace(BASE, network=TINY["mlp"], resets=resets), updates=2)
    values = [value for state in made.optimizer.state.values() for value in state.values()]
    assert len(values) == 3 * len(list(made.hare.parameters()))
    assert not any(value.any() for value in values)
