"""envs/toy.py against its exact values, and the interface that it shares with envs/atari.py."""

import inspect
from itertools import product
from typing import Any, NoReturn

import numpy as np
import pytest

from envs import atari
from envs.games import GAMES, TOY
from envs.lanes import SIDE, Episode, Lanes, Step
from envs.make import make_lanes
from envs.toy import CELL, CELLS, MOVES, CatchLanes

LENGTH = CELLS - 1  # env steps of a game
BAD_ACTIONS = [
    np.array([0, 3**3]),
    np.array([-1, 0]),
    np.array([0, 2**62]),
    np.array([0]),
    np.array([0, 0, 0]),
    np.array([[0, 0]]),
    np.array(0),
    np.array([0, 0], np.int32),
    np.array([0, 0], np.uint8),
    np.array([0.0, 0.0]),
    np.array([False, True]),
]


def columns(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ball row, ball column and paddle column, int64 [L], read off `frame`, uint8 [L, 84, 84]."""
    cells = frame[:, CELL // 2 :: CELL, CELL // 2 :: CELL]
    np.testing.assert_array_equal(np.kron(cells, np.ones((1, CELL, CELL), np.uint8)), frame)  # nothing but whole cells
    assert (np.sort(cells.reshape(len(frame), -1))[:, -3:] == [0, 128, 255]).all()
    row, ball = np.divmod((cells == 255).reshape(len(frame), -1).argmax(1), CELLS)
    return row, ball, (cells[:, -1] == 128).argmax(1)


def test_the_random_policy_scores_minus_five_sevenths_exactly() -> None:
    """All 7 x 7 starts times all 3**6 courses of actions, each equally likely, against the paddle's Markov chain, in integers.

    Each pair of starts has its own number of catches, so the walls are tested too.
    """
    chain = np.eye(CELLS, dtype=int) + np.eye(CELLS, k=1, dtype=int) + np.eye(CELLS, k=-1, dtype=int)
    chain[0, 0] = chain[-1, -1] = 2  # ways from column to column in one env step: a wall stops the paddle
    ways = np.linalg.matrix_power(chain, LENGTH)
    courses = np.array(list(product(range(len(MOVES)), repeat=LENGTH)))
    lanes = CatchLanes(len(courses), seed=0)
    total = games = 0
    for ball, paddle in product(range(CELLS), repeat=2):
        lanes._ball[:], lanes._paddle[:] = ball, paddle
        for t, action in enumerate(courses.T, 1):
            step = lanes.step(action)
            assert (step.game_over == (t == LENGTH)).all()
            assert t == LENGTH or not step.reward.any()
        assert step.reward.sum() == 2 * ways[paddle, ball] - len(courses)
        total += int(step.reward.sum())
        games += len(step.finished)
    assert games == 7 * 7 * 3**6
    assert 7 * total == -5 * games
    assert TOY.random == -5 / 7


def test_the_random_policy_scores_minus_five_sevenths_in_play() -> None:
    """20,000 games from the class's own starts: standard error sqrt(1 - 25/49) / sqrt(20,000) = 0.005; four are allowed."""
    lanes = CatchLanes(200, seed=0)
    random = np.random.default_rng(1)
    scores = [e.score for _ in range(100 * LENGTH) for e in lanes.step(random.integers(3, size=200)).finished]
    assert len(scores) == 20_000
    assert abs(np.mean(scores) + 5 / 7) < 4 * np.sqrt((1 - 25 / 49) / len(scores))


def test_start_columns_are_uniform_and_independent() -> None:
    """Of each other and of the game before: 49 equally likely pairs, chi-square of 48 degrees, mean 48, deviation sqrt(96)."""
    lanes = CatchLanes(2450, seed=0)
    row, ball, paddle = columns(lanes.reset())
    for _ in range(LENGTH):
        step = lanes.step(np.zeros(2450, np.int64))
    next_row, next_ball, next_paddle = columns(step.frame)
    assert not row.any()
    assert not next_row.any()
    for a, b in ((ball, paddle), (next_ball, next_paddle), (ball, next_ball), (paddle, next_paddle)):
        counts = np.bincount(CELLS * a + b, minlength=CELLS**2)
        assert ((counts - 50) ** 2 / 50).sum() < 48 + 4 * np.sqrt(96)


def test_a_policy_that_follows_the_ball_on_the_frame_always_catches_it() -> None:
    lanes = CatchLanes(100, seed=0)
    frame, finished = lanes.reset(), []
    for t in range(10 * LENGTH):
        row, ball, paddle = columns(frame)
        assert (row == t % LENGTH).all()  # one row an env step
        move = np.sign(ball - paddle)
        step = lanes.step(np.where(move == 0, 0, np.where(move < 0, 1, 2)))
        same = columns(step.frame)[1:] if (t + 1) % LENGTH else (ball, paddle + move)  # a new game starts elsewhere
        np.testing.assert_array_equal(same, (ball, paddle + move))
        frame = step.frame
        finished += step.finished
    assert finished == [Episode(lane, TOY.human, LENGTH) for _ in range(10) for lane in range(100)]


def test_the_seed_decides_everything() -> None:
    def run(lanes: CatchLanes) -> list[np.ndarray]:
        return [lanes.reset(), *(lanes.step(np.full(8, t % 3)).frame for t in range(50))]

    lanes = CatchLanes(8, seed=1)
    frames = run(lanes)
    np.testing.assert_array_equal(frames, run(lanes))  # and `reset` begins all over again
    np.testing.assert_array_equal(frames, run(CatchLanes(8, seed=1)))
    assert (frames[0] != run(CatchLanes(8, seed=2))[0]).any()


def test_make_lanes_picks_the_class_and_the_default_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def record(rom: str, **kwargs: Any) -> Any:
        asked.update(kwargs, rom=rom)
        return emulators(rom, **kwargs)

    emulators = atari.AtariVectorEnv
    monkeypatch.setattr(atari, "AtariVectorEnv", record)
    assert isinstance(make_lanes("MsPacman", 1, seed=0), atari.AtariLanes)
    assert (asked["rom"], asked["max_num_frames_per_episode"]) == ("ms_pacman", 108_000)
    assert isinstance(make_lanes(TOY.name, 1, seed=0), CatchLanes)
    assert TOY.name not in GAMES


@pytest.mark.slow
def test_the_default_cap_is_27_000_env_steps() -> None:
    lanes = make_lanes("Breakout", 1, seed=0)  # without the fire button its ball is never served and no game ends
    lanes.reset()
    ends = [t for t in range(1, 27_001) if (step := lanes.step(np.zeros(1, np.int64))).truncated[0] or step.game_over[0]]
    assert ends == [27_000]
    assert step.truncated[0]
    assert step.finished == (Episode(0, 0.0, 27_000),)


def test_the_interface_equals_that_of_the_atari_lanes() -> None:
    def public(cls: type) -> dict[str, inspect.Signature]:
        return {name: inspect.signature(member) for name, member in vars(cls).items() if not name.startswith("_")}

    assert public(CatchLanes) == public(atari.AtariLanes)
    assert public(Lanes).items() <= public(CatchLanes).items()
    made: list[dict[str, object]] = []
    for game, actions in ((TOY.name, 3), ("Pong", 6)):
        lanes = make_lanes(game, 2, seed=0)
        assert (lanes.num_lanes, lanes.num_actions) == (2, actions)
        first = lanes.reset()
        lanes.send(np.zeros(2, np.int64))
        step = lanes.recv()
        lanes.close()
        assert isinstance(step, Step)
        assert step.finished == ()
        arrays = {"first": first, **{name: value for name, value in step._asdict().items() if name != "finished"}}
        made.append({name: (type(value), value.dtype, value.shape) for name, value in arrays.items()})
    assert made[0] == made[1]
    assert made[0]["frame"] == (np.ndarray, np.dtype(np.uint8), (2, SIDE, SIDE))
    assert made[0]["reward"] == (np.ndarray, np.dtype(np.float32), (2,))
    assert {made[0][name] for name in ("life_lost", "game_over", "truncated")} == {(np.ndarray, np.dtype(bool), (2,))}


@pytest.fixture(scope="module", params=[TOY.name, "Pong"])
def running(request: pytest.FixtureRequest) -> Lanes:
    lanes = make_lanes(request.param, 2, seed=0)
    lanes.reset()
    return lanes


@pytest.mark.parametrize("action", BAD_ACTIONS, ids=lambda action: f"{action.dtype} {action.tolist()}")
def test_bad_actions_are_refused(running: Lanes, action: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(action: np.ndarray) -> NoReturn:
        raise AssertionError(f"the emulator got {action}, and may hang for ever")

    if isinstance(running, atari.AtariLanes):
        monkeypatch.setattr(running._env, "send", hang)
    with pytest.raises(ValueError, match="actions must"):
        running.send(action)
    monkeypatch.undo()
    running.send(np.full(2, running.num_actions - 1))  # the largest is fine, and the refusal left the lanes usable
    assert running.recv().frame.any()
