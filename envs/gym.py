"""The benchmark's protocol as gymnasium environments, for agents of other libraries.

    import envs.gym
    env = gymnasium.make("Atari100k/Pong-v0")                     # one game
    envs = gymnasium.make_vec("Atari100k/Pong-v0", num_envs=8)    # eight, emulated in C++ threads

All 26 games and Catch, named as in envs.games. From the same seed and actions they give what `make_lanes` gives:
docs/protocol.md says what that is. No wrapper is needed behind them: frames are skipped, made small and stacked already.

For learning say `terminal_on_life_loss=True, clip_reward=True`, as this benchmark's agents do (and as the wrappers of
stable-baselines3 and CleanRL do). Both are off by default, so that an episode is a whole game and the sum of its rewards is
its score: what RecordEpisodeStatistics, stable-baselines3's Monitor and evaluate_policy then report. With either on, these
report lives or clipped sums, but `info["score"]` is still the game's.

A process that does not inherit this one's memory must import this file too: "envs.gym:Atari100k/Pong-v0" does so.
"""

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from envs.atari import ColourTwin
from envs.games import GAMES, TOY
from envs.lanes import SIDE
from envs.make import make_lanes

STACK = 4  # frames of an observation


class Atari100kVectorEnv(VectorEnv):
    """L games of one kind. Observations uint8 [L, 4, 84, 84], newest frame last; actions int64 [L]; rewards float32 [L].

    Frames before the first of a game are black, and so are those before a lost life. A game that ends starts anew within the
    same env step (AutoresetMode.SAME_STEP): the observation is then of the new game, `info["final_obs"]` of the old one.
    `info` always has `raw_reward` float32 [L] and `life_lost` bool [L]; where a game has ended `score`, the sum of its raw
    rewards, and `length` in env steps; where an episode has ended `final_obs`; each has a mask, as usual: `_score` and so on.
    """

    def __init__(self, game: str, num_envs: int, *, terminal_on_life_loss: bool = False, clip_reward: bool = False) -> None:
        """With `terminal_on_life_loss` a lost life ends an episode, and the game goes on in the next one.

        With `clip_reward` rewards lie in [-1, 1]. ValueError if the emulator lacks the game's ROM.
        """
        self._lanes = make_lanes(game, num_envs, 0)  # every reset brings a seed
        self._terminal_on_life_loss, self._clip_reward = terminal_on_life_loss, clip_reward
        self._stack = np.zeros((num_envs, STACK, SIDE, SIDE), np.uint8)
        self.num_envs = num_envs
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": []}
        self.single_observation_space = spaces.Box(0, 255, (STACK, SIDE, SIDE), np.uint8)
        self.single_action_space = spaces.Discrete(self._lanes.num_actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        """Start all games anew: from `seed` as `make_lanes` does, or from one drawn. There are no `options`."""
        if options and "reset_mask" in options:
            raise ValueError("reset_mask: games start anew by themselves, and only all of them by a reset")
        super().reset(seed=seed)
        frame = self._lanes.reset(int(self.np_random.integers(2**31)) if seed is None else seed)
        self._stack = self._pushed(frame, np.ones(self.num_envs, bool))
        return self._stack.copy(), {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One env step of all games. ValueError unless `actions` are int64 [L] and in range."""
        self._lanes.send(actions)
        step = self._lanes.recv()
        info: dict[str, Any] = {}
        for game in step.finished:
            final = self._pushed(self._lanes.last_frame, np.zeros(self.num_envs, bool))[game.lane]
            info = self._add_info(info, {"final_obs": final, "score": game.score, "length": game.length}, game.lane)
        self._stack = self._pushed(step.frame, step.life_lost | step.game_over | step.truncated)
        terminated = step.game_over
        if self._terminal_on_life_loss:
            terminated = step.game_over | step.life_lost
            for lane in np.flatnonzero(step.life_lost):
                info = self._add_info(info, {"final_obs": self._stack[lane].copy()}, lane)
        reward = step.reward.clip(-1, 1) if self._clip_reward else step.reward
        every = np.ones(self.num_envs, bool)
        info |= {"raw_reward": step.reward.copy(), "_raw_reward": every}
        info |= {"life_lost": step.life_lost, "_life_lost": every.copy()}
        return self._stack.copy(), reward, terminated, step.truncated, info

    def close_extras(self, **kwargs: Any) -> None:
        """Free the emulators."""
        self._lanes.close()

    def _pushed(self, frame: np.ndarray, ended: np.ndarray) -> np.ndarray:
        """The stacks with `frame` uint8 [L, 84, 84] added; black before it where `ended`, bool [L]."""
        older = self._stack[:, 1:] * ~ended[:, None, None, None]
        return np.concatenate((older, frame[:, None]), axis=1)


class Atari100kEnv(gymnasium.Env):
    """One game. Observations uint8 [4, 84, 84], newest frame last; the smallest action set of the game.

    `info` has `raw_reward` and `life_lost`, and at the end of a game `score` and `length` in env steps.

    A reset behind an episode's end goes on in the same emulator, as lanes do: with the next game or, behind a lost life that
    ended the episode, with the same one. A reset in the midst of an episode starts anew from a seed that is drawn from
    `np_random`. `render_mode="rgb_array"` emulates each frame a second time, in colour, [210, 160, 3] (Catch: [84, 84, 3]).
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 15}  # an env step is 4 of 60 a second

    def __init__(
        self, game: str, *, render_mode: str | None = None, terminal_on_life_loss: bool = False, clip_reward: bool = False
    ) -> None:
        """`terminal_on_life_loss` and `clip_reward` as in Atari100kVectorEnv."""
        self._lane = Atari100kVectorEnv(game, 1, terminal_on_life_loss=terminal_on_life_loss, clip_reward=clip_reward)
        self.observation_space, self.action_space = self._lane.single_observation_space, self._lane.single_action_space
        self.render_mode = render_mode
        self._twin = ColourTwin(game, 0) if render_mode is not None and game in GAMES else None
        self._next: tuple[np.ndarray, np.ndarray | None] | None = None  # behind an episode's end: stack and picture of the next
        self._playing = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode; there are no `options`. From the same `seed`, what `make_lanes` gives for one lane."""
        super().reset(seed=seed)
        if seed is not None or self._next is None:
            seed = int(self.np_random.integers(2**31)) if seed is None else seed
            stack, _ = self._lane.reset(seed=seed)
            self._next = stack[0], self._twin.reset(seed) if self._twin else None
        (self._seen, self._picture), self._next, self._playing = self._next, None, True
        return self._seen.copy(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One env step. ResetNeeded if no episode runs, ValueError if `action` is out of range."""
        if not self._playing:
            raise ResetNeeded("no episode is running: call reset()")
        chosen = np.array([int(action)])
        stack, reward, terminated, truncated, infos = self._lane.step(chosen)
        picture = self._twin.step(chosen) if self._twin else None
        info = {name: infos[name][0].item() for name in ("raw_reward", "life_lost", "score", "length") if name in infos}
        self._playing = not (terminated[0] or truncated[0])
        self._seen = stack[0]
        if not self._playing:
            self._next, self._seen = (self._seen, picture), infos["final_obs"][0]
        if "score" not in info:  # else the twin, too, is in the next game already
            self._picture = picture
        return self._seen.copy(), reward[0].item(), bool(terminated[0]), bool(truncated[0]), info

    def render(self) -> np.ndarray | None:
        """The picture, uint8 [H, W, 3], if that was asked for."""
        if self.render_mode is None:
            return None
        return np.stack([self._seen[-1]] * 3, axis=-1) if self._picture is None else self._picture.copy()

    def close(self) -> None:
        """Free the emulators."""
        self._lane.close()
        if self._twin:
            self._twin.close()


for _game in (*GAMES, TOY.name):
    gymnasium.register(
        f"Atari100k/{_game}-v0",
        entry_point="envs.gym:Atari100kEnv",
        vector_entry_point="envs.gym:Atari100kVectorEnv",
        kwargs={"game": _game},
    )
