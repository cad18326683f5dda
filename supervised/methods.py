"""The methods of the study, each a function from a run's settings to the same with one thing changed. No torch here."""

from dataclasses import replace

from hare_tortoise.methods import DECAY, Use, average
from hare_tortoise.methods import METHODS as ALL_METHODS
from hare_tortoise.settings import Tortoise
from supervised.settings import Config, Crop, Distillation


def _distillation(c: Config) -> Config:
    return replace(c, tortoise=Tortoise(DECAY), distillation=Distillation())


def _fresh(c: Config) -> Config:
    return replace(c, protocol=replace(c.protocol, last_only=True, memory=None))


_OWN: dict[str, Use] = {
    "none": Use(lambda c: c, "nothing: the lower bound", "Lee et al. 2024"),
    "augmentation": Use(lambda c: replace(c, augmentation=Crop()), "random crop and flip", "He et al. 2016"),
    "distillation": Use(
        _distillation, "loss + KL divergence from the tortoise to the hare; the hare is judged", "Lee et al. 2024"
    ),
}
_SHARED = {name: method.classifiers for name, method in ALL_METHODS.items() if method.classifiers is not None}
_BEFORE_RESETS = ("none", "wd", "augmentation", "spectral", "l2init", "redo", "crelu")
METHODS = {name: (_OWN | _SHARED)[name] for name in (*_BEFORE_RESETS, "head", "sp", "reinit", "ema", "distillation", "ht")}

# Not methods, since they need all data at once. After a warm start they bound what a method can regain.
REFERENCES: dict[str, Use] = {
    "fresh": Use(_fresh, "only the last task, on all data: the reference", "Lee et al. 2024"),
    "fresh_ema": Use(lambda c: average(DECAY)(_fresh(c)), "the same, the tortoise is judged: what averaging gives", "ours"),
}
EVERYTHING = METHODS | REFERENCES

# What methods were called in the study before agents and classifiers had one table of them.
FORMER = {"l2": "wd", "regen": "l2init", "head_reset": "head", "shrink_perturb": "sp", "hare_tortoise": "ht"}
