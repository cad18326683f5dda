"""What a supervised run is made of, as values: frozen, typed, orthogonal. A feature that is off is None. No torch here."""

from dataclasses import dataclass
from typing import Literal

MOST = 10**8  # of what is counted in images or updates
EPOCHS = 10**6  # of a task


@dataclass(frozen=True)
class Protocol:
    """A sequence of tasks: each brings new images, and the network learns from all it has been given."""

    shares: tuple[float, ...] = (0.1, 0.9)
    """share of the training images that is new in each task; they sum to 1"""
    noise: tuple[float, ...] = (0.5, 0.0)
    """share of the labels that are wrong in each task"""
    passes: float = 100.0
    """a task lasts passes / its share epochs, rounded down"""
    convention: Literal["redrawn", "kept"] = "redrawn"
    """redrawn: in each task all labels get that task's noise anew, as in the paper's code; kept: a label stays as it came"""
    memory: int | None = None
    """how many images of earlier tasks can be learnt from, a reservoir of those that came; None: all"""
    last_only: bool = False
    """skip all tasks but the last: a fresh network on all data, the reference"""
    last_epochs: int | None = None
    """epochs of the last task, whatever its share; None: as of the others"""
    held_out: int = 0
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


@dataclass(frozen=True)
class Network:
    """From images to logits: a body, and a head of linear layers."""

    kind: Literal["mlp", "resnet", "vit", "vgg"] = "mlp"
    """multi-layer perceptron, ResNet with a 3x3 stem, vision transformer, VGG-16 with batch normalisation"""
    width: int = 512
    """units of an mlp's layers, channels of the first convolutions, size of a transformer's tokens (64 for each head)"""
    depth: int = 2
    """hidden layers of an mlp, blocks in each of a ResNet's 4 stages (2: ResNet-18), blocks of a transformer; 13 in a vgg"""
    stride: int = 1
    """of a ResNet's first convolution; 2 makes all behind it four times cheaper"""
    hidden: tuple[int, ...] = ()
    """units of the head's hidden layers"""
    activation: Literal["relu", "crelu"] = "relu"
    """relu (in a transformer GELU), or crelu off the residual stream, in layers narrower by the root of 2"""
    dropout: float = 0.0
    """share of a transformer's embeddings and branch outputs that are zeroed in training"""


@dataclass(frozen=True)
class Optimizer:
    """AdamW (Loshchilov and Hutter 2019), new in each task, and clipping before it."""

    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    """decoupled, times the learning rate; of everything but vectors, that is biases and gains"""
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    clip: float | None = 0.5
    """largest norm of the whole gradient"""
    batch_size: int = 256
    warmup: float = 0.1
    """share of a task in which the learning rate rises linearly from 0"""


@dataclass(frozen=True)
class Crop:
    """Random crop and flip, drawn anew for each image of a batch (He et al. 2016)."""

    pad: int = 4
    """black pixels added on each side, of which as many are cut away again"""
    flip: bool = True
    """whether half of the images are mirrored; never for digits"""


@dataclass(frozen=True)
class Penalties:
    """What the loss holds beside the cross-entropy; 0 is off."""

    logits: float = 0.0
    """times the mean squared logit (spectral decoupling)"""
    initial: float = 0.0
    """times the sum over all parameters of the squared distance to their initial values (Regen, L2 Init)"""


@dataclass(frozen=True)
class Tortoise:
    """A slow network: an exponential moving average of the hare."""

    decay: float = 0.999
    """share of the tortoise kept in each update"""
    judged: bool = True
    """whether its accuracy, and not the hare's, is the run's"""


@dataclass(frozen=True)
class Distillation:
    """The hare also learns what the tortoise says of its batch."""

    weight: float = 1.0
    """times temperature^2 x KL divergence, summed over classes and averaged over the batch"""
    temperature: float = 1.0


@dataclass(frozen=True)
class Resets:
    """hare <- keep * hare + (1 - keep) * source, buffers too; Adam's moments go on within a task unless told otherwise."""

    source: Literal["fresh", "initial", "tortoise"]
    """a new random draw, the weights at the start of the run, or the tortoise"""
    every: int | None = None
    """updates from one reset to the next, counted over all tasks; None: at the start of each task but the first"""
    keep_body: float = 0.0
    """share that the body keeps"""
    keep_head: float = 0.0
    """share that the head keeps"""
    moments: Literal["keep", "zero"] = "keep"
    """what becomes of Adam's moments of all weights, and of its count of updates"""

    @property
    def keep(self) -> dict[str, float]:
        """The share that each part of a network keeps."""
        return {"body": self.keep_body, "head": self.keep_head}


@dataclass(frozen=True)
class Recycling:
    """ReDo (Sokar et al. 2023): units that have gone dormant start anew."""

    every: int = 1_000
    """updates from one look, at that update's batch, to the next"""
    tau: float = 0.025
    """a unit is dormant if its mean size is at most this share of its layer's"""


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

    def __post_init__(self) -> None:
        """ValueError, naming the flag, if a value is out of its range."""
        _check_protocol(self.protocol)
        _check_learning(self)
        _check_weights(self)

    @property
    def judged(self) -> Literal["hare", "tortoise"]:
        """Whose accuracy is the run's."""
        return "tortoise" if self.tortoise is not None and self.tortoise.judged else "hare"


