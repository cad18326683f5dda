"""envs/gym.py against the lanes, which it must equal, and against gymnasium's own checks."""

import functools
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import RecordEpisodeStatistics
from gymnasium.wrappers.vector import RecordEpisodeStatistics as RecordVector

import envs.gym
from envs.atari import AtariLanes, _emulators, _seeds
from envs.games import GAMES, TOY
from envs.lanes import SIDE, Step
from envs.make import make_lanes
from replay.batch import STACK
from replay.stack import FrameStack

LEARNING = {"terminal_on_life_loss": True, "clip_reward": True}


def make(game: str, **kwargs: Any) -> gymnasium.Env:
    return gymnasium.make(f"Atari100k/{game}-v0", **kwargs)


def make_vec(game: str, num_envs: int, **kwargs: Any) -> gymnasium.vector.VectorEnv:
    return gymnasium.make_vec(f"Atari100k/{game}-v0", num_envs=num_envs, **kwargs)


class Reference:
    """Lanes and the stack that is acted upon, as train.py and eval.py have them."""

    def __init__(self, game: str, num_lanes: int, seed: int) -> None:
        self.lanes = make_lanes(game, num_lanes, seed)
        self.stack = FrameStack(num_lanes, SIDE, "cpu")
        self.stack.push_(self.lanes.reset(), np.ones(num_lanes, bool))

    def step(self, action: np.ndarray) -> tuple[np.ndarray, Step]:
        """The stacks behind `action` and what else came of it."""
        self.lanes.send(action)
        step = self.lanes.recv()
        self.stack.push_(step.frame, step.life_lost | step.game_over | step.truncated)
        return self.stack.frames.numpy().copy(), step


def steps_of(game: str) -> int:
    """So many that games end in Breakout, with lives lost, and in Catch."""
    return {"Breakout": 400, "Catch": 40}.get(game, 30)


@pytest.mark.parametrize("learning", [{}, LEARNING], ids=["raw", "learning"])
@pytest.mark.parametrize("game", ["Breakout", "Catch"])
def test_one_game_equals_a_lane(game: str, learning: dict[str, bool]) -> None:
    """At every reset and between them; at an end the observation is the game's last, which the lane's stack does not hold."""
    reference, env = Reference(game, 1, seed=3), make(game, **learning)
    observation, _ = env.reset(seed=3)
    losses = ends = 0
    for action in np.random.default_rng(0).integers(reference.lanes.num_actions, size=(steps_of(game), 1)):
        before = observation
        observation, reward, terminated, truncated, info = env.step(action.item())
        stack, step = reference.step(action)
        raw, lost, over = step.reward.item(), step.life_lost.item(), step.game_over.item()
        assert (info["raw_reward"], info["life_lost"], truncated) == (raw, lost, False)
        assert reward == (np.clip(raw, -1, 1) if learning else raw)
        assert terminated == (over or (lost and bool(learning)))
        assert [(info["score"], info["length"])] == [e[1:] for e in step.finished] if over else "score" not in info
        if over:
            np.testing.assert_array_equal(observation[:-1], before[1:])
        else:
            np.testing.assert_array_equal(observation, stack[0])
        if terminated:
            observation, info = env.reset()
            assert info == {}
            np.testing.assert_array_equal(observation, stack[0])
        losses, ends = losses + lost, ends + over
    assert ends > 1
    assert losses > 4 or game == "Catch"


def by_default(*names: str) -> list[Any]:
    """All games for `parametrize`; those that are not `names` are slow, for what is tried is the same code in each."""
    return [name if name in names else pytest.param(name, marks=pytest.mark.slow) for name in (*GAMES, TOY.name)]


@pytest.mark.parametrize("game", by_default("Breakout", "Catch", "Pong", "Qbert"))
def test_many_games_equal_lanes(game: str) -> None:
    reference, env = Reference(game, 2, seed=5), make_vec(game, 2)
    assert isinstance(env, envs.gym.Atari100kVectorEnv)
    observation, _ = env.reset(seed=5)
    np.testing.assert_array_equal(observation, reference.stack.frames.numpy())
    ends = 0
    for action in np.random.default_rng(1).integers(reference.lanes.num_actions, size=(steps_of(game), 2)):
        observation, reward, terminated, truncated, info = env.step(action)
        stack, step = reference.step(action)
        told = (observation, reward, terminated, truncated, info["life_lost"], info["raw_reward"])
        lane = (stack, step.reward, step.game_over, step.truncated, step.life_lost, step.reward)
        for ours, theirs in zip(told, lane, strict=True):
            np.testing.assert_array_equal(ours, theirs)
            assert ours.dtype == theirs.dtype
        assert observation in env.observation_space
        ended = np.flatnonzero(info.get("_score", []))
        assert [(lane, info["score"][lane], info["length"][lane]) for lane in ended] == [tuple(e) for e in step.finished]
        ends += len(ended)
    assert ends > 2 or game not in ("Breakout", "Catch")
    env.close()


