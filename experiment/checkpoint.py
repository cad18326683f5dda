"""Checkpoints: written whole or not at all, read without running code."""

import warnings
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from experiment.command import UserError
from experiment.folder import atomic

FORMAT = 1


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors and plain values) to `path`, atomically."""
    with atomic(path) as file:
        torch.save({"format": FORMAT, **state}, file)


def load_checkpoint(path: Path, device: torch.device | str) -> dict[str, Any]:
    """What `save_checkpoint` wrote, its tensors on `device`. UserError if it is absent, damaged or of another format."""
    try:
        with warnings.catch_warnings():  # torch warns of foreign pickles before it refuses them
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise UserError(f"there is no checkpoint at {path}") from None
    except (OSError, RuntimeError, EOFError, UnpicklingError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), "it is empty")
        raise UserError(f"{path} is no checkpoint, or a damaged one ({reason})") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        found = state.get("format") if isinstance(state, dict) else None
        raise UserError(f"{path} has checkpoint format {found}; this version reads {FORMAT}")
    return state
