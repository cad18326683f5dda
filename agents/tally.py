"""What updates measure, kept on the device until somebody asks."""

import torch
from torch import Tensor

from agents.objective import Objective
from replay.batch import Sampler

MEASURED = ("loss", "td_loss", "spr_loss", "q", "grad_norm")


class Tally:
    """Sums of what updates measured since they were last read, and how many went well. Adding never waits for the device."""

    def __init__(self, device: torch.device) -> None:
        self._sums = torch.zeros(len(MEASURED), device=device)
        self._learnt = torch.zeros((), dtype=torch.int64, device=device)  # updates
        self._healthy = torch.zeros_like(self._learnt)  # updates before the first bad loss
        self._read_at = 0

    @torch.no_grad()
    def add_(self, objective: Objective, norm: Tensor) -> None:
        """Count one update, whose gradient had the norm `norm`, float32 []."""
        self._sums += torch.stack((objective.loss, objective.td.mean(), objective.spr.mean(), objective.q, norm))
        self._healthy += (self._healthy == self._learnt) & objective.loss.isfinite()
        self._learnt += 1

    def broken(self, updates: int) -> int | None:
        """The number of the first of `updates` updates whose loss was not finite, or None. Waits for the device."""
        healthy = int(self._healthy)
        return None if healthy == updates else healthy + 1

    def means(self, updates: int) -> dict[str, float]:
        """Mean of each quantity since the last call, empty if no update was made. Waits for the device."""
        count, self._read_at = updates - self._read_at, updates
        if count == 0:
            return {}
        means = dict(zip(MEASURED, (self._sums / count).tolist(), strict=True))
        self._sums.zero_()
        return means

    def state_dict(self) -> dict[str, object]:
        """Everything that later readings depend on."""
        return {"sums": self._sums, "healthy": self._healthy, "learnt": self._learnt, "read_at": self._read_at}

    def load_state_dict(self, state: dict) -> None:
        """Take over what `state_dict` gave."""
        self._sums.copy_(state["sums"])
        self._healthy.copy_(state["healthy"])
        self._learnt.copy_(state["learnt"])
        self._read_at = state["read_at"]


def note_(tally: Tally, replay: Sampler, index: Tensor, objective: Objective, norm: Tensor) -> None:
    """What an update leaves beside weights: its measurements, and the priorities of the rows `index`, int64 [B]."""
    tally.add_(objective, norm)
    replay.reprioritise_(index, objective.priority)
