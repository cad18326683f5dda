"""The values of optimizer and methods, the same for agents and classifiers. No torch here.

A network has up to three parts: `body` makes features, `neck` are the hidden layers behind it, `head` the output layers.
"""

from dataclasses import dataclass
from typing import Literal

MOST = 10**9  # of what is counted in updates


def require(holds: bool, message: str) -> None:
    """ValueError with `message` unless `holds`."""
    if not holds:
        raise ValueError(message)


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """AdamW (Loshchilov and Hutter 2019), and clipping before it."""

    learning_rate: float = 1e-3
    epsilon: float = 1e-8
    beta1: float = 0.9
    beta2: float = 0.999
    clip: float | None = None
    """largest norm of the gradient of each group of weights that is clipped together; None: not clipped"""
    weight_decay: float = 0.0
    """decoupled, times the learning rate; of everything but vectors, that is biases and gains"""
    radius: float = 0.0
    """of sharpness-aware minimisation (Foret et al. 2021): the gradient is taken this far uphill, in a second pass; 0 is off"""

    def check(self, flag: str = "--optimizer") -> None:
        """ValueError, naming the flag, if a value is out of its range."""
        require(0 < self.learning_rate <= 1000, f"{flag}.learning-rate must lie in (0, 1000], not {self.learning_rate:g}")
        require(0 < self.epsilon <= 1000, f"{flag}.epsilon must lie in (0, 1000], not {self.epsilon:g}")
        require(0 <= self.beta1 < 1, f"{flag}.beta1 must lie in [0, 1), not {self.beta1:g}")
        require(0 <= self.beta2 < 1, f"{flag}.beta2 must lie in [0, 1), not {self.beta2:g}")
        require(self.clip is None or self.clip > 0, f"{flag}.clip must be above 0 or None, not {self.clip}")
        require(0 <= self.weight_decay <= 1e6, f"{flag}.weight-decay must lie in 0..1e+06, not {self.weight_decay:g}")
        require(0 <= self.radius <= 1000, f"{flag}.radius must lie in 0..1000, not {self.radius:g}")


@dataclass(frozen=True)
class Penalties:
    """What the loss holds beside the task's own; 0 is off."""

    initial: float = 0.0
    """times the sum over all parameters of the squared distance to their initial values (L2 Init, Kumar et al. 2023)"""
    logits: float = 0.0
    """times the mean square of the outputs (spectral decoupling, Pezeshki et al. 2021)"""

    def check(self, flag: str = "--penalties") -> None:
        """ValueError, naming the flag, if a value is out of its range."""
        require(0 <= self.initial <= 1e6, f"{flag}.initial must lie in 0..1e+06, not {self.initial:g}")
        require(0 <= self.logits <= 1e6, f"{flag}.logits must lie in 0..1e+06, not {self.logits:g}")


@dataclass(frozen=True)
class Tortoise:
    """The slow network: an exponential moving average of the hare."""

    decay: float = 0.0
    """share of the tortoise kept whenever it follows; 0 copies the hare"""
    every: int = 1
    """updates from one following to the next"""
    warmup_counts: bool = False
    """whether updates are counted as if there had been some in the warm-up, as by the originals' clock of env steps"""
    acts: bool = False
    """whether it, and not the hare, is used: chooses the actions of an agent, is judged as a classifier"""

    def check(self, flag: str = "--tortoise") -> None:
        """ValueError, naming the flag, if a value is out of its range."""
        require(0 <= self.decay < 1, f"{flag}.decay must lie in [0, 1), not {self.decay:g}")
        require(self.every >= 1, f"{flag}.every must be at least 1, not {self.every}")

    def due(self, updates: int, missed: int = 0) -> bool:
        """Whether it follows behind the `updates`-th update; `missed` are those that a warm-up left out."""
        return (updates + missed * self.warmup_counts) % self.every == 0


