"""How everything here is timed: in turn, many times, medians; and on what."""

import platform
import statistics
import time
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

import torch

from experiment.folder import commit


def interleaved(
    work: Mapping[str, Callable[[], object]], rounds: int, warmup: int = 3, device: torch.device | None = None
) -> dict[str, list[float]]:
    """Seconds of each piece of `work`, all of them in turn in each of `rounds` rounds, so that a drift hits all alike."""
    wait = torch.cuda.synchronize if device is not None and device.type == "cuda" else (lambda: None)
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(warmup + rounds):
        for name, call in work.items():
            wait()
            start = time.perf_counter()
            call()
            wait()
            if turn >= warmup:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def spread(seconds: list[float], scale: float = 1e3) -> str:
    """Median and quartiles, by default in milliseconds."""
    low, middle, high = (scale * value for value in statistics.quantiles(seconds, n=4))
    return f"{middle:.3g} ({low:.3g}..{high:.3g})"


def ratio(over: list[float], under: list[float]) -> float:
    """Median of the ratios of paired times."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def circumstances() -> str:
    """Date, commit, processor, threads and versions: what a figure means nothing without."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    processor = f"{len(names)} x {names[0]}" if names else platform.processor() or platform.machine()
    threads = f"{torch.get_num_threads()} threads, torch {torch.__version__}"
    code = commit()
    state = " with uncommitted changes" if code.endswith("-dirty") else ""
    return f"{date.today()}, commit {code[:10]}{state}, {processor}, {threads}"


def resident_megabytes() -> float:
    """Memory of this process that is in use, in 10**6 bytes (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6
