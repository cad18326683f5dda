"""Which device a run computes on."""

from typing import Literal

import torch

from experiment.command import UserError


def choose_device(name: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """The device called `name`; auto takes CUDA if there is any. UserError if CUDA is asked for and absent."""
    if name == "cuda" and not torch.cuda.is_available():
        built = f"this torch ({torch.__version__}) is built for the CPU" if torch.version.cuda is None else "no GPU is visible"
        raise UserError(f"--device cuda: {built}; use --device cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def device_name(device: torch.device) -> str:
    """The device in words, for the record of a run."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"
