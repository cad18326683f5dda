"""Measurements of plasticity. Tensors in, tensors out. Only eigenvalues wait for the device: torch looks if they were found."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from hare_tortoise.network import Layer, Network

TAU = 0.025  # threshold of dormancy (Sokar et al. 2023)
LAYERS = "layers"  # in a row of metrics: what is known of each layer, by its name


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


def norms(quantity: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Euclidean norms: of all `tensors` as one vector, called `quantity`, and of each, `quantity`/its name; float32 [] each."""
    each = torch._foreach_norm([tensor.detach() for tensor in tensors.values()])
    return {quantity: torch.stack(each).norm()} | {f"{quantity}/{name}": norm for name, norm in zip(tensors, each, strict=True)}


@torch.no_grad()
def of_weights(hare: nn.Module, initial: nn.Module, tortoise: nn.Module | None) -> dict[str, Tensor]:
    """`norms` of the hare's weights, and their distance from the initial ones and the tortoise's; float32 [] each."""
    weights = dict(hare.named_parameters())
    measured = norms("weight_norm", weights)
    measured["initial_distance"] = distance(weights.values(), initial.parameters())
    if tortoise is not None:
        measured["tortoise_distance"] = distance(weights.values(), tortoise.parameters())
    return measured


def of_loss(loss: Callable[[], Tensor], network: nn.Module, hessian_rounds: int = 0) -> dict[str, Tensor]:
    """What `loss` tells, which is called once and gives the loss of `network`, float32 []; float32 [] each.

    `norms` of its gradient for the parameters that learn, 0 for one that the loss does not use; zero_gradients: share of
    these whose gradient is 0; with `hessian_rounds` hessian, as `top_eigenvalue`.
    """
    learns = {name: p for name, p in network.named_parameters() if p.requires_grad}
    found = torch.autograd.grad(loss(), list(learns.values()), create_graph=hessian_rounds > 0, allow_unused=True)
    gradient = {n: torch.zeros_like(p) if g is None else g for (n, p), g in zip(learns.items(), found, strict=True)}
    measured = norms("gradient_norm", gradient)
    measured["zero_gradients"] = share(g == 0 for g in gradient.values())
    if hessian_rounds:
        # A parameter whose gradient is the same everywhere has rows and columns of zeros.
        bent = [(g, p) for g, p in zip(found, learns.values(), strict=True) if g is not None and g.requires_grad]
        none = torch.zeros_like(measured["gradient_norm"])
        measured["hessian"] = top_eigenvalue(*zip(*bent, strict=True), hessian_rounds) if bent else none
    return measured


def to_row(measured: dict[str, Tensor], network: Network) -> dict[str, Any]:
    """`measured`, float32 [] each, as numbers of a row of metrics; waits once.

    `norms` are put together by part of `network`, as weight_norm_body, and under `layers` by the module that has the
    parameters, called as in the state dict: encoder.0, with its weights and biases. A sum of squares over either is the
    square of the whole norm.
    """
    numbers = dict(zip(measured, torch.stack(list(measured.values())).tolist(), strict=True))
    row: dict[str, Any] = {}
    layers: dict[str, dict[str, float]] = {}
    for name, number in numbers.items():
        quantity, _, parameter = name.partition("/")
        if not parameter:
            row[name] = number
            continue
        layer = layers.setdefault(parameter.rpartition(".")[0], {})
        for place, key in ((row, f"{quantity}_{network.part_of(parameter)}"), (layer, quantity)):
            place[key] = math.hypot(place.get(key, 0.0), number)
    return row | {LAYERS: layers}


def effective_ranks(features: Tensor) -> tuple[Tensor, Tensor]:
    """Two effective ranks of `features`, float32 [M, D], from its singular values; two float32 [].

    srank: how many of the largest hold 99 % of their sum (Kumar et al. 2021). Entropy: the exponential of the entropy of the
    singular values, taken as a distribution (Roy and Vetterli 2007). Both lie in 1 .. min(M, D); of zeros they are 1 and 0.
    """
    f = features.double()
    # The roots of this matrix's eigenvalues, true to 1e-8 of the largest, take a third of the time.
    squares = torch.linalg.eigvalsh(f @ f.T if len(f) <= f.shape[1] else f.T @ f)
    p = squares.clamp(min=0).sqrt().flip(0)
    p = p / (p.sum() + 1e-30)
    some = p.sum() > 0
    srank = torch.where(some, (p.cumsum(0) < 0.99).sum().clamp(max=len(p) - 1) + 1, 1)
    return srank.float(), (torch.exp(-torch.special.xlogy(p, p).sum()) * some).float()


def distance(tensors: Iterable[Tensor], others: Iterable[Tensor] | None = None) -> Tensor:
    """Euclidean distance of `tensors`, as one vector, from `others` or from the origin; float32 []."""
    tensors = list(tensors)
    away = tensors if others is None else torch._foreach_sub(tensors, list(others))
    return torch.stack(torch._foreach_norm(away)).norm()


def top_eigenvalue(gradient: Sequence[Tensor], parameters: Sequence[Tensor], rounds: int) -> Tensor:
    """The Hessian's eigenvalue of the largest size, by Lanczos' method with `rounds` products; float32 [], 0 for none.

    `gradient` is that of a loss for `parameters`, with a graph of its own. It is where the method starts: most of a gradient
    lies along the top eigenvectors (Gur-Ari et al. 2018), so few rounds are enough. Few find a smaller size, never a larger one
    but for rounding; where the gradient is 0, they find 0.
    """
    size = distance([g.detach() for g in gradient])
    residual, vector = [g.detach() for g in gradient], [torch.zeros_like(p) for p in parameters]
    matrix = torch.zeros(rounds + 1, rounds + 1, dtype=torch.float64, device=size.device)
    for i in range(rounds):
        before, vector = vector, [r / (size + 1e-30) for r in residual]
        product = torch.autograd.grad(gradient, parameters, vector, retain_graph=True)
        along = torch.stack([(v * w).sum() for v, w in zip(vector, product, strict=True)]).sum().detach()
        residual = [w.detach() - along * v - size * u * (i > 0) for w, v, u in zip(product, vector, before, strict=True)]
        size = distance(residual)
        matrix[i, i], matrix[i + 1, i] = along, size
    known = matrix[:rounds, :rounds]
    values = torch.linalg.eigvalsh(known.nan_to_num())  # it reads what is below the diagonal
    return torch.where(known.isfinite().all(), values[values.abs().argmax()], torch.nan).float()
