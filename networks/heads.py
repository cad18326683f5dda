"""The head: latents to returns, dueling or not, noisy or not, distributions or means (Hessel et al. 2018)."""

import torch
from einops import rearrange
from torch import Tensor, nn

from hare_tortoise.activation import narrowed
from networks.encoders import activation
from networks.layers import dense
from networks.settings import Head


class Stream(nn.Module):
    """A hidden layer, its activation, and the output layers that read it, by name."""

    def __init__(self, settings: Head, features: int, outputs: dict[str, int]) -> None:
        super().__init__()
        units = narrowed(settings.hidden, settings.activation)
        self.hidden = dense(features, units, settings)
        self.activation = activation(units, settings)
        self.outputs = nn.ModuleDict({name: dense(self.activation.width, size, settings) for name, size in outputs.items()})

    @property
    def noise_sizes(self) -> list[int]:
        """Inputs and outputs of each layer, as far as it is noisy."""
        return [size for layer in (self.hidden, *self.outputs.values()) for size in layer.noise_sizes]

    def forward(self, latent: Tensor, noise: list[Tensor] | None) -> dict[str, Tensor]:
        """`latent` float32 [M, features], `noise` a tensor for each of `noise_sizes`; float32 [M, size] for each output."""
        pairs = [None] * 3 if noise is None else list(zip(noise[::2], noise[1::2], strict=True))
        hidden = self.activation(self.hidden(latent, pairs[0]))
        return {name: layer(hidden, pair) for (name, layer), pair in zip(self.outputs.items(), pairs[1:], strict=False)}


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
        self.noise_sizes = [size for stream in self.streams for size in stream.noise_sizes]

    def forward(self, latent: Tensor, noise: Tensor | None = None) -> Tensor:
        """`latent` float32 [M, features], `noise` float32 [sum of noise_sizes] or None; float32 [M, A, atoms]."""
        parts = list(noise.split(self.noise_sizes)) if noise is not None else None
        if self.gradient_scale != 1:
            latent = self.gradient_scale * latent + (1 - self.gradient_scale) * latent.detach()
        out: dict[str, Tensor] = {}
        for stream in self.streams:
            mine = None
            if parts is not None:
                mine, parts = parts[: len(stream.noise_sizes)], parts[len(stream.noise_sizes) :]
            out |= stream(latent, mine)
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
