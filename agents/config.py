"""What an agent is, as values: frozen, typed, orthogonal. A feature that is off is None. No torch here."""

from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal, get_args, get_type_hints

from networks.settings import Augmentation, Encoder, Head, SelfPrediction


def require(holds: bool, message: str) -> None:
    """ValueError with `message` unless `holds`."""
    if not holds:
        raise ValueError(message)


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
class Target:
    """What the value of a state is learnt from: double Q-learning over n-step returns."""

    n: int = 10
    """rewards in a return before it is bootstrapped"""
    gamma: float = 0.99
    """discount of an env step"""


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
    beta: Anneal = Anneal(0.4, 1.0, 98_000)
    """exponent of the importance weights"""
    priority: Literal["cross_entropy", "kl"] = "cross_entropy"
    """what a row's priority is before the exponent: its cross-entropy, or that less the target's own entropy"""


@dataclass(frozen=True)
class Optimizer:
    """Adam (Kingma and Ba 2015), and clipping before it."""

    learning_rate: float = 1e-4
    epsilon: float = 1.5e-4
    beta1: float = 0.9
    beta2: float = 0.999
    clip: float | None = 10.0
    """largest norm of the gradient of encoder and head together, and of the transition model; the predictor is not clipped"""


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
    keep_head: float = 0.0
    """share that everything else keeps"""
    tortoise_too: bool = False
    """whether the tortoise is reset as well, with its own draw"""
    moments: Literal["keep", "zero"] = "keep"
    """what becomes of Adam's moments and its count of updates"""


@dataclass(frozen=True)
class AgentConfig:
    """One agent. Every agent and variant of the catalogue is a value of this type."""

    encoder: Encoder = Encoder()
    head: Head = Head()
    target: Target = Target()
    replay: Replay = Replay()
    optimizer: Optimizer | None = Optimizer()
    """None: the agent never learns"""
    exploration: Exploration = Exploration()
    tortoise: Tortoise = Tortoise()
    augmentation: Augmentation | None = None
    prediction: SelfPrediction | None = None
    resets: Resets | None = None

    def __post_init__(self) -> None:
        """ValueError, naming the flag, if a value is out of its range."""
        _check_learning(self)
        _check_network(self)
        _check_weights(self)

    @property
    def horizon(self) -> int:
        """Env steps that a window reaches beyond its first: the n-step return's or the self-prediction's."""
        return max(self.target.n, self.prediction.jumps if self.prediction else 0)


def _check_learning(c: AgentConfig) -> None:
    r, o = c.replay, c.optimizer
    require(c.target.n >= 1, f"--target.n must be at least 1, not {c.target.n}")
    require(0 <= c.target.gamma <= 1, f"--target.gamma must lie in 0..1, not {c.target.gamma:g}")
    require(0 < r.ratio <= 1024, f"--replay.ratio must be above 0 and at most 1024, not {r.ratio:g}")
    require(r.batch_size >= 1, f"--replay.batch-size must be at least 1, not {r.batch_size}")
    require(r.warmup_steps >= 1, f"--replay.warmup-steps must be at least 1, not {r.warmup_steps}")
    require(1 <= r.capacity <= 1 << 20, f"--replay.capacity must lie in 1..{1 << 20}, not {r.capacity}")
    require(0 <= r.alpha <= 1, f"--replay.alpha must lie in 0..1, not {r.alpha:g}")
    r.beta.check("replay.beta", 0, 1)
    c.exploration.epsilon.check("exploration.epsilon", 0, 1)
    e = c.exploration.evaluation
    require(0 <= e <= 1, f"--exploration.evaluation must lie in 0..1, not {e:g}")
    if o is not None:
        require(o.learning_rate > 0, f"--optimizer.learning-rate must be above 0, not {o.learning_rate:g}")
        require(o.epsilon > 0, f"--optimizer.epsilon must be above 0, not {o.epsilon:g}")
        require(0 <= o.beta1 < 1, f"--optimizer.beta1 must lie in [0, 1), not {o.beta1:g}")
        require(0 <= o.beta2 < 1, f"--optimizer.beta2 must lie in [0, 1), not {o.beta2:g}")
        require(o.clip is None or o.clip > 0, f"--optimizer.clip must be above 0 or None, not {o.clip}")


def _check_network(c: AgentConfig) -> None:
    h, a, p = c.head, c.augmentation, c.prediction
    require(h.hidden >= 1, f"--head.hidden must be at least 1, not {h.hidden}")
    require(h.atoms >= 2, f"--head.atoms must be at least 2, not {h.atoms}")
    require(h.support > 0, f"--head.support must be above 0, not {h.support:g}")
    require(h.noise >= 0, f"--head.noise must not be negative, not {h.noise:g}")
    require(0 <= h.gradient_scale <= 1, f"--head.gradient-scale must lie in 0..1, not {h.gradient_scale:g}")
    if a is not None:
        require(0 <= a.pad <= 84, f"--augmentation.pad must lie in 0..84, not {a.pad}")
        require(0 <= a.intensity < 0.5, f"--augmentation.intensity must lie in [0, 0.5), not {a.intensity:g}")
    if p is not None:
        require(p.jumps >= 1, f"--prediction.jumps must be at least 1, not {p.jumps}")
        require(p.weight >= 0, f"--prediction.weight must not be negative, not {p.weight:g}")


def _check_weights(c: AgentConfig) -> None:
    t, s = c.tortoise, c.resets
    require(0 <= t.decay < 1, f"--tortoise.decay must lie in [0, 1), not {t.decay:g}")
    require(t.every >= 1, f"--tortoise.every must be at least 1, not {t.every}")
    if s is not None:
        require(s.every >= 1, f"--resets.every must be at least 1, not {s.every}")
        require(0 <= s.keep_body <= 1, f"--resets.keep-body must lie in 0..1, not {s.keep_body:g}")
        require(0 <= s.keep_head <= 1, f"--resets.keep-head must lie in 0..1, not {s.keep_head:g}")
        require(
            not (s.source == "tortoise" and s.tortoise_too), "--resets.tortoise-too means nothing with --resets.source tortoise"
        )


def config_from_dict(values: dict[str, Any]) -> AgentConfig:
    """The configuration that `dataclasses.asdict` turned into `values`. ValueError if a field is missing or unknown."""
    return _build(AgentConfig, values)


def _build(kind: Any, values: Any) -> Any:
    """A dataclass `kind` from nested dicts; an optional piece is None or a dict."""
    if not is_dataclass(kind):
        return values
    hints = get_type_hints(kind)
    names = {field.name for field in fields(kind)}
    require(names == values.keys(), f"{kind.__name__} has the fields {sorted(names)}, not {sorted(values)}")
    built = {}
    for name, value in values.items():
        inner = [hint for hint in (get_args(hints[name]) or (hints[name],)) if is_dataclass(hint)]
        built[name] = _build(inner[0], value) if inner and value is not None else value
    return kind(**built)