@dataclass(frozen=True)
class Resets:
    """hare <- keep * hare + (1 - keep) * source, every so many updates."""

    source: Literal["fresh", "initial", "tortoise"]
    """a new random draw, the weights at the start of the run, or the tortoise"""
    every: int | None = None
    """updates from one reset to the next; None: at the start of each task but the first"""
    keep_body: float = 0.0
    """share that the body keeps: an agent's encoder and transition model"""
    keep_neck: float = 0.0
    """share that the hidden layers behind the body keep, and an agent's predictor"""
    keep_head: float = 0.0
    """share that the output layers keep"""
    tortoise_too: bool = False
    """whether the tortoise is reset as well, with its own draw"""
    moments: Literal["keep", "zero"] = "keep"
    """what becomes of Adam's moments of all weights, and of its count of updates"""
    restart: bool = False
    """whether an agent's annealing of n and gamma starts over"""
    warmup_counts: bool = False
    """whether updates are counted from the very first env step, as --tortoise.warmup-counts has it"""

    @property
    def keep(self) -> dict[str, float]:
        """The share that each part of a network keeps."""
        return {"body": self.keep_body, "neck": self.keep_neck, "head": self.keep_head}

    def check(self, flag: str = "--resets") -> None:
        """ValueError, naming the flag, if a value is out of its range or means nothing beside another."""
        require(self.every is None or self.every >= 1, f"{flag}.every must be at least 1, not {self.every}")
        for part, keep in self.keep.items():
            require(0 <= keep <= 1, f"{flag}.keep-{part} must lie in 0..1, not {keep:g}")
        twice = self.source == "tortoise" and self.tortoise_too
        require(not twice, f"{flag}.tortoise-too means nothing with {flag}.source tortoise")

    def due(self, updates: int, planned: int | None = None, missed: int = 0) -> bool:
        """Whether a reset follows the `updates`-th update of `planned` (None: nobody knows); `missed` as for the tortoise.

        New weights come only if a whole interval is left to learn in, the tortoise's if any update is: else the score at the
        end would be that of a network that has learnt little or nothing.
        """
        if self.every is None or (updates + missed * self.warmup_counts) % self.every != 0:
            return False
        return planned is None or planned - updates >= (1 if self.source == "tortoise" else self.every)

    def count(self, planned: int, missed: int = 0) -> int:
        """How many resets there are in `planned` updates."""
        if self.every is None:
            return 0
        first = self.every - missed * self.warmup_counts % self.every
        return sum(self.due(update, planned, missed) for update in range(first, planned + 1, self.every))


@dataclass(frozen=True)
class Recycling:
    """ReDo (Sokar et al. 2023): units that have gone dormant start anew."""

    every: int = 1_000
    """updates from one look, at that update's batch, to the next"""
    tau: float = 0.1
    """a unit is dormant if its mean size is at most this share of its layer's"""

    def check(self, flag: str = "--recycling") -> None:
        """ValueError, naming the flag, if a value is out of its range."""
        require(self.every >= 1, f"{flag}.every must be at least 1, not {self.every}")
        require(self.tau >= 0, f"{flag}.tau must not be negative, not {self.tau:g}")


@dataclass(frozen=True)
class Injection:
    """Plasticity injection (Nikishin et al. 2023): once, freeze the head and learn a change to it instead."""

    at: int = 50_000
    """after how many updates"""

    def check(self, flag: str = "--injection") -> None:
        """ValueError, naming the flag, if a value is out of its range."""
        require(self.at >= 1, f"{flag}.at must be at least 1, not {self.at}")


@dataclass(frozen=True)
class Plans:
    """What is planned behind updates, each as it is or None; and the clock that it is planned by."""

    tortoise: Tortoise | None = None
    resets: Resets | None = None
    recycling: Recycling | None = None
    injection: Injection | None = None
    missed: int = 0
    """updates that a warm-up left out"""
    updates: int | None = None
    """updates of the whole run, if known"""
