"""The past of a run, small enough for every checkpoint: what was done, and the hash of what came of it.

Emulators are deterministic: from the actions alone they and the replay can be made again, and the hash proves that they are
the same. A run of 100,000 env steps takes 100 kB.
"""

import hashlib
from typing import Any

import numpy as np
import torch

from experiment.command import UserError


class Past:
    """Every action since the start, and a running hash of all that the lanes gave back."""

    def __init__(self, num_steps: int, num_lanes: int) -> None:
        """Room for `num_steps` env steps of each of `num_lanes` lanes."""
        self._actions = np.zeros((num_steps, num_lanes), np.uint8)
        self.time = 0
        self.hash = ""

    def add(self, action: np.ndarray, *seen: np.ndarray) -> None:
        """Add an env step of every lane: `action` int64 [L] below 256, and what came of it, arrays of any kind."""
        self._actions[self.time] = action
        self.time += 1
        chain = hashlib.blake2b(self.hash.encode(), digest_size=16)
        for array in seen:
            chain.update(np.ascontiguousarray(array))
        self.hash = chain.hexdigest()

    def require(self, hash: str, then: str, now: str) -> None:
        """UserError unless what came of the actions is what came of them once; `then` and `now` are the versions of ale-py."""
        if self.hash == hash:
            return
        why = f"this is ale-py {now}, the checkpoint is of {then}; install that one, or start over with --fresh"
        if then == now:
            why = f"ale-py is {now} as it was then, so the game's ROM or the machine is another; --fresh starts over"
        raise UserError(f"the games do not go as they went before the interruption: {why}")

    def state_dict(self) -> dict[str, Any]:
        """The actions, uint8 [time, L], and the hash."""
        return {"actions": torch.from_numpy(self._actions[: self.time].copy()), "hash": self.hash}
