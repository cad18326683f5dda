"""A trained agent that plays: from its run folder, or from the one file that `python eval.py RUN --export FILE` makes.

from policy import Policy
policy = Policy.load("runs/der/RoadRunner/seed0")
action = policy.act(observation)  # the last four frames, uint8 [4, 84, 84]
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from agents.agent import Agent
from agents.catalogue import TABLES, fill
from agents.config import config_from_dict
from agents.execution import Execution
from envs.games import find_game
from envs.lanes import SIDE
from envs.make import make_lanes
from experiment.card import card
from experiment.checkpoint import load_checkpoint
from experiment.command import UserError, expanded, first_line, say, user_errors
from experiment.device import choose_device
from experiment.exported import read_exported, write_exported
from experiment.files import read_json, write_text, writing
from experiment.folder import CHECKPOINT, CONFIG, SCORE, older
from experiment.outside import bring_in, require
from experiment.score import read_score
from experiment.settings import OF_SCORES
from replay.batch import STACK

MODEL, CARD = "model.safetensors", "README.md"  # in an exported folder
FLOATS = {"float32": torch.float32, "float16": torch.float16}  # by the precision that a record has

Array = TypeVar("Array", np.ndarray, Tensor)


class Policy:
    """Observations to actions and values, as in an evaluation: without noise, with the evaluation's epsilon. It never learns.

    An observation is uint8 [4, 84, 84], the last four frames as `envs` has them, newest last; or [L, 4, 84, 84], one for each
    lane. TypeError for what is no array, tensor or not uint8, ValueError for another shape.
    """

    def __init__(self, agent: Agent, record: dict[str, Any], seed: int = 0) -> None:
        """`record`: `settings` of the run, `env_step` that it has come to, `score` if it has one, and so on (docs/python.md).

        `seed` decides the random actions, one in a thousand with most agents.
        """
        self.agent, self.record = agent, record
        self._draws = torch.Generator(agent.device).manual_seed(seed)

    @classmethod
    def load(
        cls,
        path: str | Path,
        device: Literal["auto", "cpu", "cuda"] = "auto",
        seed: int = 0,
        imports: Sequence[str] = (),
    ) -> "Policy":
        """The policy of a run folder (of its last checkpoint), an exported file, or an exported folder.

        `auto` takes CUDA if there is any; `imports` are the user's modules that the run was made with (`--import`). UserError,
        one line, if there is no such thing or it cannot be read.
        """
        path = expanded(Path(path))
        bring_in(imports, TABLES, fill)
        if (path / MODEL).exists():
            path = path / MODEL
        read = _read_file if path.is_file() else _read_folder
        return cls(*read(path, choose_device(device)), seed)

    def act(self, obs: Array, noise: bool = False) -> Array:
        """Actions, int64: one for an observation, [L] for [L, 4, 84, 84]; NumPy or a tensor (where `obs` is), as `obs` is.

        With `noise` as while it learnt: noise in noisy layers, and the epsilon that it had. ValueError if the policy is from a
        file, which leaves out what only learning needs.
        """
        if noise and self.record["exported"]:
            raise ValueError("an exported policy has no noise, which only learning needs: load the run folder")
        return _like(obs, self.agent.act(self._frames(obs), None if noise else self._draws))

    @torch.no_grad()
    def values(self, obs: Array) -> Array:
        """What each action is expected to return (discounted, of clipped rewards), without noise: float32 [A] or [L, A]."""
        network = self.agent.actor
        return _like(obs, network.values(network(self._frames(obs).float().div_(255))))

    def _frames(self, obs: Array) -> Tensor:
        """`obs` as uint8 [L, 4, 84, 84] on the agent's device. TypeError or ValueError if it is no observation."""
        if not isinstance(obs, np.ndarray | Tensor):
            raise TypeError(f"observations must be a NumPy array or a tensor, not a {type(obs).__name__}")
        kind, shape = str(obs.dtype).removeprefix("torch."), list(obs.shape)
        wanted = [STACK, SIDE, SIDE]
        told = f"observations must be uint8 {wanted} or [L, {str(wanted)[1:]}, not {kind} {shape}"
        if kind != "uint8":
            raise TypeError(told)
        if shape[-3:] != wanted or len(shape) not in (3, 4) or shape[0] == 0:
            raise ValueError(told)
        # A view that NumPy runs through backwards, or may not write to, is none that torch takes.
        frames = torch.tensor(np.ascontiguousarray(obs)) if isinstance(obs, np.ndarray) else obs
        return frames.to(self.agent.device).reshape(-1, *wanted)

    def halve_(self) -> None:
        """Round every weight to half precision (float16), which `save` then stores; it computes in float32 as before."""
        for tensor in self.agent.actor.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(tensor.half())
        self.record |= {"precision": "float16", "played": None}

    def save(self, path: str | Path) -> None:
        """Write what plays, with the configuration and the record, to a .safetensors file; or to a folder, with a model card.

        UserError if that cannot be written, or if the folder has a README.md of its own.
        """
        path = expanded(Path(path))
        record, stored = self.record | {"exported": True}, FLOATS[self.record["precision"]]
        tensors = {k: v.to(stored) if v.is_floating_point() else v for k, v in needed(self.agent.actor.state_dict()).items()}
        if path.suffix == ".safetensors":
            return write_exported(path, tensors, record)
        if (path / CARD).exists() and not (path / MODEL).exists():
            raise UserError(f"{path} has a {CARD} of its own; choose another folder")
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
        write_exported(path / MODEL, tensors, record)
        return write_text(path / CARD, card(record, MODEL))

    @property
    def game(self) -> str:
        """The name of its game."""
        return self.record["settings"]["game"]

    @property
    def score(self) -> float | None:
        """The mean raw return of whole games: of these very weights if they were played before the export, else the run's."""
        result = self.record["played"] or self.record["score"]
        return None if result is None else result["score"]

    def __repr__(self) -> str:
        settings, env_step = self.record["settings"], self.record["env_step"]
        of = f" of {settings['env_steps']:,}" if env_step < settings["env_steps"] else ""
        score = "not scored" if self.score is None else f"score {self.score:,.1f}"
        return f"Policy({settings['agent']} on {self.game}, {env_step:,}{of} env steps, {score})"


