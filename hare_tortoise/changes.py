"""What a method can change: functions from the settings of an agent or a classifier to the same with one thing changed.

No torch here.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hare_tortoise.settings import Injection, Pruning, Recycling, Replacement, Resets, Silence, Tortoise

Change = Callable[[Any], Any]


def average(decay: float) -> Change:
    """A slow tortoise that acts."""
    return lambda c: replace(c, tortoise=Tortoise(decay, acts=True))


def hare_tortoise(decay: float, every: int, acts: bool | None = True) -> Change:
    """A slow tortoise to which the hare is set back; None leaves who acts as it is."""
    resets = Resets("tortoise", every=every)
    return lambda c: replace(c, tortoise=Tortoise(decay, acts=c.tortoise.acts if acts is None else acts), resets=resets)


def reset(resets: Resets) -> Change:
    """Planned resets."""
    return lambda c: replace(c, resets=resets)


def renew(piece: Recycling | Silence | Replacement) -> Change:
    """Units start anew; the field is called as the kind of the `piece`."""
    return lambda c: replace(c, **{type(piece).__name__.lower(): piece})


def penalise(**strengths: float) -> Change:
    """A penalty in the loss."""
    return lambda c: replace(c, penalties=replace(c.penalties, **strengths))


def constrain(**constraints: Any) -> Change:
    """Something that weights obey after every update."""
    return lambda c: replace(c, constraints=replace(c.constraints, **constraints))


def optimise(**values: float) -> Change:
    """Another optimizer; nothing of a network that does not learn."""
    return lambda c: replace(c, optimizer=replace(c.optimizer, **values)) if c.optimizer is not None else c


def normalise_and_project(c: Any) -> Any:
    """Layer normalisation, and weights that keep their norm."""
    return constrain(norms=True)(c.with_layer_norm())


def inject(c: Any) -> Any:
    """Halfway through, freeze the head and learn a change to it."""
    return replace(c, injection=Injection(at=c.halfway))


def orthogonalise(c: Any) -> Any:
    """Once, halfway through, the body's nearest orthogonal weights; behind it those at the start."""
    return replace(c, resets=Resets("orthogonal", every=c.halfway, times=1, tortoise_too=True))


def prune(pruning: Pruning) -> Change:
    """More and more weights that are 0."""
    return lambda c: replace(c, pruning=pruning)
