"""Which images a task holds and which labels they carry: pure functions of the labels, the protocol and a seed."""

from itertools import pairwise

import numpy as np

from supervised.settings import Protocol

CHUNKS, MEMORY, NOISE, CHOICE = range(4)  # a stream of random numbers for each purpose


def choose(size: int, count: int | None, seed: int) -> np.ndarray:
    """Which `count` of `size` images a run may use, all if None; int64 [count], distinct."""
    if count is None:
        return np.arange(size)
    return np.random.default_rng([seed, CHOICE]).permutation(size)[:count]


def chunks(size: int, shares: tuple[float, ...], seed: int) -> list[np.ndarray]:
    """The new images of each task: disjoint, together 0 .. `size` - 1, each its share rounded; int64 arrays."""
    order = np.random.default_rng([seed, CHUNKS]).permutation(size)
    ends = np.rint(np.cumsum((0.0, *shares)) * size).astype(int)
    return [order[start:end] for start, end in pairwise(ends)]


def corrupt(labels: np.ndarray, share: float, classes: int, rng: np.random.Generator) -> np.ndarray:
    """`labels`, int64 [N], of which exactly round(`share` * N) are replaced by another class, each of them as likely."""
    wrong = rng.permutation(len(labels))[: round(share * len(labels))]
    noisy = labels.copy()
    noisy[wrong] = (labels[wrong] + rng.integers(1, classes, len(wrong))) % classes
    return noisy


def task_images(protocol: Protocol, size: int, task: int, seed: int) -> np.ndarray:
    """All images of `task`, old and new; int64, distinct. With a memory the old ones are a uniform draw of that many."""
    parts = chunks(size, protocol.shares, seed)
    old = np.concatenate([np.empty(0, np.int64), *parts[:task]])
    if protocol.memory is not None:
        old = np.random.default_rng([seed, MEMORY, task]).permutation(old)[: protocol.memory]
    return np.concatenate([old, parts[task]])


def task_labels(protocol: Protocol, labels: np.ndarray, classes: int, task: int, seed: int) -> np.ndarray:
    """Labels of the images of `task`, in the order of `task_images`, with the protocol's noise; `labels` are all true ones."""
    images = task_images(protocol, len(labels), task, seed)
    if protocol.convention == "redrawn":
        return corrupt(labels[images], protocol.noise[task], classes, np.random.default_rng([seed, NOISE, task]))
    given = labels.copy()
    for i, part in enumerate(chunks(len(labels), protocol.shares, seed)):
        given[part] = corrupt(labels[part], protocol.noise[i], classes, np.random.default_rng([seed, NOISE, i]))
    return given[images]
