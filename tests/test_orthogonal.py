"""The nearest orthogonal weights, by samples of others and by FIRE's rounds; the Parseval penalty against autograd."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from hare_tortoise.orthogonal import nearest_orthogonal, orthogonalised, orthogonality_penalty, pull_to_orthogonal_
from hare_tortoise.settings import Optimizer, Penalties, Resets
from hare_tortoise.step import GradientStep, weight_penalty
from supervised.methods import METHODS
from supervised.models import Classifier
from tests.fake_replay import fake_replay, small
from tests.test_agent_state import agent_of
from tests.test_plasticity import normal
from tests.test_recycle import ENCODERS, HEADS, X, layers_of, network
from tests.test_supervised_methods import BASE, learner
from tests.test_supervised_models import TINY, tiny

SHAPES = [(6, 6), (4, 9), (9, 4), (1, 5), (5, 1), (6, 4, 3, 3), (4, 6, 2, 2), (3, 3, 1, 1)]


def taps_of(weight: Tensor) -> list[Tensor]:
    """The matrices, [out, in], by which a convolution multiplies at each tap; of a linear layer its weight."""
    if weight.ndim == 2:
        return [weight]
    return [weight[:, :, i, j] for i in range(weight.shape[2]) for j in range(weight.shape[3])]


def scale_of(weight: Tensor) -> float:
    out, into = weight.shape[:2]
    return (out / into) ** 0.5 / len(taps_of(weight))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_each_tap_is_a_scaled_orthogonal_matrix(shape: tuple[int, ...]) -> None:
    weight = normal(1, *shape)
    found = nearest_orthogonal(weight)
    assert found.shape == weight.shape
    for tap in taps_of(found):
        square = tap.T @ tap if shape[0] >= shape[1] else tap @ tap.T
        torch.testing.assert_close(square, scale_of(weight) ** 2 * torch.eye(len(square)), rtol=0, atol=1e-5)
    torch.testing.assert_close(nearest_orthogonal(found), found, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(nearest_orthogonal(7 * weight), found, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (5, 2)], ids=str)
def test_no_other_orthogonal_matrix_is_nearer(shape: tuple[int, int]) -> None:
    weight = normal(2, *shape).double()
    found = nearest_orthogonal(weight) / scale_of(weight)
    upright = found if shape[0] >= shape[1] else found.T
    random = normal(3, 2_000, *upright.shape).double()
    random[::2] = upright + 0.1 * random[::2]  # some that are close by
    q, r = torch.linalg.qr(random)
    q = q * r.diagonal(dim1=1, dim2=2).sign()[:, None]
    others = q if shape[0] >= shape[1] else q.mT
    away = (weight - others).square().sum((1, 2)).sqrt()
    assert away.min() > (weight - found).norm() - 1e-12
    assert away.min() < 1.1 * (weight - found).norm()


def newton_schulz(matrix: Tensor, rounds: int = 10) -> Tensor:
    """FIRE's code: X <- 1.5 X - 0.5 X X^T X from the matrix over its norm."""
    x = matrix / matrix.norm()
    for _ in range(rounds):
        x = 1.5 * x - 0.5 * x @ x.T @ x
    return x


@pytest.mark.parametrize("shape", [(8, 8), (6, 12), (12, 6), (8, 6, 3, 3)], ids=str)
def test_ten_rounds_of_fires_code_agree_on_a_well_conditioned_matrix(shape: tuple[int, ...]) -> None:
    weight = nearest_orthogonal(normal(3, *shape))
    weight = weight + 0.1 * weight.std() * normal(4, *shape)
    found = nearest_orthogonal(weight)
    for tap, before in zip(taps_of(found), taps_of(weight), strict=True):
        torch.testing.assert_close(tap, scale_of(weight) * newton_schulz(before), rtol=1e-4, atol=1e-5)
    if weight.ndim == 2:
        assert not torch.allclose(found / scale_of(weight), newton_schulz(weight, rounds=4), rtol=1e-3)


def test_a_weight_of_zeros_becomes_some_orthogonal_one() -> None:
    assert nearest_orthogonal(torch.zeros(4, 4)).square().sum().item() == pytest.approx(4)


def test_of_an_agent_the_body_is_orthogonal_and_the_rest_as_at_the_start() -> None:
    net, initial = (network(ENCODERS["nature"], HEADS["streams"], predicts=True, seed=seed) for seed in (1, 2))
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    found = orthogonalised(net, initial)
    assert all(torch.equal(p, before[name]) for name, p in net.named_parameters())  # a copy
    for name, p in found.named_parameters():
        if not name.startswith(("encoder", "transition")):
            assert torch.equal(p, initial.get_parameter(name))
        elif p.ndim > 1:
            torch.testing.assert_close(p.detach(), nearest_orthogonal(before[name]))
        else:
            assert torch.equal(p, before[name])  # biases and gains


