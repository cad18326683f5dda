"""The command line of the study: what a run is, as one frozen value."""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from experiment.command import UserError, nearest, parse, peek, user_errors
from experiment.help import Guide, answer
from experiment.on_wandb import Mode, usual_mode, usual_project
from experiment.outside import Imports, asked_for, bring_in, flags, hint, used
from experiment.start import say_next, start
from hare_tortoise.ranges import Range, Seed, check, require
from supervised.methods import EVERYTHING, FORMER, TABLES, fill
from supervised.settings import Config
from supervised.sources import SOURCES
from supervised.studies import MODELS, STUDIES, compose, help_text

CONFIG = Config()
PROJECT = "hare-and-tortoise-supervised"  # at Weights & Biases
PACKAGES = ("torch", "numpy")  # that an accuracy depends on
Counted = Annotated[int, Range("[1, 100_000_000]")]
GUIDE = Guide(
    every_day=(
        *("--study", "--point", "--dataset", "--model", "--method", "--seed"),
        *("--device", "--out", "--fresh", "--wandb"),
    ),
    examples=(
        "python -m supervised.train --model mlp --method ht",
        "python -m supervised.train --study warm_start --dataset cifar10 --model resnet18 --method ht",
    ),
    groups={
        "what is trained": ("study", "point", "dataset", "model", "method", "seed", "images", "data_dir", "imports"),
        "where it is kept": ("out", "fresh", "checkpoint_every"),
        "how it is watched": ("wandb", "wandb_project", "tensorboard", "evaluations", "hessian_rounds"),
        "how fast it computes": ("device", "precision"),
        "the tasks": ("protocol", "augmentation"),
        "the network": ("network",),
        "how weights change": ("optimizer", "penalties", "distillation", "tortoise", "constraints"),
        "what is set back, renewed or pruned": ("resets", "recycling", "silence", "replacement", "pruning"),
    },
    others="`python -m supervised.train --method help` lists methods that have them",
    more="--help-all: every flag, with the method's own values. --method help: every study, model and method.",
)


