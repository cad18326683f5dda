"""The head: latents to returns, dueling or not, noisy or not, distributions or means (Hessel et al. 2018)."""

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn

from hare_tortoise.activation import narrowed
from networks.encoders import activation
from networks.layers import Dense, NoisyLinear, Weights, dense, factorised
from networks.settings import Head


class Stream(nn.Module):
    """A hidden layer, its activation, and the output layers that read it, by name."""

    def __init__(self, settings: Head, features: int, outputs: dict[str, int]) -> None:
        super().__init__()
        units = narrowed(settings.hidden, settings.activation)
        self.hidden = dense(features, units, settings, hidden=True)
        self.activation = activation(units, settings)
        self.outputs = nn.ModuleDict({name: dense(self.activation.width, size, settings) for name, size in outputs.items()})

    @property
    def dense(self) -> list[Dense | NoisyLinear]:
        """The hidden layer and the output layers."""
        return [self.hidden, *self.outputs.values()]

    def forward(self, latent: Tensor, weights: list[Weights | None]) -> dict[str, Tensor]:
        """`latent` float32 [M, features], `weights` of each of `dense`; float32 [M, size] for each output."""
        hidden = self.activation(self.hidden(latent, weights[0]))
        return {name: layer(hidden, own) for (name, layer), own in zip(self.outputs.items(), weights[1:], strict=True)}


class QHead(nn.Module):
    """Latents [M, features] to [M, A, atoms]: value + advantage - mean advantage, or the plain advantages."""

    def __init__(self, settings: Head, features: int, num_actions: int) -> None:
        super().__init__()
        self.num_actions, self.gradient_scale = num_actions, settings.gradient_scale
        sizes = {"advantage": num_actions * settings.atoms, "value": settings.atoms}
        if settings.dueling == "none":
            del sizes["value"]
        split = [{name: size} for name, size in sizes.items()] if settings.dueling == "streams" else [sizes]
        self.streams = nn.ModuleList(Stream(settings, features, outputs) for outputs in split)
        self.noise_sizes = [size for layer in self._dense for size in layer.noise_sizes]

    @property
    def _dense(self) -> list[Dense | NoisyLinear]:
        return [layer for stream in self.streams for layer in stream.dense]

    def noisy(self, noise: Tensor) -> list[Weights]:
        """The weights of every layer under `noise`, float32 [sum of noise_sizes], standard normal."""
        parts = factorised(noise).split(self.noise_sizes)
        pairs = zip(parts[::2], parts[1::2], strict=True)
        return [layer.noisy(*pair) for layer, pair in zip(self._dense, pairs, strict=True)]

    def forward(self, latent: Tensor, weights: Sequence[Weights] | None = None) -> Tensor:
        """`latent` float32 [M, features]; `weights` of `noisy`, or None for the means; float32 [M, A, atoms]."""
        if self.gradient_scale != 1:
            latent = self.gradient_scale * latent + (1 - self.gradient_scale) * latent.detach()
        out: dict[str, Tensor] = {}
        left = iter(weights if weights is not None else [None] * len(self._dense))
        for stream in self.streams:
            out |= stream(latent, [next(left) for _ in stream.dense])
        advantage = rearrange(out["advantage"], "m (a n) -> m a n", a=self.num_actions)
        if "value" not in out:
            return advantage
        return rearrange(out["value"], "m n -> m 1 n") + advantage - advantage.mean(1, keepdim=True)

    def project(self, latent: Tensor) -> Tensor:
        """The hidden layers without noise or activation, side by side: float32 [M, width]. Self-prediction compares these."""
        hidden = [stream.hidden(latent) for stream in self.streams]
        return hidden[0] if len(hidden) == 1 else torch.cat(hidden, 1)

    @property
    def width(self) -> int:
        """Length of what `project` returns."""
        return sum(stream.activation.units for stream in self.streams)
