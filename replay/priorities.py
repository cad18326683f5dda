"""Prioritised draws (Schaul et al. 2016) by a cumulative sum over fixed-point priorities.

A float32 cumulative sum over 100,000 rows is off by up to 3 % for a row and never draws the smallest ones. Integers add
exactly, in any order, on any device: a draw is exact, repeatable, of fixed shape, and needs no tree.
"""

import torch
from torch import Tensor

from replay.batch import Rule

ONE = 1 << 20  # fixed point: this stands for the priority 1.0
LARGEST = 1 << 42  # a bound far above any real priority: 2**20 rows of it still add up within 63 bits


class Priorities:
    """One priority for each of N rows. A row of priority 0 is never drawn; every other row has at least 2**-20."""

    def __init__(self, rows: int, rule: Rule, device: torch.device | str) -> None:
        self.alpha = rule.alpha
        self.value = torch.zeros(rows, dtype=torch.int64, device=device)
        self.largest = torch.tensor(ONE, device=device)  # ever written; changed in place
        self.new = self.largest if rule.new_rows == "largest" else torch.tensor(ONE, device=device)  # what new rows get

    def draw(self, chance: Tensor) -> Tensor:
        """A row from each of B equal slices of the total priority (stratified), int64 [B].

        `chance` float64 [B], uniform in [0, 1), says where in its slice. At least one row must have a priority above 0.
        """
        sums = self.value.cumsum(0)
        total = sums[-1]
        slices = torch.arange(len(chance), device=total.device, dtype=torch.float64)
        point = ((slices + chance) * (total.double() / len(chance))).long().clamp_(max=total - 1)
        return torch.searchsorted(sums, point, right=True)

    def weights(self, index: Tensor, beta: Tensor) -> Tensor:
        """Importance weights (p_min / p)^beta of the rows `index`, int64 [B]; float32 [B], the largest is 1."""
        p = self.value[index].double()
        return (p.min() / p).pow(beta).float()

    def state_dict(self) -> dict[str, Tensor]:
        """Every priority, and the largest ever written."""
        return {"value": self.value, "largest": self.largest}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over what `state_dict` gave."""
        self.value.copy_(state["value"])
        self.largest.copy_(state["largest"])

    def write_(self, index: Tensor, priority: Tensor) -> None:
        """Set rows `index`, int64 [B], to `priority`^alpha, float32 [B]; of a row that comes twice the larger one stays.

        Rows of priority 0 keep it: they may have been overwritten since they were drawn. What is not a number counts as the
        smallest priority, so that a diverged agent is stopped by its loss and not by a broken draw.
        """
        value = (priority.double().pow(self.alpha) * ONE).round().nan_to_num(1).clamp(1, LARGEST).long()
        self.largest.copy_(torch.maximum(self.largest, value.max()))
        value = torch.where(self.value[index] > 0, value, 0)
        self.value.scatter_reduce_(0, index, value, reduce="amax", include_self=False)
