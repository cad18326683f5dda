"""Units that are renewed whenever an update shows that they should be: by their silences, or by their utility."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from hare_tortoise.measure import activations
from hare_tortoise.network import Network, weighted
from hare_tortoise.recycle import renew_
from hare_tortoise.replacement import Utilities
from hare_tortoise.reset import reset_
from hare_tortoise.settings import Plans
from hare_tortoise.silence import Silences

AT_HOST = ("cpu",)  # devices that nobody has to wait for to see whether there is anything to write
REDRAWN = 1_000  # updates from one draw of the weights that renewed units get to the next; ours


class Renewal:
    """Renews units of a network at every update. Weights for them stand ready in a drawn network, so nothing is drawn then.

    It is drawn anew every 1,000 updates: a unit that is renewed twice between two draws gets the same weights twice.
    """

    def __init__(self, plans: Plans, network: Network, draw: Callable[[], Network]) -> None:
        """`plans` with a silence or a replacement; `draw` makes a new network like `network`, of other weights each time."""
        units = [len(weighted(layer.incoming)[0].get_parameter("weight")) for layer in network.layers()]
        device = next(network.parameters()).device
        assert (plans.silence is None) != (plans.replacement is None)
        self._judge: Silences | Utilities
        if plans.silence is not None:
            self._judge, self._every = Silences(plans.silence, units, device), plans.silence.every
        elif plans.replacement is not None:
            self._judge, self._every = Utilities(plans.replacement, units, device), REDRAWN
        self._draw, self._spare = draw, draw()

    def __call__(self, network: Network, x: Tensor, optimizer: torch.optim.Optimizer | None) -> Tensor:
        """Renew units by what they do on observations `x`, [M, ...]; how many, int64 []. Reads nothing on the host."""
        layers = network.layers()
        found = self._judge.find(layers, activations(network, x))
        count = torch.cat(found).sum()
        if count.device.type in AT_HOST and not count:  # nothing would be written
            return count
        for layer, source, units in zip(layers, self._spare.layers(), found, strict=True):
            renew_(layer, source, units, optimizer)
        return count

    def after_update(self, updates: int) -> None:
        """What is planned behind the `updates`-th update."""
        if updates % self._every == 0:
            self._judge.look_()
        if updates % REDRAWN == 0:
            reset_(self._spare, self._draw())

    def forget_(self) -> None:
        """The weights have been set to others."""
        self._judge.forget_()

    def state_dict(self) -> dict[str, Any]:
        """All that later behaviour depends on."""
        return {"judge": self._judge.state, "spare": self._spare.state_dict()}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        for mine, its in zip(self._judge.state, state["judge"], strict=True):
            mine.copy_(its)
        self._spare.load_state_dict(state["spare"])
