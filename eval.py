"""Play a trained agent: whole games at the evaluation epsilon, without noise. The only place that defines "score".

python eval.py runs/der/RoadRunner/seed0
python eval.py runs/der/RoadRunner/seed0 --video film.mp4
python eval.py runs/der/RoadRunner/seed0 --export der-road_runner.safetensors
"""

import experiment.interrupt  # noqa: F401  the first of all imports: it answers Ctrl-C within the others

# isort: split
from evaluation import Evaluation, main
from experiment.command import run

if __name__ == "__main__":
    run(main)  # reads the command line; if that is good it imports this file, and torch with it

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from agents.agent import Agent
from agents.engine import configure
from envs.atari import ColourTwin
from envs.games import GAMES, find_game
from envs.lanes import SIDE, Episode, Lanes, Step
from envs.make import make_lanes
from experiment.command import UserError
from experiment.device import keep_threads
from experiment.film import open_film
from experiment.progress import Progress
from policy import Policy
from replay.stack import FrameStack

LANES = 20  # games side by side; 100 episodes are 5 a lane
SEED_OF_EVALUATION = 1  # keeps the no-ops of an evaluation apart from those of the training with the same seed
FRAMES_PER_SECOND = 15  # an env step is 4 frames of a console that shows 60 a second


class Player(Protocol):
    """Whatever can play, an agent of another library say; what it draws at random is its own affair."""

    def act(self, stack: np.ndarray) -> np.ndarray | torch.Tensor:
        """Actions, int64 [L], for stacks of frames, uint8 [L, 4, 84, 84], newest last."""
        ...


def play_on(agent: Agent | Player, lanes: Lanes, frame: np.ndarray, seed: int) -> Iterator[tuple[np.ndarray, Step]]:
    """Play on from `frame`, uint8 [L, H, W]: each action, int64 [L], and what comes of it. An Agent is left as it was."""
    device = agent.device if isinstance(agent, Agent) else torch.device("cpu")
    generator = torch.Generator(device).manual_seed(_seed(seed))
    stack = FrameStack(lanes.num_lanes, SIDE, device)
    stack.push_(frame, np.ones(lanes.num_lanes, bool))
    while True:
        if isinstance(agent, Agent):
            action = agent.act(stack.frames, generator).numpy(force=True)
        else:
            action = torch.as_tensor(agent.act(stack.frames.numpy().copy())).numpy(force=True)
        lanes.send(action)
        step = lanes.recv()
        yield action, step
        stack.push_(step.frame, step.life_lost | step.game_over | step.truncated)


def evaluate(agent: Agent | Player, game: str, episodes: int, seed: int) -> list[Episode]:
    """Play `episodes` whole games of `game` and return them, lane after lane.

    Each lane has its quota from the start, so that short games are not favoured. An Agent is left as it was.
    ValueError for less than one.
    """
    if episodes < 1:
        raise ValueError(f"episodes must be at least 1, not {episodes}")
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


def film(agent: Agent | Player, game: str, seed: int, path: Path, env_steps: int | None = None) -> tuple[float, int]:
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


def games_of(asked: Evaluation, policy: Policy) -> int:
    """How many games to play: as `asked`, else none with an export, else as many as the run's own evaluation has."""
    if asked.episodes is not None or asked.export is not None:
        return asked.episodes or 0
    score = policy.record["score"]
    return len(score["returns"]) if score is not None else policy.record["settings"]["eval_episodes"]


def play(asked: Evaluation) -> None:
    """Evaluate, film and export as `asked`, and print what comes of it."""
    policy = Policy.load(asked.folder, asked.device)
    keep_threads(policy.record, policy.agent.device)
    configure(policy.agent.execution, policy.agent.device)
    if asked.half:
        policy.halve_()
    settings, env_step = policy.record["settings"], policy.record["env_step"]
    game, seed = settings["game"], settings["seed"] if asked.seed is None else asked.seed
    if asked.video is not None:
        earned, length = film(policy.agent, game, seed, asked.video, asked.video_steps)
        print(f"{asked.video}: {game}, return {earned:g} in {length} env steps")
    episodes = games_of(asked, policy)
    if not episodes and asked.video is None and asked.export is None:
        raise UserError(f"the run in {asked.folder} has no evaluation; say --episodes")
    if env_step < settings["env_steps"]:
        print(f"after {env_step:,} of {settings['env_steps']:,} env steps:")
    if episodes:
        result = summary(evaluate(policy.agent, game, episodes, seed), game)
        policy.record["played"] = result | {"seed": seed}
        error = f" +- {result['standard_error']:.1f}" if result["standard_error"] is not None else ""
        print(f"{game}: score {result['score']:.1f}{error}, hns {result['hns']:.3f}, {episodes} episodes")
    if asked.export is not None:
        policy.save(asked.export)
        print(f"{asked.export}: {policy}")
