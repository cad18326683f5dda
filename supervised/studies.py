"""The studies of the paper as values: what is varied, and the models with their optimizers. No torch here."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeVar

from hare_tortoise.methods import DECAY, EVERY
from hare_tortoise.settings import Pruning, Recycling, Resets, Silence
from supervised.methods import EVERYTHING
from supervised.settings import Config, Crop, Network, Optimizer, Protocol

Timed = TypeVar("Timed", Resets | None, Recycling | None, Silence | None, Pruning | None)


class Model(NamedTuple):
    """A network and what it is trained with."""

    network: Network
    learning_rate: float
    weight_decay: float
    batch_size: int
    source: str


MODELS: dict[str, Model] = {
    "mlp": Model(Network("mlp", width=512, depth=2), 1e-3, 1e-3, 256, "ours"),
    "resnet_small": Model(Network("resnet", width=8, depth=1, stride=2, hidden=(64,)), 1e-3, 1e-3, 64, "ours, for a CPU"),
    "resnet18": Model(Network("resnet", width=64, depth=2, hidden=(512,)), 1e-3, 1e-3, 256, "Lee et al. 2024, CIFAR-10"),
    "vit_tiny": Model(Network("vit", width=192, depth=12, dropout=0.1), 3e-3, 0.05, 256, "Lee et al. 2024, CIFAR-100"),
    "vgg16_bn": Model(
        Network("vgg", width=64, depth=13, hidden=(1024, 1024)), 1e-3, 1e-3, 256, "Lee et al. 2024, Tiny-ImageNet"
    ),
}


@dataclass(frozen=True)
class Point:
    """One setting of a study; the optimizer's three values are its own whatever the model."""

    protocol: Protocol
    augmentation: Crop | None = None
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    images: int | None = None  # of the training set; None: all
    evaluations: int = 20  # in each task
    decay: float = DECAY  # of a tortoise, in each update
    every: int = EVERY  # updates from one reset, recycling or pruning within a task to the next


class Study(NamedTuple):
    """What is varied (the first point is the default), with which methods, and what a picture of it has along its axis."""

    figure: str
    points: dict[str, Point]
    methods: Collection[str]  # EVERYTHING, which modules of the user's may add to, or some
    axis: Literal["points", "grid", "methods", "tasks"]

    def augments(self, point: str) -> bool:
        """Whether `point` augments whatever the method, so that the method augmentation would be none."""
        return point in self.points and self.points[point].augmentation is not None

    def methods_at(self, point: str) -> list[str]:
        """The methods that there are to compare at `point`."""
        return [name for name in self.methods if name != "augmentation" or not self.augments(point)]


WARM = Protocol()  # a tenth of the images, half of their labels wrong; then all, clean (Lee et al. 2024)
CONTINUAL = Protocol((0.1,) * 10, (0.5, 0.4, 0.4, 0.3, 0.3, 0.2, 0.2, 0.1, 0.1, 0.0), passes=10)  # Lee et al. 2024
MEMORY = 5_000  # images, of CIFAR's 50,000; Lee et al. 2024
BOUNDED = ("fresh", "none")
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # ours, like all other values that are varied below
NOISES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
GRID = (0.1, 0.3, 0.5, 0.7, 0.9)

# For a CPU: the same tasks with 2,000 images and a fifth of the epochs; found by the search in docs/log.md.
SMALL = Point(replace(WARM, passes=20), images=2_000, evaluations=4, decay=0.99, every=200)
SMALL_CONTINUAL = replace(SMALL, protocol=replace(CONTINUAL, passes=2), augmentation=Crop(), evaluations=1)


def _warm(share: float, noise: float) -> Point:
    """A warm start that differs in `share` and `noise` alone.

    The paper's code makes a task's epochs its passes / its share, which leaves the first task's number of updates alone but
    would give the last, whose images are all of them, 111 epochs after a tenth and 1,000 after nine tenths.
    """
    shares = (share, round(1 - share, 6))
    return Point(replace(WARM, shares=shares, noise=(noise, 0.0), last_epochs=WARM.epochs(1)))