@dataclass(frozen=True)
class Run:
    """Train a network on a sequence of tasks; all is kept in OUT/DATASET/MODEL/STUDY/POINT/METHOD/seedN."""

    study: str = "warm_start"
    """`help` prints studies, models and methods"""
    point: str = ""
    """a setting of the study; its first if not given"""
    dataset: str = "mnist_5k"
    """mnist_5k, fashion_mnist, cifar10, cifar100 or tiny_imagenet"""
    model: str = "mlp"
    """mlp, resnet18, vit_tiny, vgg16_bn, resnet_small"""
    method: str = "ht"
    """a method, or a reference: fresh, fresh_ema"""
    seed: Seed = 0
    """decides weights, splits, noise, order, augmentation"""
    images: Counted | None = None
    """how many of the training images there are in all tasks together, drawn by the seed; None: all (a point may say)"""
    precision: Literal["float32", "bfloat16"] = "float32"
    """of products while learning; weights and losses stay float32"""
    evaluations: Counted = 20
    """accuracies in each task, evenly spaced, the last after its last update"""
    hessian_rounds: Annotated[int, Range("[0, 10_000]")] = 0
    """products for the Hessian's top eigenvalue in each evaluation, of 512 images each; 0 leaves it out"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where to learn; auto takes CUDA if there is any"""
    data_dir: Path = Path("data")
    """where the official files of data sets lie, if they do"""
    out: Path = Path("runs/supervised")
    """where run folders are kept"""
    checkpoint_every: Counted = 5_000
    """updates between two checkpoints; there is one after each task too"""
    wandb: Mode = dataclasses.field(default_factory=usual_mode)
    """mirror the metrics to Weights & Biases"""
    wandb_project: str = dataclasses.field(default_factory=lambda: usual_project(PROJECT))
    """the project there; WANDB_PROJECT, and WANDB_MODE for --wandb, stand for what is not given"""
    tensorboard: bool = False
    """write event files for TensorBoard to the run folder"""
    fresh: bool = False
    """start over; deletes what the folder holds"""
    imports: Imports = ()
    config: Annotated[Config, tyro.conf.arg(name="")] = CONFIG

    def __post_init__(self) -> None:
        """ValueError, naming the flag, if a value is out of its range or does not go with another."""
        n = self.config.network
        side = SOURCES[self.dataset].side
        check(self)
        require(n.kind != "vgg" or side >= 32, f"a vgg halves an image five times: {self.dataset} has {side} pixels")

    clock = "update"  # by which metrics are counted
    apart = "another --out keeps both"  # where a folder holds another run

    @property
    def folder(self) -> Path:
        """Where this run is kept; one that was begun under a former name of its method stays where it is."""
        place, seed = self.out / self.dataset / self.model / self.study / self.point, f"seed{self.seed}"
        former = [place / old / seed for old, name in FORMER.items() if name == self.method]
        return next((path for path in former if os.path.exists(path)), place / self.method / seed)

    def going_on(self, settings: dict[str, Any]) -> "Run":
        """The same: nothing is left to a run that was begun with `settings`."""
        return self

    @staticmethod
    def renewed(values: dict[str, Any]) -> dict[str, Any]:
        """Settings as `values` with the name that their method has today."""
        return values | ({"method": FORMER.get(values["method"], values["method"])} if "method" in values else {})

    def identity(self) -> dict[str, Any]:
        """All that the result depends on, as plain values; what a run folder is recognised by."""
        names = ("study", "point", "dataset", "model", "method", "seed", "images", "precision", "evaluations", "hessian_rounds")
        imports = used([self.method])
        return {
            **{name: getattr(self, name) for name in names},
            **({"imports": imports} if imports else {}),
            "config": dataclasses.asdict(self.config),
        }

    def mirror(self) -> dict[str, Any]:
        """How Weights & Biases shows the run: the seeds of a study side by side."""
        parts = (self.method, self.study, self.point, self.dataset, self.model)
        group = "-".join(parts)
        names = {"group": group, "name": f"{group}-seed{self.seed}"}
        return {"project": self.wandb_project, **names, "tags": [*parts]}

    def outcome(self, score: dict[str, Any]) -> str:
        """The last line of a run with this `score`."""
        held_out = self.config.protocol.held_out
        images = f"accuracy on {held_out:,} held-out images" if held_out else "test accuracy"
        return f"{self.method}, {self.study} on {self.dataset}: {images} {score['test']:.4f} ({self.folder})"


def main(argv: Sequence[str]) -> None:
    """Make the run that the command line `argv` asks for: python -m supervised.train."""
    asked = read_command_line(argv)
    start(asked, "supervised.train", PACKAGES)
    tables = ["python", "-m", "supervised.report", asked.out, "--collect", asked.out]
    say_next(compare=[*tables, *flags(asked.imports)])


def read_command_line(argv: Sequence[str]) -> Run:
    """The run that `argv` asks for, in two passes: modules, study, model and method decide what other flags are. UserError."""
    bring_in(asked_for(argv), TABLES, fill)
    known = {"study": STUDIES, "dataset": SOURCES, "model": MODELS, "method": EVERYTHING}
    names = peek(argv, **{name: getattr(Run, name) for name in (*known, "point")})
    out = Path(peek(argv, out=str(Run.out))["out"])
    if "help" in (names["study"], names["method"], names["model"]):
        print(help_text())
        raise SystemExit(0)
    names["method"] = FORMER.get(names["method"], names["method"])
    for name, words in known.items():
        _check(name, names[name], list(words), out)
    points = STUDIES[names["study"]].points
    names["point"] = names["point"] or next(iter(points))
    _check("point", names["point"], list(points), out)
    point = points[names["point"]]
    with user_errors():
        config = compose(names["model"], point, names["method"], SOURCES[names["dataset"]].flips)
        default = Run(**names, images=point.images, evaluations=point.evaluations, config=config)
    answer(argv, default, GUIDE)
    return dataclasses.replace(parse(Run, argv, default), method=names["method"])


def _check(flag: str, word: str, words: list[str], out: Path) -> None:
    if word not in words:
        raise UserError(f"unknown --{flag} {word!r}: {nearest(word, words)}{hint(out, word)}")