def _like(obs: Array, found: Tensor) -> Array:
    """What was `found` for lanes [L, ...], as the same kind of array as `obs`, and without L if that has none."""
    if obs.ndim == 3:
        found = found[0]
    return found.numpy(force=True)[()] if isinstance(obs, np.ndarray) else found.to(obs.device)


def needed(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Of the state of a network, what an evaluation reads: no noise, and nothing that predicts."""
    learning = ("transition.", "predictor.")
    return {name: value for name, value in weights.items() if not name.startswith(learning) and not name.endswith("_sigma")}


def acting(settings: dict[str, Any], device: str) -> Execution:
    """How the run's own evaluation computed, as far as the type of `device` can: bfloat16 is for updates alone."""
    precision = settings.get("execution", {}).get("precision", "float32")
    return Execution("tf32" if precision == "tf32" and device == "cuda" else "float32")


def _agent(record: dict[str, Any], device: torch.device, path: Path) -> Agent:
    """A new agent with the settings of `record`, which is from `path`. UserError."""
    require(record.get("settings", {}).get("imports", {}), path)
    try:
        settings = record["settings"]
        config, game, seed = config_from_dict(settings["config"]), find_game(settings["game"]).name, settings["seed"]
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path} is of no agent of this version: {error}") from error
    num_actions = record.get("num_actions")  # a checkpoint leaves that to the game
    if num_actions is None:
        with user_errors():
            lanes = make_lanes(game, 1, 0)
        num_actions = lanes.num_actions
        lanes.close()
    return Agent(config, num_actions, device=device, seed=seed, execution=acting(settings, device.type))


def _read_file(path: Path, device: torch.device) -> tuple[Agent, dict[str, Any]]:
    """The agent of an exported file, and its record."""
    weights, record = read_exported(path)
    agent = _agent(record, device, path)
    whole = agent.actor.state_dict()
    if needed(whole).keys() != weights.keys():
        raise UserError(f"{path} is of no agent of this version: its weights have other names")
    try:
        agent.actor.load_state_dict(whole | weights)
    except RuntimeError as error:
        raise UserError(f"{path} is damaged: its weights are not those of its agent ({first_line(error, '')})") from error
    return agent, record


def _read_folder(folder: Path, device: torch.device) -> tuple[Agent, dict[str, Any]]:
    """The agent of the last checkpoint in a run folder, and what its record would be.

    The settings are the checkpoint's own, which has a checksum.
    """
    path = folder / CHECKPOINT
    if not path.exists() and not older(path).exists():
        raise UserError(f"{folder} is no run folder: it has no {CHECKPOINT}")
    state = load_checkpoint(path)
    agent = _agent(state, device, folder)
    agent.load_state_dict(state["agent"], streams=False)  # an evaluation has its own
    record = {name: state.get(name) for name in ("settings", "env_step", "device", "threads", "versions")}
    record |= {"num_actions": agent.num_actions, "score": _score(folder, record), "played": None, "made": {}}
    record |= {"precision": "float32", "exported": False}
    with suppress(UserError, TypeError, KeyError, AttributeError):  # it may be lost or damaged: the checkpoint is enough
        made = read_json(folder / CONFIG)["made"]
        record["made"] = {name: made[name] for name in ("command", "commit", "python") if name in made}
    return agent, record


def _score(folder: Path, record: dict[str, Any]) -> dict[str, Any] | None:
    """The run's own evaluation, if these are the weights that it played; a line says so if the file is damaged."""
    settings = {name: value for name, value in record["settings"].items() if name not in OF_SCORES}
    if not (folder / SCORE).exists() or record["env_step"] < settings["env_steps"]:
        return None
    try:
        score = read_score(folder / SCORE, settings)
    except UserError as error:
        say(f"note: {error}")
        return None
    return {name: value for name, value in score.items() if name not in ("checksum", "beside")}
