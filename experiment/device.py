"""Which device a run computes on, with how many threads, and what becomes of freed memory."""

import ctypes
import resource
import sys
from typing import Any, Literal

import torch

from experiment.command import UserError, say


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


def peak_memory(device: torch.device) -> float:
    """The most that this process has held so far, in GB of 10^9 bytes: of the GPU by PyTorch, on a CPU of its main memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / 1e9
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def require_same_type(saved: str | None, device: torch.device) -> None:
    """UserError if a run was `saved` on another type of device, None for unknown, than `device`: random streams differ."""
    if saved not in (None, device.type):
        raise UserError(f"the run was begun on {saved}: --device {saved} goes on, --fresh starts over")


def keep_threads(state: dict[str, Any], device: torch.device) -> str:
    """Compute with as many threads as the run has so far, where it is on the CPU; the device in words.

    `state` is a checkpoint's, which says how many these are unless it is old; a line says so if it is another number than now.
    With more or fewer threads a sum is split into other parts, and its last digits are others.
    """
    threads, now = state.get("threads"), torch.get_num_threads()
    if device.type == state.get("device") == "cpu" and threads not in (None, now):
        torch.set_num_threads(threads)
        say(f"note: {threads} threads compute, as in the run so far, and not {now}: another number gives other last digits")
    return device_name(device)


def keep_freed_memory() -> None:
    """Tell glibc to keep freed memory for the next allocation; elsewhere do nothing.

    By default each large tensor that is freed goes back to the kernel, and its successor is paged in anew: thousands of page
    faults an update, a quarter of the time of a small network's on a CPU (benchmarks/LEDGER.md).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    # M_MMAP_THRESHOLD: only blocks above 256 MB are mapped on their own, above 32 MB where glibc allows no more. Without it the
    # second call would fix the threshold at 128 kB, which is far worse than what glibc does by itself.
    if mallopt is not None and (mallopt(-3, 1 << 28) or mallopt(-3, 1 << 25)):
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: the heap is not given back
