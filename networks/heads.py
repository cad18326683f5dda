"""The head: latents to returns, dueling or not, noisy or not, distributions or means (Hessel et al. 2018)."""

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from hare_tortoise.activation import narrowed
from networks.encoders import activation
from networks.layers import Dense, NoisyLinear, Weights, dense, each_of, factorised
from networks.settings import Head


class Stream(nn.Module):
    """A hidden layer, its activation, and the output layers that read it, by name."""

    def __init__(self, settings: Head, features: int, outputs: dict[str, int]) -> None:
        super().__init__()
        units = narrowed(settings.hidden, settings.activation)
        self.hidden = dense(features, units, settings, hidden=True)
        self.activation = activation(units, settings, in_place=False)  # it gets a part of a tensor
        self.outputs = nn.ModuleDict({name: dense(self.activation.width, size, settings) for name, size in outputs.items()})

    @property
    def dense(self) -> list[Dense | NoisyLinear]:
        """The hidden layer and the output layers."""
        return [self.hidden, *self.outputs.values()]

    def forward(self, hidden: Tensor, weights: Sequence[Weights]) -> dict[str, Tensor]:
        """`hidden` float32 [M, units], of the hidden layer; `weights` of each output; float32 [M, size] for each of these."""
        active = self.activation(hidden)
        return {name: functional.linear(active, *own) for name, own in zip(self.outputs, weights, strict=True)}


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
        self.noise_sizes = [size for stream in self.streams for layer in stream.dense for size in layer.noise_sizes]

    def means(self) -> list[list[Weights]]:
        """The weights of every layer of each stream without noise."""
        return [[layer.means() for layer in stream.dense] for stream in self.streams]

    def noisy(self, noise: Tensor) -> list[list[Weights]]:
        """The weights of every layer of each stream under `noise`, float32 [sum of noise_sizes], standard normal."""
        parts = iter(factorised(noise).split(self.noise_sizes))
        return [[layer.noisy(next(parts), next(parts)) for layer in stream.dense] for stream in self.streams]

    def forward(self, latent: Tensor, weights: Sequence[Sequence[Weights]] | None = None) -> Tensor:
        """`latent` float32 [M, features]; `weights` of `noisy`, or None for the means; float32 [M, A, atoms]."""
        if self.gradient_scale != 1:
            latent = self.gradient_scale * latent + (1 - self.gradient_scale) * latent.detach()
        weights = weights or self.means()
        hidden = each_of(latent, [own[0] for own in weights])
        out: dict[str, Tensor] = {}
        for stream, part, own in zip(self.streams, hidden, weights, strict=True):
            out |= stream(part, own[1:])
        advantage = rearrange(out["advantage"], "m (a n) -> m a n", a=self.num_actions)
        if "value" not in out:
            return advantage
        return rearrange(out["value"], "m n -> m 1 n") + advantage - advantage.mean(1, keepdim=True)

    def project(self, latent: Tensor) -> Tensor:
        """The hidden layers without noise or activation, side by side: float32 [M, width]. Self-prediction compares these."""
        hidden = each_of(latent, [stream.hidden.means() for stream in self.streams])
        return hidden[0] if len(hidden) == 1 else torch.cat(list(hidden), 1)

    @property
    def width(self) -> int:
        """Length of what `project` returns."""
        return sum(stream.activation.units for stream in self.streams)
