"""How everything here is timed: in turn, many times, medians. A GPU is waited for before the clock is read."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch.utils.benchmark import timer

Spans = dict[str, list[tuple[float, float]]]


def duration(work: Callable[[], object], calls: int = 1) -> float:
    """Seconds of a call of `work`, the mean of so many `calls`."""
    start = timer()
    for _ in range(calls):
        work()
    return (timer() - start) / calls


def interleaved(
    work: Mapping[str, Callable[[], object]], rounds: int, warmup: int = 3, calls: int = 1
) -> dict[str, list[float]]:
    """Seconds of a call of each piece of `work` in each of `rounds` rounds.

    All are called in turn, so that a drift hits all alike; a round is the mean of so many `calls`.
    """
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(warmup + rounds):
        for name, call in work.items():
            seconds[name].append(duration(call, calls))
    return {name: times[warmup:] for name, times in seconds.items()}


@contextmanager
def watched(calls: Mapping[str, Sequence[tuple[Any, str]]], clock: Callable[[], float] = timer) -> Iterator[Spans]:
    """Within, when each call of the functions `calls`, pairs of owner and name under one label, begins and ends."""
    spans: Spans = {label: [] for label in calls}
    with ExitStack() as stack:
        for label, functions in calls.items():
            for owner, name in functions:
                stack.enter_context(patch.object(owner, name, _watched(getattr(owner, name), spans[label], clock)))
        yield spans


def _watched(function: Callable[..., Any], spans: list[tuple[float, float]], clock: Callable[[], float]) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        start = clock()
        result = function(*arguments, **named)
        spans.append((start, clock()))
        return result

    return call


def ratio(over: list[float], under: list[float]) -> float:
    """Median of the ratios of paired times."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


@cache
def matrix_peak(device: torch.device) -> float:
    """The best rate seen in float32 products of two square matrices of 2,048 rows, in operations a second."""
    a, b = torch.rand(2, 2048, 2048, device=device)
    return 2 * 2048**3 / min(interleaved({"": lambda: a @ b}, 10)[""])


def resident_megabytes() -> float:
    """Memory of this process that is in use, in 10**6 bytes (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6
