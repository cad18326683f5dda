"""Self-normalised resets (Farias and Jozefiak 2025): which units are silent for longer than is usual for them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from hare_tortoise.network import Layer
from hare_tortoise.settings import Silence


class Silences:
    """How long each of `units` hidden units has been silent, and what is unusual for it; on `device`."""

    def __init__(self, settings: Silence, units: Sequence[int], device: torch.device) -> None:
        """`units` of each layer."""
        self._settings, self._units = settings, list(units)
        total = sum(units)
        self.age = torch.zeros(total, dtype=torch.int64, device=device)  # updates of silence so far
        self.limit = torch.full((total,), settings.longest, device=device)  # updates of silence that are unusual
        self.past = torch.zeros(total, settings.longest + 1, dtype=torch.int32, device=device)  # silences, by their length

    @property
    def state(self) -> list[Tensor]:
        """All that later behaviour depends on."""
        return [self.age, self.limit, self.past]

    @torch.no_grad()
    def find(self, layers: Sequence[Layer], outputs: Sequence[Tensor]) -> list[Tensor]:
        """The units of each layer, bool [units], whose silence is unusual, by what the layers returned in this update."""
        fires = torch.cat([layer.fires(output) for layer, output in zip(layers, outputs, strict=True)])
        age = torch.where(fires, self.age, self.age + 1)
        unusual = ~fires & (age >= self.limit)
        ends = (unusual | fires) & (age > 0)
        length = age.clamp(max=self._settings.longest)[:, None]
        self.past.scatter_(1, length, self.past.gather(1, length) + ends[:, None])
        self.age.copy_(torch.where(ends, 0, age))
        return list(unusual.split(self._units))

    @torch.no_grad()
    def look_(self) -> None:
        """Set what is unusual for each unit by its silences since its last time, where there were enough of them.

        It is the shortest length that at most the settings' share of them reached; twice as long as before if more of them
        were ended by a reset. A share of 1 / n takes n silences to be told.
        """
        rate, count = self._settings.rate, self.past.sum(1)
        lasting = self.past.flip(1).cumsum(1).flip(1)  # how many reached each length
        rare = lasting <= rate * count[:, None]
        lengths = torch.arange(self.past.shape[1], device=rare.device)
        shortest = torch.where(rare, lengths, self.past.shape[1]).amin(1)
        found = torch.where(shortest <= self.limit, shortest, 2 * self.limit)
        enough = count * rate >= 1
        self.limit.copy_(torch.where(enough, found, self.limit).clamp(1, self._settings.longest))
        self.past.masked_fill_(enough[:, None], 0)

    def forget_(self) -> None:
        """Begin anew to count the present silences: the weights have been set to others."""
        self.age.zero_()
