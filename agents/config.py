"""What an agent is, as values: frozen, typed, orthogonal. A feature that is off is None. No torch here."""

from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from typing import Annotated, Any, Literal, get_args, get_type_hints

from hare_tortoise.idle import require_other
from hare_tortoise.ranges import BelowOne, Count, Range, Share, check, require
from hare_tortoise.settings import (
    Constraints,
    Injection,
    Optimizer,
    Penalties,
    Plans,
    Pruning,
    Recycling,
    Replacement,
    Resets,
    Silence,
    Tortoise,
)
from networks.settings import Augmentation, Encoder, Head, Kind, SelfPrediction

BENCHMARK = 100_000  # env steps
Horizon = Annotated[int, Range("[1, 1_000]")]  # env steps of a return


@dataclass(frozen=True)
class Anneal:
    """A number that moves linearly in env steps, counted from the end of the warm-up."""

    start: Share
    """value during the warm-up and at its end"""
    end: Share
    """value from `steps` env steps after the warm-up on"""
    steps: Annotated[int, Range("[0, inf)")]
    """env steps from start to end; 0 changes at once"""


@dataclass(frozen=True)
class TargetEnd:
    """Where n and gamma go, exponentially in updates (Schwarzer et al. 2023)."""

    n: Horizon = 3
    """rewards in a return at the end"""
    gamma: BelowOne = 0.997
    """discount of an env step at the end"""
    updates: Count = 10_000
    """updates from start to end, counted from the last reset that restarts them"""


@dataclass(frozen=True)
class Target:
    """What the value of a state is learnt from: n-step returns."""

    n: Horizon = 10
    """rewards in a return before it is bootstrapped"""
    gamma: Share = 0.99
    """discount of an env step"""
    double: bool = True
    """whether the hare chooses the action that the tortoise values (double Q-learning), or the tortoise does both"""
    end: TargetEnd | None = None
    """annealing of n and gamma"""

    def rules(self, flag: str) -> None:
        """ValueError, naming the flag, if values mean nothing beside another."""
        require(self.end is None or self.gamma < 1, f"{flag}gamma must be below 1 to be annealed, not {self.gamma:g}")

    @property
    def n_max(self) -> int:
        """The longest return there will be."""
        return max(self.n, self.end.n) if self.end is not None else self.n


@dataclass(frozen=True)
class Replay:
    """What is remembered, how it is drawn, and how often it is learnt from."""

    ratio: Annotated[float, Range("(0, 1_024]")] = 1.0
    """updates per env step"""
    batch_size: Annotated[int, Range("[1, 65_536]")] = 32
    """windows in an update"""
    warmup_steps: Count = 2000
    """env steps before the first update"""
    capacity: Annotated[int, Range("[1, 1_048_576]")] = 100_000
    """rows; 7,056 bytes each for the frame. Papers with a million never fill it in 100,000 env steps"""
    alpha: Share = 0.5
    """exponent of the priorities; 0 draws uniformly"""
    new_rows: Literal["largest", "one"] = "largest"
    """priority of a row until it is learnt from: the largest ever written, or 1"""
    beta: Anneal = Anneal(0.4, 1.0, 98_000)
    """exponent of the importance weights"""
    priority: Literal["loss", "kl"] = "loss"
    """what a row's priority is before the exponent: its value loss, or that less the target's own entropy"""


@dataclass(frozen=True)
class Exploration:
    """Epsilon-greedy beside the noise of the noisy layers."""

    epsilon: Anneal = Anneal(0.0, 0.0, 0)
    """share of random actions while learning"""
    evaluation: Share = 0.001
    """share of random actions while being evaluated"""


