"""What is rewritten in compiled updates computes what it did before."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch._inductor.decomposition import select_decomp_table
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional

from agents import engine
from agents.execution import Execution
from agents.rewrite import OneWeightGradient
from networks.dynamics import TransitionModel
from networks.settings import Encoder

Function = Callable[..., tuple[Tensor, ...]]


def rewritten(function: Function, *inputs: Tensor) -> tuple[GraphModule, int, int]:
    """The graph of `function` after the rewrite; how many gradients of convolutions' weights were in it before, and are now."""
    graph = make_fx(function, select_decomp_table(), tracing_mode="fake")(*inputs)
    graph.graph.eliminate_dead_code()  # as a compiler does
    before = gradients(graph)
    OneWeightGradient()(graph.graph)
    graph.graph.lint()
    graph.recompile()
    return graph, before, gradients(graph)


def gradients(graph: GraphModule) -> int:
    calls = graph.graph.find_nodes(op="call_function", target=torch.ops.aten.convolution_backward.default)
    return sum(call.args[10][1] for call in calls)


def steps(weight: Tensor, value: Tensor, number: int) -> Tensor:
    for _ in range(number):
        value = functional.conv2d(value, weight, padding=1).tanh()
    return value.square().sum()


def test_a_transition_model_has_one_gradient_for_each_convolution() -> None:
    torch.manual_seed(0)
    model = TransitionModel(8, 3, Encoder(), batch_norm=True).double()
    latent, action = torch.rand(4, 8, 7, 7, dtype=torch.float64), torch.randint(3, (4, 5))
    names, weights = zip(*model.named_parameters(), strict=True)

    def differentiated(action: Tensor, latent: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        latents = torch.func.functional_call(model, dict(zip(names, weights, strict=True)), (latent, action))
        scale = torch.arange(len(latents), dtype=torch.float64).view(-1, 1, 1, 1)  # steps differ
        return torch.autograd.grad((latents * scale).square().sum(), [latent, *weights])

    inputs = [action, *(tensor.detach().clone().requires_grad_() for tensor in (latent, *weights))]
    graph, before, after = rewritten(differentiated, *inputs)
    assert (before, after) == (10, 2)
    for mine, expected in zip(graph(*inputs), differentiated(*inputs), strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-10, atol=1e-10)


def in_bfloat16(weight: Tensor, value: Tensor) -> tuple[Tensor, ...]:
    with torch.autocast("cpu", torch.bfloat16):
        loss = steps(weight.float(), value.float(), 3)
    return torch.autograd.grad(loss, [weight, value])


def of_two_sizes(weight: Tensor, value: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(steps(weight, value, 2) + steps(weight, value[:, :, :4, :4].tanh(), 3), [weight, value])


def beside_a_penalty(weight: Tensor, value: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(steps(weight, value, 3) + weight.pow(4).sum(), [weight, value])


def each_by_itself(weight: Tensor, value: Tensor) -> tuple[Tensor, ...]:
    copies = [weight * 1 for _ in range(2)]
    found = functional.conv2d(functional.conv2d(value, copies[0], padding=1).tanh(), copies[1], padding=1)
    return torch.autograd.grad(found.square().sum(), copies)


def two(weight: Tensor, value: Tensor) -> tuple[Tensor, ...]:
    """Two gradients of the weights."""
    return tuple(torch.autograd.grad(steps(weight, value * scale, 1), weight)[0] for scale in (1, 2))


def used_twice(weight: Tensor, value: Tensor) -> tuple[Tensor, ...]:
    """The two terms of a sum, and one of them once more."""
    first, second = two(weight, value)
    return first + second, first


def of_two_dilations(weight: Tensor, value: Tensor) -> tuple[Tensor, ...]:
    wide = functional.conv2d(value.tanh(), weight, padding=2, dilation=2)
    return torch.autograd.grad(steps(weight, value, 1) + wide.square().sum(), [weight, value])


def beside_an_input_s_alone(weight: Tensor, value: Tensor) -> tuple[Tensor, ...]:
    (alone,) = torch.autograd.grad(steps(weight, value * 2, 1), value)
    return alone, *torch.autograd.grad(steps(weight, value, 2), [weight, value])


def beside_one_for_nobody(weight: Tensor, value: Tensor) -> tuple[Tensor, ...]:
    _, alone = torch.autograd.grad(steps(weight, value * 2, 1), [weight, value])
    return alone, *torch.autograd.grad(steps(weight, value, 2), [weight, value])


def doubled(weight: Tensor, value: Tensor) -> tuple[Tensor, ...]:
    first, second = two(weight, value)
    return (first + first + second,)


def scaled(weight: Tensor, value: Tensor) -> tuple[Tensor, ...]:
    first, second = two(weight, value)
    return (torch.add(first, second, alpha=3),)


def beside_a_number(weight: Tensor, value: Tensor) -> tuple[Tensor, ...]:
    first, second = two(weight, value)
    return (first + 1 + second,)


def once(weight: Tensor, value: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(steps(weight, value, 1), [weight, value])


@pytest.mark.parametrize(
    ("function", "before", "after"),
    [
        (of_two_sizes, 5, 2),
        (beside_a_penalty, 3, 1),
        (in_bfloat16, 3, 1),
        (beside_an_input_s_alone, 2, 1),
        (beside_one_for_nobody, 3, 2),
        (of_two_dilations, 2, 2),
        (each_by_itself, 2, 2),
        (used_twice, 2, 2),
        (doubled, 2, 2),
        (scaled, 2, 2),
        (beside_a_number, 2, 2),
        (once, 1, 1),
    ],
)
def test_only_terms_of_one_sum_are_merged(function: Function, before: int, after: int) -> None:
    torch.manual_seed(0)
    weight = torch.rand(3, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    value = torch.rand(2, 3, 6, 6, dtype=torch.float64, requires_grad=True)
    graph, *numbers = rewritten(function, weight, value)
    assert numbers == [before, after]
    for mine, expected in zip(graph(weight, value), function(weight, value), strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-10, atol=1e-10)


def test_the_compiler_s_cache_knows_the_rewrite() -> None:
    assert OneWeightGradient().uuid() == OneWeightGradient().uuid() != b""


@pytest.mark.parametrize(("device", "number"), [("cpu", 0), ("cuda", 1)])
def test_updates_are_compiled_with_it_on_a_gpu(device: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_missing_compiler", lambda _: None)
    options = engine.prepare(Execution(compiled=True), torch.device(device)).keywords.get("options", {})  # type: ignore[attr-defined]
    assert [isinstance(value, OneWeightGradient) for value in options.values()].count(True) == number
