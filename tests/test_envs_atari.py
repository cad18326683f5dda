"""What envs/atari.py promises; test_envs_wrappers.py compares it with gymnasium's own wrappers."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from envs.atari import AtariLanes, ColourTwin
from envs.lanes import SIDE, Episode, Step


def spy(lanes: AtariLanes, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, np.ndarray]]:
    """A list that grows by the emulator's info at every reset and env step of `lanes`."""
    infos: list[dict[str, np.ndarray]] = []

    def watched(call: Callable[..., tuple]) -> Callable[..., tuple]:
        def inner(**kwargs: Any) -> tuple:
            result = call(**kwargs)
            infos.append({name: result[-1][name].copy() for name in ("lives", "episode_frame_number")})
            return result

        return inner

    for name in ("reset", "recv"):
        monkeypatch.setattr(lanes._env, name, watched(getattr(lanes._env, name)))
    return infos


def play(lanes: AtariLanes, steps: int, course: int = 0) -> tuple[np.ndarray, list[Step]]:
    """First frames and steps of `lanes` under random actions; lane l takes course `course` + l of eight fixed ones."""
    actions = np.random.default_rng(0).integers(lanes.num_actions, size=(steps, 8))[:, course : course + lanes.num_lanes]
    return lanes.reset(), [lanes.step(action) for action in actions]


def assert_same(a: Step, b: Step, lanes: slice = slice(None)) -> None:
    """The lanes `lanes` of `a` are what `b` is."""
    for name in ("frame", "reward", "life_lost", "game_over", "truncated"):
        np.testing.assert_array_equal(getattr(a, name)[lanes], getattr(b, name), name)
    assert [e[1:] for e in a.finished if e.lane in range(*lanes.indices(len(a.reward)))] == [e[1:] for e in b.finished]


def test_lanes_together_equal_each_lane_alone() -> None:
    together = [AtariLanes("Breakout", 3, seed=5, threads=threads) for threads in (1, 2)]
    played = [play(lanes, 200) for lanes in together]
    for _, steps in played:  # lanes end games at unlike times
        assert len({step.game_over.tobytes() for step in steps if step.game_over.any()}) > 1
    for lane in range(3):
        alone = AtariLanes("Breakout", 1, seed=5)
        if lane > 0:  # the first lane's seed does not depend on the number of lanes
            alone._seeds = together[0]._seeds[lane : lane + 1]
        first_alone, steps_alone = play(alone, 200, lane)
        for first, steps in played:
            np.testing.assert_array_equal(first[lane], first_alone[0])
            for step, step_alone in zip(steps, steps_alone, strict=True):
                assert_same(step, step_alone, slice(lane, lane + 1))


def test_the_seed_decides_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Assault, because its games depend on the emulator's past: `reset` must clear that too."""
    lanes, twin = AtariLanes("Assault", 2, seed=1, cap=30), AtariLanes("Assault", 2, seed=1, cap=30)
    infos = spy(lanes, monkeypatch)
    first, steps = play(lanes, 75)
    for again in (lanes, twin):
        first_again, steps_again = play(again, 75)
        np.testing.assert_array_equal(first, first_again)
        for a, b in zip(steps, steps_again, strict=True):
            assert_same(a, b)
    noops = infos[0]["episode_frame_number"]
    assert len(set(noops.tolist())) > 1  # the lanes of one seed differ
    other = AtariLanes("Assault", 2, seed=2)
    other_infos = spy(other, monkeypatch)
    other.reset()
    assert (noops != other_infos[0]["episode_frame_number"]).any()


def test_noops_are_0_to_30(monkeypatch: pytest.MonkeyPatch) -> None:
    lanes = AtariLanes("Pong", 2, seed=3, cap=1)  # every env step starts a new game, hence draws again
    infos = spy(lanes, monkeypatch)
    play(lanes, 120)
    counts = np.array([info["episode_frame_number"] for info in infos])
    assert set(counts.ravel().tolist()) == set(range(31))
    assert abs(counts.mean() - 15) < 4 * np.sqrt((31**2 - 1) / 12 / counts.size)  # four standard errors of a uniform draw


