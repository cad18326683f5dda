"""Batches, crops and measurements on the device, and that an update never waits for it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from hare_tortoise.measure import outputs_of
from hare_tortoise.network import PARTS
from supervised.data import Batches, Data, crop_flip
from supervised.learner import Learner
from supervised.measures import accuracy, measure
from supervised.methods import METHODS
from supervised.models import Classifier
from supervised.settings import Config, Crop, Network, Optimizer, Tortoise
from tests.test_supervised_models import TINY, tiny


def data(count: int = 10, side: int = 32) -> Data:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (count, 3, side, side), generator=generator, dtype=torch.uint8)
    labels = torch.randint(10, (count,), generator=generator)
    return Data(images, labels, images, labels, torch.full((3, 1, 1), 127.5), torch.full((3, 1, 1), 1 / 64))


@pytest.mark.parametrize("flip", [False, True])
def test_crops_and_flips_one_by_one(flip: bool) -> None:
    images = data(64, 8).images
    found = crop_flip(images, Crop(3, flip), torch.Generator().manual_seed(5))
    twin = torch.Generator().manual_seed(5)
    tops, lefts = (torch.randint(7, (64, 1), generator=twin).flatten().tolist() for _ in range(2))
    flips = torch.randint(2, (64, 1), generator=twin).flatten().tolist() if flip else [0] * 64
    for image, cut, top, left, mirrored in zip(images.numpy(), found.numpy(), tops, lefts, flips, strict=True):
        padded = np.zeros((3, 14, 14), np.uint8)
        padded[:, 3:-3, 3:-3] = image
        expected = padded[:, top : top + 8, left : left + 8]
        assert (cut == (expected[:, :, ::-1] if mirrored else expected)).all()
    assert len(set(tops)) == len(set(lefts)) == 7
    assert torch.equal(crop_flip(images, Crop(0, flip=False), twin), images)


def test_an_epoch_shows_every_image_and_fills_its_last_batch() -> None:
    given = data(10)
    where = torch.tensor([9, 3, 5, 1, 7, 0, 2])
    labels = torch.arange(7)  # which of the task's images it is
    batches = Batches(given, where, labels, 3)
    generator = torch.Generator().manual_seed(0)
    assert batches.per_epoch == 3
    orders = []
    for _ in range(2):
        seen: list[int] = []
        for _ in range(3):
            x, y = batches.draw(None, generator)
            assert torch.equal(x, given.prepare(given.images[where[y]]))
            seen += y.tolist()
        assert sorted(seen[:7]) == list(range(7))
        assert seen[7:] == seen[:2]
        orders.append(seen)
    assert orders[0] != orders[1]


def test_a_task_smaller_than_a_batch() -> None:
    batches = Batches(data(10), torch.arange(3), torch.arange(3), 8)
    _, y = batches.draw(None, torch.Generator().manual_seed(0))
    assert len(y) == 8
    assert sorted(y[:3].tolist()) == sorted(y[3:6].tolist()) == [0, 1, 2]


def test_accuracy_is_counted_image_by_image() -> None:
    model, given = tiny("resnet18"), data(23)
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = accuracy(model, given, given.images, given.labels)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    model.eval()
    right = [int(model(given.prepare(i[None])).argmax()) == int(k) for i, k in zip(given.images, given.labels, strict=True)]
    assert found == sum(right) / 23


class Syncs(TorchDispatchMode):
    """Counts what would make the host wait for a device."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.__name__.startswith(("_local_scalar_dense", "nonzero", "masked_select", "equal")):
            self.found.append(func.__name__)
        return func(*args, **(kwargs or {}))


def test_a_sample_is_of_all_of_a_task() -> None:
    batches = Batches(data(10), torch.arange(10).flip(0), torch.arange(10), 4)
    images, labels = batches.sample(4)
    assert labels.tolist() == [0, 2, 5, 7]
    assert torch.equal(images, data(10).images[[9, 7, 4, 2]])
    assert batches.sample(20)[1].tolist() == list(range(10))


