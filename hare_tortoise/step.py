"""One gradient step: a pass or two, penalties on weights, clipping, the optimizers."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hare_tortoise.network import Network, hidden
from hare_tortoise.orthogonal import orthogonality_penalty, pull_to_orthogonal_
from hare_tortoise.settings import Optimizer, Penalties


def build_optimizer(
    settings: Optimizer, network: nn.Module, capturable: bool = False, compilable: bool = False
) -> torch.optim.AdamW:
    """AdamW for `network`, with decoupled weight decay of all but vectors; `capturable` for CUDA graphs.

    `compilable`: made of operations on lists, which torch.compile fuses, and not of PyTorch's own kernel.
    """
    parameters = list(network.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim != 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
    ]
    betas = settings.beta1, settings.beta2
    return torch.optim.AdamW(
        groups,
        lr=settings.learning_rate,
        betas=betas,
        eps=settings.epsilon,
        fused=not compilable,
        foreach=compilable,
        capturable=capturable,
    )


Prepare = Callable[[Callable[..., Any]], Callable[..., Any]]


def leave(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` as it is: not compiled."""
    return function


def clip_(groups: Iterable[Iterable[Tensor]], largest: float) -> Tensor:
    """Clip the gradient of each of `groups` of weights to a norm of `largest`; the last one's norm before that, float32 []."""
    for group in groups:
        norm = nn.utils.clip_grad_norm_(group, largest)
    return norm


def advance_(optimizer: torch.optim.Optimizer) -> None:
    """A step of `optimizer`: a function of its own, as torch.compile wants it."""
    optimizer.step()


class GradientStep:
    """The gradient steps of `network`, whose weights at the start are those of `initial`. Reads nothing on the host."""

    def __init__(
        self,
        network: nn.Module,
        initial: nn.Module,
        settings: Optimizer,
        penalties: Penalties,
        prepare: Prepare = leave,
    ) -> None:
        """`prepare` may compile what clips and steps."""
        self._clip, self._advance = prepare(clip_), prepare(advance_)
        self._network = network
        self._weights, self._initial = list(network.parameters()), list(initial.parameters())
        self._settings, self._penalties = settings, penalties

    def __call__(
        self,
        loss: Callable[[], Tensor],
        optimizers: Iterable[torch.optim.Optimizer],
        groups: Sequence[Iterable[Tensor]] | None = None,
    ) -> Tensor:
        """One step down `loss`, which a call computes, float32 []; the norm of the gradient of the last group, float32 [].

        Each of `groups` of weights is clipped by its own norm, by default all weights together. With a radius the loss is
        computed twice, the second time uphill, where the gradient of the step is taken (Foret et al. 2021).
        """
        self._differentiate(loss)
        if self._settings.radius:
            kept = [*self._weights, *self._network.buffers()]  # statistics, too, are those of the first pass
            here = [tensor.detach().clone() for tensor in kept]
            try:
                self._climb_()
                self._differentiate(loss)
            finally:
                with torch.no_grad():
                    torch._foreach_copy_(kept, here)
        clip = self._settings.clip if self._settings.clip is not None else float("inf")
        norm = self._clip(groups or [self._weights], clip)
        for optimizer in optimizers:
            self._advance(optimizer)
        return norm

    def _differentiate(self, loss: Callable[[], Tensor]) -> None:
        for parameter in self._weights:
            parameter.grad = None
        loss().backward()
        if self._penalties.initial:
            pull_gradient_(self._weights, self._initial, self._penalties.initial)
        if self._penalties.orthogonal:
            pull_to_orthogonal_(hidden_weights(self._network), self._penalties.orthogonal)

    @torch.no_grad()
    def _climb_(self) -> None:
        """Move the weights by the radius along the gradient."""
        learns = [p for p in self._weights if p.grad is not None]
        gradient = [p.grad for p in learns if p.grad is not None]
        norm = torch.stack(torch._foreach_norm(gradient)).norm()
        torch._foreach_add_(learns, torch._foreach_mul(gradient, self._settings.radius / (norm + 1e-12)))


def hidden_weights(network: nn.Module) -> list[nn.Parameter]:
    """The weights before each hidden layer of `network`. ValueError if it does not say what these are."""
    if not isinstance(network, Network):
        raise ValueError(f"{type(network).__name__} names no layers: penalties.orthogonal needs a hare_tortoise.Network")
    return [module.get_parameter("weight") for module in hidden(network)]


def weight_penalty(network: nn.Module, initial: nn.Module, penalties: Penalties) -> Tensor | float:
    """What the loss holds for the weights of `network`, whose gradient `GradientStep` adds by itself; float32 []."""
    value = distance_penalty(network.parameters(), initial.parameters(), penalties.initial)
    return value + (orthogonality_penalty(hidden_weights(network), penalties.orthogonal) if penalties.orthogonal else 0.0)


@torch.no_grad()
def pull_gradient_(weights: Sequence[Tensor], towards: Sequence[Tensor], strength: float) -> None:
    """Add to each gradient that of `distance_penalty`, in place, without a graph for it.

    Tensors without a gradient, which do not learn, are left alone.
    """
    learns = [(p, p.grad, source) for p, source in zip(weights, towards, strict=True) if p.grad is not None]
    away = torch._foreach_sub([p for p, _, _ in learns], [source for _, _, source in learns])
    torch._foreach_add_([gradient for _, gradient, _ in learns], away, alpha=2 * strength)


def distance_penalty(weights: Iterable[Tensor], towards: Iterable[Tensor], strength: float) -> Tensor | float:
    """`strength` times the sum of the squared distances of `weights` that learn; float32 [] (L2 Init, Kumar et al. 2023)."""
    if not strength:
        return 0.0
    away = [(p - source).square().sum() for p, source in zip(weights, towards, strict=True) if p.requires_grad]
    return strength * torch.stack(away).sum()


def output_penalty(logits: Tensor, strength: float) -> Tensor | float:
    """`strength` times the mean square of `logits`; float32 [] (spectral decoupling, Pezeshki et al. 2021)."""
    return strength * logits.square().mean() if strength else 0.0
