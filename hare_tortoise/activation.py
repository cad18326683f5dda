"""What stands between two layers: an optional normalisation, then ReLU, CReLU or Fourier features."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from hare_tortoise.network import Layer
from hare_tortoise.settings import Kind


def narrowed(width: int, kind: Kind) -> int:
    """Outputs that a layer of nominal `width` has: fewer where the activation doubles them again.

    Under CReLU fewer by the root of 2, so that the product of inputs and outputs, the parameter count of an inner layer,
    stays the same; under Fourier features half as many (Lewandowski et al. 2024).
    """
    return {"relu": width, "crelu": round(width / 2**0.5), "fourier": max(width // 2, 1)}[kind]


class Activation(nn.Module):
    """ReLU; or CReLU (Shang et al. 2016), the ReLU of x and of -x side by side; or sine and cosine (Lewandowski et al. 2024).

    With `layer_norm` each sample is first normalised over all its features, channels and pixels, with a learnt gain and
    bias for each channel (Ba et al. 2016).
    """

    last = False  # whether units stand in the last dimension

    def __init__(self, units: int, kind: Kind, *, layer_norm: bool = False, in_place: bool = True) -> None:
        """`in_place`: whether the input may be overwritten, so that nothing is written twice; not where others read it too."""
        super().__init__()
        self.in_place, self.kind, self.units = in_place, kind, units
        self.concatenates = kind != "relu"
        self.width = 2 * units if self.concatenates else units
        self.norm = self._norm() if layer_norm else nn.Identity()

    def _norm(self) -> nn.Module:
        return nn.GroupNorm(1, self.units)

    def forward(self, x: Tensor) -> Tensor:
        """`x` float32 [M, units, ...], or [..., units] if `last`; the same with width in place of units."""
        own = self.norm(x)
        dim = -1 if self.last else 1
        if self.kind == "fourier":
            return torch.cat((own.sin(), own.cos()), dim)
        if self.kind == "crelu":
            own = torch.cat((own, -own), dim)
        return self.rectify(own, self.in_place or own is not x)

    def rectify(self, x: Tensor, in_place: bool) -> Tensor:
        """The plain activation, of `x` of any shape."""
        return functional.relu(x, inplace=in_place)

    def layer(self, incoming: nn.Module, listeners: list[nn.Module], part: str = "body") -> Layer:
        """The layer of units that this is the activation of."""
        return Layer(incoming, self, listeners, part, 2 if self.concatenates else 1, self.last)
