"""Hare & Tortoise (Lee et al. 2024), Algorithm 1: a fast network learns, a slow one follows, the fast one is set back to it.

after each gradient step of the hare:   tortoise <- decay * tortoise + (1 - decay) * hare
every `reset_every` of them, then:      hare     <- tortoise
"""

from collections.abc import Mapping
from copy import deepcopy
from itertools import chain
from operator import attrgetter, is_not
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.parameter import is_lazy

from hare_tortoise.network import averages, state
from hare_tortoise.reset import blend_, require_renewable, reset_, take_mode_, zero_moments_

KIND = attrgetter("dtype", "device")


class HareTortoise:
    """A network that learns, its moving average, and the rule between them; all on tensors of fixed address.

    Parameters and floating-point buffers, such as the statistics of batch normalisation, are averaged and set back, integer
    buffers copied. (The unit vectors of spectral_norm are averaged, too, which does not suit them.) Of weights in half
    precision a float32 average is kept, of which the tortoise is the rounded value: steps of 1 - decay would be lost in it.
    The hare may be compiled, or wrapped for distributed training; the tortoise is the plain network, in evaluation mode, and
    does not learn. Move the network to its device first.
    """

    def __init__(
        self,
        hare: nn.Module,
        optimizer: torch.optim.Optimizer | None = None,
        *,
        decay: float = 0.999,
        every: int = 1,
        reset_every: int | None = None,
        moments: Literal["keep", "zero"] = "keep",
    ) -> None:
        """`decay` is the share of the tortoise kept whenever it follows, `every` so many steps; 0 makes it a copy.

        `reset_every`: steps from one setting back of the hare to the next, None for none; what the `optimizer` remembers is
        then kept, as in the paper's code, or forgotten. ValueError, one line, for what cannot be.
        """
        self.hare, self.optimizer = hare, optimizer
        self.decay, self.every, self.reset_every, self.moments = decay, every, reset_every, moments
        self._network = plain(hare)
        outer = getattr(hare, "_orig_mod", hare)  # what is compiled
        self._group = outer.process_group if isinstance(outer, DistributedDataParallel) else None
        self._check()
        self.tortoise = _copy(self._network).requires_grad_(False).eval()
        self._read_hare()
        self._slow = list(state(self.tortoise).values())
        self._average = [t.float() if t.is_floating_point() and t.itemsize < 4 else t for t in self._slow]
        self._rounds = [i for i, (a, t) in enumerate(zip(self._average, self._slow, strict=True)) if a is not t]
        self.steps = self.resets = 0

    def _read_hare(self) -> None:
        """Find the hare's tensors, and remember where. ValueError, one line, if they are others than the tortoise's."""
        fast, slow = (
            {name: f"{list(t.shape)} {t.dtype} {t.device}" for name, t in state(net).items()}
            for net in (self._network, self.tortoise)
        )
        if differing := sorted(name for name, _ in fast.items() ^ slow.items()):
            now, then = (each.get(differing[0], "none") for each in (fast, slow))
            change = f"{differing[0]} was {then} and is {now}"
            raise ValueError(f"the hare is another network than when the pair was made ({change}): make a new one")
        self._fast = list(state(self._network).values())
        self._kinds = list(map(KIND, self._fast))
        self._places = [d for m in self._network.modules() for d in (m._parameters, m._buffers, m._modules)]
        self._held = self._now_held()

    def _now_held(self) -> list[Any]:
        """All tensors and modules that the hare has now; in few calls, as each `follow` asks."""
        return [*chain.from_iterable(map(dict.values, self._places))]

    def _find_hare(self) -> None:
        """Read the hare anew if a tensor was put in another's place, as a module may do, and `load_state_dict(assign=True)`.

        So, too, if one became of another type or device where it is, as `half()` and `to()` do it.
        """
        now = self._now_held()
        moved = len(now) != len(self._held) or any(map(is_not, now, self._held))
        if moved or list(map(KIND, self._fast)) != self._kinds:
            self._read_hare()

    def _check(self) -> None:
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay must lie in [0, 1), not {self.decay:g}")
        if self.every < 1 or (self.reset_every is not None and self.reset_every < 1):
            raise ValueError(f"every and reset_every must be at least 1, not {self.every} and {self.reset_every}")
        if self.reset_every is not None and self.reset_every < self.every:
            raise ValueError(
                f"reset_every {self.reset_every} is less than every {self.every}: the tortoise has not followed yet"
            )
        if self.decay == 0 and self.reset_every is not None and self.reset_every % self.every == 0:
            raise ValueError("a decay of 0 makes the tortoise a copy: setting the hare back to it would change nothing")
        if self.moments not in ("keep", "zero"):
            raise ValueError(f"moments must be 'keep' or 'zero', not {self.moments!r}")
        if self.moments == "zero" and self.reset_every is not None and self.optimizer is None:
            raise ValueError("moments 'zero' needs the optimizer that has them")
        own = {id(p) for p in self._network.parameters()}
        if not own:
            raise ValueError(f"{type(self._network).__name__} has no parameters")
        if self.optimizer is not None and not any(id(p) in own for g in self.optimizer.param_groups for p in g["params"]):
            raise ValueError("the optimizer has none of this network's parameters")
        if self.moments == "zero" and self.optimizer is not None:
            require_renewable(self.optimizer)

    def step(self) -> None:
        """Behind a gradient step of the hare: the tortoise follows; now and then the hare is set back."""
        self.steps += 1
        if self.steps % self.every == 0:
            self.follow()
        if self.reset_every is not None and self.steps % self.reset_every == 0:
            self.set_back()

    @torch.no_grad()
    def follow(self) -> None:
        """tortoise <- decay * tortoise + (1 - decay) * hare."""
        self._find_hare()
        fast = list(self._fast)
        for i in self._rounds:
            fast[i] = fast[i].float()
        blend_(self._average, fast, self.decay)
        self._copy_(whole_numbers=self.decay > 0)
        take_mode_(self.tortoise, self._network, self.decay)

    def set_back(self, source: nn.Module | None = None, keep: float | Mapping[str, float] = 0.0) -> None:
        """hare <- keep * hare + (1 - keep) * source, by default all of the tortoise."""
        self._find_hare()
        reset_(self._network, self.tortoise if source is None else source, keep)
        if self.moments == "zero" and self.optimizer is not None:
            zero_moments_(self.optimizer, self._network.parameters())
        self.resets += 1

    @torch.no_grad()
    def renew_tortoise(self, source: nn.Module, keep: float | Mapping[str, float]) -> None:
        """tortoise <- keep * tortoise + (1 - keep) * source, which some resets do beside the hare's."""
        reset_(self.tortoise, source, keep)
        for i in self._rounds:
            self._average[i].copy_(self._slow[i])

    def _copy_(self, whole_numbers: bool) -> None:
        """Round the average into the tortoise, and copy the counters; of distributed networks buffers are the first one's."""
        for i in self._rounds:
            self._slow[i].copy_(self._average[i])
        for mine, its in zip(self._slow, self._fast, strict=True) if whole_numbers else ():
            if not averages(mine):
                mine.copy_(its)
        if self._group is not None:
            first = torch.distributed.get_global_rank(self._group, 0)
            for buffer in self.tortoise.buffers():
                torch.distributed.broadcast(buffer, first, self._group)

    def state_dict(self) -> dict[str, Any]:
        """The tortoise and the counts; the hare and the optimizer are saved by whoever made them."""
        averages: list[Tensor] = [self._average[i] for i in self._rounds]
        return {"tortoise": self.tortoise.state_dict(), "averages": averages, "steps": self.steps, "resets": self.resets}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave. ValueError if it is of another precision."""
        if len(state["averages"]) != len(self._rounds):
            raise ValueError(f"{len(state['averages'])} float32 averages were saved, this pair has {len(self._rounds)}")
        self.tortoise.load_state_dict(state["tortoise"])
        for i, average in zip(self._rounds, state["averages"], strict=True):
            self._average[i].copy_(average)
        self.steps, self.resets = state["steps"], state["resets"]


def _copy(network: nn.Module) -> nn.Module:
    """A copy of `network`. ValueError, one line, if torch cannot make one."""
    if any(map(is_lazy, chain(network.parameters(), network.buffers()))):
        raise ValueError(f"{type(network).__name__} is lazy: let it see a batch first")
    try:
        return deepcopy(network)
    except RuntimeError as error:  # a weight that a hook computes
        raise ValueError(
            f"{type(network).__name__} cannot be copied: take weight_norm or spectral_norm of nn.utils.parametrizations"
        ) from error


def plain(module: nn.Module) -> nn.Module:
    """The network within what compiles or distributes it."""
    while True:
        inner = module.module if isinstance(module, nn.DataParallel | DistributedDataParallel) else module
        inner = getattr(inner, "_orig_mod", inner)
        if inner is module:
            return module
        module = inner
