"""What is planned behind an update, in one stated order: renew, constrain; recycle, prune, follow, reset, inject."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from hare_tortoise import spectral
from hare_tortoise.constraints import Obedience
from hare_tortoise.hare_tortoise import HareTortoise
from hare_tortoise.injection import Injectable
from hare_tortoise.network import PARTS, Network
from hare_tortoise.orthogonal import orthogonalised
from hare_tortoise.ranges import check
from hare_tortoise.recycle import recycle_
from hare_tortoise.renewal import Renewal
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
        if plans.pruning is not None and plans.updates is None:
            raise ValueError("pruning needs to know how many updates the run has")
        self.plans, self._draw = plans, draw
        spectral.iterate_(hare, spectral.ROUNDS)
        decay = plans.tortoise.decay if plans.tortoise is not None else 0.0
        self.pair = HareTortoise(hare, optimizer, decay=decay, moments=plans.resets.moments if plans.resets else "keep")
        self.initial: Network = deepcopy(self.pair.tortoise)
        self._obedience = Obedience(self.initial, plans.constraints, plans.pruning)
        self._renewal = Renewal(plans, hare, draw) if plans.silence is not None or plans.replacement is not None else None
        self.recycled = torch.zeros((), dtype=torch.int64, device=next(hare.parameters()).device)  # units, since the start
        self.restarted = 0  # the update behind which a reset last restarted schedules

    def at_update(self, x: Tensor) -> None:
        """What each update ends with: units are renewed by what they do on observations `x`, [M, ...], the hare constrained.

        Reads nothing on the host, and changes tensors of fixed address.
        """
        if self._renewal is not None:
            self.recycled += self._renewal(self.pair.hare, x, self.pair.optimizer)
        self._constrain(self.pair.hare)

    def after_update(self, updates: int, x: Tensor) -> None:
        """What is planned behind the `updates`-th update; units are dormant by what they do on observations `x`, [M, ...]."""
        plans, hare = self.plans, self.pair.hare
        due = plans.resets is not None and plans.resets.due(updates, plans.updates, plans.missed)
        resets = plans.resets if due else None
        if plans.recycling is not None and plans.recycling.due(updates, plans.updates):
            parts = [part for part, keep in resets.keep.items() if keep > 0] if resets is not None else PARTS
            self.recycled += recycle_(hare, self._draw, x, plans.recycling, self.pair.optimizer, parts)
            self._constrain(hare)
        if self._renewal is not None:
            self._renewal.after_update(updates)
        if plans.pruning is not None and plans.updates is not None and plans.pruning.due(updates, plans.updates):
            self._obedience.prune_(hare, plans.pruning.share(updates, plans.updates))
            self._obedience.impose_(self.pair.tortoise)
        if plans.tortoise is not None and plans.tortoise.due(updates, plans.missed):
            self.pair.follow()
            if plans.tortoise.decay > 0:  # a copy obeys as it is
                self._constrain(self.pair.tortoise)
        if resets is not None:
            self.reset(resets, updates)
        if plans.injection is not None and updates == plans.injection.at:
            # From here on only a change to the head's output is learnt; for this moment it is 0.
            for network in (hare, self.pair.tortoise):
                assert isinstance(network, Injectable)
                network.set_injected_(True)

    def _constrain(self, network: Network | Any, rounds: int = 1) -> None:
        self._obedience.impose_(network)
        spectral.iterate_(network, rounds)

    def reset(self, resets: Resets, updates: int) -> None:
        """Apply the reset rule to the hare, and to the tortoise with its own draw if they say so."""
        hare, tortoise = self.pair.hare, self.pair.tortoise
        self.pair.set_back(self._source(resets, hare), resets.keep)
        if resets.tortoise_too:
            self.pair.renew_tortoise(self._source(resets, tortoise), resets.keep)
        for network in (hare, tortoise):
            self._constrain(network, spectral.ROUNDS)
        if self._renewal is not None and resets.source != "tortoise":  # whose units are the hare's of a little earlier
            self._renewal.forget_()
        if resets.restart:
            self.restarted = updates

    def _source(self, resets: Resets, network: Network | Any) -> Network | Any:
        match resets.source:
            case "tortoise":
                return self.pair.tortoise
            case "initial":
                return self.initial
            case "orthogonal":
                return orthogonalised(network, self.initial)
        return self._draw()

    def remember_initial_(self, initial: Network) -> None:
        """Weights at the start are those of `initial`."""
        self.initial.load_state_dict(initial.state_dict())
        spectral.iterate_(self.initial, spectral.ROUNDS)
        self._obedience.remember_(self.initial)

    def load_counts(self, resets: int, restarted: int, recycled: Tensor) -> None:
        """Take over what was counted so far."""
        self.pair.resets, self.restarted = resets, restarted
        self.recycled.copy_(recycled)

    def state_dict(self) -> dict[str, Any]:
        """All else that later behaviour depends on, beside the pair's state and the counts."""
        return {"masks": self._obedience.masks, "renewal": self._renewal.state_dict() if self._renewal is not None else None}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        for mine, its in zip(self._obedience.masks, state["masks"], strict=True):
            mine.copy_(its)
        if self._renewal is not None:
            self._renewal.load_state_dict(state["renewal"])
