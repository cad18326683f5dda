"""ReDo (Sokar et al. 2023): units that have gone dormant start anew, and nothing that listens to them notices."""

from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn

from networks.layers import NoisyLinear
from networks.plasticity import dormancy, recorded
from networks.qnetwork import QNetwork, Units

UNITS_OF = ("body", "neck")  # the parts of a network that hidden units are of; outputs are none


@torch.no_grad()
def recycle_(
    hare: QNetwork,
    fresh: QNetwork,
    x: Tensor,
    tau: float,
    optimizer: torch.optim.Optimizer,
    parts: Collection[str] = UNITS_OF,
) -> Tensor:
    """Recycle the units in `parts` of `hare` whose dormancy on observations `x`, float32 [M, 4, 84, 84], is at most `tau`.

    Their incoming weights are taken from `fresh`, a new draw of the network, and their biases are set to 0; their outgoing
    weights are set to 0, and so are Adam's moments of both. Returns how many there were, int64 [].
    """
    layers = hare.units()
    with recorded([layer.activation for layer in layers]) as found:
        hare.logits(hare.encode(x), None)
    dormant = [dormancy(a, layer.activation.concatenates) <= tau for a, layer in zip(found, layers, strict=True)]
    chosen = [i for i, layer in enumerate(layers) if layer.part in parts]
    source = fresh.units()
    return renew_([layers[i] for i in chosen], [source[i] for i in chosen], [dormant[i] for i in chosen], optimizer)


@torch.no_grad()
def renew_(
    layers: Sequence[Units], fresh: Sequence[Units], dormant: Sequence[Tensor], optimizer: torch.optim.Optimizer
) -> Tensor:
    """Renew of each of `layers` the units that are `dormant`, bool [units], from the same layer of a new draw, `fresh`.

    Returns how many there were, int64 [].
    """
    for layer, source, mask in zip(layers, fresh, dormant, strict=True):
        _renew_layer_(layer, source, mask, optimizer)
    return torch.stack([mask.sum() for mask in dormant]).sum()


def _renew_layer_(layer: Units, source: Units, dormant: Tensor, optimizer: torch.optim.Optimizer) -> None:
    """Renew the units of `layer` that are `dormant`, bool [units], from the layer `source` of another network.

    What stands before them may be a layer with its batch normalisation, of which gains, biases and statistics start over.
    """
    weights = dict(source.incoming.named_parameters())
    for name, parameter in layer.incoming.named_parameters():
        mask = dormant.view(-1, *[1] * (parameter.ndim - 1)).expand_as(parameter)
        new = torch.zeros_like(parameter) if name.endswith("bias") else weights[name]
        _write_(parameter, mask, new, optimizer)
    for buffer, new in zip(layer.incoming.buffers(), source.incoming.buffers(), strict=True):
        if buffer.ndim == 1:
            buffer.copy_(torch.where(dormant, new, buffer))
    columns = dormant.repeat(2) if layer.activation.concatenates else dormant
    for listener in layer.outgoing:
        for parameter in _matrices(listener):
            _write_(parameter, _columns(parameter, columns), torch.zeros_like(parameter), optimizer)


def _matrices(layer: nn.Module) -> list[Tensor]:
    """What a layer multiplies its inputs by."""
    assert isinstance(layer, nn.Conv2d | nn.Linear | NoisyLinear)
    return [layer.weight, layer.weight_sigma] if isinstance(layer, NoisyLinear) else [layer.weight]


def _columns(weight: Tensor, units: Tensor) -> Tensor:
    """Mask, bool of `weight`'s shape, of what multiplies the inputs that come from `units`, bool [units].

    A linear layer behind a convolution has a column for each pixel of a channel, channel after channel; a convolution may
    have inputs beyond the units (the planes of the transition model's action), which come last.
    """
    inputs = weight.shape[1]
    if weight.ndim == 2:
        wide = units.repeat_interleave(inputs // len(units))
    else:
        wide = torch.cat((units, units.new_zeros(inputs - len(units))))
    return wide.view(1, -1, *[1] * (weight.ndim - 2)).expand_as(weight)


def _write_(parameter: Tensor, mask: Tensor, new: Tensor, optimizer: torch.optim.Optimizer) -> None:
    """Where `mask` holds set `parameter` to `new` and Adam's moments of it to 0."""
    parameter.copy_(torch.where(mask, new, parameter))
    state = optimizer.state.get(parameter, {})
    for name in ("exp_avg", "exp_avg_sq"):
        if name in state:
            state[name].masked_fill_(mask, 0)
