"""Spectral normalisation (Miyato et al. 2018): a layer multiplies by its weight over the weight's largest singular value.

The estimate of that is a unit vector, which moves once an update and with no forward pass: passes of target networks and
second passes leave it alone, and it may be averaged, reset and captured in a CUDA graph like a weight.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

ROUNDS = 15  # of power iteration for a weight that is new (PyTorch's default for its own)


class SpectralNorm(nn.Module):
    """The weight of a layer of so many outputs, over its largest singular value; the gradient goes through both."""

    u: Tensor

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.register_buffer("u", torch.empty(outputs))

    def initialise_(self, generator: torch.Generator) -> None:
        """Draw the vector anew."""
        self.u.normal_(generator=generator)
        self.u /= self.u.norm()

    def _right(self, matrix: Tensor) -> Tensor:
        return functional.normalize(matrix.T @ self.u, dim=0)

    def forward(self, weight: Tensor) -> Tensor:
        """`weight` float32 [outputs, ...]; the same over its largest singular value."""
        matrix = weight.flatten(1)
        with torch.autocast(weight.device.type, enabled=False):  # it would round the products
            v = self._right(matrix.detach())
            return weight / (matrix @ v @ self.u)

    @torch.no_grad()
    def iterate_(self, weight: Tensor, rounds: int = 1) -> None:
        """So many rounds of power iteration."""
        matrix = weight.flatten(1)
        for _ in range(rounds):
            self.u.copy_(functional.normalize(matrix @ self._right(matrix), dim=0))


class SpectralLinear(nn.Linear):
    """A linear layer that multiplies by its weight over the weight's largest singular value."""

    def __init__(self, fan_in: int, fan_out: int) -> None:
        super().__init__(fan_in, fan_out)
        self.normalise = SpectralNorm(fan_out)

    def forward(self, x: Tensor) -> Tensor:
        """`x` float32 [..., fan_in]; float32 [..., fan_out]."""
        return functional.linear(x, self.normalise(self.weight), self.bias)


def linear(fan_in: int, fan_out: int, spectral_norm: bool) -> nn.Linear:
    """A linear layer, spectrally normalised or plain."""
    return SpectralLinear(fan_in, fan_out) if spectral_norm else nn.Linear(fan_in, fan_out)


def iterate_(network: nn.Module, rounds: int = 1) -> None:
    """So many rounds of power iteration for every layer of `network` whose `normalise` is a `SpectralNorm`."""
    for module in network.modules():
        normalise = getattr(module, "normalise", None)
        if isinstance(normalise, SpectralNorm):
            normalise.iterate_(module.weight, rounds)