def require(holds: bool, message: str) -> None:
    """ValueError with `message` unless `holds`."""
    if not holds:
        raise ValueError(message)


def _check_protocol(p: Protocol) -> None:
    require(len(p.shares) > 0, "--protocol.shares needs at least one share")
    require(all(0 < share <= 1 for share in p.shares), "--protocol.shares must each be above 0 and at most 1")
    require(abs(sum(p.shares) - 1) < 1e-6, f"--protocol.shares must sum to 1, not {sum(p.shares):g}")
    require(
        len(p.noise) == len(p.shares),
        f"--protocol.noise needs a value for each of the {len(p.shares)} tasks of --protocol.shares, not {len(p.noise)}",
    )
    require(all(0 <= noise <= 1 for noise in p.noise), "--protocol.noise must lie in 0..1")
    require(0 < p.passes <= 1e5, f"--protocol.passes must be above 0 and at most 100000, not {p.passes:g}")
    longest = p.passes / min(p.shares)
    require(longest <= EPOCHS, f"--protocol.passes over a share is {longest:g} epochs; {EPOCHS} are the most")
    require(p.memory is None or 0 <= p.memory <= MOST, f"--protocol.memory must lie in 0..{MOST}, not {p.memory}")
    last = p.last_epochs
    require(last is None or 1 <= last <= EPOCHS, f"--protocol.last-epochs must lie in 1..{EPOCHS}, not {last}")
    require(0 <= p.held_out <= MOST, f"--protocol.held-out must lie in 0..{MOST}, not {p.held_out}")


def _check_learning(c: Config) -> None:
    n, o, a, p = c.network, c.optimizer, c.augmentation, c.penalties
    require(1 <= n.width <= 1 << 14, f"--network.width must lie in 1..{1 << 14}, not {n.width}")
    require(1 <= n.depth <= 1000, f"--network.depth must lie in 1..1000, not {n.depth}")
    require(1 <= n.stride <= 64, f"--network.stride must lie in 1..64, not {n.stride}")
    require(n.stride == 1 or n.kind == "resnet", f"--network.stride means nothing with {n.kind}")
    require(all(1 <= size <= 1 << 14 for size in n.hidden), f"--network.hidden must each lie in 1..{1 << 14}")
    require(n.kind != "vit" or n.width % 64 == 0, f"--network.width of a vit must divide by 64, not {n.width}")
    require(n.kind != "vgg" or n.depth == 13, f"--network.depth of a vgg must be 13, not {n.depth}")
    require(0 <= n.dropout < 1, f"--network.dropout must lie in [0, 1), not {n.dropout:g}")
    require(n.dropout == 0 or n.kind == "vit", f"--network.dropout means nothing with {n.kind}")
    require(o.learning_rate > 0, f"--optimizer.learning-rate must be above 0, not {o.learning_rate:g}")
    require(0 <= o.weight_decay <= 1e6, f"--optimizer.weight-decay must lie in 0..1e+06, not {o.weight_decay:g}")
    require(0 <= o.beta1 < 1, f"--optimizer.beta1 must lie in [0, 1), not {o.beta1:g}")
    require(0 <= o.beta2 < 1, f"--optimizer.beta2 must lie in [0, 1), not {o.beta2:g}")
    require(0 < o.epsilon <= 1000, f"--optimizer.epsilon must lie in (0, 1000], not {o.epsilon:g}")
    require(o.clip is None or o.clip > 0, f"--optimizer.clip must be above 0 or None, not {o.clip}")
    require(2 <= o.batch_size <= 1 << 16, f"--optimizer.batch-size must lie in 2..{1 << 16}, not {o.batch_size}")
    require(0 <= o.warmup <= 1, f"--optimizer.warmup must lie in 0..1, not {o.warmup:g}")
    require(a is None or 0 <= a.pad <= 64, "--augmentation.pad must lie in 0..64")
    require(0 <= p.logits <= 1e6, f"--penalties.logits must lie in 0..1e+06, not {p.logits:g}")
    require(0 <= p.initial <= 1e6, f"--penalties.initial must lie in 0..1e+06, not {p.initial:g}")


def _check_weights(c: Config) -> None:
    t, d, s, r = c.tortoise, c.distillation, c.resets, c.recycling
    require(t is None or 0 <= t.decay < 1, "--tortoise.decay must lie in [0, 1)")
    require(d is None or t is not None, "distillation needs a tortoise")
    require(d is None or 0 < d.temperature <= 1e6, "--distillation.temperature must lie in (0, 1e+06]")
    require(d is None or 0 <= d.weight <= 1e6, "--distillation.weight must lie in 0..1e+06")
    if s is not None:
        require(s.source != "tortoise" or t is not None, "--resets.source tortoise needs a tortoise")
        require(s.every is None or s.every >= 1, f"--resets.every must be at least 1, not {s.every}")
        require(0 <= s.keep_body <= 1, f"--resets.keep-body must lie in 0..1, not {s.keep_body:g}")
        require(0 <= s.keep_head <= 1, f"--resets.keep-head must lie in 0..1, not {s.keep_head:g}")
    if r is not None:
        require(r.every >= 1, f"--recycling.every must be at least 1, not {r.every}")
        require(r.tau >= 0, f"--recycling.tau must not be negative, not {r.tau:g}")
