"""What an agent is, as values: frozen, typed, orthogonal. A feature that is off is None. No torch here."""

from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any, Literal, get_args, get_type_hints

from agents.checks import check_config, require
from networks.settings import Augmentation, Encoder, Head, SelfPrediction


@dataclass(frozen=True)
class Anneal:
    """A number that moves linearly in env steps, counted from the end of the warm-up."""

    start: float
    """value during the warm-up and at its end"""
    end: float
    """value from `steps` env steps after the warm-up on"""
    steps: int
    """env steps from start to end; 0 changes at once"""

    def check(self, name: str, low: float, high: float) -> None:
        """ValueError unless both values lie in low .. high and the length is not negative."""
        require(low <= self.start <= high, f"--{name}.start must lie in {low:g}..{high:g}, not {self.start:g}")
        require(low <= self.end <= high, f"--{name}.end must lie in {low:g}..{high:g}, not {self.end:g}")
        require(self.steps >= 0, f"--{name}.steps must not be negative, not {self.steps}")


@dataclass(frozen=True)
class TargetEnd:
    """Where n and gamma go, exponentially in updates (Schwarzer et al. 2023)."""

    n: int = 3
    """rewards in a return at the end"""
    gamma: float = 0.997
    """discount of an env step at the end"""
    updates: int = 10_000
    """updates from start to end, counted from the last reset that restarts them"""


@dataclass(frozen=True)
class Target:
    """What the value of a state is learnt from: n-step returns."""

    n: int = 10
    """rewards in a return before it is bootstrapped"""
    gamma: float = 0.99
    """discount of an env step"""
    double: bool = True
    """whether the hare chooses the action that the tortoise values (double Q-learning), or the tortoise does both"""
    end: TargetEnd | None = None
    """annealing of n and gamma"""

    @property
    def n_max(self) -> int:
        """The longest return there will be."""
        return max(self.n, self.end.n) if self.end is not None else self.n


@dataclass(frozen=True)
class Replay:
    """What is remembered, how it is drawn, and how often it is learnt from."""

    ratio: float = 1.0
    """updates per env step"""
    batch_size: int = 32
    """windows in an update"""
    warmup_steps: int = 2000
    """env steps before the first update"""
    capacity: int = 100_000
    """rows; 7,056 bytes each for the frame. Papers with a million never fill it in 100,000 env steps"""
    alpha: float = 0.5
    """exponent of the priorities; 0 draws uniformly"""
    new_rows: Literal["largest", "one"] = "largest"
    """priority of a row until it is learnt from: the largest ever written, or 1"""
    beta: Anneal = Anneal(0.4, 1.0, 98_000)
    """exponent of the importance weights"""
    priority: Literal["loss", "kl"] = "loss"
    """what a row's priority is before the exponent: its value loss, or that less the target's own entropy"""


@dataclass(frozen=True)
class Optimizer:
    """Adam (Kingma and Ba 2015), and clipping before it."""

    learning_rate: float = 1e-4
    epsilon: float = 1.5e-4
    beta1: float = 0.9
    beta2: float = 0.999
    clip: float | None = 10.0
    """largest norm of the gradient of encoder and head together, and of the transition model; the predictor is not clipped"""
    weight_decay: float = 0.0
    """decoupled (AdamW), times the learning rate; of everything but vectors, that is biases and gains"""


@dataclass(frozen=True)
class Penalties:
    """What the loss holds beside the values and the self-prediction; 0 is off."""

    initial: float = 0.0
    """times the sum over all parameters of the squared distance to their initial values (L2 Init)"""
    logits: float = 0.0
    """times the mean square of the head's outputs (spectral decoupling)"""


@dataclass(frozen=True)
class Exploration:
    """Epsilon-greedy beside the noise of the noisy layers."""

    epsilon: Anneal = Anneal(0.0, 0.0, 0)
    """share of random actions while learning"""
    evaluation: float = 0.001
    """share of random actions while being evaluated"""


@dataclass(frozen=True)
class Tortoise:
    """The slow network: an exponential moving average of the hare, the source of all targets."""

    decay: float = 0.0
    """share of the tortoise kept whenever it follows; 0 copies the hare"""
    every: int = 1
    """updates from one following to the next"""
    warmup_counts: bool = False
    """whether updates are counted as if there had been some in the warm-up, as by the originals' clock of env steps"""
    acts: bool = False
    """whether it, and not the hare, chooses the actions, in training and evaluation"""


