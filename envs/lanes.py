"""What every environment here looks like from outside: lanes of one game, stepped together."""

from typing import NamedTuple, Protocol

import numpy as np

SIDE = 84  # pixels; the height and width of a frame
INT64, UINT64 = np.dtype(np.int64), np.dtype(np.uint64)  # compared once an env step: made once


class Episode(NamedTuple):
    """One whole game that a lane has finished: its raw return and its length in env steps."""

    lane: int
    score: float
    length: int


class Step(NamedTuple):
    """What one env step of L lanes gives back.

    `frame` uint8 [L, 84, 84] is what the next action is chosen from: in a lane whose game has just ended it is the first
    frame of the new game. All else tells of the transition that ended: `reward` float32 [L], raw; `life_lost` and
    `game_over` bool [L], which are terminals for learning; `truncated` bool [L], the time limit, which is not.
    """

    frame: np.ndarray
    reward: np.ndarray
    life_lost: np.ndarray
    game_over: np.ndarray
    truncated: np.ndarray
    finished: tuple[Episode, ...]


class Lanes(Protocol):
    """L games of one kind. `send` starts an env step, `recv` waits for it; between them the caller may work."""

    num_lanes: int
    num_actions: int
    last_frame: np.ndarray  # uint8 [L, 84, 84]: of the games that the latest env step ended; in other lanes meaningless

    def reset(self, seed: int | None = None) -> np.ndarray:
        """Start every lane anew, from `seed` if one is given; the first frames, uint8 [L, 84, 84]."""
        ...

    def send(self, action: np.ndarray) -> None:
        """Start one env step with `action`, int64 [L]. ValueError if one is out of range."""
        ...

    def recv(self) -> Step:
        """Wait for the env step that `send` started."""
        ...

    def close(self) -> None:
        """Free the emulators."""
        ...


def check_action(action: np.ndarray, num_lanes: int, num_actions: int) -> None:
    """ValueError unless `action` is int64 [num_lanes] within [0, num_actions). ALE would hang on it for ever."""
    if not isinstance(action, np.ndarray):
        raise ValueError(f"actions must be a NumPy array, not a {type(action).__name__}")
    if action.shape != (num_lanes,) or action.dtype != INT64:
        raise ValueError(f"actions must be int64 [{num_lanes}], not {action.dtype} {list(action.shape)}")
    if np.count_nonzero(action.view(UINT64) >= num_actions):  # a negative one reads as a huge one; no reduction is cheaper
        raise ValueError(f"actions must lie in 0..{num_actions - 1}, not {action.tolist()}")


class EpisodeCounter:
    """Sums raw rewards and env steps of each lane and hands them out when a game ends."""

    def __init__(self, num_lanes: int) -> None:
        self.score = np.zeros(num_lanes, np.float64)
        self.clock = 0  # env steps of each lane
        self.began = np.zeros(num_lanes, np.int64)  # when each lane's game began

    def add(self, reward: np.ndarray, done: np.ndarray) -> tuple[Episode, ...]:
        """Count one env step: `reward` [L] raw, `done` bool [L]; the games that ended with it."""
        self.clock += 1
        if np.count_nonzero(reward):
            self.score += reward
        if not np.count_nonzero(done):
            return ()
        lanes = np.flatnonzero(done)
        finished = tuple(Episode(int(i), float(self.score[i]), self.clock - int(self.began[i])) for i in lanes)
        self.score[lanes] = 0
        self.began[lanes] = self.clock
        return finished
