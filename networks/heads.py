"""The dueling, noisy, categorical head (Hessel et al. 2018)."""

import math

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from networks.settings import Head


def factorised_noise(size: int, generator: torch.Generator) -> Tensor:
    """f(x) = sign(x) sqrt|x| of `size` standard normal draws (Fortunato et al. 2018); float32 [size]."""
    x = torch.randn(size, generator=generator, device=generator.device)
    return x.sign() * x.abs().sqrt()


class NoisyLinear(nn.Module):
    """A linear layer with weight mu + sigma * (out noise x in noise) and bias mu + sigma * out noise.

    The noise is an argument, so the layer has no state but its parameters. Initial values are Kaixhin/Rainbow's and
    mila-iqia/spr's: mu uniform in +-1/sqrt(fan_in); sigma constant, sigma_0/sqrt(fan_in) for weights, sigma_0/sqrt(fan_out)
    for biases.
    """

    def __init__(self, fan_in: int, fan_out: int, sigma: float) -> None:
        super().__init__()
        self.sigma = sigma
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
        nn.init.constant_(self.bias_sigma, self.sigma / math.sqrt(fan_out))

    def forward(self, x: Tensor, noise: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """`x` float32 [M, fan_in]; `noise` float32 [fan_in] and [fan_out], or None for the mean weights; [M, fan_out]."""
        y = functional.linear(x, self.weight, self.bias)
        if noise is None:
            return y
        # The noisy part as a second product: the perturbed weight matrix is never formed.
        return y + functional.linear(x * noise[0], self.weight_sigma, self.bias_sigma) * noise[1]


class DuelingHead(nn.Module):
    """Two streams, value and advantage, each of two noisy layers: latents [M, features] to logits [M, A, atoms]."""

    def __init__(self, settings: Head, features: int, num_actions: int) -> None:
        super().__init__()
        self.num_actions, self.gradient_scale = num_actions, settings.gradient_scale
        self.advantage_hidden = NoisyLinear(features, settings.hidden, settings.noise)
        self.advantage = NoisyLinear(settings.hidden, num_actions * settings.atoms, settings.noise)
        self.value_hidden = NoisyLinear(features, settings.hidden, settings.noise)
        self.value = NoisyLinear(settings.hidden, settings.atoms, settings.noise)
        layers = (self.advantage_hidden, self.advantage, self.value_hidden, self.value)
        self.noise_sizes = tuple(size for layer in layers for size in layer.noise_sizes)

    def forward(self, latent: Tensor, noise: Tensor | None = None) -> Tensor:
        """`latent` float32 [M, features], `noise` float32 [sum of noise_sizes] or None; logits float32 [M, A, atoms]."""
        n = noise.split(self.noise_sizes) if noise is not None else None
        first, second, third, fourth = [n[i : i + 2] for i in range(0, 8, 2)] if n is not None else [None] * 4
        if self.gradient_scale != 1:
            latent = self.gradient_scale * latent + (1 - self.gradient_scale) * latent.detach()
        advantage = self.advantage(functional.relu(self.advantage_hidden(latent, first)), second)
        advantage = rearrange(advantage, "m (a n) -> m a n", a=self.num_actions)
        value = self.value(functional.relu(self.value_hidden(latent, third)), fourth)
        value = rearrange(value, "m n -> m 1 n")
        return value + advantage - advantage.mean(1, keepdim=True)

    def project(self, latent: Tensor) -> Tensor:
        """The hidden layers without noise or ReLU, side by side: float32 [M, 2 * hidden]. Self-prediction compares these."""
        return torch.cat((self.advantage_hidden(latent), self.value_hidden(latent)), 1)

    @property
    def width(self) -> int:
        """Length of what `project` returns."""
        return 2 * self.value.weight.shape[1]
