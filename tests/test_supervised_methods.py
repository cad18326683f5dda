"""Every method against a closed form or a naive twin."""

import math
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from supervised.learner import Learner, objective
from supervised.methods import EVERYTHING, METHODS
from supervised.settings import Config, Crop, Distillation, Network, Optimizer, Penalties, Protocol, Tortoise
from supervised.studies import STUDIES, compose
from tests.test_supervised_models import TINY

SHAPE = (3, 32, 10)
MLP = Network("mlp", width=16, depth=2)
BASE = Config(network=MLP, optimizer=Optimizer(learning_rate=1e-2, clip=None, batch_size=8, warmup=0.0))


def batch(seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(8, 3, 32, 32, generator=generator), torch.randint(10, (8,), generator=generator)


def step_(made: Learner, seed: int) -> None:
    """An update on a batch, and what is planned behind it."""
    x, labels = batch(seed)
    made.update(x, labels)
    made.change_weights_(x)


def learner(config: Config, updates: int = 0, seed: int = 0) -> Learner:
    made = Learner(config, SHAPE, "cpu", seed)
    made.begin_task_(1_000)
    for i in range(updates):
        step_(made, i)
    return made


def weights(module: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in module.parameters()]


def equal(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_each_changes_what_it_says() -> None:
    changed = {}
    base = compose("mlp", STUDIES["warm_start"].points["plain"], "none", flips=True)
    for name in EVERYTHING:
        config = compose("mlp", STUDIES["warm_start"].points["plain"], name, flips=True)
        changed[name] = {key for key in vars(base) if getattr(base, key) != getattr(config, key)}
    expected = {
        "none": set(),
        "wd": {"optimizer"},
        "augmentation": {"augmentation"},
        "spectral": {"penalties"},
        "l2init": {"penalties"},
        "redo": {"recycling"},
        "crelu": {"network"},
        "ln": {"network"},
        "snr": {"silence"},
        "grama": {"recycling"},
        "cbp": {"replacement"},
        "nap": {"network", "constraints"},
        "snorm": {"network"},
        "parseval": {"penalties"},
        "clip": {"constraints"},
        "fourier": {"network"},
        "sam": {"optimizer"},
        "prune": {"pruning"},
        "fire": {"resets"},
        "head": {"resets"},
        "sp": {"resets"},
        "reinit": {"resets"},
        "ema": {"tortoise"},
        "distillation": {"tortoise", "distillation"},
        "ht": {"tortoise", "resets"},
        "fresh": {"protocol"},
        "fresh_ema": {"protocol", "tortoise"},
    }
    assert {name: changed[name] for name in expected} == expected
    assert all(changed[name] for name in changed.keys() - expected.keys())


def test_no_method_is_a_plain_loop() -> None:
    made = learner(replace(BASE, optimizer=Optimizer(learning_rate=1e-2, weight_decay=0.1, clip=0.5, batch_size=8, warmup=0.0)))
    twin = deepcopy(made.hare)
    matrices = [p for p in twin.parameters() if p.ndim > 1]
    vectors = [p for p in twin.parameters() if p.ndim == 1]
    groups = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-2, weight_decay=0.1, fused=True)
    for i in range(6):
        x, labels = batch(i)
        made.update(x, labels)
        optimizer.zero_grad()
        functional.cross_entropy(twin(x), labels).backward()
        nn.utils.clip_grad_norm_(twin.parameters(), 0.5)
        optimizer.step()
    assert equal(weights(made.hare), weights(twin))
    assert made.metrics()["gradient_norm"] > 0.5  # so that clipping was needed


def test_gradients_do_not_pile_up() -> None:
    made = learner(BASE, updates=1)
    twin = deepcopy(made.hare)
    x, labels = batch(7)
    made.update(x, labels)
    expected = torch.autograd.grad(functional.cross_entropy(twin(x), labels), list(twin.parameters()))
    for parameter, gradient in zip(made.hare.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_l2_decays_matrices_by_its_share() -> None:
    plain, decayed = learner(BASE), learner(METHODS["wd"].apply(BASE))
    before = weights(plain.hare)
    plain.update(*batch(0))
    decayed.update(*batch(0))
    was = Optimizer().weight_decay
    for start, one, other in zip(before, weights(plain.hare), weights(decayed.hare), strict=True):
        expected = 1e-2 * (0.1 - was) * start if start.ndim > 1 else torch.zeros_like(start)
        torch.testing.assert_close(one - other, expected, rtol=1e-3, atol=1e-7)


def test_spectral_decoupling_is_the_mean_squared_logit() -> None:
    logits, labels = torch.randn(8, 10), torch.randint(10, (8,))
    plain = objective(BASE, logits, labels)
    penalised = objective(replace(BASE, penalties=Penalties(logits=0.3)), logits, labels)
    assert float(penalised - plain) == pytest.approx(0.3 * sum(v * v for v in logits.flatten().tolist()) / 80, rel=1e-5)
    assert METHODS["spectral"].apply(BASE).penalties == Penalties(logits=0.01)


def test_regen_pulls_every_parameter_to_its_start() -> None:
    config = replace(BASE, network=TINY["resnet18"])
    plain, regen = learner(config), learner(replace(config, penalties=Penalties(initial=0.25)))
    for made in (plain, regen):
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for p in made.hare.parameters():
                p += torch.randn(p.shape, generator=generator)
    away = [p.detach() - start for p, start in zip(regen.hare.parameters(), regen.initial.parameters(), strict=True)]
    away = [a.clone() for a in away]
    plain.update(*batch(0))
    regen.update(*batch(0))
    for p, q, a in zip(plain.hare.parameters(), regen.hare.parameters(), away, strict=True):
        assert p.grad is not None
        assert q.grad is not None
        assert a.abs().max() > 0
        torch.testing.assert_close(q.grad - p.grad, 2 * 0.25 * a, rtol=1e-3, atol=1e-4)


def test_distillation_is_the_divergence_summed_over_classes() -> None:
    said, taught = torch.randn(4, 5), torch.randn(4, 5)
    labels = torch.tensor([0, 1, 2, 3])
    plain = objective(BASE, said, labels)
    for temperature in (1.0, 2.0):
        config = replace(BASE, tortoise=Tortoise(), distillation=Distillation(0.5, temperature))
        found = float(objective(config, said, labels, taught) - plain)
        total = 0.0
        for row, target in zip(said.tolist(), taught.tolist(), strict=True):
            q = [math.exp(v / temperature) for v in row]
            p = [math.exp(v / temperature) for v in target]
            total += sum(a / sum(p) * math.log(a / sum(p) / (b / sum(q))) for a, b in zip(p, q, strict=True))
        assert found == pytest.approx(0.5 * temperature**2 * total / 4, rel=1e-4)


def test_distillation_does_not_depend_on_the_class_count() -> None:
    said, taught, labels = torch.randn(4, 10), torch.randn(4, 10), torch.tensor([0, 1, 2, 3])
    config = replace(BASE, tortoise=Tortoise(), distillation=Distillation())
    more = [torch.cat((logits, torch.full((4, 190), -50.0)), 1) for logits in (said, taught)]  # classes that never come
    found = objective(config, said, labels, taught)
    torch.testing.assert_close(found, objective(config, more[0], labels, more[1]))


def test_the_teacher_is_the_tortoise_and_learns_nothing() -> None:
    made = learner(METHODS["distillation"].apply(replace(BASE, network=TINY["resnet18"])), updates=2)
    assert made.tortoise is not None
    before = {name: value.clone() for name, value in made.tortoise.state_dict().items()}
    x, labels = batch(5)
    twin, teacher = deepcopy(made.hare), deepcopy(made.tortoise)
    made.metrics()
    made.update(x, labels)
    made.change_weights_(x)
    with torch.no_grad():
        loss = objective(made.config, twin(x), labels, teacher.eval()(x))
    assert made.metrics()["loss"] == pytest.approx(float(loss), rel=1e-5)
    assert all(p.grad is None for p in made.tortoise.parameters())
    for name, value in made.tortoise.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.999 * before[name] + 0.001 * made.hare.state_dict()[name])


@pytest.mark.parametrize("kind", ["mlp", "resnet18"])
def test_the_tortoise_is_the_average_of_all_hares(kind: str) -> None:
    made = learner(replace(BASE, network=TINY[kind], tortoise=Tortoise(0.9)))
    assert made.tortoise is not None
    average = {name: value.double() for name, value in made.hare.state_dict().items()}
    for i in range(5):
        step_(made, i)
        for name, value in made.hare.state_dict().items():
            average[name] = 0.9 * average[name] + 0.1 * value
    for name, value in made.tortoise.state_dict().items():
        if value.is_floating_point():  # weights, and the statistics of batch normalisation
            torch.testing.assert_close(value.double(), average[name], rtol=1e-4, atol=1e-6)
        else:
            assert int(value) == 5
            assert value.dtype == torch.int64


def test_augmentation_and_the_bound_are_settings_of_data() -> None:
    assert METHODS["augmentation"].apply(BASE).augmentation == Crop(4, flip=True)
    digits = compose("mlp", STUDIES["warm_start"].points["plain"], "augmentation", flips=False)
    assert digits.augmentation == Crop(4, flip=False)
    assert EVERYTHING["fresh"].apply(BASE).protocol == Protocol(last_only=True)
    few = replace(BASE, protocol=Protocol(memory=5_000))
    assert EVERYTHING["fresh_ema"].apply(few).protocol == Protocol(last_only=True)  # on all data


@pytest.mark.parametrize("kind", TINY)
def test_crelu_is_both_halves(kind: str) -> None:
    config = METHODS["crelu"].apply(replace(BASE, network=TINY[kind]))
    model = learner(config, updates=1).hare
    for layer in model.layers():
        assert layer.activation.concatenates
    layer = model.layers()[0]
    given: list[Tensor] = []
    layer.activation.register_forward_hook(lambda _m, inputs, out: given.extend((inputs[0], out)))
    model(batch(0)[0])
    x, out = given
    dim = -1 if kind == "vit_tiny" else 1
    torch.testing.assert_close(out, torch.cat((x.relu(), (-x).relu()), dim))


def test_the_learning_rate_rises_over_a_tenth_of_each_task() -> None:
    made = Learner(replace(BASE, optimizer=Optimizer(learning_rate=1e-2, warmup=0.1)), SHAPE, "cpu", 0)
    for _ in range(2):
        made.begin_task_(50)
        rates = []
        for i in range(7):
            made.update(*batch(i))
            rates.append(made.optimizer.param_groups[1]["lr"])
        assert rates == pytest.approx([0.002, 0.004, 0.006, 0.008, 0.01, 0.01, 0.01])
