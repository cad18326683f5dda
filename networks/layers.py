"""Linear layers, with noise in their weights or without."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from hare_tortoise.spectral import SpectralNorm
from networks.settings import Head


def factorised(normal: Tensor) -> Tensor:
    """f(x) = sign(x) sqrt|x| of standard `normal` draws, any shape (Fortunato et al. 2018)."""
    return normal.sign() * normal.abs().sqrt()


Weights = tuple[Tensor, Tensor]  # of a layer, float32 [fan_out, fan_in], and its biases, float32 [fan_out]


class LinearLayer:
    """What a layer with noise and one without have in common: their weights as they are without it."""

    weight: Tensor
    bias: Tensor
    normalise: nn.Module

    def means(self) -> Weights:
        """Its weights without noise."""
        return self.normalise(self.weight), self.bias

    def forward(self, x: Tensor) -> Tensor:
        """`x` float32 [M, fan_in]; without noise, float32 [M, fan_out]."""
        return functional.linear(x, *self.means())


class Dense(LinearLayer, nn.Linear):
    """A linear layer that takes no noise."""

    noise_sizes = (0, 0)

    def __init__(self, fan_in: int, fan_out: int, spectral_norm: bool = False) -> None:
        super().__init__(fan_in, fan_out)
        self.normalise = SpectralNorm(fan_out) if spectral_norm else nn.Identity()

    def noisy(self, inwards: Tensor, outwards: Tensor) -> Weights:
        """Its weights; the noise is not looked at."""
        return self.means()


class NoisyLinear(LinearLayer, nn.Module):
    """A linear layer with weight mu + sigma * (out noise x in noise) and bias mu + sigma * out noise.

    The noise is an argument, so the layer has no state but its parameters. Initial values: mu uniform in +-1/sqrt(fan_in);
    sigma constant, sigma_0/sqrt(fan_in) for weights and sigma_0/sqrt(fan) for biases, where fan is the outputs' number in
    Kaixhin/Rainbow and mila-iqia/spr and the inputs' in Dopamine.
    """

    def __init__(self, fan_in: int, fan_out: int, sigma: float, bias_fan: str, spectral_norm: bool = False) -> None:
        """`spectral_norm`: of mu."""
        super().__init__()
        self.sigma, self.bias_fan = sigma, bias_fan
        self.normalise = SpectralNorm(fan_out) if spectral_norm else nn.Identity()
        self.weight = nn.Parameter(torch.empty(fan_out, fan_in))
        self.bias = nn.Parameter(torch.empty(fan_out))
        self.weight_sigma = nn.Parameter(torch.empty(fan_out, fan_in))
        self.bias_sigma = nn.Parameter(torch.empty(fan_out))

    @property
    def noise_sizes(self) -> tuple[int, int]:
        """How much noise a draw needs: fan_in, fan_out."""
        return self.weight.shape[1], self.weight.shape[0]

    def initialise_(self, generator: torch.Generator) -> None:
        """Draw every parameter anew."""
        fan_out, fan_in = self.weight.shape
        for mean in (self.weight, self.bias):
            nn.init.uniform_(mean, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in), generator=generator)
        nn.init.constant_(self.weight_sigma, self.sigma / math.sqrt(fan_in))
        nn.init.constant_(self.bias_sigma, self.sigma / math.sqrt(fan_in if self.bias_fan == "fan_in" else fan_out))

    def noisy(self, inwards: Tensor, outwards: Tensor) -> Weights:
        """Weights and biases under noise, float32 [fan_in] and [fan_out]. Formed once, they serve every pass of an update."""
        weight = torch.addcmul(self.normalise(self.weight), self.weight_sigma, torch.outer(outwards, inwards))
        return weight, torch.addcmul(self.bias, self.bias_sigma, outwards)


def each_of(x: Tensor, layers: Sequence[Weights]) -> Sequence[Tensor]:
    """What each of several linear `layers` gives for `x`, float32 [M, fan_in]; float32 [M, fan_out] each."""
    if x.is_cuda:
        return in_one_product(x, layers)
    return [functional.linear(x, *own) for own in layers]  # on a CPU faster than to put weights together (docs/log.md)


def in_one_product(x: Tensor, layers: Sequence[Weights]) -> Sequence[Tensor]:
    """`each_of`, with the weights one below the other: fewer kernels, each with more to do."""
    weight, bias = (torch.cat(parts) for parts in zip(*layers, strict=True))
    return functional.linear(x, weight, bias).split([len(bias) for _, bias in layers], 1)


def dense(fan_in: int, fan_out: int, settings: Head, *, hidden: bool = False) -> Dense | NoisyLinear:
    """A linear layer, noisy and, if it is `hidden`, spectrally normalised where `settings` say so."""
    normalised = hidden and settings.spectral_norm
    if settings.noise is None:
        return Dense(fan_in, fan_out, normalised)
    return NoisyLinear(fan_in, fan_out, settings.noise, settings.noise_bias, normalised)
