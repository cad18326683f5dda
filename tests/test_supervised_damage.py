"""Damaged and foreign archives and tables, and caches that several processes fill: one line, or nothing changes."""

import contextlib
import gzip
import io
import multiprocessing
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiment import sums
from experiment.command import UserError
from supervised import report
from supervised.archives import read_idx, read_tiny_imagenet
from supervised.data import cache_folder
from supervised.table import CURVES, TASKS, collect, read
from tests.supervised_files import install_fashion, write_idx
from tests.test_supervised_report import write_run


def test_flipped_bits_are_one_line_or_change_nothing(tmp_path: Path) -> None:
    """A bit of the header may say when it was zipped: then the images are the same."""
    sums = write_idx(tmp_path, 20, 5)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    whole, right, refused = path.read_bytes(), read_idx(tmp_path, sums), 0
    for damaged in flipped(whole, 400):
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
    with pytest.raises(UserError, match=r"train-labels-idx1-ubyte\.gz is damaged or not the official file: .* holds more than"):
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


def flipped(content: bytes, count: int) -> Iterator[bytes]:
    """`content` with one bit changed, `count` times."""
    for place in np.random.default_rng(0).integers(8 * len(content), size=count):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        yield bytes(damaged)


@pytest.mark.parametrize("name", ["score.json", "config.json", "metrics.jsonl"])
def test_flipped_bits_of_a_run_are_one_line(name: str, tmp_path: Path) -> None:
    """Or change what the tables do not have, or a setting, which is told as one that was chosen."""
    write_run(tmp_path / "runs", "warm_start", "plain", "ht", 0)
    path = next((tmp_path / "runs").rglob(name))
    whole = path.read_bytes()
    collect(tmp_path / "runs", tmp_path / "right")
    right, refused = read(tmp_path / "right").drop(columns="flags"), 0
    for damaged in flipped(whole, 60):
        path.write_bytes(damaged)
        try:
            collect(tmp_path / "runs", tmp_path / "out")
            pd.testing.assert_frame_equal(read(tmp_path / "out").drop(columns="flags"), right)
        except UserError:
            refused += 1
    assert refused > 30


def test_flipped_bits_of_a_table_are_one_line_or_stay_numbers(tmp_path: Path) -> None:
    for method in ("none", "ema"):
        write_run(tmp_path / "runs", "warm_start", "plain", method, 0)
    collect(tmp_path / "runs", tmp_path)
    whole, refused = (tmp_path / TASKS).read_bytes(), 0
    (tmp_path / sums.FILE).unlink()
    for damaged in flipped(whole, 240):
        (tmp_path / TASKS).write_bytes(damaged)
        try:
            assert len(read(tmp_path)) == 4
        except UserError:
            refused += 1
    assert refused > 150


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("fashion_mnist", "x/../../../out", "line 2: dataset cannot be 'x/../../../out'"),
        ("warm_start", "=HYPERLINK(1)", "study cannot be '=HYPERLINK"),
        (",plain,", ",big,", "point cannot be 'big'"),
        (",none,0,", ",none,0.5,", "seed is '0.5', not a whole number"),
        ("0.5,0.5", "1.5,1.5", "test cannot be '1.5'"),
        ("0.5,0.5", "0.5,0.6", "test is not test_hare"),
        ("0.7,0.7", "nan,nan", "test is 'nan', not a finite number"),
        ("0.7,0.7", ",", "test cannot be ''"),
        (",1,20,", ",0,20,", "line 3 is the second of one run and task"),
        ("judged", "judge", "it has no column 'judged'"),
    ],
)
def test_a_table_that_nobody_collected_is_refused(old: str, new: str, told: str, tmp_path: Path) -> None:
    """And nothing is written, inside its folder or outside."""
    write_run(tmp_path / "runs", "warm_start", "plain", "none", 0)
    collect(tmp_path / "runs", tmp_path / "results")
    path = tmp_path / "results" / TASKS
    assert old in path.read_text()
    (tmp_path / "results" / sums.FILE).unlink()
    path.write_text(path.read_text().replace(old, new))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError) as error:
        report.main([str(tmp_path / "results")])
    assert told in str(error.value)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("score.json", "[]", "is [], not a table"),
        ("score.json", '{"tasks": []}', "its tasks are no tables"),
        ("score.json", "[" * 100_000, "nested too deep"),
        ("config.json", "{}", "has no 'settings'"),
        ("metrics.jsonl", "", "a row of its tasks is not in "),
        ("metrics.jsonl", "{}\n", "metrics.jsonl, line 1 is no row of metrics"),
        ("metrics.jsonl", '{"kind": "evaluation"\n', "metrics.jsonl, line 1 is no JSON"),
        ("metrics.jsonl", None, "No such file"),
    ],
)
def test_a_run_that_is_not_whole_is_refused(name: str, content: str | None, told: str, tmp_path: Path) -> None:
    write_run(tmp_path / "runs", "warm_start", "plain", "none", 0)
    path = next((tmp_path / "runs").rglob(name))
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError) as error:
        collect(tmp_path / "runs", tmp_path / "out")
    assert told in str(error.value)
    assert str(path) in str(error.value)
    assert not (tmp_path / "out" / CURVES).exists()


def test_tables_that_cannot_be_written_are_one_line(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", "warm_start", "plain", "none", 0)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write .*file"):
        report.main([str(tmp_path / "runs"), "--collect", str(tmp_path / "file")])
