"""Units that do little start anew, and their listeners do not notice (ReDo, Sokar et al. 2023; GraMa, Liu et al. 2025)."""

from collections.abc import Callable, Collection

import torch
from torch import Tensor

from hare_tortoise.measure import activations, dormancy
from hare_tortoise.network import PARTS, Layer, Network, matrices, weighted
from hare_tortoise.settings import Recycling


@torch.no_grad()
def recycle_(
    network: Network,
    draw: Callable[[], Network],
    x: Tensor,
    settings: Recycling,
    optimizer: torch.optim.Optimizer | None,
    parts: Collection[str] = PARTS,
) -> Tensor:
    """Renew the units in `parts` of `network` whose dormancy on observations `x`, [M, ...], is at most the settings' `tau`.

    By gradient it is that of the last loss, as it stands beside the weights, and `x` is not looked at.

    Their incoming weights are taken from a new draw of the network, and their biases are set to 0; their outgoing weights are
    set to 0, and so are Adam's moments of both. Returns how many there were, int64 []. Nothing is drawn if `parts` have none.
    """
    layers = [(i, layer) for i, layer in enumerate(network.layers()) if layer.part in parts]
    if not layers:
        return torch.zeros((), dtype=torch.int64, device=x.device)
    if settings.by == "gradient":
        scores = [gradient_dormancy(layer) for _, layer in layers]
    else:
        outputs = activations(network, x)
        scores = [dormancy(layer, outputs[i]) for i, layer in layers]
    dormant, source = [score <= settings.tau for score in scores], draw().layers()
    for (i, layer), units in zip(layers, dormant, strict=True):
        renew_(layer, source[i], units, optimizer)
    return torch.stack([units.sum() for units in dormant]).sum()


def gradient_dormancy(layer: Layer) -> Tensor:
    """Score of each unit of `layer`: the mean size of the gradient of its incoming weights, in means of the layer; [units].

    Of a noisy layer the mean weights count. A layer without a gradient has the score 1 everywhere; one whose gradient is 0
    everywhere, as where all units are dead, 0.
    """
    weight = weighted(layer.incoming)[0].get_parameter("weight")
    if weight.grad is None:
        return weight.new_ones(len(weight))
    sizes = weight.grad.abs().flatten(1).mean(1)
    return sizes / sizes.mean().clamp(min=torch.finfo(sizes.dtype).tiny)  # where the loss is small, so are gradients


@torch.no_grad()
def renew_(layer: Layer, source: Layer, units: Tensor, optimizer: torch.optim.Optimizer | None) -> None:
    """Renew `units`, bool [units], of `layer`, from the same layer of a new draw, `source`.

    What stands before them may be a layer with its normalisation, which may also be the activation's: of both gains, biases
    and statistics start over.
    """
    for before, drawn in ((layer.incoming, source.incoming), (layer.activation, source.activation)):
        weights = dict(drawn.named_parameters())
        for name, parameter in before.named_parameters():
            mask = units.view(-1, *[1] * (parameter.ndim - 1)).expand_as(parameter)
            new = torch.zeros_like(parameter) if name.endswith("bias") else weights[name]
            _write_(parameter, mask, new, optimizer)
    for buffer, new in zip(layer.incoming.buffers(), source.incoming.buffers(), strict=True):
        if buffer.ndim == 1:
            buffer.copy_(torch.where(units, new, buffer))
    for listener in layer.listeners:
        for weight in matrices(listener):
            _write_(weight, layer.inputs(weight, units), torch.zeros_like(weight), optimizer)


def _write_(parameter: Tensor, mask: Tensor, new: Tensor, optimizer: torch.optim.Optimizer | None) -> None:
    """Where `mask` holds set `parameter` to `new` and an optimizer's moments of it to 0."""
    parameter.copy_(torch.where(mask, new, parameter))
    state = optimizer.state.get(parameter, {}) if optimizer is not None else {}
    for name in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer"):
        if state.get(name) is not None:
            state[name].masked_fill_(mask, 0)
