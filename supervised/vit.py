"""Vision transformer (Dosovitskiy et al. 2021), pre-norm, with a class token."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from hare_tortoise.activation import Activation, narrowed
from hare_tortoise.network import Layer
from hare_tortoise.spectral import linear
from supervised.settings import Network

PATCH = 4  # pixels; 64 patches of a CIFAR image
HEAD = 64  # size of an attention head
HIDDEN = 4  # hidden units of a block's MLP, in sizes of a token


class Dropout(nn.Module):
    """Dropout with a generator of its own, which is set before it is trained."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """`x` float32 of any shape; in training each element is 0 with probability `share`, the others are scaled up."""
        if not self.training or self.share == 0:
            return x
        keep = 1 - self.share
        return x * torch.empty_like(x).bernoulli_(keep, generator=self.generator).div_(keep)


class TokenActivation(Activation):
    """What it is elsewhere for tokens: units stand last, and the plain one is GELU."""

    last = True

    def _norm(self) -> nn.Module:
        return nn.LayerNorm(self.units)

    def rectify(self, x: Tensor, in_place: bool) -> Tensor:
        """GELU; ReLU of both halves of a CReLU."""
        return super().rectify(x, in_place) if self.concatenates else functional.gelu(x)


class Block(nn.Module):
    """Attention, then an MLP, each on a normalised copy of the tokens and added to them."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        width, kind = network.width, network.activation
        self.heads = width // HEAD
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.queries_keys_values, self.projection = nn.Linear(width, 3 * width), nn.Linear(width, width)
        hidden = narrowed(HIDDEN * width, kind)
        self.first = linear(width, hidden, network.spectral_norm)
        self.activation = TokenActivation(hidden, kind, layer_norm=network.layer_norm)
        self.second = nn.Linear(self.activation.width, width)
        self.dropout = Dropout(network.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """float32 [M, T, width] to the same."""
        m, tokens, width = x.shape
        parts = self.queries_keys_values(self.attention_norm(x)).view(m, tokens, 3, self.heads, HEAD).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(*parts).transpose(1, 2).reshape(m, tokens, width)
        x = x + self.dropout(self.projection(mixed))
        hidden = self.dropout(self.activation(self.first(self.mlp_norm(x))))
        return x + self.dropout(self.second(hidden))


class VisionTransformer(nn.Module):
    """Patches of `patch` pixels and a class token, whose last state is the feature."""

    def __init__(self, network: Network, channels: int, side: int, patch: int = PATCH) -> None:
        super().__init__()
        self.width = network.width
        self.patches = nn.Conv2d(channels, network.width, patch, patch)
        self.token = nn.Parameter(torch.empty(1, 1, network.width))
        self.position = nn.Parameter(torch.empty(1, (side // patch) ** 2 + 1, network.width))
        self.blocks = nn.Sequential(*[Block(network) for _ in range(network.depth)])
        self.norm = nn.LayerNorm(network.width)
        self.dropout = Dropout(network.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """float32 [M, channels, side, side] to [M, width]."""
        patches = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat((self.token.expand(len(x), -1, -1), patches), 1) + self.position
        return self.norm(self.blocks(self.dropout(tokens))[:, 0])

    def initialise_(self, generator: torch.Generator) -> None:
        """Draw class token and positions anew: normal with deviation 0.02 (Dosovitskiy et al. 2021)."""
        for tokens in (self.token, self.position):
            nn.init.normal_(tokens, 0, 0.02, generator=generator)

    def layers(self, _listener: nn.Module) -> list[Layer]:
        """The hidden layer of each block's MLP."""
        return [block.activation.layer(block.first, [block.second]) for block in self.blocks]
