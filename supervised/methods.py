"""The methods of the study, each a function from a run's settings to the same with one thing changed. No torch here."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from supervised.settings import Config, Crop, Distillation, Penalties, Recycling, Resets, Tortoise

DECAY = 0.999  # of every tortoise, in each update; Lee et al. 2024
EVERY = 1_000  # updates between the hare's resets; ours: the paper's code counts 10 epochs, 200 to 1,960 updates on CIFAR


class Method(NamedTuple):
    """A method, and what the tables say of it."""

    apply: Callable[[Config], Config]
    changes: str
    source: str


def _l2(c: Config) -> Config:
    return replace(c, optimizer=replace(c.optimizer, weight_decay=0.1))


def _crelu(c: Config) -> Config:
    return replace(c, network=replace(c.network, activation="crelu"))


def _distillation(c: Config) -> Config:
    return replace(c, tortoise=Tortoise(DECAY, judged=False), distillation=Distillation())


def _hare_tortoise(c: Config) -> Config:
    return replace(c, tortoise=Tortoise(DECAY), resets=Resets("tortoise", every=EVERY))


METHODS: dict[str, Method] = {
    "none": Method(lambda c: c, "nothing: the lower bound", "Lee et al. 2024"),
    "l2": Method(_l2, "weights decay by 0.1 x learning rate", "Lee et al. 2024"),
    "augmentation": Method(lambda c: replace(c, augmentation=Crop()), "random crop and flip", "He et al. 2016"),
    "spectral": Method(
        lambda c: replace(c, penalties=Penalties(logits=1e-2)),
        "loss + 0.01 (ours) x mean squared logit",
        "Pezeshki et al. 2021",
    ),
    "regen": Method(
        lambda c: replace(c, penalties=Penalties(initial=1e-3)),
        "loss + 0.001 (ours) x squared distance to the initial weights",
        "Kumar et al. 2023",
    ),
    "redo": Method(
        lambda c: replace(c, recycling=Recycling(EVERY)),
        f"dormant units (tau 0.025) new every {EVERY:,} updates",
        "Sokar et al. 2023",
    ),
    "crelu": Method(_crelu, "CReLU, layers narrower by the root of 2", "Abbas et al. 2023"),
    "head_reset": Method(
        lambda c: replace(c, resets=Resets("initial", keep_body=1.0)), "head as at the start, in each task", "Lee et al. 2024"
    ),
    "shrink_perturb": Method(
        lambda c: replace(c, resets=Resets("initial", keep_body=0.2, keep_head=0.2)),
        "0.2 weights + 0.8 initial ones, in each task",
        "Ash and Adams 2020; Lee et al. 2024",
    ),
    "reinit": Method(lambda c: replace(c, resets=Resets("fresh")), "all weights new, in each task", "Ash and Adams 2020"),
    "ema": Method(lambda c: replace(c, tortoise=Tortoise(DECAY)), "the tortoise is judged", "Lee et al. 2024"),
    "distillation": Method(
        _distillation, "loss + KL divergence from the tortoise to the hare; the hare is judged", "Lee et al. 2024"
    ),
    "hare_tortoise": Method(
        _hare_tortoise,
        f"the hare is set back to the tortoise every {EVERY:,} updates (ours); the tortoise is judged",
        "Lee et al. 2024",
    ),
}


def _fresh(c: Config) -> Config:
    return replace(c, protocol=replace(c.protocol, last_only=True, memory=None))


# References: not methods, since they need all data at once. After a warm start they bound what a method can regain.
BOUNDS: dict[str, Method] = {
    "fresh": Method(_fresh, "only the last task, on all data: the reference", "Lee et al. 2024"),
    "fresh_ema": Method(
        lambda c: replace(_fresh(c), tortoise=Tortoise(DECAY)), "the same, the tortoise is judged: what averaging gives", "ours"
    ),
}
EVERYTHING = METHODS | BOUNDS
