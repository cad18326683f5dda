"""The methods of the study, each a function from a run's settings to the same with one thing changed. No torch here."""

from dataclasses import replace

from experiment.files import shown
from hare_tortoise.changes import average
from hare_tortoise.methods import DECAY, Use, check_methods
from hare_tortoise.methods import METHODS as ALL_METHODS
from hare_tortoise.ranges import require
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

# Not methods, since they need all data at once. After a warm start they bound what a method can regain.
REFERENCES: dict[str, Use] = {
    "fresh": Use(_fresh, "only the last task, on all data: the reference", "Lee et al. 2024"),
    "fresh_ema": Use(lambda c: average(DECAY)(_fresh(c)), "the same, the tortoise is judged: what averaging gives", "ours"),
}
# What methods were called in the study before agents and classifiers had one table of them.
FORMER = {"l2": "wd", "regen": "l2init", "head_reset": "head", "shrink_perturb": "sp", "hare_tortoise": "ht"}

TABLES = (ALL_METHODS,)  # which a module of the user's may add to; `fill` then makes these of it:
METHODS: dict[str, Use] = {}
EVERYTHING: dict[str, Use] = {}  # with the references
# Where the methods of this study stood in the order of its reports; all others stand between.
FIRST = ("none", "wd", "augmentation", "spectral", "l2init", "redo", "crelu")
LAST = ("head", "sp", "reinit", "ema", "distillation", "ht")


def fill() -> None:
    """Make METHODS and EVERYTHING of the one table, to which a module of the user's may have added. ValueError, one line."""
    check_methods()
    shared = {name: method.classifiers for name, method in ALL_METHODS.items() if method.classifiers is not None}
    for name, method in shared.items():
        require(name not in (_OWN | REFERENCES | FORMER), f"the study has a {name!r} of its own; give yours another name")
        made = method.apply(Config())
        require(isinstance(made, Config), f"the method {name!r} makes of a classifier's settings {shown(made)}, not settings")
    others = [name for name in shared if name not in (*FIRST, *LAST)]
    METHODS.clear()
    METHODS.update({name: (_OWN | shared)[name] for name in (*FIRST, *others, *LAST)})
    EVERYTHING.clear()
    EVERYTHING.update(METHODS | REFERENCES)


fill()
