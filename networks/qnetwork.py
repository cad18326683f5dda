"""The one place that wires encoder, head and dynamics."""

import torch
from einops import rearrange
from torch import Tensor, nn

from networks.dynamics import TransitionModel
from networks.encoders import build_encoder, renormalise
from networks.heads import DuelingHead, NoisyLinear, factorised_noise
from networks.settings import Encoder, Head, SelfPrediction


class QNetwork(nn.Module):
    """Observations to distributions of returns, and with self-prediction also to predictions of later latents.

    Its parts, the names that resets speak of: `body` (encoder, transition model) and `head` (the rest).
    """

    def __init__(self, encoder: Encoder, head: Head, prediction: SelfPrediction | None, num_actions: int) -> None:
        super().__init__()
        self.encoder = build_encoder(encoder)
        self.renormalise = encoder.renormalise
        with torch.device("meta"):
            shape = build_encoder(encoder)(torch.empty(1, 4, 84, 84)).shape
        self.head = DuelingHead(head, shape[1:].numel(), num_actions)
        self.register_buffer("atoms", torch.linspace(-head.support, head.support, head.atoms), persistent=False)
        if prediction is not None:
            self.transition = TransitionModel(shape[1], num_actions, prediction.batch_norm)
            self.predictor = nn.Linear(self.head.width, self.head.width)

    def initialise_(self, generator: torch.Generator) -> None:
        """Draw every parameter anew from `generator`: PyTorch's default distributions, NoisyLinear's own."""
        for module in self.modules():
            if isinstance(module, NoisyLinear):
                module.initialise_(generator)
            elif isinstance(module, nn.Conv2d | nn.Linear):
                bound = module.weight[0].numel() ** -0.5
                nn.init.uniform_(module.weight, -bound, bound, generator=generator)
                nn.init.uniform_(module.bias, -bound, bound, generator=generator)
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """The parameters of `body` and of `head`; together all of them."""
        body = ("encoder.", "transition.")
        named = list(self.named_parameters())
        return {
            "body": [p for name, p in named if name.startswith(body)],
            "head": [p for name, p in named if not name.startswith(body)],
        }

    def draw_noise(self, generator: torch.Generator) -> Tensor:
        """Noise for one pass of every noisy layer, each layer its own; float32 [sum of the head's noise sizes]."""
        return factorised_noise(sum(self.head.noise_sizes), generator)

    def encode(self, x: Tensor) -> Tensor:
        """Observations, float32 [M, 4, 84, 84] in [0, 1], to latents, float32 [M, C, h, w]."""
        latent = self.encoder(x)
        return renormalise(latent) if self.renormalise else latent

    def logits(self, latent: Tensor, noise: Tensor | None) -> Tensor:
        """Latents, float32 [M, C, h, w], to logits of the return distributions, float32 [M, A, atoms]."""
        return self.head(latent.flatten(1), noise)

    def values(self, logits: Tensor) -> Tensor:
        """Expected returns, float32 [M, A], of logits [M, A, atoms]."""
        return logits.softmax(2) @ self.atoms

    def project(self, latent: Tensor) -> Tensor:
        """Latents, float32 [M, C, h, w], to the vectors that self-prediction compares, float32 [M, width]."""
        return self.head.project(latent.flatten(1))

    def predict(self, latent: Tensor, action: Tensor) -> Tensor:
        """Predicted projections of the K steps after `latent` [B, C, h, w] under `action` int64 [B, K]; [K, B, width]."""
        later = self.transition.unroll(latent, action)
        return rearrange(self.predictor(self.project(later)), "(k b) d -> k b d", b=len(action))
