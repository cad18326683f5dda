"""The hare-and-tortoise rule: what acts on weights beside the gradient.

Values are copied, storage never shared: a tortoise that aliases its hare would follow it for ever.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor


@torch.no_grad()
def ema_(tortoise: Sequence[Tensor], hare: Sequence[Tensor], decay: float) -> None:
    """tortoise <- decay * tortoise + (1 - decay) * hare, in place; a decay of 0 copies the hare."""
    if decay == 0:
        torch._foreach_copy_(list(tortoise), list(hare))
    else:
        torch._foreach_lerp_(list(tortoise), list(hare), 1 - decay)


@torch.no_grad()
def reset_(hare: Sequence[Tensor], source: Sequence[Tensor], keep: float) -> None:
    """hare <- keep * hare + (1 - keep) * source, in place: the one rule of every reset in this literature."""
    if keep == 0:
        torch._foreach_copy_(list(hare), list(source))
    elif keep != 1:
        torch._foreach_lerp_(list(hare), list(source), 1 - keep)


@torch.no_grad()
def pull_gradient_(hare: Sequence[Tensor], towards: Sequence[Tensor], strength: float) -> None:
    """Add to each gradient that of strength * (sum of the squared distances of `hare` from `towards`), in place.

    The same as that sum in the loss (L2 Init, Kumar et al. 2023), without a graph for it. Tensors without a gradient, which
    do not learn, are left alone.
    """
    learns = [(p, p.grad, source) for p, source in zip(hare, towards, strict=True) if p.grad is not None]
    away = torch._foreach_sub([p for p, _, _ in learns], [source for _, _, source in learns])
    torch._foreach_add_([gradient for _, gradient, _ in learns], away, alpha=2 * strength)


@torch.no_grad()
def zero_moments_(optimizer: torch.optim.Optimizer, parameters: Iterable[Tensor]) -> None:
    """Set Adam's moments and its count of updates back to 0 for `parameters`, as in a new optimizer."""
    for parameter in parameters:
        for value in optimizer.state.get(parameter, {}).values():
            value.zero_()
