"""The observation that is acted upon: the last four frames of each lane."""

import numpy as np
import torch
from torch import Tensor

from replay.batch import STACK


class FrameStack:
    """`frames` uint8 [L, 4, 84, 84], newest last; black before the first frame of a game or life, as replay rebuilds it."""

    def __init__(self, num_lanes: int, side: int, device: torch.device | str) -> None:
        self.frames = torch.zeros(num_lanes, STACK, side, side, dtype=torch.uint8, device=device)

    @property
    def newest(self) -> Tensor:
        """The last frame of each lane, uint8 [L, 84, 84]."""
        return self.frames[:, -1]

    def push_(self, frame: Tensor | np.ndarray, ended: Tensor | np.ndarray) -> None:
        """Add `frame`, uint8 [L, 84, 84]. Where `ended`, bool [L], a game or life ended before it: older frames go black."""
        ended = torch.as_tensor(ended, device=self.frames.device)
        older = self.frames[:, 1:] * ~ended.view(-1, 1, 1, 1)
        self.frames[:, :-1] = older
        self.frames[:, -1] = torch.as_tensor(frame, device=self.frames.device)