@dataclass(frozen=True)
class Resets:
    """hare <- keep * hare + (1 - keep) * source, every so many updates."""

    source: Literal["fresh", "initial", "tortoise"]
    """a new random draw, the weights at the start of the run, or the tortoise"""
    every: int
    """updates from one reset to the next"""
    keep_body: float = 0.0
    """share that encoder and transition model keep"""
    keep_neck: float = 0.0
    """share that the head's hidden layers and the predictor keep"""
    keep_head: float = 0.0
    """share that the output layers keep"""
    tortoise_too: bool = False
    """whether the tortoise is reset as well, with its own draw"""
    moments: Literal["keep", "zero"] = "keep"
    """what becomes of Adam's moments of all weights, and of its count of updates"""
    restart: bool = False
    """whether the annealing of n and gamma starts over"""
    warmup_counts: bool = False
    """whether updates are counted from the very first env step, as --tortoise.warmup-counts has it"""

    @property
    def keep(self) -> dict[str, float]:
        """The share that each part of a network keeps."""
        return {"body": self.keep_body, "neck": self.keep_neck, "head": self.keep_head}


@dataclass(frozen=True)
class Recycling:
    """ReDo (Sokar et al. 2023): units that have gone dormant start anew."""

    every: int = 1_000
    """updates from one look to the next"""
    tau: float = 0.1
    """a unit is dormant if its mean size is at most this share of its layer's"""


@dataclass(frozen=True)
class Injection:
    """Plasticity injection (Nikishin et al. 2023): once, freeze the head and learn a change to it instead."""

    at: int = 50_000
    """after how many updates"""


@dataclass(frozen=True)
class AgentConfig:
    """One agent. Every agent and variant of the catalogue is a value of this type."""

    encoder: Encoder = Encoder()
    head: Head = Head()
    initialisation: Literal["uniform", "xavier"] = "uniform"
    """of weights: uniform in +-1/sqrt(fan_in), biases too (PyTorch); or Xavier's, biases 0 (the JAX agents)"""
    target: Target = Target()
    replay: Replay = Replay()
    optimizer: Optimizer | None = Optimizer()
    """None: the agent never learns"""
    penalties: Penalties = Penalties()
    exploration: Exploration = Exploration()
    tortoise: Tortoise = Tortoise()
    augmentation: Augmentation | None = None
    prediction: SelfPrediction | None = None
    resets: Resets | None = None
    recycling: Recycling | None = None
    injection: Injection | None = None

    def __post_init__(self) -> None:
        """ValueError, naming the flag, if a value is out of its range."""
        check_config(self)

    @property
    def jumps(self) -> int:
        """Steps of self-prediction, 0 without it."""
        return self.prediction.jumps if self.prediction is not None else 0

    @property
    def one_body(self) -> bool:
        """Whether the tortoise's encoder equals the hare's whenever an update begins, so that one may stand for the other."""
        copied = self.tortoise.decay == 0 and self.tortoise.every == 1
        return copied and (self.resets is None or self.resets.keep_body == 1 or self.resets.source == "tortoise")

    @property
    def horizon(self) -> int:
        """Env steps that a window reaches beyond its first: the longest return's or the self-prediction's."""
        return max(self.target.n_max, self.jumps)

    @property
    def steps_needed(self) -> int:
        """Env steps of a lane that a replay must hold, as replay.batch.Window says."""
        return 2 * self.horizon + 4


def config_from_dict(values: dict[str, Any]) -> AgentConfig:
    """The configuration that `dataclasses.asdict` turned into `values`, maybe before fields with a default were added.

    ValueError if a field is unknown, or missing and without a default.
    """
    return _build(AgentConfig, values)


def _build(kind: Any, values: Any) -> Any:
    """A dataclass `kind` from nested dicts; an optional piece is None or a dict."""
    if not is_dataclass(kind):
        return values
    hints = get_type_hints(kind)
    names = {field.name for field in fields(kind)}
    needed = {field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING}
    require(needed <= values.keys() <= names, f"{kind.__name__} has the fields {sorted(names)}, not {sorted(values)}")
    built = {}
    for name, value in values.items():
        inner = [hint for hint in (get_args(hints[name]) or (hints[name],)) if is_dataclass(hint)]
        built[name] = _build(inner[0], value) if inner and value is not None else value
    return kind(**built)
