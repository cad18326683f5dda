"""What a supervised run is made of, as values: frozen, typed, orthogonal. A feature that is off is None. No torch here."""

import copy
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from hare_tortoise import settings
from hare_tortoise.idle import require_other
from hare_tortoise.ranges import BelowOne, Factor, Range, Share, check, require
from hare_tortoise.settings import (
    Constraints,
    Kind,
    Penalties,
    Plans,
    Pruning,
    Recycling,
    Replacement,
    Resets,
    Silence,
    Tortoise,
)

MOST = 10**8  # of what is counted in images or updates
EPOCHS = 10**6  # of a task


@dataclass(frozen=True)
class Protocol:
    """A sequence of tasks: each brings new images, and the network learns from all it has been given."""

    shares: Annotated[tuple[float, ...], Range("(0, 1]")] = (0.1, 0.9)
    """share of the training images that is new in each task; they sum to 1"""
    noise: Annotated[tuple[float, ...], Range("[0, 1]")] = (0.5, 0.0)
    """share of the labels that are wrong in each task"""
    passes: Annotated[float, Range("(0, 100_000]")] = 100.0
    """a task lasts passes / its share epochs, rounded down"""
    convention: Literal["redrawn", "kept"] = "redrawn"
    """redrawn: in each task all labels get that task's noise anew, as in the paper's code; kept: a label stays as it came"""
    memory: Annotated[int | None, Range("[0, 100_000_000]")] = None
    """how many images of earlier tasks can be learnt from, a reservoir of those that came; None: all"""
    last_only: bool = False
    """skip all tasks but the last: a fresh network on all data, the reference"""
    last_epochs: Annotated[int | None, Range("[1, 1_000_000]")] = None
    """epochs of the last task, whatever its share; None: as of the others"""
    held_out: Annotated[int, Range("[0, 100_000_000]")] = 0
    """training images that no task has, on which accuracies are measured in place of the test images: to choose settings by"""

    @property
    def tasks(self) -> range:
        """The tasks that are learnt, by their index in `shares`."""
        last = len(self.shares) - 1
        return range(last if self.last_only else 0, last + 1)

    def epochs(self, task: int) -> int:
        """How often `task` goes through its images; 1000 and 111 for the paper's warm start, 100 ten times if continual."""
        if self.last_epochs is not None and task == len(self.shares) - 1:
            return self.last_epochs
        return max(1, int(self.passes / self.shares[task] + 1e-9))

    def rules(self, flag: str) -> None:
        """ValueError, naming the flag, if values mean nothing beside another."""
        tasks = len(self.shares)
        require(tasks > 0, f"{flag}shares needs at least one share")
        require(abs(sum(self.shares) - 1) < 1e-6, f"{flag}shares must sum to 1, not {sum(self.shares):g}")
        lacking = f"{flag}noise needs a value for each of the {tasks} tasks of {flag}shares, not {len(self.noise)}"
        require(len(self.noise) == tasks, lacking)
        longest = self.passes / min(self.shares)
        require(longest <= EPOCHS, f"{flag}passes over a share is {longest:g} epochs; {EPOCHS} are the most")


@dataclass(frozen=True)
class Network:
    """From images to logits: a body, and a head of linear layers."""

    kind: Literal["mlp", "resnet", "vit", "vgg"] = "mlp"
    """multi-layer perceptron, ResNet with a 3x3 stem, vision transformer, VGG-16 with batch normalisation"""
    width: Annotated[int, Range("[1, 16_384]")] = 512
    """units of an mlp's layers, channels of the first convolutions, size of a transformer's tokens (64 for each head)"""
    depth: Annotated[int, Range("[1, 1_000]")] = 2
    """hidden layers of an mlp, blocks in each of a ResNet's 4 stages (2: ResNet-18), blocks of a transformer; 13 in a vgg"""
    stride: Annotated[int, Range("[1, 64]")] = 1
    """of a ResNet's first convolution; 2 makes all behind it four times cheaper"""
    hidden: Annotated[tuple[int, ...], Range("[1, 16_384]")] = ()
    """units of the head's hidden layers"""
    activation: Kind = "relu"
    """relu (in a transformer GELU), or off the residual stream crelu, narrower by the root of 2, or fourier, half as wide"""
    layer_norm: bool = False
    """normalise each sample before every activation behind a linear layer; convolutions have batch normalisation"""
    spectral_norm: bool = False
    """divide the weights of hidden linear layers, of those alone, by their largest singular value"""
    dropout: BelowOne = 0.0
    """share of a transformer's embeddings and branch outputs that are zeroed in training"""

    def rules(self, flag: str) -> None:
        """ValueError, naming the flag, if values mean nothing beside another."""
        require(self.stride == 1 or self.kind == "resnet", f"{flag}stride means nothing with {self.kind}")
        require(self.kind != "vit" or self.width % 64 == 0, f"{flag}width of a vit must divide by 64, not {self.width}")
        require(self.kind != "vgg" or self.depth == 13, f"{flag}depth of a vgg must be 13, not {self.depth}")
        require(self.dropout == 0 or self.kind == "vit", f"{flag}dropout means nothing with {self.kind}")


