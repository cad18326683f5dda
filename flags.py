"""What train.py says of its flags: which are in its help and where, and which agents have one that another has not."""

from collections.abc import Sequence
from typing import Any

from agents.catalogue import AGENTS
from agents.config import AgentConfig
from experiment.help import Guide

GUIDE = Guide(
    every_day=(
        *("--game", "--agent", "--replay.ratio", "--seed", "--env-steps", "--eval-episodes"),
        *("--device", "--out", "--name", "--fresh", "--wandb"),
    ),
    examples=(
        "python train.py --game RoadRunner --agent der --env-steps 3000 --eval-episodes 2  # a minute",
        "python train.py --game Pong --agent spr_ht --replay.ratio 4 --name ratio4",
    ),
    groups={
        "what is trained": ("game", "agent", "seed", "env_steps", "num_lanes", "imports"),
        "how it is judged": ("eval_episodes",),
        "where it is kept": ("out", "name", "fresh", "checkpoint_every"),
        "how it is watched": ("wandb", "wandb_project", "tensorboard", "log_every", "measure_every", "hessian_rounds"),
        "how fast it computes": ("device", "execution"),
        "the network": ("encoder", "head", "initialisation", "augmentation", "prediction"),
        "what is learnt": ("target", "replay", "exploration"),
        "how weights change": ("optimizer", "penalties", "tortoise", "constraints"),
        "what is set back, renewed or pruned": ("resets", "recycling", "silence", "replacement", "injection", "pruning"),
    },
    others="`python train.py --agent help` lists agents that have them",
    more="--help-all: every flag, with the agent's own values. --agent help: every agent.",
)


def lacking(flag: str, agent: str, config: AgentConfig) -> str | None:
    """Which agents have the piece that `flag` belongs to, where `agent` has not; None if it belongs to none."""
    path = flag.removeprefix("--").split("=")[0].replace("-", "_").split(".")[:-1]
    for end in range(1, len(path) + 1):
        if _piece(config, path[:end]) is None:
            have = [name for name, other in AGENTS.items() if _piece(other, path[:end])]
            have.sort(key=lambda name: not name.startswith(f"{agent}_"))
            return f"{agent} has no {'.'.join(path[:end])}; agents with it: {', '.join(have[:6])}" if have else None
    return None


def _piece(config: AgentConfig, path: Sequence[str]) -> Any:
    """The piece of `config` at `path`, None where this agent has none, False if there is no such field."""
    piece: Any = config
    for name in path:
        piece = getattr(piece, name, False) if piece is not None else None
    return piece
