"""The one place that wires encoder, head and dynamics."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn

from networks.activation import Activation
from networks.dynamics import TransitionModel
from networks.encoders import FRAMES, SIDE, Residual, build_encoder, renormalise
from networks.heads import QHead
from networks.layers import NoisyLinear, factorised_noise
from networks.settings import Encoder, Head, SelfPrediction
from networks.weights import ema_, reset_

MODULES = {"encoder": "body", "transition": "body", "head": "neck", "injections": "neck", "predictor": "neck"}  # and their part


class Units(NamedTuple):
    """The units of one hidden layer, what stands before and behind them, and the part of the network they are of."""

    incoming: nn.Module
    activation: Activation
    outgoing: list[nn.Module]
    part: str = "body"


class QNetwork(nn.Module):
    """Observations to returns, and with self-prediction also to predictions of later latents.

    Its parts, the names that resets speak of: `body` (encoder, transition model), `neck` (hidden layers of the head,
    predictor) and `head` (output layers).

    With `injectable` there are two more heads of equal weights. Nothing reads them before `set_injected_`; from then on the
    output is that of head + first - second, and of the three only the first learns (Nikishin et al. 2023). Which of the two
    it is belongs to the weights: it is copied, set back, saved and loaded with them.
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
        self.injected = False
        self.register_buffer("atoms", torch.linspace(-head.support, head.support, head.atoms), persistent=False)
        self.transition: TransitionModel | None = None
        self.predictor: nn.Linear | None = None
        if prediction is not None:
            self.transition = TransitionModel(channels, num_actions, encoder, prediction.batch_norm)
            self.predictor = nn.Linear(self.head.width, self.head.width)

    def initialise_(self, generator: torch.Generator, rule: Literal["uniform", "xavier"] = "uniform") -> None:
        """Draw every parameter anew from `generator`; noisy layers by their own rule.

        TypeError if a module has parameters and no rule says how these are drawn, ValueError as `parts`.

        uniform: PyTorch's default, weights and biases uniform in +-1/sqrt(fan_in). xavier: weights uniform in
        +-sqrt(6 / (fan_in + fan_out)), biases 0, as the JAX agents.
        """
        self.parts()
        for module in self.modules():
            if isinstance(module, NoisyLinear):
                module.initialise_(generator)
            elif isinstance(module, nn.Conv2d | nn.Linear):
                bound = module.weight[0].numel() ** -0.5 if rule == "uniform" else 0.0
                if rule == "uniform":
                    nn.init.uniform_(module.weight, -bound, bound, generator=generator)
                else:
                    nn.init.xavier_uniform_(module.weight, generator=generator)
                nn.init.uniform_(module.bias, -bound, bound, generator=generator)
            elif isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
                module.reset_parameters()
            elif next(module.parameters(recurse=False), None) is not None:
                raise TypeError(f"no rule says how a {type(module).__name__} is drawn anew")
        if self.injections:
            self.injections[1].load_state_dict(self.injections[0].state_dict())

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """The parameters of `body`, `neck` and `head`; together all of them.

        ValueError if one belongs to none, or if there is a buffer, such as statistics: nothing would average or reset it.
        """
        buffers = [name for name, _ in self.named_buffers() if name != "atoms"]
        if buffers:
            raise ValueError(f"{buffers[0]} is a buffer, which the tortoise would not follow")
        found: dict[str, list[nn.Parameter]] = {"body": [], "neck": [], "head": []}
        for name, parameter in self.named_parameters():
            module = name.split(".")[0]
            if module not in MODULES:
                raise ValueError(f"{name} is of no part of the network: {', '.join(MODULES)} are")
            found["head" if ".outputs." in name else MODULES[module]].append(parameter)
        return found

    def follow_(self, hare: "QNetwork", decay: float) -> None:
        """Keep the share `decay` of these weights and take the rest from `hare`, in place; a decay of 0 copies it.

        An average of an injected network and one that is not is injected: its two more heads are then not equal.
        """
        ema_(list(self.parameters()), list(hare.parameters()), decay)
        self.set_injected_(hare.injected or (self.injected and decay > 0))

    def reset_(self, source: "QNetwork", keep: dict[str, float]) -> None:
        """Keep the share `keep` of each part and take the rest from `source`, in place.

        A network stays injected unless all of its heads come from one that is not: what was learnt would else be lost.
        """
        theirs = source.parts()
        for part, parameters in self.parts().items():
            reset_(parameters, theirs[part], keep[part])
        if keep["neck"] == keep["head"] == 0:
            self.set_injected_(source.injected)

    def units(self) -> list[Units]:
        """The hidden units of encoder and head, layer by layer.

        In a residual encoder only those between the two convolutions of a block: the others are carried past layers that
        would have to change with them. Behind the encoder stand the head's hidden layers and the transition model.
        """
        layers = list(self.encoder)
        behind = [stream.hidden for stream in self.head.streams] + ([self.transition.first] if self.transition else [])
        found = [Units(b.first, b.between, [b.second]) for b in layers if isinstance(b, Residual)] or [
            Units(layers[i], layers[i + 1], layers[i + 2 : i + 3] or behind) for i in range(0, len(layers), 2)
        ]
        return found + [Units(s.hidden, s.activation, list(s.outputs.values()), "neck") for s in self.learning_head.streams]

    @property
    def learning_head(self) -> QHead:
        """The head that gradients change."""
        return self.injections[0] if self.injected else self.head

    def set_injected_(self, injected: bool) -> None:
        """Add the first injection to the head and subtract the second, or do so no more.

        If the network learns, then of the three only the first injection does; without them, the head.
        """
        if injected == self.injected:
            return
        learns = next(self.encoder.parameters()).requires_grad
        self.injected = injected
        self.head.requires_grad_(learns and not injected)
        self.injections[0].requires_grad_(learns and injected)

    def get_extra_state(self) -> Tensor:
        """What the state has beside weights: whether the network is injected, bool []."""
        return torch.tensor(self.injected)

    def set_extra_state(self, state: Tensor) -> None:
        """Take over what `get_extra_state` gave."""
        self.set_injected_(bool(state))

    def draw_noise(self, generator: torch.Generator) -> Tensor | None:
        """Noise for one pass of every noisy layer, each its own; float32 [sum of the head's noise sizes], None without such."""
        size = sum(self.head.noise_sizes)
        return factorised_noise(size, generator) if size else None

    def encode(self, x: Tensor) -> Tensor:
        """Observations, float32 [M, 4, 84, 84] in [0, 1], to latents, float32 [M, C, h, w]."""
        latent = self.encoder(x).to(self.atoms.dtype)  # not bfloat16, as autocast leaves it
        return renormalise(latent) if self.renormalise else latent

    def logits(self, latent: Tensor, noise: Tensor | None) -> Tensor:
        """Latents, float32 [M, C, h, w], to float32 [M, A, atoms]: logits of return distributions, or returns if atoms is 1."""
        return self._heads(lambda head: head(latent.flatten(1), noise))

    def _heads(self, reading: Callable[[QHead], Tensor]) -> Tensor:
        """`reading` of the head, with injections of the head + first - second; not bfloat16, as autocast leaves it."""
        head, *injections = (reading(h).to(self.atoms.dtype) for h in [self.head, *(self.injections if self.injected else [])])
        return head + (injections[0] - injections[1]) if injections else head

    def values(self, logits: Tensor) -> Tensor:
        """Expected returns, float32 [M, A], of what `logits` gives, [M, A, atoms]."""
        # No matrix product, which autocast would round.
        return logits.squeeze(2) if len(self.atoms) == 1 else (logits.softmax(2) * self.atoms).sum(2)

    def project(self, latent: Tensor) -> Tensor:
        """Latents, float32 [M, C, h, w], to the vectors that self-prediction compares, float32 [M, width]."""
        return self._heads(lambda head: head.project(latent.flatten(1)))

    def predict(self, latent: Tensor, action: Tensor) -> Tensor:
        """Predicted projections of the K steps after `latent` [B, C, h, w] under `action` int64 [B, K]; [K, B, width]."""
        assert self.transition is not None, "this network does not predict"
        assert self.predictor is not None
        later = self.transition.unroll(latent, action)
        return rearrange(self.predictor(self.project(later)).to(self.atoms.dtype), "(k b) d -> k b d", b=len(action))
