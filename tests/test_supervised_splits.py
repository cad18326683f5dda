"""Splits are disjoint and seeded; noise never picks the true class; what a task is given."""

import time
from dataclasses import replace

import numpy as np
import pytest

from supervised.settings import Config, Network, Protocol
from supervised.splits import binds, chunks, corrupt, hold_out, task_images, task_labels
from supervised.studies import CONTINUAL

TRUE = np.random.default_rng(0).integers(0, 10, 1_000)
WARM = Protocol()


@pytest.mark.parametrize("shares", [(1.0,), (0.1, 0.9), (0.1,) * 10, (1 / 3, 1 / 3, 1 / 3), (0.05, 0.15, 0.8)])
@pytest.mark.parametrize("size", [10, 97, 1_000])
def test_chunks_are_disjoint_and_complete(shares: tuple[float, ...], size: int) -> None:
    parts = chunks(size, shares, seed=3)
    assert sorted(np.concatenate(parts).tolist()) == list(range(size))
    for part, share in zip(parts, shares, strict=True):
        assert abs(len(part) - share * size) <= 1


def test_a_seed_decides_the_split_and_nothing_else_does() -> None:
    first, again, other = (chunks(1_000, (0.1, 0.9), seed) for seed in (0, 0, 1))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert not (first[0] == other[0]).all()
    np.random.seed(7)  # noqa: NPY002 the global stream must not matter
    assert (chunks(1_000, (0.1, 0.9), 0)[0] == first[0]).all()
    assert len(np.intersect1d(hold_out(1_000, 100, 0, 0)[0], first[0])) < 30  # a stream of its own: 10 expected


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("classes", [2, 10])
def test_noise_is_exact_and_never_the_true_class(share: float, classes: int) -> None:
    labels = TRUE % classes
    noisy = corrupt(labels, share, classes, np.random.default_rng(0))
    assert (noisy != labels).sum() == round(share * len(labels))
    assert noisy.min() >= 0
    assert noisy.max() < classes
    assert (TRUE % classes == labels).all()  # the true labels are left alone


def test_wrong_classes_are_equally_likely() -> None:
    labels = np.zeros(90_000, np.int64)
    counts = np.bincount(corrupt(labels, 1.0, 10, np.random.default_rng(1)), minlength=10)
    assert counts[0] == 0
    assert np.abs(counts[1:] - 10_000).max() < 4 * (10_000 * 8 / 9) ** 0.5


def test_all_that_was_given_comes_back_in_later_tasks() -> None:
    parts = chunks(1_000, CONTINUAL.shares, 5)
    for task in range(10):
        found = task_images(CONTINUAL, 1_000, task, 5)
        assert sorted(found.tolist()) == sorted(np.concatenate(parts[: task + 1]).tolist())
    assert (task_images(replace(WARM, last_only=True), 1_000, 1, 5) == task_images(WARM, 1_000, 1, 5)).all()


def test_redrawn_noise_is_each_task_anew_and_on_old_images_too() -> None:
    for task, share in enumerate(CONTINUAL.noise):
        images = task_images(CONTINUAL, 1_000, task, 0)
        wrong = task_labels(CONTINUAL, TRUE, 10, task, 0) != TRUE[images]
        assert wrong.sum() == round(share * len(images))
    second, third = (task_labels(CONTINUAL, TRUE, 10, task, 0)[:200] for task in (1, 2))  # of equal noise
    assert (second != third).sum() > 50


def test_kept_noise_stays_with_an_image() -> None:
    protocol = replace(CONTINUAL, convention="kept")
    given: dict[int, int] = {}
    for task in range(10):
        for image, label in zip(
            task_images(protocol, 1_000, task, 0).tolist(), task_labels(protocol, TRUE, 10, task, 0).tolist(), strict=True
        ):
            assert given.setdefault(image, label) == label
    for part, share in zip(chunks(1_000, protocol.shares, 0), protocol.noise, strict=True):
        assert sum(given[image] != TRUE[image] for image in part.tolist()) == round(share * len(part))


