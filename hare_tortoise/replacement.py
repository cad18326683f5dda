"""Continual backpropagation (Dohare et al. 2024): which units are the least useful."""

from collections.abc import Sequence

import torch
from torch import Tensor

from hare_tortoise.network import Layer
from hare_tortoise.settings import Replacement


class Utilities:
    """How useful each of `units` hidden units is, and for how long it has been there; on `device`."""

    def __init__(self, settings: Replacement, units: Sequence[int], device: torch.device) -> None:
        """`units` of each layer."""
        self._settings, self._units = settings, list(units)
        self.age = torch.zeros(sum(units), dtype=torch.int64, device=device)  # updates
        self.mean = torch.zeros(sum(units), device=device)  # running, of the utility; begins at 0
        self.owed = torch.zeros(len(units), device=device)  # units of each layer that are still to be renewed

    @property
    def state(self) -> list[Tensor]:
        """All that later behaviour depends on."""
        return [self.age, self.mean, self.owed]

    @torch.no_grad()
    def find(self, layers: Sequence[Layer], outputs: Sequence[Tensor]) -> list[Tensor]:
        """The units of each layer, bool [units], to renew behind this update, in which the layers returned `outputs`."""
        s = self._settings
        sizes = [layer.sizes(output) for layer, output in zip(layers, outputs, strict=True)]
        utility = [size * layer.outgoing(len(size)) for layer, size in zip(layers, sizes, strict=True)]
        self.mean.lerp_(torch.cat(utility), 1 - s.decay)
        self.age += 1
        mature = self.age > s.maturity
        corrected = self.mean / (1 - s.decay**self.age)
        ranked = torch.where(mature, corrected, torch.inf)
        eligible = mature.split(self._units)
        self.owed += s.rate * torch.stack([units.sum() for units in eligible])
        now = self.owed.floor()
        self.owed -= now
        ranks = [scores.argsort(stable=True).argsort() for scores in ranked.split(self._units)]
        renewed = [units & (rank < n) for units, rank, n in zip(eligible, ranks, now.unbind(), strict=True)]
        again = torch.cat(renewed)
        self.age.masked_fill_(again, 0)
        self.mean.masked_fill_(again, 0)
        return renewed

    def look_(self) -> None:
        """There is nothing to look at but at every update."""

    def forget_(self) -> None:
        """Begin anew to judge all units: the weights have been set to others."""
        self.age.zero_()
        self.mean.zero_()
