"""Play a checkpoint: whole games at the evaluation epsilon, without noise. The only place that defines "score".

python eval.py runs/der/RoadRunner/seed0
python eval.py runs/der/RoadRunner/seed0 --video film.mp4
"""

import experiment.interrupt  # noqa: F401  the first of all imports: it answers Ctrl-C within the others

# isort: split
from experiment.command import run
from options import Evaluation
from options import eval_main as main

if __name__ == "__main__":
    run(main)  # reads the command line; if that is good it imports this file, and torch with it

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from agents.agent import Agent
from agents.config import config_from_dict
from agents.execution import Execution
from envs.atari import ColourTwin
from envs.games import GAMES, find_game
from envs.lanes import SIDE, Episode, Lanes, Step
from envs.make import make_lanes
from experiment.checkpoint import load_checkpoint
from experiment.command import UserError, user_errors
from experiment.device import choose_device, keep_threads
from experiment.film import open_film
from experiment.folder import CHECKPOINT, SCORE, older
from experiment.outside import require
from experiment.progress import Progress
from experiment.score import read_score
from replay.stack import FrameStack

LANES = 20  # games side by side; 100 episodes are 5 a lane
SEED_OF_EVALUATION = 1  # keeps the no-ops of an evaluation apart from those of the training with the same seed
FRAMES_PER_SECOND = 15  # an env step is 4 frames of a console that shows 60 a second


def play_on(agent: Agent, lanes: Lanes, frame: np.ndarray, seed: int) -> Iterator[tuple[np.ndarray, Step]]:
    """Play on from `frame`, uint8 [L, H, W]: each action, int64 [L], and what comes of it. The agent is left as it was."""
    generator = torch.Generator(agent.device).manual_seed(_seed(seed))
    stack = FrameStack(lanes.num_lanes, SIDE, agent.device)
    stack.push_(frame, np.ones(lanes.num_lanes, bool))
    while True:
        action = agent.act(stack.frames, generator).numpy(force=True)
        lanes.send(action)
        step = lanes.recv()
        yield action, step
        stack.push_(step.frame, step.life_lost | step.game_over | step.truncated)


def evaluate(agent: Agent, game: str, episodes: int, seed: int) -> list[Episode]:
    """Play `episodes` whole games of `game` and return them, lane after lane.

    Each lane has its quota from the start, so that short games are not favoured. The agent is left as it was.
    """
    lanes = make_lanes(game, min(episodes, LANES), _seed(seed))
    wanted = np.full(lanes.num_lanes, episodes // lanes.num_lanes)
    wanted[: episodes % lanes.num_lanes] += 1
    played: list[Episode] = []
    progress = Progress(f"evaluating on {game}", episodes, "games")
    for _, step in play_on(agent, lanes, lanes.reset(), seed):
        for episode in step.finished:
            if wanted[episode.lane]:
                wanted[episode.lane] -= 1
                played.append(episode)
                progress.advance(1)
                if len(played) % 10 == 0:
                    progress.note({"return": float(np.mean([e.score for e in played]))})
        if not wanted.any():
            break
    progress.close()
    lanes.close()
    return sorted(played, key=lambda e: e.lane)


def summary(episodes: list[Episode], game: str) -> dict[str, Any]:
    """The score (mean raw return), its human-normalised value, its standard error, and the returns it is made of."""
    returns = [episode.score for episode in episodes]
    score = float(np.mean(returns))
    error = float(np.std(returns, ddof=1) / np.sqrt(len(returns))) if len(returns) > 1 else None
    return {
        "score": score,
        "hns": find_game(game).normalised(score),
        "episodes": len(episodes),
        "standard_error": error,
        "mean_length": float(np.mean([episode.length for episode in episodes])),
        "returns": returns,
    }


def _seed(seed: int) -> int:
    return int(np.random.SeedSequence((seed, SEED_OF_EVALUATION)).generate_state(1)[0])


def film(agent: Agent, game: str, seed: int, path: Path, env_steps: int | None = None) -> tuple[float, int]:
    """Film a game, in colour and at real speed, to `path`, to its end or for `env_steps`; its return and length so far.

    UserError if the film cannot be written.
    """
    lanes = make_lanes(game, 1, _seed(seed))
    twin = ColourTwin(game, _seed(seed)) if game in GAMES else None  # the game in colour, which the toy game has not
    frame = lanes.reset()
    picture = twin.reset() if twin else frame[0]
    earned, length = 0.0, 0
    with open_film(path, FRAMES_PER_SECOND, *picture.shape[:2]) as add:
        add(picture)
        for action, step in play_on(agent, lanes, frame, seed):
            earned, length = earned + float(step.reward[0]), length + 1
            if step.finished or length == env_steps:
                break
            add(twin.step(action) if twin else step.frame[0])
    lanes.close()
    if twin:
        twin.close()
    return earned, length


def load_agent(folder: Path, device_name: Literal["auto", "cpu", "cuda"]) -> tuple[Agent, dict[str, Any]]:
    """The agent of the checkpoint in `folder`; the settings of its run, and `env_step`, after how many. UserError if none is.

    The settings are the checkpoint's own, which has a checksum.
    """
    path = folder / CHECKPOINT
    if not path.exists() and not older(path).exists():
        raise UserError(f"{folder} is no run folder: it has no {CHECKPOINT}")
    device = choose_device(device_name)
    state = load_checkpoint(path)
    require(state.get("settings", {}).get("imports", {}), folder)
    try:
        settings = state["settings"]
        config, game, seed = config_from_dict(settings["config"]), settings["game"], settings["seed"]
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path} is of no agent of this version: {error}") from error
    with user_errors():
        lanes = make_lanes(game, 1, 0)
    keep_threads(state, device)
    agent = Agent(config, lanes.num_actions, device=device, seed=seed, execution=acting(settings, device.type))
    lanes.close()
    agent.load_state_dict(state["agent"], streams=False)  # an evaluation has its own
    return agent, settings | {"env_step": state["env_step"]}


def games_of(folder: Path, settings: dict[str, Any]) -> int:
    """How many games the run's own evaluation has: that of its score, which may have been asked for after the training."""
    score = folder / SCORE
    return len(read_score(score)["returns"]) if score.exists() else settings["eval_episodes"]


def acting(settings: dict[str, Any], device: str) -> Execution:
    """How the run's own evaluation computed, as far as the type of `device` can: bfloat16 is for updates alone."""
    precision = settings.get("execution", {}).get("precision", "float32")
    return Execution("tf32" if precision == "tf32" and device == "cuda" else "float32")


def play(asked: Evaluation) -> None:
    """Evaluate and film as `asked`, and print what comes of it."""
    agent, settings = load_agent(asked.folder, asked.device)
    game, seed = settings["game"], settings["seed"] if asked.seed is None else asked.seed
    if asked.video is not None:
        earned, length = film(agent, game, seed, asked.video, asked.video_steps)
        print(f"{asked.video}: {game}, return {earned:g} in {length} env steps")
    episodes = games_of(asked.folder, settings) if asked.episodes is None else asked.episodes
    if not episodes and asked.video is None:
        raise UserError(f"the run in {asked.folder} has no evaluation; say --episodes")
    if settings["env_step"] < settings["env_steps"]:
        print(f"after {settings['env_step']:,} of {settings['env_steps']:,} env steps:")
    if episodes:
        result = summary(evaluate(agent, game, episodes, seed), game)
        error = f" +- {result['standard_error']:.1f}" if result["standard_error"] is not None else ""
        print(f"{game}: score {result['score']:.1f}{error}, hns {result['hns']:.3f}, {episodes} episodes")
