"""Measurements of plasticity. Tensors in, tensors out; nothing here waits for the device."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from networks.activation import Activation


@contextmanager
def recorded(activations: Sequence[Activation]) -> Iterator[list[Tensor]]:
    """Within, the list that is given collects what each of `activations` returns, in the order in which they are called."""
    found: list[Tensor] = []
    hooks = [module.register_forward_hook(lambda _module, _in, out: found.append(out.detach())) for module in activations]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def dormancy(activation: Tensor, concatenated: bool = False) -> Tensor:
    """Score of each unit of a layer: mean |activation|, divided by the layer's mean of it (ReDo, Sokar et al. 2023).

    `activation` float32 [M, units, ...], the channels of a convolution being units; with `concatenated` [M, 2 units, ...],
    both halves of a CReLU, which count together. float32 [units]; a unit is dormant at tau if its score is at most tau.
    """
    size = activation.abs().transpose(0, 1).flatten(1).mean(1)
    if concatenated:
        size = size.view(2, -1).sum(0)
    return size / (size.mean() + 1e-9)


def share(masks: Iterable[Tensor]) -> Tensor:
    """Share of the elements that hold, over all of `masks` (bool, any shapes) together; float32 []."""
    return torch.cat([mask.flatten() for mask in masks]).float().mean()


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
