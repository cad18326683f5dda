"""The one rule of every reset in this literature: hare <- keep * hare + (1 - keep) * source.

Values are copied, storage never shared: a tortoise that aliases its hare would follow it for ever.
"""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from hare_tortoise.network import PARTS, Network, averages, parts, state

ADAM = {"step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"}  # what Adam remembers of a parameter; all of it begins at 0


@torch.no_grad()
def reset_(network: nn.Module, source: nn.Module, keep: float | Mapping[str, float] = 0.0) -> None:
    """Keep the share `keep`, or that of each part, of the weights of `network` and take the rest from `source`, in place.

    Statistics such as those of batch normalisation are weights here; counters, which are whole numbers, are copied where
    nothing is kept. A network's mode goes with its neck and head. For a `keep` by parts both are a `Network`.
    """
    if isinstance(keep, Mapping):
        if not isinstance(network, Network) or not isinstance(source, Network):
            raise ValueError(f"{type(network).__name__} has no parts: a share to keep of each needs a hare_tortoise.Network")
        mine, theirs = parts(network), parts(source)
        for part in PARTS:
            blend_(mine[part], theirs[part], keep[part])
        take_mode_(network, source, max(keep["neck"], keep["head"]))
    else:
        blend_(list(state(network).values()), list(state(source).values()), keep)
        take_mode_(network, source, keep)


@torch.no_grad()
def blend_(mine: Sequence[Tensor], theirs: Sequence[Tensor], keep: float) -> None:
    """mine <- keep * mine + (1 - keep) * theirs, in place; whole numbers are copied if `keep` is 0 and left alone else."""
    pairs = [(m, t) for m, t in zip(mine, theirs, strict=True) if keep == 0 or averages(m)]
    if not pairs or keep == 1:
        return
    left, right = map(list, zip(*pairs, strict=True))
    if keep == 0:
        torch._foreach_copy_(left, right)
    else:
        torch._foreach_lerp_(left, right, 1 - keep)


def take_mode_(network: nn.Module, source: nn.Module, keep: float) -> None:
    """Let `network`, if it has modes, take over that of `source`."""
    if isinstance(network, Network) and isinstance(source, Network):
        network.take_mode_(source, keep)


def require_renewable(optimizer: torch.optim.Optimizer) -> None:
    """ValueError, one line, if it is not known what a new `optimizer` begins with: `zero_moments_` would fail, hours later."""
    try:
        type(optimizer)([{**group} for group in optimizer.param_groups])
    except Exception as error:  # whatever a class of a stranger's wants
        name = type(optimizer).__name__
        raise ValueError(f"what a new {name} begins with is not known: moments 'keep', or one of torch.optim's") from error


@torch.no_grad()
def zero_moments_(optimizer: torch.optim.Optimizer, parameters: Iterable[Tensor]) -> None:
    """Let `optimizer` forget what it remembers of `parameters`, as if it were new.

    Adam's moments and its count of updates are set to 0 where they are, so that a CUDA graph still finds them; other
    optimizers get what a new one of their kind begins with.
    """
    for parameter in parameters:
        held = optimizer.state.get(parameter, {})
        if held.keys() <= ADAM and all(isinstance(value, Tensor) for value in held.values()):
            for value in held.values():
                value.zero_()
        else:
            optimizer.state.pop(parameter)
            new = type(optimizer)([{**group} for group in optimizer.param_groups])
            optimizer.state.update({parameter: new.state[parameter]} if parameter in new.state else {})
