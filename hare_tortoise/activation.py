"""What stands between two layers: an optional normalisation, then ReLU or CReLU."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from hare_tortoise.network import Layer

Kind = Literal["relu", "crelu"]


def narrowed(width: int, kind: Kind) -> int:
    """Outputs that a layer of nominal `width` has: fewer under CReLU, which doubles them again.

    Fewer by the root of 2, so that the product of inputs and outputs, the parameter count of an inner layer, stays the same.
    """
    return round(width / 2**0.5) if kind == "crelu" else width


class Activation(nn.Module):
    """ReLU, or CReLU (Shang et al. 2016): the ReLU of x and of -x side by side.

    With `layer_norm` each sample is first normalised over all its features, channels and pixels, with a learnt gain and
    bias for each channel (Ba et al. 2016).
    """

    last = False  # whether units stand in the last dimension

    def __init__(self, units: int, kind: Kind, *, layer_norm: bool = False, in_place: bool = True) -> None:
        """`in_place`: whether the input may be overwritten, so that nothing is written twice; not where others read it too."""
        super().__init__()
        self.in_place = in_place
        self.concatenates = kind == "crelu"
        self.units = units
        self.width = 2 * units if self.concatenates else units
        self.norm = nn.GroupNorm(1, units) if layer_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """`x` float32 [M, units, ...]; float32 [M, width, ...]."""
        own = self.norm(x)
        if self.concatenates:
            own = torch.cat((own, -own), 1)
        return functional.relu(own, inplace=self.in_place or own is not x)

    def layer(self, incoming: nn.Module, listeners: list[nn.Module], part: str = "body") -> Layer:
        """The layer of units that this is the activation of."""
        return Layer(incoming, self, listeners, part, 2 if self.concatenates else 1, self.last)