STUDIES: dict[str, Study] = {
    "warm_start": Study(
        "Figure 5", {"plain": Point(WARM), "augmented": Point(WARM, Crop()), "small": SMALL}, EVERYTHING, "methods"
    ),
    "subset": Study("Figure 2", {f"{share:g}": _warm(share, 0.0) for share in SHARES}, BOUNDED, "points"),
    "noise": Study("Figure 2", {f"{n:g}": Point(replace(WARM, noise=(n, 0.0))) for n in NOISES}, BOUNDED, "points"),
    "both": Study("Figure 2", {f"{s:g}x{n:g}": _warm(s, n) for s in GRID for n in GRID}, BOUNDED, "grid"),
    "optimizer": Study(
        "Figure 3",
        {
            "adamw": Point(WARM),
            **{f"beta1={value:g}": Point(WARM, beta1=value) for value in (0.0, 0.5, 0.99)},
            **{f"beta2={value:g}": Point(WARM, beta2=value) for value in (0.9, 0.99, 0.9999)},
            **{f"epsilon={value:g}": Point(WARM, epsilon=value) for value in (1e-6, 1e-4, 1e-2)},
        },
        BOUNDED,
        "points",
    ),
    "methods": Study("Figure 4", {"plain": Point(WARM)}, EVERYTHING, "methods"),
    "continual": Study("Figure 6", {"augmented": Point(CONTINUAL, Crop()), "small": SMALL_CONTINUAL}, EVERYTHING, "tasks"),
    "continual_buffer": Study("Figure 6", {"augmented": Point(replace(CONTINUAL, memory=MEMORY), Crop())}, EVERYTHING, "tasks"),
}


def compose(model: str, point: Point, method: str, flips: bool) -> Config:
    """The settings of a run. `flips`: whether a mirrored image of this data set still is what its label says."""
    chosen = MODELS[model]
    optimizer = Optimizer(
        learning_rate=chosen.learning_rate,
        weight_decay=chosen.weight_decay,
        beta1=point.beta1,
        beta2=point.beta2,
        epsilon=point.epsilon,
        batch_size=chosen.batch_size,
    )
    c = EVERYTHING[method].apply(Config(point.protocol, chosen.network, optimizer, point.augmentation))
    return replace(
        c,
        tortoise=c.tortoise and replace(c.tortoise, decay=point.decay if c.tortoise.decay == DECAY else c.tortoise.decay),
        resets=at_point(c.resets, point),
        recycling=at_point(c.recycling, point),
        silence=at_point(c.silence, point),
        pruning=at_point(c.pruning, point),
        augmentation=c.augmentation and replace(c.augmentation, flip=c.augmentation.flip and flips),
    )


def at_point(piece: Timed, point: Point) -> Timed:
    """`piece` as often as `point` says, unless a method has an interval of its own, or none: between tasks alone."""
    return replace(piece, every=point.every) if piece is not None and piece.every == EVERY else piece


def help_text() -> str:
    """The tables of studies, models and methods, as Markdown."""
    lines = ["| study | in the paper | points |", "| --- | --- | --- |"]
    lines += [f"| `{name}` | {study.figure} | {', '.join(study.points)} |" for name, study in STUDIES.items()]
    lines += ["", "| model | learning rate | weight decay | source |", "| --- | --- | --- | --- |"]
    lines += [f"| `{n}` | {m.learning_rate:g} | {m.weight_decay:g} | {m.source} |" for n, m in MODELS.items()]
    lines += ["", "| method | what changes | source |", "| --- | --- | --- |"]
    lines += [f"| `{name}` | {m.changes} | {m.source} |" for name, m in EVERYTHING.items()]
    return "\n".join(lines)
