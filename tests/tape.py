"""A CUDA graph without a GPU: what a function computed, done again without running its Python."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Tape(TorchDispatchMode):
    """Records every operator within it; `replay` carries them out again, on the same tensors, and nothing else.

    So a number that Python held is what it was at the recording, as in a CUDA graph.
    """

    def __init__(self) -> None:
        super().__init__()
        self._done: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], list[Tensor]]] = []

    def __torch_dispatch__(self, function: Any, _: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        out = function(*args, **(kwargs or {}))
        returns = function._schema.returns
        looks = bool(returns) and all(r.alias_info is not None and not r.alias_info.is_write for r in returns)
        if not looks:  # what looks at a tensor in another way sees what is written there later
            self._done.append((function, args, kwargs or {}, _tensors(out)))
        return out

    @torch.no_grad()
    def replay(self) -> None:
        """Do it all again; results go where they went."""
        for function, args, kwargs, places in self._done:
            for place, value in zip(places, _tensors(function(*args, **kwargs)), strict=True):
                if place is not value:
                    place.copy_(value)


def _tensors(values: Any) -> list[Tensor]:
    return [value for value in tree_leaves(values) if isinstance(value, Tensor)]


class Recording:
    """A function, run once and on tape; a call replays it and returns the same tensors, `result`."""

    def __init__(self, function: Callable[[], Any]) -> None:
        with Tape() as self._tape:
            self.result = function()

    def __call__(self) -> Any:
        self._tape.replay()
        return self.result
