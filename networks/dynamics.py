"""What self-prediction adds to a network: the transition model of SPR (Schwarzer et al. 2021)."""

import torch
from einops import repeat
from torch import Tensor, nn

from hare_tortoise.activation import Activation
from networks.encoders import renormalise
from networks.settings import Encoder


class TransitionModel(nn.Module):
    """The latent of the next step from this step's and the action: two 3x3 convolutions at the latent's own size."""

    def __init__(self, channels: int, num_actions: int, encoder: Encoder, batch_norm: bool) -> None:
        """`channels` of the latent; the activations are those of the `encoder` that makes it, without its layer norm."""
        super().__init__()
        self.num_actions = num_actions
        units = channels // 2 if encoder.activation == "crelu" else channels
        self.first = nn.Conv2d(channels + num_actions, units, 3, padding=1)
        self.between = Activation(units, encoder.activation)
        # The model only ever runs in training mode, so running statistics would be kept for nobody.
        self.norm = nn.BatchNorm2d(channels, track_running_stats=False) if batch_norm else nn.Identity()
        self.second = nn.Conv2d(channels, units, 3, padding=1)
        self.after = Activation(units, encoder.activation)

    def forward(self, latent: Tensor, action: Tensor) -> Tensor:
        """`latent` float32 [B, C, h, w], `action` int64 [B]; the next latent, float32 [B, C, h, w] in [0, 1]."""
        _, _, h, w = latent.shape
        one_hot = nn.functional.one_hot(action, self.num_actions).to(latent.dtype)
        x = torch.cat((latent, repeat(one_hot, "b a -> b a h w", h=h, w=w)), 1)
        x = self.norm(self.between(self.first(x)))
        return renormalise(self.after(self.second(x)).to(latent.dtype))

    def unroll(self, latent: Tensor, action: Tensor) -> Tensor:
        """`latent` float32 [B, C, h, w], `action` int64 [B, K]; the K latents that follow, float32 [K * B, C, h, w]."""
        steps = []
        for k in range(action.shape[1]):
            latent = self(latent, action[:, k])
            steps.append(latent)
        return torch.cat(steps)
