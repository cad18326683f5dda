"""A data set on the device: decoded once to uint8, cached with a checksum, and given out in batches that are cut there."""

import hashlib
import io
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from experiment.command import UserError
from experiment.files import atomic, read_bytes
from supervised.archives import Arrays
from supervised.settings import Crop
from supervised.sources import SOURCES, fetch

DIGEST = 32  # bytes of the checksum at the end of a cached file
LARGEST = 1 << 32  # bytes of a cached file; Tiny-ImageNet's has 1.4e9


class Data(NamedTuple):
    """Images uint8 [N, C, H, W] and labels int64 [N]; `mean` and `scale`, float32 [C, 1, 1], of the training pixels."""

    images: Tensor
    labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    mean: Tensor
    scale: Tensor

    def prepare(self, images: Tensor) -> Tensor:
        """Images uint8 [M, C, H, W], as a network wants them: float32, of mean 0 and deviation 1 in each channel."""
        return (images.float() - self.mean) * self.scale


def load(name: str, folder: Path, device: torch.device) -> Data:
    """The data set `name` on `device`, from the cache or as `fetch` finds it. UserError if it is not to be had."""
    arrays = _cached(cache_folder() / f"{name}.npz", name, folder)
    expected = SOURCES[name]
    counts = np.stack([np.bincount(arrays.images[:, c].ravel(), minlength=256) for c in range(expected.channels)])
    values = np.arange(256)
    mean = (counts * values).sum(1) / counts.sum(1)
    deviation = np.sqrt((counts * (values - mean[:, None]) ** 2).sum(1) / counts.sum(1))
    moments = [torch.tensor(m, dtype=torch.float32).view(-1, 1, 1).to(device) for m in (mean, 1 / np.maximum(deviation, 1))]
    return Data(*[torch.from_numpy(array).to(device) for array in arrays], *moments)


def cache_folder() -> Path:
    """Where decoded data sets are kept, as freedesktop.org has it."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hare-and-tortoise"


def _cached(path: Path, name: str, folder: Path) -> Arrays:
    if os.path.exists(path):  # unlike Path.exists it bears any name, and folders that may not be looked into
        stored = _stored(path)
        if stored is not None and not _misfit(name, stored):
            return stored
        print(f"{path} is damaged; it is made anew", file=sys.stderr)
    arrays = fetch(name, folder)
    if misfit := _misfit(name, arrays):
        raise UserError(f"{name} has {misfit}: these are not its files")
    file = io.BytesIO()
    np.savez(file, **arrays._asdict())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as target:
            target.write(file.getbuffer())
            target.write(hashlib.blake2b(file.getbuffer(), digest_size=DIGEST).digest())
    except OSError as error:
        print(f"{name} is not cached: {path} cannot be written ({error.strerror})", file=sys.stderr)
    return arrays


def _misfit(name: str, arrays: Arrays) -> str:
    """Why `arrays` cannot be the data set `name`, nothing if they can: what a hub has may have changed."""
    expected = SOURCES[name]
    for images, labels in ((arrays.images, arrays.labels), (arrays.test_images, arrays.test_labels)):
        if images.shape != (len(labels), expected.channels, expected.side, expected.side):
            return f"{len(labels):,} labels and images of shape {images.shape}"
        if not np.isin(labels, np.arange(expected.classes)).all():
            return f"labels beyond its {expected.classes} classes"
    return ""


def _stored(path: Path) -> Arrays | None:
    """What the cached file `path` holds, None if it is not what was written."""
    try:
        content = read_bytes(path, LARGEST)
    except UserError:
        return None
    body, digest = memoryview(content)[:-DIGEST], content[-DIGEST:]
    if hashlib.blake2b(body, digest_size=DIGEST).digest() != digest:
        return None
    with np.load(io.BytesIO(body)) as stored:
        return Arrays(*[stored[field] for field in Arrays._fields])


def crop_flip(images: Tensor, crop: Crop, generator: torch.Generator) -> Tensor:
    """`images`, uint8 [M, C, H, W], each padded with black, cut to its size elsewhere, and mirrored or not."""
    m, _, height, width = images.shape
    device, span = images.device, 2 * crop.pad + 1
    padded = torch.nn.functional.pad(images, (crop.pad,) * 4)
    top, left = (torch.randint(span, (m,), generator=generator, device=device) for _ in range(2))
    everywhere = padded.unfold(2, height, 1).unfold(3, width, 1)  # [M, C, span, span, H, W], a view
    cut = everywhere[torch.arange(m, device=device), :, top, left]
    if crop.flip:
        mirrored = torch.randint(2, (m, 1, 1, 1), generator=generator, device=device).bool()
        cut = torch.where(mirrored, cut.flip(3), cut)
    return cut


class Batches:
    """The images of a task, in a new order each epoch, in batches of one size: an epoch's last is filled up with its first.

    `images` uint8 [N, C, H, W] and `labels` int64 [N] stay where they are, which is where batches are made.
    """

    def __init__(self, data: Data, images: Tensor, labels: Tensor, size: int) -> None:
        """Of all `images` that there are those at the places `images`, int64 [N], with `labels`, int64 [N]."""
        self._data, self._images, self.labels, self.size = data, images, labels, size
        self.per_epoch = -(-len(images) // size)
        self._order = torch.zeros(0, dtype=torch.int64, device=images.device)
        self._next = 0

    def draw(self, crop: Crop | None, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The next batch: float32 [size, C, H, W], int64 [size]."""
        if self._next == len(self._order):
            count = len(self._images)
            order = torch.randperm(count, generator=generator, device=self._images.device)
            self._order = order.repeat(-(-self.per_epoch * self.size // count))[: self.per_epoch * self.size]
            self._next = 0
        where = self._order[self._next : self._next + self.size]
        self._next += self.size
        images = self._data.images[self._images[where]]
        if crop is not None:
            images = crop_flip(images, crop, generator)
        return self._data.prepare(images), self.labels[where]

    def sample(self, count: int) -> tuple[Tensor, Tensor]:
        """`count` images of the task, all if there are fewer, as uint8, and their labels: old and new ones in their shares."""
        total = len(self._images)
        where = torch.arange(min(count, total), device=self._images.device) * total // min(count, total)
        return self._data.images[self._images[where]], self.labels[where]

    def state_dict(self) -> dict[str, Any]:
        """Where in which order it is."""
        return {"order": self._order, "next": self._next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self._order, self._next = state["order"].to(self._images.device), state["next"]
