"""Measurements of plasticity. Tensors in, tensors out; nothing here waits for the device."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from hare_tortoise.network import Layer, Network

TAU = 0.025  # threshold of dormancy (Sokar et al. 2023)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Within, `network` neither drops out nor changes its statistics."""
    before = [(module, module.training) for module in network.modules()]  # a frozen normalisation stays so
    network.eval()
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


@contextmanager
def outputs_of(modules: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    """Within, the list that is given collects what each of `modules` returns, in the order in which they are called."""
    outputs: list[Tensor] = []
    hooks = [module.register_forward_hook(lambda _module, _in, out: outputs.append(out.detach())) for module in modules]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def activations(network: Network, x: Tensor) -> list[Tensor]:
    """What the activation of each of `network.layers()` returns for observations `x`."""
    with evaluating(network), outputs_of([layer.activation for layer in network.layers()]) as outputs:
        network(x)
    return outputs


def dormancy(layer: Layer, outputs: Tensor) -> Tensor:
    """Score of each unit of `layer`, which returned `outputs`: its mean size, in means of the layer; float32 [units].

    A unit is dormant at tau if its score is at most tau (ReDo, Sokar et al. 2023). The channels of a convolution are units;
    both halves of a CReLU count together.
    """
    sizes = layer.sizes(outputs)
    return sizes / (sizes.mean() + 1e-9)


def share(masks: Iterable[Tensor]) -> Tensor:
    """Share of the elements that hold, over all of `masks` (bool, any shapes) together; float32 []."""
    return torch.cat([mask.flatten() for mask in masks]).float().mean()


def of_units(layers: Sequence[Layer], outputs: Sequence[Tensor], features: Tensor) -> dict[str, Tensor]:
    """What hidden `layers`, which returned `outputs`, and the last `features`, float32 [M, D], tell; float32 [] each.

    dormant, dead: share of units with a dormancy score of at most 0.025 and 0; zero_activations: share of activations that
    are 0; srank, entropy_rank: effective ranks of the features.
    """
    scores = [dormancy(layer, output) for layer, output in zip(layers, outputs, strict=True)]
    srank, entropy_rank = effective_ranks(features)
    return {
        "dormant": share(score <= TAU for score in scores),
        "dead": share(score <= 0 for score in scores),
        "zero_activations": share(output == 0 for output in outputs),
        "srank": srank,
        "entropy_rank": entropy_rank,
    }


@torch.no_grad()
def of_weights(hare: nn.Module, initial: nn.Module, tortoise: nn.Module | None) -> dict[str, Tensor]:
    """Euclidean norm of the hare's weights, and their distance from the initial ones and the tortoise's; float32 [] each."""
    weights = list(hare.parameters())
    distances = {"weight_norm": distance(weights), "initial_distance": distance(weights, initial.parameters())}
    if tortoise is not None:
        distances["tortoise_distance"] = distance(weights, tortoise.parameters())
    return distances


def of_gradient(loss: Callable[[], Tensor], parameters: Sequence[Tensor]) -> dict[str, Tensor]:
    """The norm of the gradient of `loss`, float32 [], and the share of `parameters` whose gradient is 0; float32 [] each."""
    gradient = torch.autograd.grad(loss(), parameters)
    return {"gradient_norm": distance(gradient), "zero_gradients": share(g == 0 for g in gradient)}


def to_floats(measured: dict[str, Tensor]) -> dict[str, float]:
    """The values of `measured`, float32 [] each, on the host; waits once."""
    return dict(zip(measured, torch.stack(list(measured.values())).tolist(), strict=True))


def effective_ranks(features: Tensor) -> tuple[Tensor, Tensor]:
    """Two effective ranks of `features`, float32 [M, D], from its singular values; two float32 [].

    srank: how many of the largest hold 99 % of their sum (Kumar et al. 2021). Entropy: the exponential of the entropy of the
    singular values, taken as a distribution (Roy and Vetterli 2007). Both lie in 1 .. min(M, D); of zeros they are 1 and 0.
    """
    p = torch.linalg.svdvals(features.double())
    p = p / (p.sum() + 1e-30)
    some = p.sum() > 0
    srank = torch.where(some, (p.cumsum(0) < 0.99).sum().clamp(max=len(p) - 1) + 1, 1)
    return srank.float(), (torch.exp(-torch.special.xlogy(p, p).sum()) * some).float()


def distance(tensors: Iterable[Tensor], others: Iterable[Tensor] | None = None) -> Tensor:
    """Euclidean distance of `tensors`, as one vector, from `others` or from the origin; float32 []."""
    tensors = list(tensors)
    away = tensors if others is None else torch._foreach_sub(tensors, list(others))
    return torch.stack(torch._foreach_norm(away)).norm()


def top_eigenvalue(loss: Callable[[], Tensor], parameters: Sequence[Tensor], rounds: int, generator: torch.Generator) -> Tensor:
    """The Hessian's eigenvalue of the largest size, by power iteration with `rounds` products; float32 [].

    `loss` gives the loss, float32 [], of the network whose `parameters` these are; it is called once.
    """
    gradient = torch.autograd.grad(loss(), parameters, create_graph=True)
    vector = [torch.randn(p.shape, generator=generator, device=p.device) for p in parameters]
    value = torch.zeros((), device=parameters[0].device)
    for _ in range(rounds):
        size = distance(vector) + 1e-30
        vector = [v / size for v in vector]
        product = torch.autograd.grad(gradient, parameters, vector, retain_graph=True)
        value = torch.stack([(v * w).sum() for v, w in zip(vector, product, strict=True)]).sum()
        vector = [w.detach() for w in product]
    return value