@pytest.mark.parametrize("method", METHODS)
def test_an_update_never_waits(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hare_tortoise.renewal.AT_HOST", ())  # a CPU looks, since it need not wait
    config = METHODS[method].apply(Config(network=TINY["resnet18"], optimizer=Optimizer(batch_size=4)))
    learner = Learner(config, (3, 32, 10), "cpu", 0, planned=10)
    learner.begin_task_(10)
    batches = Batches(data(10), torch.arange(10), data(10).labels, 4)
    with Syncs() as syncs:
        for _ in range(3):  # the third draw begins another pass
            x, labels = batches.draw(config.augmentation, learner.learning)
            learner.update(x, labels)
            learner.change_weights_(x)
    assert not syncs.found


def test_bfloat16_is_of_products_only() -> None:
    config = METHODS["distillation"].apply(Config(network=TINY["resnet18"], optimizer=Optimizer(warmup=0.0)))
    exact, rough = (Learner(config, (3, 32, 10), "cpu", 0) for _ in range(2))
    rough.precision = torch.bfloat16
    kinds: set[torch.dtype] = set()
    rough.hare.body.stem[0].register_forward_hook(lambda _m, _x, out: kinds.add(out.dtype))
    x, labels = data(8).prepare(data(8).images), data(8).labels
    for learner in (exact, rough):
        learner.begin_task_(10)
        learner.update(x, labels)
    assert kinds == {torch.bfloat16}
    assert {p.dtype for p in rough.hare.parameters()} == {torch.float32}
    first, second = exact.metrics()["loss"], rough.metrics()["loss"]
    assert second == pytest.approx(first, rel=0.02)
    assert second != first


def measured(network: Network) -> tuple[Learner, dict[str, float], Tensor, Tensor]:
    learner = Learner(Config(network=network, tortoise=Tortoise(0.9)), (3, 32, 10), "cpu", 0)
    learner.begin_task_(10)
    x, labels = data(20).prepare(data(20).images), data(20).labels
    for _ in range(3):
        learner.update(x, labels)
    return learner, measure(learner, x, labels, hessian_rounds=3), x, labels


@pytest.mark.parametrize("kind", TINY)
def test_measurements_against_their_definitions(kind: str) -> None:
    learner, found, x, labels = measured(TINY[kind])
    hare = learner.hare.eval()
    parameters = list(hare.parameters())
    flat, start = (torch.cat([p.detach().flatten() for p in n.parameters()]) for n in (hare, learner.initial))
    assert found["weight_norm"] == pytest.approx(float(flat.norm()), rel=1e-4)
    assert found["initial_distance"] == pytest.approx(float((flat - start).norm()), rel=1e-3)
    with outputs_of([layer.activation for layer in hare.layers()]) as activations, torch.no_grad():
        hare(x)
    zeros = [int((a == 0).sum()) for a in activations]
    assert found["zero_activations"] == pytest.approx(sum(zeros) / sum(a.numel() for a in activations), rel=1e-5)
    gradient = torch.cat([g.flatten() for g in torch.autograd.grad(functional.cross_entropy(hare(x), labels), parameters)])
    assert found["zero_gradients"] == pytest.approx(float((gradient == 0).float().mean()), abs=1e-4)
    assert found["gradient_norm_eval"] == pytest.approx(float(gradient.norm()), rel=1e-4)
    modules = {name for name, module in hare.named_modules() if list(module.parameters(recurse=False))}
    assert found["layers"].keys() == modules
    for quantity in ("weight_norm", "gradient_norm_eval"):
        of_layers = [layer[quantity] for layer in found["layers"].values()]
        of_parts = [found[f"{quantity}_{part}"] for part in PARTS if f"{quantity}_{part}" in found]
        assert np.linalg.norm(of_layers) == pytest.approx(found[quantity], rel=1e-5)
        assert np.linalg.norm(of_parts) == pytest.approx(found[quantity], rel=1e-5)
        last = [*found["layers"].values()][-1]  # the output layer
        assert last[quantity] == found[f"{quantity}_head"]
    with torch.no_grad():
        singular = torch.linalg.svdvals(hare.features(x).double())
    assert found["srank"] == int((singular.cumsum(0) / singular.sum() < 0.99).sum()) + 1


def test_sharpness_of_a_model_with_a_known_hessian() -> None:
    network = Network("mlp", width=3, depth=1)
    learner, _, x, labels = measured(network)
    learner.hare.double().eval()
    few, given = x[:, :, :2, :2].double(), labels
    learner.hare = _on_pixels(learner.hare)
    learner.initial = learner.hare
    learner.tortoise = None
    found = measure(learner, few, given, hessian_rounds=300)["hessian"]
    parameters = list(learner.hare.parameters())
    first = torch.autograd.grad(functional.cross_entropy(learner.hare(few), given), parameters, create_graph=True)
    flat = torch.cat([g.flatten() for g in first])
    rows = [torch.cat([h.flatten() for h in torch.autograd.grad(g, parameters, retain_graph=True)]) for g in flat]
    values = torch.linalg.eigvalsh(torch.stack(rows))
    assert found == pytest.approx(float(values[values.abs().argmax()]), rel=1e-3)


def _on_pixels(model: Classifier) -> Classifier:
    """`model` for images of 2 x 2 pixels, so that its Hessian is small."""
    small = Classifier(Network("mlp", width=3, depth=1), 3, 2, 10)
    small.initialise_(torch.Generator().manual_seed(1))
    return small.double().eval() if model is not None else small


def test_measuring_changes_nothing() -> None:
    learner = Learner(replace(Config(network=TINY["resnet18"]), tortoise=Tortoise()), (3, 32, 10), "cpu", 0)
    learner.begin_task_(10)
    x, labels = data(8).prepare(data(8).images), data(8).labels
    learner.update(x, labels)
    before = {name: value.clone() for name, value in learner.hare.state_dict().items()}
    grads = [p.grad.clone() for p in learner.hare.parameters() if p.grad is not None]
    measure(learner, x, labels, hessian_rounds=1)
    assert learner.hare.training
    assert all(torch.equal(value, before[name]) for name, value in learner.hare.state_dict().items())
    assert all(torch.equal(p.grad, g) for p, g in zip(learner.hare.parameters(), grads, strict=True) if p.grad is not None)
