"""Which device a run computes on, and what the host is told first."""

import ctypes
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


def keep_freed_memory() -> None:
    """Tell glibc to keep freed memory for the next allocation; elsewhere do nothing.

    By default each large tensor that is freed goes back to the kernel, and its successor is paged in anew: thousands of page
    faults an update, a quarter of the time of a small network's on a CPU (benchmarks/LEDGER.md).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-3, 1 << 28)  # M_MMAP_THRESHOLD: only blocks above 256 MB are mapped on their own
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: the heap is not given back
