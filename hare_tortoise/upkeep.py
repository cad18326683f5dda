"""What is planned behind an update, in one stated order: recycle, follow, reset, inject."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from hare_tortoise.hare_tortoise import HareTortoise
from hare_tortoise.injection import Injectable
from hare_tortoise.network import PARTS, Network
from hare_tortoise.ranges import check
from hare_tortoise.recycle import recycle_
from hare_tortoise.settings import Plans, Resets


class Upkeep:
    """Changes the weights of a pair as `plans` say. A part that a reset makes void, keeping none of it, is not recycled first.

    Recycling comes before the tortoise follows, as in Sokar et al.'s code, and because a tortoise that is a copy must be one
    when the next update begins.
    """

    def __init__(
        self, hare: Network, optimizer: torch.optim.Optimizer | None, draw: Callable[[], Network], plans: Plans
    ) -> None:
        """`hare` as it is at the start, and its `optimizer`; `draw` makes a new network, of other weights each time."""
        check(plans)
        if plans.resets is not None and plans.resets.source == "tortoise" and plans.tortoise is None:
            raise ValueError("resets to the tortoise need one that follows")
        if plans.injection is not None and not isinstance(hare, Injectable):
            raise ValueError(f"{type(hare).__name__} is no Injectable, so nothing can be injected")
        self.plans, self._draw = plans, draw
        decay = plans.tortoise.decay if plans.tortoise is not None else 0.0
        self.pair = HareTortoise(hare, optimizer, decay=decay, moments=plans.resets.moments if plans.resets else "keep")
        self.initial: Network = deepcopy(self.pair.tortoise)
        self.recycled = torch.zeros((), dtype=torch.int64, device=next(hare.parameters()).device)  # units, since the start
        self.restarted = 0  # the update behind which a reset last restarted schedules

    def after_update(self, updates: int, x: Tensor) -> None:
        """What is planned behind the `updates`-th update; units are dormant by what they do on observations `x`, [M, ...]."""
        plans, hare = self.plans, self.pair.hare
        due = plans.resets is not None and plans.resets.due(updates, plans.updates, plans.missed)
        resets = plans.resets if due else None
        if plans.recycling is not None and updates % plans.recycling.every == 0:
            parts = [part for part, keep in resets.keep.items() if keep > 0] if resets is not None else PARTS
            self.recycled += recycle_(hare, self._draw, x, plans.recycling.tau, self.pair.optimizer, parts)
        if plans.tortoise is not None and plans.tortoise.due(updates, plans.missed):
            self.pair.follow()
        if resets is not None:
            self.reset(resets, updates)
        if plans.injection is not None and updates == plans.injection.at:
            # From here on only a change to the head's output is learnt; for this moment it is 0.
            for network in (hare, self.pair.tortoise):
                assert isinstance(network, Injectable)
                network.set_injected_(True)

    def reset(self, resets: Resets, updates: int) -> None:
        """Apply the reset rule to the hare, and to the tortoise with its own draw if they say so."""
        self.pair.set_back(self._source(resets), resets.keep)
        if resets.tortoise_too:
            self.pair.renew_tortoise(self._source(resets), resets.keep)
        if resets.restart:
            self.restarted = updates

    def load_counts(self, resets: int, restarted: int, recycled: Tensor) -> None:
        """Take over what was counted so far."""
        self.pair.resets, self.restarted = resets, restarted
        self.recycled.copy_(recycled)

    def _source(self, resets: Resets) -> Network | Any:
        if resets.source == "tortoise":
            return self.pair.tortoise
        return self.initial if resets.source == "initial" else self._draw()
