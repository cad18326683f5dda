"""What self-prediction adds to a network: the transition model of SPR (Schwarzer et al. 2021)."""

from collections.abc import Sequence

import torch
from einops import einsum, rearrange
from torch import Tensor, nn
from torch.nn import functional

from hare_tortoise.activation import Activation
from networks.encoders import renormalise
from networks.settings import Encoder


class TransitionModel(nn.Module):
    """The latent of the next step from this step's and the action: two 3x3 convolutions at the latent's own size.

    The first convolution reads the latent and a plane for each action, 1 everywhere for the one that was taken. What it makes
    of such a plane depends on the action and the place alone, so it is added from a table instead, and with it the bias.
    """

    def __init__(self, channels: int, num_actions: int, encoder: Encoder, batch_norm: bool) -> None:
        """`channels` of the latent; the activations are those of the `encoder` that makes it, without its layer norm."""
        super().__init__()
        self.num_actions, self.channels = num_actions, channels
        units = channels if encoder.activation == "relu" else channels // 2
        self.first = nn.Conv2d(channels + num_actions, units, 3, padding=1)
        self.between = Activation(units, encoder.activation)
        # The model only ever runs in training mode, so running statistics would be kept for nobody.
        self.norm = nn.BatchNorm2d(channels, track_running_stats=False) if batch_norm else nn.Identity()
        self.second = nn.Conv2d(channels, units, 3, padding=1)
        self.after = Activation(units, encoder.activation)

    def forward(self, latent: Tensor, action: Tensor) -> Tensor:
        """`latent` float32 [B, C, h, w], `action` int64 [B, K]; the K latents that follow, float32 [K * B, C, h, w]."""
        weight = self.first.weight[:, : self.channels].contiguous(memory_format=torch.channels_last)
        steps = []
        for planes in self._planes(action, *latent.shape[2:]):
            x = functional.conv2d(latent, weight, padding=1) + planes
            x = self.norm(self.between(x))
            latent = renormalise(self.after(self.second(x)).to(latent.dtype))
            steps.append(latent)
        return torch.cat(steps)

    def _planes(self, action: Tensor, h: int, w: int) -> Sequence[Tensor]:
        """What the first convolution adds for `action`, int64 [B, K], its bias too; for each step float32 [B, units, h, w]."""
        weight = self.first.weight[:, self.channels :]
        taps = functional.unfold(weight.new_ones(1, 1, h, w), 3, padding=1)[0]  # [9, h * w], 0 where a tap is outside
        assert self.first.bias is not None
        table = einsum(weight.flatten(2), taps, "u a t, t p -> a p u") + self.first.bias
        one_hot = functional.one_hot(action, self.num_actions).to(weight.dtype)
        planes = einsum(one_hot, table, "b k a, a p u -> k b p u")
        return rearrange(planes, "k b (h w) u -> k b u h w", h=h).unbind()
