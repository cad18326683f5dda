"""Catch: a pixel game whose best and random scores are known exactly, for learning tests that take seconds.

A ball falls through 7 rows of 7 columns, one row an env step; a paddle on the last row moves left, right or stays. After 6
env steps the game ends with +1 if the paddle is under the ball, else -1. Both start in a column drawn uniformly.

The best policy always scores +1 (no column is further than 6 moves). A policy that does not look at the ball catches 1 in 7,
since the ball's column is uniform, and scores 1/7 - 6/7 = -5/7; so does the random one.
"""

import numpy as np

from envs.lanes import SIDE, EpisodeCounter, Step, check_action

CELLS = 7
CELL = SIDE // CELLS  # pixels
MOVES = np.array([0, -1, 1])


class CatchLanes:
    """L lanes of Catch with the interface of `AtariLanes`: frames uint8 [L, 84, 84], three actions, no lives."""

    def __init__(self, num_lanes: int, seed: int) -> None:
        self.num_lanes = num_lanes
        self.num_actions = len(MOVES)
        self._seed = seed
        self.last_frame = self.reset()

    def reset(self, seed: int | None = None) -> np.ndarray:
        """Start every lane anew from its seed, or from `seed`; the first frames, uint8 [L, 84, 84]."""
        if seed is not None:
            self._seed = seed
        self._random = np.random.default_rng(self._seed)
        self._counter = EpisodeCounter(self.num_lanes)
        self._row = np.zeros(self.num_lanes, np.int64)
        self._ball, self._paddle = self._random.integers(CELLS, size=(2, self.num_lanes))
        return self._draw()

    def send(self, action: np.ndarray) -> None:
        """Take one env step with `action`, int64 [L]."""
        check_action(action, self.num_lanes, self.num_actions)
        self._paddle = np.clip(self._paddle + MOVES[action], 0, CELLS - 1)
        self._row += 1

    def recv(self) -> Step:
        """The env step that `send` took."""
        done = self._row == CELLS - 1
        reward = np.where(done, np.where(self._ball == self._paddle, 1, -1), 0).astype(np.float32)
        finished = self._counter.add(reward, done)
        if done.any():
            self.last_frame = self._draw()
            fresh = self._random.integers(CELLS, size=(2, self.num_lanes))
            self._ball = np.where(done, fresh[0], self._ball)
            self._paddle = np.where(done, fresh[1], self._paddle)
            self._row[done] = 0
        never = np.zeros(self.num_lanes, bool)
        return Step(self._draw(), reward, never, done, never, finished)

    def step(self, action: np.ndarray) -> Step:
        """`send` and `recv` in one."""
        self.send(action)
        return self.recv()

    def close(self) -> None:
        """Nothing to free."""

    def _draw(self) -> np.ndarray:
        cells = np.zeros((self.num_lanes, CELLS, CELLS), np.uint8)
        lanes = np.arange(self.num_lanes)
        cells[lanes, CELLS - 1, self._paddle] = 128
        cells[lanes, self._row, self._ball] = 255
        return cells.repeat(CELL, axis=1).repeat(CELL, axis=2)
