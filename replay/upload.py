"""From the host to the learner's device, without waiting for it."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from replay.buffer import ReplayBuffer
from replay.stack import FrameStack

SIZES = {"action": 8, "reward": 4, "terminal": 1, "truncated": 1}  # bytes a lane, behind those of the frame


class Row(NamedTuple):
    """An env step of L lanes on the learner's device, overwritten by the next."""

    frame: Tensor
    """uint8 [L, side, side]"""
    action: Tensor
    """int64 [L]"""
    reward: Tensor
    """float32 [L]"""
    terminal: Tensor
    """bool [L]"""
    truncated: Tensor
    """bool [L]"""


def file_row_(replay: ReplayBuffer, stack: FrameStack, row: Row) -> None:
    """Put an env step in `replay` and `stack`. Changes tensors of fixed address, and reads nothing on the host."""
    replay.append(stack.newest, row.action, row.reward, row.terminal, row.truncated)
    stack.push_(row.frame, row.terminal | row.truncated)


class Upload:
    """Takes env steps to a device, each in one copy, which is queued behind the work that is under way.

    It waits for the copy before. That is done if actions were chosen in between; while old ones are played again it may not be.
    """

    def __init__(self, num_lanes: int, side: int, device: torch.device | str) -> None:
        device = torch.device(device)
        pixels = side * side
        length = -(-(pixels + sum(SIZES.values())) // 8) * 8  # bytes a lane, so that each number lies where its size divides
        assert pixels % 8 == 0
        self._host = torch.zeros(num_lanes, length, dtype=torch.uint8, pin_memory=device.type == "cuda")
        self._there = torch.zeros_like(self._host, device=device, pin_memory=False)
        self._source = [column.numpy() for column in self._views(self._host, side)]  # NumPy writes a few bytes faster
        self.row = self._views(self._there, side)
        self._copied = torch.cuda.Event() if device.type == "cuda" else None

    @staticmethod
    def _views(buffer: Tensor, side: int) -> Row:
        """The fields of a row in `buffer`, uint8 [L, length]."""
        end = side * side
        frame = buffer[:, :end].unflatten(1, (side, side))
        columns = []
        for size, kind in zip(SIZES.values(), (torch.int64, torch.float32, torch.bool, torch.bool), strict=True):
            columns.append(buffer[:, end : end + size].view(kind).squeeze(1))
            end += size
        return Row(frame, *columns)

    def __call__(
        self, frame: np.ndarray, action: np.ndarray, reward: np.ndarray, terminal: np.ndarray, truncated: np.ndarray
    ) -> Row:
        """`frame` uint8 [L, side, side], `action` int64 [L], `reward` float [L], two bool [L]; the row on the device."""
        if self._copied is not None:
            self._copied.synchronize()  # at once if nothing was recorded yet
        for place, values in zip(self._source, (frame, action, reward, terminal, truncated), strict=True):
            place[...] = values
        self._there.copy_(self._host, non_blocking=True)
        if self._copied is not None:
            self._copied.record()
        return self.row
