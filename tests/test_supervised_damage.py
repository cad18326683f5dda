"""Damaged and foreign archives and tables, and caches that several processes fill: one line, or nothing changes."""

import contextlib
import gzip
import io
import multiprocessing
import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiment.command import UserError
from supervised.archives import read_idx, read_tiny_imagenet
from supervised.data import cache_folder
from tests.supervised_files import install_fashion, write_idx


def test_flipped_bits_are_one_line_or_change_nothing(tmp_path: Path) -> None:
    """A bit of the header may say when it was zipped: then the images are the same."""
    sums = write_idx(tmp_path, 20, 5)
    path, flips = tmp_path / "train-images-idx3-ubyte.gz", np.random.default_rng(0)
    whole, right, refused = path.read_bytes(), read_idx(tmp_path, sums), 0
    for place in flips.integers(8 * len(whole), size=400):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            assert (read_idx(tmp_path, sums).images == right.images).all()
        except UserError:
            refused += 1
    assert refused > 390


def test_a_small_archive_of_much_is_not_unpacked(tmp_path: Path) -> None:
    """200 MB of zeros in 200 kB: no more is held than the largest official file, however it goes on."""
    sums = write_idx(tmp_path, 5, 5)
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(200_000_000), 1))
    tracemalloc.start()
    with pytest.raises(UserError, match=r"train-labels-idx1-ubyte\.gz is not the official file: unzipped, it has more than"):
        read_idx(tmp_path, sums)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150_000_000


@pytest.mark.parametrize("made", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_one_line(made: Any, tmp_path: Path) -> None:
    made(tmp_path / "archive")
    with pytest.raises(UserError, match=r"archive cannot be read: (it is no regular file|Is a directory)"):
        read_tiny_imagenet(tmp_path / "archive", "0" * 32)
    sums = write_idx(tmp_path, 5, 5)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    made(tmp_path / "t10k-labels-idx1-ubyte.gz")
    with pytest.raises(UserError, match=r"t10k-labels-idx1-ubyte\.gz cannot be read"):
        read_idx(tmp_path, sums)


def test_processes_fill_an_empty_cache_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None says that it could not, and each has the whole data set."""
    folder = install_fashion(monkeypatch, tmp_path, 30, 10)
    spawn = multiprocessing.get_context("fork")
    start, said = spawn.Barrier(4), spawn.SimpleQueue()
    workers = [spawn.Process(target=_load, args=(folder, start, said)) for _ in range(4)]
    for worker in workers:
        worker.start()
    found = [said.get() for _ in workers]
    for worker in workers:
        worker.join()
    assert found == [("", 30)] * 4
    assert [path.name for path in cache_folder().iterdir()] == ["fashion_mnist.npz"]


def _load(folder: Path, start: Any, said: Any) -> None:
    """Load it when all are about to write, and tell what was printed and how many images there are."""
    from supervised import data

    savez = np.savez

    def together(*args: Any, **arrays: Any) -> None:
        savez(*args, **arrays)
        start.wait(10)

    np.savez = together
    with contextlib.redirect_stderr(io.StringIO()) as printed:
        arrays = data._cached(cache_folder() / "fashion_mnist.npz", "fashion_mnist", folder)
    said.put((printed.getvalue(), len(arrays.images)))
