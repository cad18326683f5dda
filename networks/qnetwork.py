"""The one place that wires encoder, head and dynamics."""

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn

from hare_tortoise.injection import Injectable
from hare_tortoise.network import Layer, Rule, initialise_modules_
from networks.dynamics import TransitionModel
from networks.encoders import FRAMES, SIDE, build_encoder, encoder_layers, renormalise
from networks.heads import QHead
from networks.layers import Weights
from networks.settings import Encoder, Head, SelfPrediction

MODULES = {"encoder": "body", "transition": "body", "head": "neck", "injections": "neck", "predictor": "neck"}  # and their part


Heads = Sequence[Sequence[Sequence[Weights]] | None]  # the weights of each of the heads, None for their means


class QNetwork(Injectable[QHead]):
    """Observations to returns, and with self-prediction also to predictions of later latents.

    Its parts, the names that resets speak of: `body` (encoder, transition model), `neck` (hidden layers of the head,
    predictor) and `head` (output layers). With `injectable` its head can be frozen for a change to it (`Injectable`).
    """

    def __init__(
        self, encoder: Encoder, head: Head, prediction: SelfPrediction | None, num_actions: int, injectable: bool = False
    ) -> None:
        super().__init__()
        self.encoder = build_encoder(encoder)
        self.renormalise = encoder.renormalise
        with torch.device("meta"):
            channels, *size = build_encoder(encoder)(torch.empty(1, FRAMES, SIDE, SIDE)).shape[1:]
        features = channels * size[0] * size[1]
        self.head = QHead(head, features, num_actions)
        self.injections = nn.ModuleList(QHead(head, features, num_actions) for _ in range(2 * injectable)).requires_grad_(False)
        self.register_buffer("atoms", torch.linspace(-head.support, head.support, head.atoms), persistent=False)
        self.transition: TransitionModel | None = None
        self.predictor: nn.Linear | None = None
        if prediction is not None:
            self.transition = TransitionModel(channels, num_actions, encoder, prediction.batch_norm)
            self.predictor = nn.Linear(self.head.width, self.head.width)

    def initialise_(self, generator: torch.Generator, rule: Rule = "uniform") -> None:
        """Draw every parameter anew from `generator` by `rule`, noisy layers by their own; two injections are equal."""
        initialise_modules_(self, generator, rule)
        self.equalise_()

    def part_of(self, name: str) -> str:
        """The part that the parameter or buffer `name` is of. ValueError if it is of none."""
        module = name.split(".")[0]
        if module not in MODULES:
            raise ValueError(f"{name} is of no part of the network: {', '.join(MODULES)} are")
        return "head" if ".outputs." in name else MODULES[module]

    def layers(self) -> list[Layer]:
        """The hidden layers of encoder and head. Behind the encoder stand the head's hidden layers and the transition model."""
        behind: list[nn.Module] = [stream.hidden for stream in self.head.streams]
        if self.transition is not None:
            behind.append(self.transition.first)
        neck = [s.activation.layer(s.hidden, list(s.outputs.values()), "neck") for s in self.learning_head.streams]
        return encoder_layers(self.encoder, behind) + neck

    def clipped_together(self) -> list[list[nn.Parameter]]:
        """Weights whose gradients are clipped by one norm: transition model's; encoder's and head's; never the predictor's."""
        groups = [list(self.transition.parameters())] if self.transition is not None else []
        return [*groups, [*self.encoder.parameters(), *self.learning_head.parameters()]]

    def draw_noise(self, generator: torch.Generator) -> Tensor | None:
        """Noise for every noisy layer, standard normal; float32 [sum of the head's noise sizes], None without such."""
        size = sum(self.head.noise_sizes)
        return torch.randn(size, generator=generator, device=generator.device) if size else None

    def encode(self, x: Tensor) -> Tensor:
        """Observations, float32 [M, 4, 84, 84] in [0, 1], to latents, float32 [M, C, h, w]."""
        latent = self.encoder(x).to(self.atoms.dtype)  # not bfloat16, as autocast leaves it
        return renormalise(latent) if self.renormalise else latent

    def noisy(self, noise: Tensor | None) -> Heads:
        """The weights of each of `heads` under `noise`, as `draw_noise` gives it; their means without any."""
        return [None if noise is None else head.noisy(noise) for head in self.heads]

    def logits(self, latent: Tensor, weights: Heads) -> Tensor:
        """Latents, float32 [M, C, h, w], to float32 [M, A, atoms]: logits of return distributions, or returns if atoms is 1.

        `weights` are those of `noisy`.
        """
        flat = latent.flatten(1)
        each = [head(flat, own) for head, own in zip(self.heads, weights, strict=True)]
        return self.sum_of_heads([logits.to(self.atoms.dtype) for logits in each])  # not autocast's bfloat16

    def forward(self, x: Tensor) -> Tensor:
        """Observations, float32 [M, 4, 84, 84] in [0, 1], to `logits` without noise, float32 [M, A, atoms]."""
        return self.logits(self.encode(x), self.noisy(None))

    def values(self, logits: Tensor) -> Tensor:
        """Expected returns, float32 [M, A], of what `logits` gives, [M, A, atoms]."""
        # No matrix product, which autocast would round.
        return logits.squeeze(2) if len(self.atoms) == 1 else (logits.softmax(2) * self.atoms).sum(2)

    def project(self, latent: Tensor) -> Tensor:
        """Latents, float32 [M, C, h, w], to the vectors that self-prediction compares, float32 [M, width]."""
        return self.sum_of_heads([head.project(latent.flatten(1)).to(self.atoms.dtype) for head in self.heads])

    def predict(self, latent: Tensor, action: Tensor) -> Tensor:
        """Predicted projections of the K steps after `latent` [B, C, h, w] under `action` int64 [B, K]; [K, B, width]."""
        assert self.transition is not None, "this network does not predict"
        assert self.predictor is not None
        later = self.transition(latent, action)
        return rearrange(self.predictor(self.project(later)).to(self.atoms.dtype), "(k b) d -> k b d", b=len(action))
