"""What a learner gets from replay, and what it may ask of it."""

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

STACK = 4  # frames in an observation (Mnih et al. 2015)


@dataclass(frozen=True)
class Window:
    """How far a replay looks ahead from the row that it draws."""

    n_max: int
    """the longest n-step return that may be asked for"""
    jumps: int
    """steps K of self-prediction; may be 0"""
    side: int = 84
    """height and width of a frame, in pixels"""

    @property
    def reach(self) -> int:
        """Env steps from the first row of a window to the last."""
        return max(self.n_max, self.jumps)

    @property
    def steps_needed(self) -> int:
        """Env steps of a lane that a replay must hold so that there is always a row to draw.

        A row waits for `reach` more before it may be drawn, a time limit takes as many out, and the oldest rows lack a part
        of their stack. So it is while time limits lie further apart than that, and Atari-100k's are 27,000 env steps long.
        """
        return 2 * self.reach + STACK


@dataclass(frozen=True)
class Rule:
    """How a replay weights its draws."""

    alpha: float
    """exponent of the priorities; 0 makes every row that may be drawn equally likely"""
    new_rows: Literal["largest", "one"] = "largest"
    """priority of a row that was never learnt from: the largest ever written, or 1"""


@dataclass(frozen=True)
class Batch:
    """B windows of K self-prediction jumps (K may be 0) and one n-step return each.

    Frames come once; the S = K + 2 observations that a learner needs are cut from them: s_t .. s_{t+K} begin at frame 0 .. K
    and s_{t+n} at frame K + 4 (`first_frames`).

    frames    uint8   [B, K + 8, 84, 84]   times t-3 .. t+K, then t+n-3 .. t+n
    visible   float32 [S, B, 4]            0 where a frame belongs to an earlier game or life, so must read as black
    action    int64   [B, max(K, 1)]       a_t .. a_{t+K-1}
    ret       float32 [B]                  n-step return, sum of gamma^j r_{t+j} up to n rewards or the first terminal
    discount  float32 [B]                  gamma^n, or 0 if a terminal lies in t .. t+n-1
    mask      float32 [K, B]               1 where no terminal lies in t .. t+k (k = 1 .. K), else 0
    weight    float32 [B]                  importance weights, the largest of the batch is 1
    index     int64   [B]                  rows, to be handed back with their new priorities
    """

    frames: Tensor
    visible: Tensor
    action: Tensor
    ret: Tensor
    discount: Tensor
    mask: Tensor
    weight: Tensor
    index: Tensor


def first_frames(jumps: int, device: torch.device | str = "cpu") -> Tensor:
    """Where in `Batch.frames` each of the S = `jumps` + 2 observations begins; int64 [S]."""
    return torch.tensor([*range(jumps + 1), jumps + STACK], device=device)


def uniform(count: int, generator: torch.Generator) -> Tensor:
    """What `Sampler.sample` takes: `count` draws, float64 [count], in [0, 1)."""
    return torch.rand(count, generator=generator, device=generator.device, dtype=torch.float64)


class Sampler(Protocol):
    """Where a learner draws its batches from."""

    generator: torch.Generator

    def sample(self, chance: Tensor, n: Tensor, gamma: Tensor, beta: Tensor) -> Batch:
        """A batch of B windows. `n` int64 [], `gamma` and `beta` float32 []: return length, discount, importance exponent.

        `chance` float64 [B], uniform in [0, 1), decides which. In learning it is drawn from `generator`.
        """
        ...

    def reprioritise_(self, index: Tensor, priority: Tensor) -> None:
        """Write new priorities, float32 [B], to the rows `index`, int64 [B]."""
        ...
