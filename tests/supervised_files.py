"""Small archives of the formats in which the data sets come, and a tiny Fashion-MNIST for whole runs."""

import gzip
import hashlib
import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from supervised.sources import FASHION

CLASSES = 10


def pictures(count: int, channels: int, side: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [N, C, side, side] that a small network can tell apart, and their labels int64 [N]."""
    rng = np.random.default_rng(seed)
    patterns = np.random.default_rng(99).integers(0, 2, (CLASSES, channels, side, side)) * 120
    labels = rng.integers(0, CLASSES, count)
    return (patterns[labels] + rng.integers(0, 120, (count, channels, side, side))).astype(np.uint8), labels


def write_idx(folder: Path, train: int, test: int, zipped: bool = True) -> dict[str, str]:
    """The four files of Fashion-MNIST with `train` and `test` images; the MD5 of each, unzipped."""
    folder.mkdir(parents=True, exist_ok=True)
    sums = {}
    for kind, count, seed in (("train", train, 1), ("t10k", test, 2)):
        images, labels = pictures(count, 1, 28, seed)
        contents = {
            f"{kind}-images-idx3-ubyte": bytes([0, 0, 8, 3]) + np.array([count, 28, 28], ">u4").tobytes() + images.tobytes(),
            f"{kind}-labels-idx1-ubyte": bytes([0, 0, 8, 1]) + np.array([count], ">u4").tobytes() + bytes(labels.tolist()),
        }
        for name, content in contents.items():
            sums[name] = hashlib.md5(content).hexdigest()
            path = folder / (name + ".gz" if zipped else name)
            path.write_bytes(gzip.compress(content) if zipped else content)
    return sums


def install_fashion(monkeypatch: pytest.MonkeyPatch, root: Path, train: int = 200, test: int = 60) -> Path:
    """A tiny Fashion-MNIST and a cache of its own below `root`; what to give to --data-dir."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(root / "cache"))
    for name, md5 in write_idx(root / "files", train, test).items():
        monkeypatch.setitem(FASHION, name, md5)
    return root / "files"


def write_cifar(path: Path, key: bytes, batches: dict[str, tuple[np.ndarray, np.ndarray]]) -> str:
    """An archive of CIFAR's format from batches of images uint8 [N, 3, 32, 32] and labels; its MD5."""
    with tarfile.open(path, "w:gz") as archive:
        for name, (images, labels) in batches.items():
            rows = {b"data": images.reshape(len(images), -1), key: labels.tolist(), b"batch_label": b"of a test"}
            content = pickle.dumps(rows, protocol=2)
            member = tarfile.TarInfo(f"cifar/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        meta = tarfile.TarInfo("cifar/batches.meta")
        archive.addfile(meta, io.BytesIO(b""))
    return hashlib.md5(path.read_bytes()).hexdigest()


def write_tiny_imagenet(path: Path, images: np.ndarray, labels: np.ndarray, names: list[str]) -> str:
    """An archive of Tiny-ImageNet's format: every image, uint8 [N, 3, 64, 64], is there for training and for validation."""
    root = "tiny-imagenet-200"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{root}/wnids.txt", "\n".join(names))
        notes = []
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            encoded = cv2.imencode(".jpg", image.transpose(1, 2, 0)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
            archive.writestr(f"{root}/train/{names[label]}/images/{names[label]}_{i:03}.JPEG", encoded)
            archive.writestr(f"{root}/val/images/val_{i}.JPEG", encoded)
            notes.append(f"val_{i}.JPEG\t{names[label]}\t0\t0\t63\t63")
        archive.writestr(f"{root}/val/val_annotations.txt", "\n".join(notes) + "\n")
    return hashlib.md5(path.read_bytes()).hexdigest()