@pytest.mark.parametrize("learning", [{}, LEARNING], ids=["raw", "learning"])
def test_the_vector_environment_is_what_gymnasium_makes_of_single_ones(learning: dict[str, bool]) -> None:
    """Final observations too. One lane, for gymnasium seeds several otherwise."""
    mode = {"vectorization_mode": "sync", "vector_kwargs": {"autoreset_mode": AutoresetMode.SAME_STEP}}
    ours, theirs = make_vec("Breakout", 1, **learning), make_vec("Breakout", 1, **mode, **learning)
    np.testing.assert_array_equal(ours.reset(seed=1)[0], theirs.reset(seed=1)[0])
    finals = 0
    for action in np.random.default_rng(2).integers(4, size=(300, 1)):
        *a, info = ours.step(action)
        *b, other = theirs.step(action)
        for one, two in zip(a, b, strict=True):
            np.testing.assert_array_equal(one, two)
        assert ("final_obs" in info) == ("final_obs" in other)
        if "final_obs" in info:
            finals += 1
            np.testing.assert_array_equal(info["final_obs"][0], other["final_obs"][0])
    assert finals >= (5 if learning else 1)


def test_the_last_observation_is_the_emulators() -> None:
    """Against the emulator where it does not start a new game by itself."""
    plain = _emulators("Breakout", 1, noop_max=31, autoreset_mode=AutoresetMode.NEXT_STEP)
    env = make("Breakout")
    env.reset(seed=2)
    plain.reset(seed=_seeds(2, 1))
    terminated = False
    while not terminated:
        action = env.unwrapped.np_random.integers(4)
        observation, _, terminated, _, _ = env.step(action)
        np.testing.assert_array_equal(observation[-1], plain.step(np.array([action]))[0][0, 0])


def test_the_cap_truncates_and_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envs.gym, "make_lanes", functools.partial(AtariLanes, cap=60))
    env, vector = make("Assault"), make_vec("Assault", 2)
    env.reset(seed=0)
    vector.reset(seed=0)
    for t in range(1, 181):
        _, _, terminated, truncated, info = env.step(t % 7)
        assert (terminated, truncated, info.get("length")) == (False, t % 60 == 0, 60 if t % 60 == 0 else None)
        _, _, terminations, truncations, infos = vector.step(np.full(2, t % 7))
        assert (terminations.any(), truncations.all(), "final_obs" in infos) == (False, truncated, truncated)
        if truncated:
            env.reset()


@pytest.mark.slow
def test_the_cap_is_27000_env_steps() -> None:
    """Breakout waits for ever for the ball to be served."""
    env = make("Breakout")
    env.reset(seed=0)
    for t in range(1, 27_001):
        _, _, terminated, truncated, _ = env.step(0)
        assert (terminated, truncated) == (False, t == 27_000)


@pytest.mark.parametrize("game", by_default("Pong", "Catch"))
def test_gymnasium_finds_no_fault(game: str) -> None:
    """Its warnings are errors here. Every render mode is checked, too."""
    env = make(game)
    check_env(env.unwrapped)
    assert env.observation_space == gymnasium.spaces.Box(0, 255, (STACK, SIDE, SIDE), np.uint8)
    env.close()


def test_pictures_stay_in_step() -> None:
    """An environment that renders plays as one that does not; its picture at an end is the old game's."""
    plain, env = make("Breakout", **LEARNING), make("Breakout", render_mode="rgb_array", **LEARNING)
    np.testing.assert_array_equal(plain.reset(seed=4)[0], env.reset(seed=4)[0])
    twin = envs.gym.ColourTwin("Breakout", 4)
    ends, picture = 0, twin.reset()
    for action in np.random.default_rng(0).integers(4, size=(300, 1)):
        np.testing.assert_array_equal(env.render(), picture)
        (one, *rest), (two, *other) = plain.step(action.item()), env.step(action.item())
        np.testing.assert_array_equal(one, two)
        assert rest == other
        following = twin.step(action)
        over = "score" in rest[-1]
        np.testing.assert_array_equal(env.render(), picture if over else following)
        if rest[1]:
            plain.reset()
            env.reset()
        ends, picture = ends + over, following
    assert ends
    toy = make("Catch", render_mode="rgb_array")
    frame = toy.reset(seed=0)[0][-1]
    np.testing.assert_array_equal(toy.render(), np.stack([frame] * 3, axis=-1))


def test_resets() -> None:
    env = make("Breakout").unwrapped
    with pytest.raises(ResetNeeded):
        env.step(0)
    starts = []
    for _ in range(2):  # in the midst of a game a new one begins, and the seed decides that too
        env.reset(seed=6)
        env.step(1)
        starts.append(env.reset()[0])
        with pytest.raises(ValueError, match=r"lie in 0\.\.3"):
            env.step(4)
    np.testing.assert_array_equal(*starts)
    with pytest.raises(ValueError, match="reset_mask"):
        make_vec("Catch", 2).reset(options={"reset_mask": np.array([True, False])})
    toy = make("Catch").unwrapped
    toy.reset(seed=0)
    while not toy.step(0)[2]:
        pass
    with pytest.raises(ResetNeeded):
        toy.step(0)


def test_recorded_returns_are_scores() -> None:
    env, vector = RecordEpisodeStatistics(make("Catch")), RecordVector(make_vec("Catch", 3))
    env.reset(seed=0)
    vector.reset(seed=0)
    for _ in range(18):
        *_, info = vector.step(np.ones(3, np.int64))
        if "episode" in info:
            np.testing.assert_array_equal(info["episode"]["r"], info["score"])
            np.testing.assert_array_equal(info["episode"]["l"], info["length"])
        _, _, terminated, _, info = env.step(2)
        if terminated:
            assert (info["episode"]["r"], info["episode"]["l"]) == (info["score"], info["length"])
            env.reset()
    assert vector.episode_count == 9
