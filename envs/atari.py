"""Atari 2600 lanes with the Atari-100k protocol, on ALE's own vectorised emulator."""

import warnings

import numpy as np
from ale_py import roms
from ale_py.vector_env import AtariVectorEnv
from gymnasium.vector import AutoresetMode

from envs.games import GAMES
from envs.lanes import SIDE, EpisodeCounter, Step, check_action

EPISODE_CAP = 27_000  # env steps: 108,000 emulator frames, 30 minutes of play (Machado et al. 2018)
MAX_NOOPS = 30  # each game starts after 0..30 no-op frames


class AtariLanes:
    """L lanes of one game. The emulators run in C++ threads, without Python's lock, between `send` and `recv`.

    Frame skip 4, maximum over the last two frames, grayscale, area resize to 84 x 84, minimal action set, no sticky
    actions, no fire at reset. A lost life ends nothing: it is only reported. A game that ends starts anew within the same
    env step, so no action is wasted and no row has to be skipped.

    `seed` and the actions determine everything. Raises ValueError if the emulator lacks the game's ROM.
    """

    def __init__(
        self, game: str, num_lanes: int, seed: int, *, max_noops: int = MAX_NOOPS, cap: int = EPISODE_CAP, threads: int = 0
    ) -> None:
        """`cap` is in env steps; `threads` 0 lets the emulator choose: one a lane, at most one a core."""
        if num_lanes < 1 or cap < 1:
            raise ValueError(f"lanes and cap must be at least 1, not {num_lanes} and {cap}")  # the emulator would crash
        self._env = _emulators(game, num_lanes, noop_max=max_noops + 1, max_num_frames_per_episode=4 * cap, num_threads=threads)
        self.num_lanes = num_lanes
        self.num_actions = int(self._env.single_action_space.n)
        self._seeds = _seeds(seed, num_lanes)
        self._lives = np.zeros(num_lanes, np.int32)
        self._counter = EpisodeCounter(num_lanes)
        self._sent = False
        self.last_frame = np.zeros((num_lanes, SIDE, SIDE), np.uint8)

    def reset(self, seed: int | None = None) -> np.ndarray:
        """Start every lane anew from its seed, or from those of `seed`; the first frames, uint8 [L, 84, 84]."""
        if seed is not None:
            self._seeds = _seeds(seed, self.num_lanes)
        frame, info = self._env.reset(seed=self._seeds)
        self._lives = info["lives"]
        self._counter = EpisodeCounter(self.num_lanes)
        return frame[:, 0]

    def send(self, action: np.ndarray) -> None:
        """Start one env step with `action`, int64 [L]; returns at once."""
        check_action(action, self.num_lanes, self.num_actions)
        self._env.send(action)
        self._sent = True

    def recv(self) -> Step:
        """Wait for the env step that `send` started.

        A lost life is a fall of the emulator's life count, to whatever value (BankHeist falls to 0 while it goes on). In a
        lane whose game ended the count is already the new game's; there `game_over` or `truncated` tells all.
        """
        if not self._sent:
            raise RuntimeError("recv without send: the emulator would wait for ever")
        self._sent = False
        frame, reward, game_over, truncated, info = self._env.recv()
        done = game_over | truncated
        lives = info["lives"]
        life_lost = (lives < self._lives) & ~done
        self._lives = lives
        finished = self._counter.add(reward, done)
        if finished:
            self.last_frame = info["final_obs"][:, 0]
        return Step(frame[:, 0], reward.astype(np.float32), life_lost, game_over, truncated, finished)

    def step(self, action: np.ndarray) -> Step:
        """`send` and `recv` in one."""
        self.send(action)
        return self.recv()

    def close(self) -> None:
        """Free the emulators."""
        self._env.close()


class ColourTwin:
    """What a person would see of an `AtariLanes` of one lane: the same game from the same seed, in colour and full size.

    Same frame skip and maximum, and the emulator is deterministic: given the same actions the two stay in step.
    """

    def __init__(self, game: str, seed: int) -> None:
        self._env = _emulators(game, 1, noop_max=MAX_NOOPS + 1, grayscale=False, img_height=210, img_width=160)
        self._seeds = _seeds(seed, 1)

    def reset(self, seed: int | None = None) -> np.ndarray:
        """Start anew from the seed, or from `seed`; the first picture, uint8 [210, 160, 3]."""
        if seed is not None:
            self._seeds = _seeds(seed, 1)
        return self._env.reset(seed=self._seeds)[0][0, 0]

    def step(self, action: np.ndarray) -> np.ndarray:
        """Take one env step with `action`, int64 [1]; the picture after it, uint8 [210, 160, 3]."""
        check_action(action, 1, int(self._env.single_action_space.n))
        return self._env.step(action)[0][0, 0]

    def close(self) -> None:
        """Free the emulator."""
        self._env.close()


def _seeds(seed: int, num_lanes: int) -> np.ndarray:
    """A seed for each lane; int64 [L] below 2**31, which is what the emulator takes."""
    return np.random.SeedSequence(seed).generate_state(num_lanes).astype(np.int64) % 2**31


def _emulators(game: str, num_lanes: int, **changes: object) -> AtariVectorEnv:
    """ALE's vectorised emulator with the protocol's settings. ValueError if it lacks the game's ROM."""
    settings: dict[str, object] = {
        "autoreset_mode": AutoresetMode.SAME_STEP,
        "max_num_frames_per_episode": 4 * EPISODE_CAP,
        "repeat_action_probability": 0.0,
        "full_action_space": False,
        "img_height": SIDE,
        "img_width": SIDE,
        "stack_num": 1,
        "frameskip": 4,
        "maxpool": True,
        "episodic_life": False,
        "life_loss_info": False,
        "reward_clipping": False,
        "use_fire_reset": False,
    }
    rom = GAMES[game].rom
    with warnings.catch_warnings():  # ale-py warns of an unknown ROM and raises for an absent or damaged one: we say it once
        warnings.simplefilter("ignore")
        try:
            place = roms.get_rom_path(rom)
        except OSError:
            place = None
    if place is None:
        raise ValueError(f"the emulator has no ROM for {game} ({rom}.bin): reinstall ale-py, or unset ALE_ROMS_DIR")
    return AtariVectorEnv(rom, num_envs=num_lanes, **(settings | changes))
