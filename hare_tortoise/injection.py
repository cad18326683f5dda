"""Plasticity injection (Nikishin et al. 2023): freeze the head and learn a change to it, which is 0 at first."""

from collections.abc import Sequence
from typing import Any, Generic, Self, TypeVar

import torch
from torch import Tensor, nn

from hare_tortoise.network import Network

Head = TypeVar("Head", bound=nn.Module)


class Injectable(Network, Generic[Head]):
    """A network with a `head` and, in `injections`, two more or none. Nothing reads these before `set_injected_`.

    From then on the output is that of head + learnt - frozen, and of the three only the learnt one learns. The two are drawn
    equal. Whether it is injected is a mode: it is copied, set back, saved and loaded with the weights.
    """

    head: Head
    injections: nn.ModuleList

    def __init__(self) -> None:
        super().__init__()
        self.injected = False

    def initialise_(self, generator: torch.Generator) -> None:
        """Draw every parameter anew from `generator`; both injections are equal."""
        super().initialise_(generator)
        self.equalise_()

    def equalise_(self) -> None:
        """Make the frozen injection a copy of the learnt one."""
        if self.injections:
            self.injections[1].load_state_dict(self.injections[0].state_dict())

    @property
    def learning_head(self) -> Head:
        """The head that gradients change."""
        learnt: Any = self.injections[0] if self.injected else self.head
        return learnt

    @property
    def heads(self) -> list[Head]:
        """All that the output is made of: the head, and if injected the learnt and the frozen one."""
        more: Any = self.injections if self.injected else []
        return [self.head, *more]

    def sum_of_heads(self, outputs: Sequence[Tensor]) -> Tensor:
        """The output, from those of `heads`: if injected the learnt one is added, and the frozen one taken away."""
        if len(outputs) == 1:
            return outputs[0]
        head, learnt, frozen = outputs
        return head + (learnt - frozen)

    def set_injected_(self, injected: bool) -> None:
        """Add the change to the head, or do so no more. If the network learns, only the change does then, else the head."""
        if injected == self.injected:
            return
        if not self.injections:
            raise ValueError(f"this {type(self).__name__} has no injections")
        learns = any(p.requires_grad for p in self.learning_head.parameters())
        self.injected = injected
        self.head.requires_grad_(learns and not injected)
        self.injections[0].requires_grad_(learns and injected)
        self.injections[1].requires_grad_(False)

    def take_mode_(self, source: Self, keep: float) -> None:
        """Become injected as `source` is; stay so where a share `keep` of the heads was kept: what was learnt would be lost.

        A mixture of an injected network and one that is not is injected: the latter's two more heads are equal.
        """
        self.set_injected_(source.injected or (self.injected and keep > 0))

    def get_extra_state(self) -> Tensor:
        """What the state has beside weights: whether the network is injected, bool []."""
        return torch.tensor(self.injected)

    def set_extra_state(self, state: Tensor) -> None:
        """Take over what `get_extra_state` gave."""
        self.set_injected_(bool(state))
