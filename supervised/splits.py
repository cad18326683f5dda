"""Which images a task holds and which labels they carry: pure functions of the labels, the protocol and a seed."""

from itertools import pairwise

import numpy as np

from supervised.settings import Protocol

CHUNKS, MEMORY, NOISE, CHOICE = range(4)  # a stream of random numbers for each purpose


def hold_out(size: int, count: int | None, held: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Which `count` of `size` images a run may use, all others if None, and which `held` it is measured on; int64, disjoint.

    Those that it may use are the ones of a run that holds none out, while there are enough.
    """
    everything = count is None and not held
    order = np.arange(size) if everything else np.random.default_rng([seed, CHOICE]).permutation(size)
    return order[: size - held][:count], order[size - held :]


def binds(protocol: Protocol, size: int) -> bool:
    """Whether the protocol's memory is ever smaller than what came before, of `size` images in all tasks."""
    old = sum(map(len, chunks(size, protocol.shares, 0)[:-1]))
    return protocol.memory is not None and protocol.memory < old


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
    """All images of `task`, old and new; int64, distinct. With a memory the old ones are those that a reservoir holds.

    Each image draws its rank once, and the first of those that came are held: a uniform draw of them, and whatever is forgotten
    never comes back (Vitter 1985).
    """
    parts = chunks(size, protocol.shares, seed)
    old = np.concatenate([np.empty(0, np.int64), *parts[:task]])
    if protocol.memory is not None:
        rank = np.random.default_rng([seed, MEMORY]).permutation(size)
        old = old[np.argsort(rank[old])][: protocol.memory]
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
