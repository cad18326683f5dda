"""envs/atari.py against gymnasium's own wrappers, which share nothing with it but the emulator, and its stated promises."""

from collections.abc import Callable
from typing import Any

import ale_py
import cv2
import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation

from envs.atari import AtariLanes, ColourTwin
from envs.games import GAMES
from envs.lanes import SIDE, Episode, Step
from replay.batch import STACK
from replay.stack import FrameStack

gymnasium.register_envs(ale_py)

# Games that 1,000 random env steps do not end, or in which they lose no life: all others must show the event.
NO_END = {"BattleZone", "Boxing", "CrazyClimber", "DemonAttack", "Freeway", "Gopher", "Hero", "Krull", "PrivateEye"}
NO_LOSS = {"Boxing", "Freeway", "Pong", "PrivateEye"}
# The env step of the first lost life, where it comes early, and of the first game's end, where that does.
FIRST_LOSS = {"Alien": 169, "Amidar": 183, "Assault": 65, "Asterix": 71, "BankHeist": 235, "BattleZone": 229, "Breakout": 28}
FIRST_LOSS |= {"ChopperCommand": 219, "DemonAttack": 174, "Frostbite": 157, "Hero": 86, "Jamesbond": 78, "Kangaroo": 289}
FIRST_LOSS |= {"KungFuMaster": 224, "MsPacman": 193, "Qbert": 50, "RoadRunner": 40, "Seaquest": 68, "UpNDown": 85}
FIRST_END = {"Asterix": 277, "Breakout": 184, "Qbert": 315, "Seaquest": 310}


class Reference:
    """One lane built from gymnasium's wrappers, no-ops off. It starts a new game by itself, as AtariLanes does."""

    def __init__(self, game: str) -> None:
        settings = {"frameskip": 1, "repeat_action_probability": 0.0, "obs_type": "grayscale"}
        env = gymnasium.make(f"ALE/{game}-v5", **settings, disable_env_checker=True)
        self.env = FrameStackObservation(AtariPreprocessing(env, noop_max=0), STACK, padding_type="zero")
        self.finished: list[Episode] = []
        self.begin(seed=0)

    def begin(self, seed: int | None = None) -> None:
        """A plain reset. In Assault and Seaquest a game depends on the games before it in the same emulator: still equal,
        for both emulators have loaded the ROM once and lived through the same games since."""
        self.stack, info = self.env.reset(seed=seed)
        self.lives = info["lives"]
        self.age = 1  # frames since the last life loss
        self.rewards: list[float] = []

    def step(self, action: int) -> tuple[float, bool, bool, bool]:
        """Raw reward, life lost, game over, truncated."""
        self.stack, reward, over, truncated, info = self.env.step(action)
        self.rewards.append(reward)
        lost = info["lives"] < self.lives and not (over or truncated)
        self.lives = info["lives"]
        self.age = 1 if lost else self.age + 1
        if over or truncated:
            self.finished.append(Episode(0, sum(self.rewards), len(self.rewards)))
            self.begin()
        else:
            self.stack[: max(STACK - self.age, 0)] = 0  # our rule, which the wrappers lack: black before a lost life
        return reward, lost, over, truncated


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


def compare(game: str, steps: int) -> tuple[list[int], int]:
    """Play both under the same random actions, which must give the same; the env steps with a lost life, and games ended.

    Bit for bit. Holds where both are built with the same kind of OpenCV; a port may differ by 1 in a pixel's value.
    """
    lanes, reference = AtariLanes(game, 1, seed=0, max_noops=0), Reference(game)
    stack = FrameStack(1, SIDE, "cpu")
    stack.push_(torch.from_numpy(lanes.reset()), torch.tensor([True]))
    assert np.array_equal(stack.frames[0], reference.stack)
    finished: list[Episode] = []
    losses = []
    for t, action in enumerate(np.random.default_rng(0).integers(lanes.num_actions, size=steps), 1):
        step = lanes.step(np.array([action]))
        told = (step.reward.item(), step.life_lost.item(), step.game_over.item(), step.truncated.item())
        assert told == reference.step(int(action))
        assert np.array_equal(step.frame[0], reference.stack[-1])
        stack.push_(torch.from_numpy(step.frame), torch.from_numpy(step.life_lost | step.game_over | step.truncated))
        assert np.array_equal(stack.frames[0], reference.stack)
        assert lanes._lives.item() == reference.lives
        finished.extend(step.finished)
        losses += [t] if step.life_lost.item() else []
    assert finished == reference.finished
    lanes.close()
    reference.env.close()
    return losses, len(finished)


@pytest.mark.slow
@pytest.mark.parametrize("game", GAMES)
def test_a_thousand_env_steps_equal_the_gymnasium_wrappers(game: str) -> None:
    losses, ends = compare(game, 1000)
    assert bool(ends) == (game not in NO_END)
    assert bool(losses) == (game not in NO_LOSS)


@pytest.mark.parametrize("game", GAMES)
def test_equals_the_gymnasium_wrappers(game: str) -> None:
    """Until 20 env steps behind the first end of a game or lost life; 150 env steps of games that show neither early."""
    event = FIRST_END.get(game) or FIRST_LOSS.get(game)
    losses, ends = compare(game, event + 20 if event else 150)
    assert losses[:1] == [FIRST_LOSS[game]] if game in FIRST_LOSS else not losses
    assert ends == (game in FIRST_END)


def test_lanes_together_equal_each_lane_alone() -> None:
    together = [AtariLanes("Breakout", 3, seed=5, threads=threads) for threads in (1, 2)]
    played = [play(lanes, 260) for lanes in together]
    for _, steps in played:  # lanes end games at unlike times
        assert len({step.game_over.tobytes() for step in steps if step.game_over.any()}) > 1
    for lane in range(3):
        alone = AtariLanes("Breakout", 1, seed=5)
        if lane > 0:  # the first lane's seed does not depend on the number of lanes
            alone._seeds = together[0]._seeds[lane : lane + 1]
        first_alone, steps_alone = play(alone, 260, lane)
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
