"""What an update of the supervised study costs, beside a bare forward and backward pass of the same network.

    python -m benchmarks.supervised --model mlp --method ht

The bare loop has the same batches, loss, clipping and optimizer, written as in a tutorial. Both are timed in turns; the figures
are medians. Images are noise: the time does not depend on what they show.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional

from experiment.device import choose_device, device_name, keep_freed_memory
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


def seconds(update: Callable[[], None], updates: int, device: torch.device) -> float:
    """Seconds an update, over `updates` of them."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(updates):
        update()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - started) / updates


def main() -> None:
    """Time what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="fashion_mnist", choices=list(SOURCES))
    parser.add_argument("--model", default="mlp", choices=list(MODELS))
    parser.add_argument("--method", default="none", choices=list(EVERYTHING))
    parser.add_argument("--point", default="plain", choices=list(STUDIES["warm_start"].points))
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--updates", type=int, default=50, help="in a round")
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    keep_freed_memory()
    device = choose_device(asked.device)
    source = SOURCES[asked.dataset]
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

    updates = {
        "bare": bare(learner, data, config.augmentation is not None),
        asked.method: update,
    }
    found: dict[str, list[float]] = {name: [] for name in updates}
    for round_ in range(asked.rounds + 1):  # the first warms up
        for name, made in updates.items():
            taken = seconds(made, asked.updates, device)
            if round_:
                found[name].append(taken)
    medians = {name: statistics.median(times) for name, times in found.items()}
    images = config.optimizer.batch_size / medians[asked.method]
    for name, median in medians.items():
        print(f"{name:14} {1e3 * median:8.3f} ms an update ({1e3 * min(found[name]):.3f} to {1e3 * max(found[name]):.3f})")
    print(f"ratio {medians[asked.method] / medians['bare']:.3f}; an epoch of 50,000 images {50_000 / images:.1f} s")
    print(f"{asked.dataset}, {asked.model}, {asked.precision}, {device_name(device)}, torch {torch.__version__}")


if __name__ == "__main__":
    main()