def test_arrays_handed_out_stay_as_they_were() -> None:
    lanes = AtariLanes("Breakout", 2, seed=0)
    held = [lanes.reset()]
    copies = [held[0].copy()]
    for action in np.random.default_rng(0).integers(lanes.num_actions, size=(300, 2)):
        step = lanes.step(action)
        held += [step.frame, step.reward, step.life_lost, step.game_over]
        copies += [array.copy() for array in held[-4:]]
    lanes.reset()
    assert all(len({array.tobytes() for array in copies[kind::4]}) > 1 for kind in (1, 2, 3, 4))  # each has had to change
    for a, b in zip(held, copies, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_cap_truncates_at_its_very_env_step(monkeypatch: pytest.MonkeyPatch) -> None:
    lanes = AtariLanes("Assault", 2, seed=0, cap=60)
    infos = spy(lanes, monkeypatch)
    steps = play(lanes, 180)[1]
    for t, step in enumerate(steps, 1):
        assert not step.game_over.any()
        assert step.truncated.tolist() == [t % 60 == 0] * 2
        scores = sum(s.reward.astype(float) for s in steps[t - 60 : t]) if t % 60 == 0 else ()
        assert step.finished == tuple(Episode(lane, score, 60) for lane, score in enumerate(scores))
        now, before = infos[t]["episode_frame_number"], infos[t - 1]["episode_frame_number"]
        assert (now <= 30).all() if t % 60 == 0 else (now == before + 4).all()  # a new game begins within the cap's env step
    assert sum(step.reward.sum() for step in steps) > 0  # or the scores above would say nothing


def test_a_game_that_ends_at_the_cap_is_over_not_truncated() -> None:
    uncut = play(AtariLanes("Breakout", 1, seed=0), 400)[1]
    end = next(t for t, step in enumerate(uncut, 1) if step.game_over[0])
    for cap, over in ((end, True), (end - 1, False)):
        last = play(AtariLanes("Breakout", 1, seed=0, cap=cap), cap)[1][-1]
        assert (last.game_over[0], last.truncated[0]) == (over, not over)


def test_a_lost_life_neither_ends_nor_restarts_the_game(monkeypatch: pytest.MonkeyPatch) -> None:
    """Breakout has 5 lives: a game is 4 flags and an end, one frame count throughout, and one score over all lives."""
    lanes = AtariLanes("Breakout", 1, seed=0)
    infos = spy(lanes, monkeypatch)
    lives, scores = [5], [0.0]  # life counts, and the score of each life, in the game that runs
    late = 0  # games that scored in their first life and again later
    for t, step in enumerate(play(lanes, 1500)[1], 1):
        scores[-1] += step.reward.item()
        if step.game_over[0]:
            assert lives == [5, 4, 3, 2, 1]
            assert step.finished[0].score == sum(scores)
            late += scores[0] > 0 and sum(scores[1:]) > 0
            lives, scores = [5], [0.0]
            continue
        assert step.finished == ()
        assert infos[t]["episode_frame_number"].item() == infos[t - 1]["episode_frame_number"].item() + 4
        if step.life_lost[0]:
            lives.append(infos[t]["lives"].item())
            scores.append(0.0)
        assert infos[t]["lives"].item() == lives[-1]
    assert late > 0


def test_bank_heist_loses_its_last_spare_life_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator's own life-loss flag misses this one, for the count falls to 0 while the game still runs."""
    lanes = AtariLanes("BankHeist", 1, seed=0, max_noops=0)
    infos = spy(lanes, monkeypatch)
    steps = play(lanes, 700)[1]
    lives = [info["lives"].item() for info in infos]
    fall = next(t for t in range(1, len(lives)) if (lives[t - 1], lives[t]) == (1, 0))
    assert steps[fall - 1].life_lost[0]
    after = next(t for t in range(fall + 1, len(lives)) if steps[t - 1].game_over[0])
    assert after > fall + 50
    assert not any(step.life_lost[0] or step.truncated[0] for step in steps[fall:after])
    frames = [info["episode_frame_number"].item() for info in infos[fall - 1 : after]]
    assert np.diff(frames).tolist() == [4] * (len(frames) - 1)


def test_the_colour_twin_stays_in_step() -> None:
    """In Breakout a picture's luminance, made as small as a frame, is the frame, bit for bit and over new games too."""
    lanes, twin = AtariLanes("Breakout", 1, seed=4), ColourTwin("Breakout", seed=4)

    def small(picture: np.ndarray) -> np.ndarray:
        grey = np.round(picture @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
        return cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA)

    np.testing.assert_array_equal(small(twin.reset()), lanes.reset()[0])
    ends = 0
    for action in np.random.default_rng(0).integers(lanes.num_actions, size=(500, 1)):
        picture, step = twin.step(action), lanes.step(action)
        assert (picture.shape, picture.dtype) == ((210, 160, 3), np.uint8)
        assert (picture[..., 0] != picture[..., 2]).any()  # in colour
        np.testing.assert_array_equal(small(picture), step.frame[0])
        ends += step.game_over.item()
    assert ends > 0
