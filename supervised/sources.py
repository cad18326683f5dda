"""The data sets: where each comes from, and what to do if it is not there. No torch here."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiment.command import UserError
from supervised.archives import DEBIAN, Arrays, read_cifar, read_idx, read_mnist_5k, read_tiny_imagenet

FASHION = {  # MD5 of the unzipped files: packagers zip them anew
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}


@dataclass(frozen=True)
class Hub:
    """A data set on the Hugging Face hub, and the names of its columns and of its test split."""

    name: str
    image: str
    label: str
    test: str


@dataclass(frozen=True)
class Source:
    """A data set. `file` is the one of which the presence in a folder means that the official files are there."""

    classes: int
    channels: int
    side: int
    flips: bool  # whether a mirrored image still is what its label says
    file: str = ""
    read: Callable[[Path], Arrays] | None = None  # from the folder of the official files
    hub: Hub | None = None
    by_hand: str = ""  # where to get the official files


def _cifar(classes: int, key: str, label: str, md5: str) -> Source:
    """`key` is what its labels are called in its own files, `label` on the hub."""
    file = f"cifar-{classes}-python.tar.gz"
    return Source(
        classes,
        3,
        32,
        flips=True,
        file=file,
        read=lambda folder: read_cifar(folder / file, key, md5),
        hub=Hub(f"uoft-cs/cifar{classes}", "img", label, "test"),
        by_hand=f"fetch https://www.cs.toronto.edu/~kriz/{file}",
    )


SOURCES: dict[str, Source] = {
    "mnist_5k": Source(10, 1, 28, flips=False),
    "fashion_mnist": Source(
        10,
        1,
        28,
        flips=True,
        file="train-images-idx3-ubyte",
        read=lambda folder: read_idx(folder, FASHION),
        hub=Hub("zalando-datasets/fashion_mnist", "image", "label", "test"),
        by_hand="on Debian and Ubuntu apt-get install dataset-fashion-mnist; elsewhere fetch the four idx files of "
        "https://github.com/zalandoresearch/fashion-mnist",
    ),
    "cifar10": _cifar(10, "labels", "label", "c58f30108f718f92721af3b95e74349a"),
    "cifar100": _cifar(100, "fine_labels", "fine_label", "eb9058c3a382ffc7106e4002c42a8d85"),
    "tiny_imagenet": Source(
        200,
        3,
        64,
        flips=True,
        file="tiny-imagenet-200.zip",
        read=lambda folder: read_tiny_imagenet(folder / "tiny-imagenet-200.zip", "90528d7ca1a48142e341f4ef8d21d0de"),
        hub=Hub("zh-plus/tiny-imagenet", "image", "label", "valid"),
        by_hand="fetch http://cs231n.stanford.edu/tiny-imagenet-200.zip",
    ),
}


def fetch(name: str, folder: Path) -> Arrays:
    """The data set `name`: from the official files in `folder`, else from a system package, else from the hub. UserError."""
    source = SOURCES[name]
    if source.read is None:
        return read_mnist_5k()
    for place in (folder, DEBIAN):
        if any(os.path.exists(place / name) for name in (source.file, f"{source.file}.gz")):
            return source.read(place)
    assert source.hub is not None
    try:
        return _from_hub(source.hub, source.channels)
    except Exception as error:  # no package, no network, a broken download: all the same to who has to mend it
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(
            f"{name} is not in {folder} and cannot be had from the hub ({reason}). By hand: {source.by_hand}, put it into a "
            "folder and name that with --data-dir"
        ) from error


def _from_hub(hub: Hub, channels: int) -> Arrays:
    from datasets import load_dataset  # the Hugging Face package; the extra [data]

    arrays: list[np.ndarray] = []
    for split in ("train", hub.test):
        rows = load_dataset(hub.name, split=split)
        images = np.stack([np.asarray(row[hub.image].convert("RGB" if channels == 3 else "L"), np.uint8) for row in rows])
        images = images.transpose(0, 3, 1, 2) if channels == 3 else images[:, None]
        arrays += [np.ascontiguousarray(images), np.array([row[hub.label] for row in rows], np.int64)]
    return Arrays(*arrays)
