"""What a network is to the methods: named parts, layers of hidden units, how it is drawn anew, and perhaps a mode."""

from collections.abc import Callable
from typing import Literal, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

PARTS = ("body", "neck", "head")


class Layer(NamedTuple):
    """The units of one hidden layer, what stands before and behind them, and the part of the network they are of.

    Units whose value is carried past a listener, as on the stream of a residual network, are none: that would have to change.
    """

    incoming: nn.Module
    """what makes them: one layer, perhaps with its normalisation"""
    activation: nn.Module
    """returns them: [M, units, ...], or [M, tokens, units] if `last`; under CReLU both halves, as `copies` says"""
    listeners: list[nn.Module]
    """every layer that reads them, and may read others behind them"""
    part: str = "body"
    copies: int = 1
    """outputs of the activation for each unit, copy behind copy"""
    last: bool = False
    """whether units stand in the last dimension"""

    def sizes(self, outputs: Tensor) -> Tensor:
        """Mean size of each unit, float32 [units], in what the activation returned."""
        by_unit = self._by_unit(outputs).float()  # in half a small mean would be 0
        return by_unit.abs().mean(1).view(self.copies, -1).sum(0)

    def fires(self, outputs: Tensor) -> Tensor:
        """Whether each unit, bool [units], is above 0 anywhere in what the activation returned."""
        return (self._by_unit(outputs) > 0).any(1).view(self.copies, -1).any(0)

    def _by_unit(self, outputs: Tensor) -> Tensor:
        """What the activation returned, [copies * units, all else]."""
        return (outputs.flatten(0, -2) if self.last else outputs).transpose(0, 1).flatten(1)

    def outgoing(self, units: int) -> Tensor:
        """Sum of the sizes of the outgoing weights, without their noise, of each of the layer's `units`; float32 [units]."""
        outputs = self.copies * units
        sums = [heard.weight.detach().abs().transpose(0, 1).flatten(1).sum(1) for heard in self.listeners]
        # As in `inputs`: a column for each pixel, or inputs beyond the units.
        own = [
            x[:outputs] if h.weight.ndim > 2 else x.view(outputs, -1).sum(1) for h, x in zip(self.listeners, sums, strict=True)
        ]
        return torch.stack(own).sum(0).view(self.copies, -1).sum(0)

    def inputs(self, weight: Tensor, units: Tensor) -> Tensor:
        """Which elements of a listener's `weight`, [out, in, ...], multiply what comes from `units`, bool [units]; its shape.

        A linear layer behind a convolution has a column for each pixel of a channel, channel after channel; a convolution may
        have inputs beyond the units, which come last.
        """
        outputs, inputs = units.repeat(self.copies), weight.shape[1]
        if weight.ndim == 2:
            wide = outputs.repeat_interleave(inputs // len(outputs))
        else:
            wide = torch.cat((outputs, outputs.new_zeros(inputs - len(outputs))))
        return wide.view(1, -1, *[1] * (weight.ndim - 2)).expand_as(weight)


class Network(nn.Module):
    """A network that every method can be put on. A method that looks at no parts and no units takes any module."""

    def part_of(self, name: str) -> str:
        """Which of `PARTS` the parameter or buffer `name` is of. ValueError if it is of none."""
        raise NotImplementedError

    def layers(self) -> list[Layer]:
        """The hidden layers, in the order in which they are called."""
        raise NotImplementedError

    def initialise_(self, generator: torch.Generator) -> None:
        """Draw every parameter anew from `generator`, and let statistics start over."""
        initialise_modules_(self, generator)

    def take_mode_(self, source: Self, keep: float) -> None:
        """Take over what beside weights is in the state of `source`, where the share `keep` of the own weights was kept."""


def state(module: nn.Module) -> dict[str, Tensor]:
    """What is averaged and reset: parameters, frozen ones too, and buffers, but for constants, which no state holds."""
    kept = module.state_dict(keep_vars=True)
    return {**dict(module.named_parameters()), **{name: b for name, b in module.named_buffers() if name in kept}}


def parts(network: Network) -> dict[str, list[Tensor]]:
    """The parameters and buffers of each part of `network`, together all of them. ValueError if one is of no part."""
    shares: dict[str, list[Tensor]] = {part: [] for part in PARTS}
    for name, tensor in state(network).items():
        shares[network.part_of(name)].append(tensor)
    return shares


def matrices(layer: nn.Module) -> list[Tensor]:
    """What a layer multiplies its inputs by; a noisy one has two."""
    return [p for p in layer.parameters(recurse=False) if p.ndim > 1]


def weighted(module: nn.Module) -> list[nn.Module]:
    """The linear layers and convolutions of `module`, noisy ones too: what has a `weight` of more than one dimension."""
    return [m for m in module.modules() if isinstance(w := getattr(m, "weight", None), nn.Parameter) and w.ndim > 1]


def hidden(network: Network) -> list[nn.Module]:
    """The linear layers and convolutions before the activations of `network.layers()`."""
    return [module for layer in network.layers() for module in weighted(layer.incoming)]


def averages(tensor: Tensor) -> bool:
    """Whether `tensor` is averaged; whole numbers are copied."""
    return tensor.is_floating_point() or tensor.is_complex()


def check(network: Network) -> None:
    """ValueError if `network`, which is drawn anew, has a tensor of no part, one that is not drawn, or a layer nobody reads."""
    parts(network)
    values = {name: tensor for name, tensor in state(network).items() if tensor.is_floating_point()}
    with torch.no_grad():
        for tensor in values.values():
            tensor.fill_(torch.nan)
        network.initialise_(torch.Generator(next(iter(values.values())).device).manual_seed(0))
    for name, tensor in values.items():
        if tensor.isnan().any():
            raise ValueError(f"{name} is not drawn anew")
    layers = network.layers()
    if len({id(layer.activation) for layer in layers}) < len(layers):
        raise ValueError("two layers share an activation: what each of them returns could not be told")
    for layer in layers:
        if layer.part not in PARTS or not layer.listeners:
            raise ValueError(f"a layer of {layer.part} has {len(layer.listeners)} listeners")
        for listener in layer.listeners:
            if not matrices(listener):
                raise ValueError(f"a {type(listener).__name__} has no weights of its own that listen")
            if getattr(listener, "groups", 1) != 1 or getattr(listener, "transposed", False):
                raise ValueError(f"which weights of a grouped or transposed {type(listener).__name__} listen is not known")
            _check_inputs(layer, listener)


def _check_inputs(layer: Layer, listener: nn.Module) -> None:
    """ValueError if the inputs of `listener` cannot be told apart by the units of `layer`, as `Layer.inputs` does."""
    weight = matrices(listener)[0]
    for made in weighted(layer.incoming)[:1]:
        outputs, inputs = layer.copies * len(made.get_parameter("weight")), weight.shape[1]
        known = inputs % outputs == 0 if weight.ndim == 2 else inputs >= outputs
        if not known or (layer.last and inputs != outputs):  # inputs of tokens come in another order than those of pixels
            raise ValueError(
                f"which of the {inputs} inputs of a {type(listener).__name__} are the {outputs} of its layer is not known:"
                " leave that out of layers()"
            )


Rule = Literal["uniform", "xavier"]


@torch.no_grad()
def initialise_modules_(network: nn.Module, generator: torch.Generator, rule: Rule = "uniform") -> None:
    """Draw the modules of `network` one after the other; one with a method `initialise_` draws what is its own by that.

    uniform: PyTorch's default, weights and biases uniform in +-1/sqrt(fan_in). xavier: weights uniform in
    +-sqrt(6 / (fan_in + fan_out)), biases 0. Gains of normalisations are 1, and their statistics start over. TypeError if a
    module has parameters and no rule says how they are drawn.
    """
    for module in network.modules():
        own: Callable[[torch.Generator], None] | None = getattr(module, "initialise_", None)
        if own is not None and module is not network:
            own(generator)
        elif isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear):
            bound = module.weight[0].numel() ** -0.5 if rule == "uniform" else 0.0
            if rule == "uniform":
                module.weight.uniform_(-bound, bound, generator=generator)
            else:
                nn.init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None:
                module.bias.uniform_(-bound, bound, generator=generator)
        elif isinstance(module, _NormBase | nn.LayerNorm | nn.GroupNorm | nn.RMSNorm):
            module.reset_parameters()
        elif next(module.parameters(recurse=False), None) is not None:
            raise TypeError(
                f"no rule says how a {type(module).__name__} is drawn anew: give it a method initialise_(generator)"
            )
