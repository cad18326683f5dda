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
def zero_moments_(optimizer: torch.optim.Optimizer, parameters: Iterable[Tensor]) -> None:
    """Set Adam's moments and its count of updates back to 0 for `parameters`, as in a new optimizer."""
    for parameter in parameters:
        for value in optimizer.state.get(parameter, {}).values():
            value.zero_()
