"""One gradient step against twins written out: sharpness-aware, clipped in groups, for several optimizers."""

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hare_tortoise.settings import Optimizer, Penalties
from hare_tortoise.step import GradientStep, build_optimizer, distance_penalty, output_penalty


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))


X, Y = (torch.randn(9, size, generator=torch.Generator().manual_seed(size)) for size in (5, 3))


def mean_square(model: nn.Module) -> Tensor:
    return (model(X) - Y).square().mean()


def test_the_gradient_of_a_sharpness_aware_step_is_taken_uphill() -> None:
    """Foret et al. 2021, Algorithm 1, on a twin."""
    settings = Optimizer(learning_rate=0.1, radius=0.5)
    mine, twin = net(), net()
    losses = []

    def loss() -> Tensor:
        losses.append(mean_square(mine))
        return losses[-1]

    GradientStep(mine, deepcopy(mine), settings, Penalties())(loss, [torch.optim.SGD(mine.parameters(), lr=0.1)])
    weights = [p.detach().clone() for p in twin.parameters()]
    gradient = torch.autograd.grad(mean_square(twin), list(twin.parameters()))
    norm = torch.cat([g.flatten() for g in gradient]).norm()
    with torch.no_grad():
        for p, g in zip(twin.parameters(), gradient, strict=True):
            p += 0.5 * g / norm
    uphill = torch.autograd.grad(mean_square(twin), list(twin.parameters()))
    for p, start, g in zip(mine.parameters(), weights, uphill, strict=True):
        torch.testing.assert_close(p.detach(), start - 0.1 * g)
    assert len(losses) == 2
    assert losses[1] > losses[0]


def test_a_pass_that_fails_uphill_leaves_the_weights_where_they_were() -> None:
    model = net()
    start = deepcopy(list(model.parameters()))
    passes = iter([mean_square])
    step = GradientStep(model, deepcopy(model), Optimizer(radius=0.5), Penalties())
    with pytest.raises(StopIteration):
        step(lambda: next(passes)(model), [torch.optim.SGD(model.parameters(), lr=0.1)])
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), start, strict=True))


def test_running_statistics_are_those_of_the_first_pass() -> None:
    model = nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.Linear(7, 3))
    twin = deepcopy(model)
    mean_square(twin)  # one pass, where the weights were
    step = GradientStep(model, deepcopy(model), Optimizer(radius=0.5), Penalties())
    step(partial(mean_square, model), [torch.optim.SGD(model.parameters(), lr=0.1)])
    assert all(torch.equal(mine, its) for mine, its in zip(model.buffers(), twin.buffers(), strict=True))


def test_without_a_radius_the_loss_is_computed_once() -> None:
    mine, calls = net(), []
    step = GradientStep(mine, deepcopy(mine), Optimizer(), Penalties())

    def loss() -> Tensor:
        calls.append(1)
        return mean_square(mine)

    step(loss, [torch.optim.SGD(mine.parameters(), lr=0.1)])
    assert len(calls) == 1


def test_each_group_is_clipped_by_its_own_norm_and_the_last_norm_is_told() -> None:
    mine = net()
    groups = [list(mine[0].parameters()), list(mine[2].parameters())]
    gradient = torch.autograd.grad(mean_square(mine), [p for group in groups for p in group])
    norms = [torch.cat([g.flatten() for g in gradient[i : i + 2]]).norm() for i in (0, 2)]
    settings = Optimizer(clip=0.05)
    told = GradientStep(mine, deepcopy(mine), settings, Penalties())(
        partial(mean_square, mine), [torch.optim.SGD(mine.parameters(), lr=0.0)], groups
    )
    torch.testing.assert_close(told, norms[1])
    for group, norm in zip(groups, norms, strict=True):
        assert norm > 0.05
        found = torch.cat([p.grad.flatten() for p in group if p.grad is not None]).norm().item()
        assert found == pytest.approx(0.05, rel=1e-4)


def test_two_optimizers_step_on_one_gradient() -> None:
    mine, twin = net(), net()
    both = [torch.optim.SGD(mine[0].parameters(), lr=0.1), torch.optim.SGD(mine[2].parameters(), lr=0.3)]
    GradientStep(mine, deepcopy(mine), Optimizer(), Penalties())(partial(mean_square, mine), both)
    gradient = torch.autograd.grad(mean_square(twin), list(twin.parameters()))
    for p, q, g, rate in zip(mine.parameters(), twin.parameters(), gradient, (0.1, 0.1, 0.3, 0.3), strict=True):
        torch.testing.assert_close(p.detach(), q.detach() - rate * g)


def test_the_pull_to_the_initial_weights_is_the_gradient_of_its_penalty() -> None:
    mine, initial = net(), net()
    with torch.no_grad():
        for p in mine.parameters():
            p += 0.1
    twin = deepcopy(mine)
    step = GradientStep(mine, initial, Optimizer(), Penalties(initial=0.7))
    step(partial(mean_square, mine), [torch.optim.SGD(mine.parameters(), lr=0.0)])
    whole = mean_square(twin) + distance_penalty(twin.parameters(), initial.parameters(), 0.7)
    gradient = torch.autograd.grad(whole, list(twin.parameters()))
    for p, g in zip(mine.parameters(), gradient, strict=True):
        torch.testing.assert_close(p.grad, g)
    count = sum(p.numel() for p in twin.parameters())
    assert (whole - mean_square(twin)).item() == pytest.approx(0.7 * 0.01 * count, rel=1e-3)


def test_penalties_that_are_off_cost_nothing() -> None:
    assert output_penalty(X, 0.0) == distance_penalty([X], [X], 0.0) == 0.0
    assert output_penalty(torch.tensor([[3.0, 1.0]]), 0.5) == 2.5


def test_vectors_do_not_decay() -> None:
    mine = net()
    optimizer = build_optimizer(Optimizer(learning_rate=0.1, weight_decay=0.5), mine)
    before = [p.detach().clone() for p in mine.parameters()]
    for p in mine.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    for p, old in zip(mine.parameters(), before, strict=True):
        torch.testing.assert_close(p.detach(), old * (1 - 0.1 * 0.5) if p.ndim > 1 else old)


@pytest.mark.filterwarnings("ignore")  # torch.compile warns of its own ways
def test_a_compiled_step_is_one_graph_each_for_clipping_and_adam_and_agrees_with_pytorchs_kernel() -> None:
    """As on a GPU, but for the code that is generated."""
    settings = Optimizer(learning_rate=0.01, clip=0.1, weight_decay=0.1)
    graphs: list[set[str]] = []

    def seen(module: torch.fx.GraphModule, _: list[Tensor]) -> Callable[..., Any]:
        graphs.append({str(node.target) for node in module.graph.nodes})
        return module.forward

    compiled = partial(torch.compile, dynamic=False, backend=seen)
    mine, other = net(), net()
    steps = [
        (mine, build_optimizer(settings, mine, compilable=True), GradientStep(mine, net(), settings, Penalties(), compiled)),
        (other, build_optimizer(settings, other), GradientStep(other, net(), settings, Penalties())),
    ]
    for _ in range(5):
        norms = [step(partial(mean_square, model), [optimizer]) for model, optimizer, step in steps]
        torch.testing.assert_close(*norms)
    for p, q in zip(mine.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=1e-6)  # of 0.05 that five steps go
    assert len(graphs) == 2
    assert [any("foreach_addcdiv" in name or "foreach_lerp" in name for name in graph) for graph in graphs] == [False, True]
