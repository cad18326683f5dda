"""The replay as lists and loops: what the tests hold the buffer against. No torch, no arithmetic on indices of a ring."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np

STACK = 4
SMALLEST = 2.0**-20  # a row that may be drawn never gets less


@dataclass
class Row:
    """What happened at one env step of one lane; `address` is its number in a batch's `index`."""

    frame: np.ndarray
    action: int
    reward: float
    terminal: bool
    truncated: bool
    address: int
    priority: float = 0.0

    @property
    def ended(self) -> bool:
        return self.terminal or self.truncated


@dataclass
class Sample:
    """What a learner should get for one row."""

    observations: np.ndarray  # uint8 [K + 2, 4, side, side]: s_t .. s_{t+K}, s_{t+n}
    action: list[int]
    ret: float
    discount: float
    mask: list[float]


class NaiveReplay:
    """Each lane is the list of its last `steps` rows, oldest first, with three black ones before the first."""

    def __init__(self, steps: int, num_lanes: int, n_max: int, jumps: int, alpha: float, side: int) -> None:
        self.steps, self.n_max, self.jumps, self.alpha = steps, n_max, jumps, alpha
        self.largest = 1.0
        self.black = np.zeros((side, side), np.uint8)
        self.lanes = [[Row(self.black, 0, 0.0, False, False, -1) for _ in range(STACK - 1)] for _ in range(num_lanes)]
        self._addresses = [cycle(range(lane * steps, (lane + 1) * steps)) for lane in range(num_lanes)]

    def append(
        self, frame: np.ndarray, action: np.ndarray, reward: np.ndarray, terminal: np.ndarray, truncated: np.ndarray
    ) -> None:
        """One row a lane; a row becomes drawable when its whole window is there, and ceases when its stack is not."""
        horizon = max(self.n_max, self.jumps)
        for i, lane in enumerate(self.lanes):
            address = next(self._addresses[i])
            lane.append(Row(frame[i].copy(), int(action[i]), float(reward[i]), bool(terminal[i]), bool(truncated[i]), address))
            if len(lane) > self.steps:
                lane.pop(0)
            for row in lane[: STACK - 1]:
                row.priority = 0.0
            newest = len(lane) - 1
            if newest - horizon >= STACK - 1 and not self._cut(lane[newest - horizon : newest]):
                lane[newest - horizon].priority = self.largest

    @staticmethod
    def _cut(rows: list[Row]) -> bool:
        """Whether a time limit ends these rows before a terminal does."""
        for row in rows:
            if row.ended:
                return not row.terminal
        return False

    def rows(self) -> Iterator[Row]:
        """All rows that are stored, the black ones apart."""
        return (row for lane in self.lanes for row in lane if row.address >= 0)

    def drawable(self) -> list[Row]:
        return [row for row in self.rows() if row.priority > 0]

    def at(self, addresses: Sequence[int]) -> list[Row]:
        """The rows that have these addresses now."""
        now = {row.address: row for row in self.rows()}
        return [now[address] for address in addresses]

    def write(self, rows: list[Row], priorities: Sequence[float]) -> None:
        """Only rows that may be drawn take a priority; the largest is written last, so it stays."""
        for priority, row in sorted(zip(priorities, rows, strict=True), key=lambda pair: pair[0]):
            value = max(priority**self.alpha, SMALLEST)
            self.largest = max(self.largest, value)
            if row.priority > 0:
                row.priority = value

    def sample(self, wanted: Row, n: int, gamma: float) -> Sample:
        """What a drawable row gives ("correct" row of the table of n-step conventions: bootstrap at s_{t+n})."""
        lane = next(lane for lane in self.lanes if any(row is wanted for row in lane))
        t = next(i for i, row in enumerate(lane) if row is wanted)
        ret, discount = 0.0, gamma**n
        for j, row in enumerate(lane[t : t + n]):
            ret += gamma**j * row.reward
            if row.terminal:
                discount = 0.0
                break
        times = [*range(t, t + self.jumps + 1), t + n]
        return Sample(
            observations=np.stack([self._observation(lane, time) for time in times]),
            action=[row.action for row in lane[t : t + max(self.jumps, 1)]],
            ret=ret,
            discount=discount,
            mask=[float(not any(row.terminal for row in lane[t : t + k + 1])) for k in range(1, self.jumps + 1)],
        )

    def _observation(self, lane: list[Row], time: int) -> np.ndarray:
        """Four frames, newest last, black where a game or life before this one would show."""
        frames = [lane[time].frame]
        for row in reversed(lane[time - STACK + 1 : time]):
            if row.ended:
                break
            frames.insert(0, row.frame)
        return np.stack([self.black] * (STACK - len(frames)) + frames)