@dataclass(frozen=True)
class AgentConfig:
    """One agent. Every agent and variant of the catalogue is a value of this type."""

    encoder: Encoder = Encoder()
    head: Head = Head()
    initialisation: Literal["uniform", "xavier"] = "uniform"
    """of weights: uniform in +-1/sqrt(fan_in), biases too (PyTorch); or Xavier's, biases 0 (the JAX agents)"""
    target: Target = Target()
    replay: Replay = Replay()
    optimizer: Optimizer | None = Optimizer(learning_rate=1e-4, epsilon=1.5e-4, clip=10.0)
    """None: the agent never learns"""
    penalties: Penalties = Penalties()
    exploration: Exploration = Exploration()
    tortoise: Tortoise = Tortoise()
    augmentation: Augmentation | None = None
    prediction: SelfPrediction | None = None
    resets: Resets | None = None
    recycling: Recycling | None = None
    injection: Injection | None = None
    silence: Silence | None = None
    replacement: Replacement | None = None
    constraints: Constraints = Constraints()
    pruning: Pruning | None = None

    def __post_init__(self) -> None:
        """ValueError, naming the flag, if a value is out of its range or means nothing beside another."""
        check(self)
        tasks = self.resets is not None and self.resets.every is None
        require(not tasks, "--resets.every None means nothing for an agent: it has no tasks")
        plans = self.plans()
        check(plans)
        require_other(plans)
        plans.require_silence((self.encoder.activation, self.head.activation))

    @property
    def jumps(self) -> int:
        """Steps of self-prediction, 0 without it."""
        return self.prediction.jumps if self.prediction is not None else 0

    @property
    def shares_body(self) -> bool:
        """Whether the tortoise's encoder equals the hare's whenever an update begins, so that one may stand for the other."""
        copied = self.tortoise.decay == 0 and self.tortoise.every == 1
        return copied and (self.resets is None or self.resets.keep_body == 1 or self.resets.source == "tortoise")

    @property
    def reach(self) -> int:
        """Env steps that a window has beyond its first: the longest return's or the self-prediction's."""
        return max(self.target.n_max, self.jumps)

    @property
    def steps_needed(self) -> int:
        """Env steps of a lane that a replay must hold, as replay.batch.Window says."""
        return 2 * self.reach + 4

    @property
    def missed(self) -> int:
        """The updates that the warm-up leaves out."""
        return int(self.replay.warmup_steps * self.replay.ratio)

    @property
    def halfway(self) -> int:
        """How many updates are half of a run of the benchmark's length."""
        return int((BENCHMARK - self.replay.warmup_steps) * self.replay.ratio / 2)

    @property
    def renews(self) -> bool:
        """Whether single units start anew."""
        return any(piece is not None for piece in (self.recycling, self.silence, self.replacement))

    def plans(self, updates: int | None = None) -> Plans:
        """What is planned behind the updates of a run that has so many, or, if pruning must know, the benchmark's."""
        if updates is None and self.pruning is not None:
            updates = 2 * self.halfway
        return Plans(**{f.name: getattr(self, f.name) for f in fields(Plans) if f.name != "updates"}, updates=updates)

    def with_activation(self, kind: Kind) -> "AgentConfig":
        """The same with another activation in encoder and head."""
        return replace(self, encoder=replace(self.encoder, activation=kind), head=replace(self.head, activation=kind))

    def with_layer_norm(self) -> "AgentConfig":
        """The same with layer normalisation before every activation of encoder and head."""
        return replace(self, encoder=replace(self.encoder, layer_norm=True), head=replace(self.head, layer_norm=True))

    def with_spectral_norm(self) -> "AgentConfig":
        """The same with the hidden layers of its head spectrally normalised."""
        return replace(self, head=replace(self.head, spectral_norm=True))


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
    unknown, missing = sorted(values.keys() - names), sorted(needed - values.keys())
    require(not unknown, f"{kind.__name__} has no {', '.join(unknown)}")
    require(not missing, f"{kind.__name__} needs {', '.join(missing)}")
    built = {}
    for name, value in values.items():
        inner = [hint for hint in (get_args(hints[name]) or (hints[name],)) if is_dataclass(hint)]
        built[name] = _build(inner[0], value) if inner and value is not None else value
    return kind(**built)