@dataclass(frozen=True, kw_only=True)
class Optimizer(settings.Optimizer):
    """AdamW (Loshchilov and Hutter 2019), new in each task, and clipping of the whole gradient before it."""

    clip: Annotated[float | None, Range("(0, inf)")] = 0.5
    """largest norm of the whole gradient"""
    weight_decay: Factor = 1e-3
    """decoupled, times the learning rate; of everything but vectors, that is biases and gains"""
    batch_size: Annotated[int, Range("[2, 65_536]")] = 256
    warmup: Share = 0.1
    """share of a task in which the learning rate rises linearly from 0"""


@dataclass(frozen=True)
class Crop:
    """Random crop and flip, drawn anew for each image of a batch (He et al. 2016)."""

    pad: Annotated[int, Range("[0, 64]")] = 4
    """black pixels added on each side, of which as many are cut away again"""
    flip: bool = True
    """whether half of the images are mirrored; never for digits"""


@dataclass(frozen=True)
class Distillation:
    """The hare also learns what the tortoise says of its batch."""

    weight: Factor = 1.0
    """times temperature^2 x KL divergence, summed over classes and averaged over the batch"""
    temperature: Annotated[float, Range("(0, 1_000_000]")] = 1.0


@dataclass(frozen=True)
class Config:
    """All that a run's result depends on, but data, precision and seed."""

    protocol: Protocol = Protocol()
    network: Network = Network()
    optimizer: Optimizer = Optimizer()
    augmentation: Crop | None = None
    penalties: Penalties = Penalties()
    tortoise: Tortoise | None = None
    distillation: Distillation | None = None
    resets: Resets | None = None
    recycling: Recycling | None = None
    silence: Silence | None = None
    replacement: Replacement | None = None
    constraints: Constraints = Constraints()
    pruning: Pruning | None = None

    def __post_init__(self) -> None:
        """ValueError, naming the flag, if a value is out of its range or means nothing beside another."""
        check(self)
        plans = self.plans()
        check(plans)
        require_other(plans)
        plans.require_silence([self.network.activation])
        t, s = self.tortoise, self.resets
        require(self.distillation is None or t is not None, "distillation needs a tortoise")
        require(t is None or not t.warmup_counts, "--tortoise.warmup-counts means nothing here: no update is left out")
        if s is not None:
            require(t is not None or (s.source != "tortoise" and not s.tortoise_too), "such --resets need a tortoise")
            require(not s.warmup_counts, "--resets.warmup-counts means nothing here: no update is left out")
            require(not s.restart, "--resets.restart means nothing here: there is no n or gamma")

    @staticmethod
    def renewed(values: dict[str, Any]) -> dict[str, Any]:
        """Settings as `values` with the names that they have today; they may be from before both halves had the same."""
        values = copy.deepcopy(values)
        tortoise, resets = values.get("tortoise"), values.get("resets")
        if tortoise is not None and "judged" in tortoise:
            tortoise["acts"] = tortoise.pop("judged")
        if resets is not None:
            resets.setdefault("keep_neck", resets["keep_head"])
        return values

    @property
    def judged(self) -> Literal["hare", "tortoise"]:
        """Whose accuracy is the run's."""
        return "tortoise" if self.tortoise is not None and self.tortoise.acts else "hare"

    def plans(self, updates: int | None = None) -> Plans:
        """What is planned behind the updates of a run that has so many over all tasks, which pruning alone asks for."""
        renewing = {"recycling": self.recycling, "silence": self.silence, "replacement": self.replacement}
        constraining = {"constraints": self.constraints, "pruning": self.pruning}
        known = updates if self.pruning is not None else None
        return Plans(self.tortoise, self.resets, updates=known, **renewing, **constraining)

    def with_activation(self, kind: Kind) -> "Config":
        """The same with another activation in its network."""
        return replace(self, network=replace(self.network, activation=kind))

    def with_layer_norm(self) -> "Config":
        """The same with layer normalisation behind the linear layers of its network."""
        return replace(self, network=replace(self.network, layer_norm=True))

    def with_spectral_norm(self) -> "Config":
        """The same with its hidden linear layers spectrally normalised."""
        return replace(self, network=replace(self.network, spectral_norm=True))
