"""What an update of the supervised study costs, beside a bare forward and backward pass of the same network.

    python -m benchmarks.supervised --model mlp --method ht

The bare loop has the same batches, loss, clipping and optimizer, written as in a tutorial. Both are timed in turns, so many
--updates in each of --rounds; the figures are medians. Images are noise: the time does not depend on what they show.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from statistics import median

import torch
from torch import nn
from torch.nn import functional

from benchmarks.program import Program, Row
from benchmarks.timing import interleaved, ratio
from experiment.command import run
from experiment.device import device_name, keep_freed_memory
from supervised.data import Batches, Data, crop_flip
from supervised.learner import Learner
from supervised.methods import EVERYTHING
from supervised.settings import Crop
from supervised.sources import SOURCES
from supervised.studies import MODELS, STUDIES, compose


def noise(dataset: str, images: int, device: torch.device) -> Data:
    """A data set of the shape of `dataset`, of `images` images of noise."""
    source = SOURCES[dataset]
    shape = (images, source.channels, source.side, source.side)
    pictures = torch.randint(256, shape, dtype=torch.uint8, device=device)
    labels = torch.randint(source.classes, (images,), device=device)
    centre, scale = (torch.full((source.channels, 1, 1), value, device=device) for value in (127.5, 1 / 74))
    return Data(pictures, labels, pictures, labels, centre, scale)


def bare(learner: Learner, data: Data, augments: bool) -> Callable[[], None]:
    """An update as in a tutorial, on a network like the hare of `learner`."""
    twin = Learner(replace(learner.config, tortoise=None, resets=None, distillation=None), learner.shape, learner.device, 0)
    network, o = twin.hare, learner.config.optimizer
    optimizer = torch.optim.AdamW(network.parameters(), lr=o.learning_rate, weight_decay=o.weight_decay, fused=True)
    generator = torch.Generator(learner.device).manual_seed(0)

    def update() -> None:
        where = torch.randint(len(data.labels), (o.batch_size,), device=learner.device)
        images = crop_flip(data.images[where], Crop(), generator) if augments else data.images[where]
        with torch.autocast(learner.device.type, learner.precision, enabled=learner.precision != torch.float32):
            logits = network(data.prepare(images))
        optimizer.zero_grad()
        functional.cross_entropy(logits.float(), data.labels[where]).backward()
        nn.utils.clip_grad_norm_(network.parameters(), o.clip or float("inf"))
        optimizer.step()

    return update


def work(asked: argparse.Namespace) -> tuple[dict[str, Callable[[], None]], int]:
    """An update of the bare loop and one of the study, and the number of images in each."""
    source, device = SOURCES[asked.dataset], asked.device
    config = compose(asked.model, STUDIES["warm_start"].points[asked.point], asked.method, source.flips)
    learner = Learner(config, (source.channels, source.side, source.classes), device, 0)
    learner.precision = getattr(torch, asked.precision)
    learner.begin_task_(1_000_000)
    data = noise(asked.dataset, 10_000, device)
    batches = Batches(data, torch.arange(10_000, device=device), data.labels, config.optimizer.batch_size)

    def update() -> None:
        x, labels = batches.draw(config.augmentation, learner.learning)
        learner.update(x, labels)
        learner.change_weights_(x)

    updates = {"bare": bare(learner, data, config.augmentation is not None), asked.method: update}
    return updates, config.optimizer.batch_size


def rows(asked: argparse.Namespace) -> Iterator[Row]:
    """A row for each of the two loops."""
    keep_freed_memory()
    updates, images = work(asked)
    setting = f"{asked.dataset}, {asked.model}, {asked.point}, {asked.precision}, {device_name(asked.device)}"
    took = interleaved(updates, asked.rounds, warmup=1, calls=asked.updates)
    for name, times in took.items():
        epoch = 50_000 / images * median(times)
        yield {setting: name, "update": times, "ratio": ratio(times, took["bare"]), "50,000 images, s": epoch}


SETTING = {
    "dataset": ("fashion_mnist", *SOURCES),
    "model": ("mlp", *MODELS),
    "method": ("none", *EVERYTHING),
    "point": ("plain", *STUDIES["warm_start"].points),
    "precision": ("float32", "bfloat16"),
    "device": ("auto", "cpu", "cuda"),
}
main = Program("supervised", __doc__, rows, **SETTING, updates=50, rounds=7)

if __name__ == "__main__":
    run(main)