def test_a_memory_is_a_uniform_draw_of_what_is_old() -> None:
    protocol, labels = replace(CONTINUAL, memory=150), np.arange(1_000) // 100  # sorted by class, as archives may be
    assert len(task_images(protocol, 1_000, 1, 0)) == 200  # 100 are old
    drawn = [task_images(protocol, 1_000, 9, seed) for seed in range(8)]
    for seed, found in enumerate(drawn):
        parts = chunks(1_000, protocol.shares, seed)
        assert len(found) == len(set(found.tolist())) == 250
        assert (found[150:] == parts[9]).all()
        assert set(found[:150].tolist()) <= set(np.concatenate(parts[:9]).tolist())
    counts = np.bincount(np.concatenate([labels[found[:150]] for found in drawn]), minlength=10)
    assert counts.min() > 70  # 120 of each class expected; the paper's code would take the first classes only
    assert len(task_labels(protocol, labels, 10, 9, 0)) == 250


def test_what_is_forgotten_does_not_come_back() -> None:
    """The memory of a task is what came before it was held: its reservoir of the task before, or new in that."""
    protocol = replace(CONTINUAL, memory=150)
    held: list[set[int]] = [set(task_images(protocol, 1_000, task, 3)[: min(150, 100 * task)].tolist()) for task in range(10)]
    new = [set(part.tolist()) for part in chunks(1_000, protocol.shares, 3)]
    for task in range(1, 10):
        assert len(held[task]) == min(150, 100 * task)
        assert held[task] <= held[task - 1] | new[task - 1]
    counts = np.zeros(9)
    for seed in range(40):
        found = task_images(protocol, 1_000, 9, seed)[:150]
        counts += [len(np.intersect1d(found, part)) for part in chunks(1_000, protocol.shares, seed)[:9]]
    assert counts.sum() == 40 * 150
    assert np.abs(counts - 667).max() < 4 * 25  # each task as likely: 150 / 9 of each, deviation below root of 667


def test_a_memory_that_holds_all_does_not_bind() -> None:
    assert binds(replace(CONTINUAL, memory=5_000), 60_000)
    assert not binds(replace(CONTINUAL, memory=5_000), 4_000)  # mnist_5k
    assert not binds(replace(CONTINUAL, memory=900), 1_000)
    assert binds(replace(CONTINUAL, memory=899), 1_000)
    assert not binds(CONTINUAL, 60_000)


@pytest.mark.parametrize("count", [None, 300])
def test_images_are_held_out_of_all_tasks(count: int | None) -> None:
    used, held = hold_out(1_000, count, 200, seed=3)
    assert len(held) == len(set(held.tolist())) == 200
    assert len(set(used.tolist())) == (count or 800)
    assert not set(used.tolist()) & set(held.tolist())
    assert (held == hold_out(1_000, 100, 200, seed=3)[1]).all()  # the same for every share and method
    without, none = hold_out(1_000, count, 0, seed=3)
    assert (without == (np.arange(1_000) if count is None else used)).all()  # a run without them learns from the same
    assert none.shape == (0,)


def test_a_million_images_are_no_matter() -> None:
    started = time.monotonic()
    task_labels(replace(CONTINUAL, memory=100_000), np.zeros(1_000_000, np.int64), 10, 9, 0)
    assert time.monotonic() - started < 3  # lists and `in` take hours


def test_the_papers_epochs() -> None:
    assert [WARM.epochs(task) for task in WARM.tasks] == [1000, 111]
    assert [CONTINUAL.epochs(task) for task in CONTINUAL.tasks] == [100] * 10
    assert list(replace(CONTINUAL, last_only=True).tasks) == [9]


@pytest.mark.parametrize(
    ("shares", "noise", "told"),
    [
        ((0.1, 0.8), (0.5, 0.0), "--protocol.shares must sum to 1, not 0.9"),
        ((0.1, 0.9), (0.5,), "--protocol.noise needs a value for each of the 2 tasks"),
        ((0.0, 1.0), (0.5, 0.0), r"shares must lie in \(0, 1\]"),
        ((0.5, 0.5), (1.5, 0.0), r"--protocol.noise must lie in \[0, 1\]"),
        ((), (), "at least one"),
    ],
)
def test_lists_that_do_not_fit_are_refused(shares: tuple[float, ...], noise: tuple[float, ...], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Config(Protocol(shares, noise), Network())