def test_fire_resets_both_networks_of_an_agent_alike() -> None:
    config = small("der", resets=Resets("orthogonal", every=2, tortoise_too=True))
    agent, plain = agent_of(config, 0), agent_of(small("der"), 0)
    for update in range(2):
        for one in (agent, plain):
            one.update(fake_replay(config, start=update))
    assert agent.resets == 1
    for mine, before in ((agent.hare, plain.hare), (agent.tortoise, plain.tortoise)):
        for name, p in mine.named_parameters():
            if name.startswith("head"):
                assert torch.equal(p, agent.initial.get_parameter(name))
            elif p.ndim > 1:
                assert not torch.equal(p, before.get_parameter(name))
                torch.testing.assert_close(p.detach(), nearest_orthogonal(before.get_parameter(name).detach()))
    assert all(state["step"] == 2 for state in agent.optimizer.state.values())  # Adam goes on
    agent.update(fake_replay(config))
    assert agent.broken() is None


def test_fire_leaves_a_classifiers_head_and_statistics_alone() -> None:
    made = learner(METHODS["fire"].apply(replace(BASE, network=TINY["resnet18"])), updates=3)
    before = {name: value.clone() for name, value in made.hare.state_dict().items()}
    made.begin_task_(5)
    for name, value in made.hare.state_dict().items():
        orthogonal = name.startswith("body") and value.ndim > 1
        assert torch.equal(value, before[name]) != orthogonal, name
        if orthogonal:
            torch.testing.assert_close(value, nearest_orthogonal(before[name]))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_pull_is_the_gradient_of_the_penalty(shape: tuple[int, ...]) -> None:
    weight = nn.Parameter(normal(5, *shape))
    matrix = weight.detach().flatten(1)
    by_hand = sum((float(matrix[i] @ matrix[j]) - (i == j)) ** 2 for i in range(shape[0]) for j in range(shape[0]))
    penalty = orthogonality_penalty([weight], 0.3)
    assert penalty.item() == pytest.approx(0.3 * by_hand, rel=1e-4)
    (gradient,) = torch.autograd.grad(penalty, weight)
    start = normal(6, *shape)
    weight.grad = start.clone()
    pull_to_orthogonal_([weight], 0.3)
    torch.testing.assert_close(weight.grad, start + gradient, rtol=1e-4, atol=1e-4)


def test_a_wide_or_tall_matrix_that_is_orthogonal_is_not_pulled() -> None:
    for shape in ((4, 9), (9, 4)):
        weight = nn.Parameter(nearest_orthogonal(normal(7, *shape)) / (shape[0] / shape[1]) ** 0.5)
        weight.grad = torch.zeros(shape)
        pull_to_orthogonal_([weight, nn.Parameter(torch.ones(2, 2))], 1.0)  # one that does not learn has no gradient
        assert weight.grad.abs().max() < 1e-5


def names_of(net: nn.Module, tensors: list[Tensor]) -> set[str]:
    return {name for name, p in net.named_parameters() if any(p is t for t in tensors)}


def pulled(net: nn.Module, loss: Callable[[], Tensor]) -> set[str]:
    """Which weights of `net` a step with the penalty gives another gradient than one without."""
    found = []
    for strength in (0.0, 0.5):
        step = GradientStep(net, deepcopy(net), Optimizer(), Penalties(orthogonal=strength))
        step(loss, [torch.optim.SGD(net.parameters(), lr=0.0)])
        found.append({name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None})
    return {name for name in found[0] if not torch.equal(found[0][name], found[1][name])}


@pytest.mark.parametrize("kind", ["nature", "impala"])
def test_of_an_agent_the_means_of_hidden_layers_are_pulled(kind: str) -> None:
    net = network(ENCODERS[kind], HEADS["streams"])

    def loss() -> Tensor:
        return net.logits(net.encode(X), net.noisy(net.draw_noise(torch.Generator().manual_seed(0)))).square().mean()

    hidden = {f"{layer.made_by}.weight" for layer in layers_of(net, kind)}
    assert pulled(net, loss) == hidden
    away = sum((w.flatten(1) @ w.flatten(1).T - torch.eye(len(w))).square().sum() for w in map(net.get_parameter, hidden))
    torch.testing.assert_close(weight_penalty(net, net, Penalties(orthogonal=0.5)), 0.5 * away)


@pytest.mark.parametrize("kind", list(TINY))
def test_of_a_classifier_hidden_layers_are_pulled_and_not_the_output(kind: str) -> None:
    net: Classifier = tiny(kind).eval()
    found = pulled(net, lambda: net(X[:, :3, :32, :32]).square().mean())
    layers = [module for layer in net.layers() for module in layer.incoming.modules()]
    assert found == names_of(net, [m.weight for m in layers if isinstance(m, nn.Linear | nn.Conv2d)])
    last = f"head.{len(net.head) - 1}.weight"
    assert last not in found
    assert found


def test_a_plain_module_cannot_be_pulled() -> None:
    net = nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"^Linear names no layers: penalties.orthogonal needs a hare_tortoise.Network$"):
        pulled(net, lambda: net(torch.ones(1, 2)).sum())
