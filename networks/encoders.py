"""Convolutional encoders: observations [M, 4, 84, 84] to latents [M, 64, h, w]."""

import torch
from torch import Tensor, nn

from networks.settings import Encoder

# out channels, kernel, stride of each layer
LAYERS = {
    "data_efficient": ((32, 5, 5), (64, 5, 5)),  # van Hasselt et al. 2019; 3 x 3 x 64 = 576 features
    "nature": ((32, 8, 4), (64, 4, 2), (64, 3, 1)),  # Mnih et al. 2015; 7 x 7 x 64 = 3136 features
}


def build_encoder(settings: Encoder, channels: int = 4) -> nn.Sequential:
    """The convolutions of `settings.kind` with a ReLU after each, without padding."""
    layers: list[nn.Module] = []
    for out, kernel, stride in LAYERS[settings.kind]:
        layers += [nn.Conv2d(channels, out, kernel, stride), nn.ReLU()]
        channels = out
    return nn.Sequential(*layers)


def renormalise(latent: Tensor) -> Tensor:
    """Scale each sample of `latent`, float [M, C, h, w], to [0, 1]. The 1e-5 is that of the JAX SPR; a flat latent gives 0."""
    flat = latent.flatten(1)
    low, high = flat.aminmax(dim=1, keepdim=True)
    scale = (high - low + 1e-5).view(-1, 1, 1, 1)
    return torch.div(latent - low.view(-1, 1, 1, 1), scale)
