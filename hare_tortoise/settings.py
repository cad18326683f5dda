"""The values of optimizer and methods, the same for agents and classifiers, and what they may be. No torch here.

A network has up to three parts: `body` makes features, `neck` are the hidden layers behind it, `head` the output layers.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Literal

from hare_tortoise.ranges import BelowOne, Count, Factor, Range, Share, require

Kind = Literal["relu", "crelu", "fourier"]  # of activation


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """AdamW (Loshchilov and Hutter 2019), and clipping before it."""

    learning_rate: Annotated[float, Range("(0, 1_000]")] = 1e-3
    epsilon: Annotated[float, Range("(0, 1_000]")] = 1e-8
    beta1: BelowOne = 0.9
    beta2: BelowOne = 0.999
    clip: Annotated[float | None, Range("(0, inf)")] = None
    """largest norm of the gradient of each group of weights that is clipped together; None: not clipped"""
    weight_decay: Factor = 0.0
    """decoupled, times the learning rate; of everything but vectors, that is biases and gains"""
    radius: Annotated[float, Range("[0, 1_000]")] = 0.0
    """of sharpness-aware minimisation (Foret et al. 2021): the gradient is taken this far uphill, in a second pass; 0 is off"""


@dataclass(frozen=True)
class Penalties:
    """What the loss holds beside the task's own; 0 is off."""

    initial: Factor = 0.0
    """times the sum over all parameters of the squared distance to their initial values (L2 Init, Kumar et al. 2023)"""
    logits: Factor = 0.0
    """times the mean square of the outputs (spectral decoupling, Pezeshki et al. 2021)"""
    orthogonal: Factor = 0.0
    """times the sum over hidden layers of the squared distance of W W^T from 1 (Parseval regularisation, Chung et al. 2024)"""


@dataclass(frozen=True)
class Constraints:
    """What the weights obey after every update, the tortoise's too."""

    bound: Annotated[float | None, Range("(0, 1_000_000]")] = None
    """largest size of a weight, in the largest of its layer at the start (weight clipping, Elsayed et al. 2024); None: any"""
    norms: bool = False
    """whether each hidden layer keeps the norm that its weights had at the start (normalise and project, Lyle et al. 2024)"""

    def rules(self, flag: str) -> None:
        """ValueError, naming the flag, if values mean nothing beside another."""
        require(not self.norms or self.bound is None, f"{flag}norms would undo {flag}bound: one of them at most")


@dataclass(frozen=True)
class Pruning:
    """Gradual magnitude pruning (Obando-Ceron et al. 2024): the smallest weights are 0, more and more of them."""

    sparsity: BelowOne = 0.95
    """share of the weights, biases apart, that are 0 at the end"""
    start: Share = 0.2
    """share of the run's updates before the first weight goes"""
    end: Share = 0.8
    """share of the run's updates after which no more go"""
    every: Count = 1_000
    """updates from one choice to the next"""

    def rules(self, flag: str) -> None:
        """ValueError, naming the flag, if values mean nothing beside another."""
        require(self.start < self.end, f"{flag}start must lie before {flag}end")

    def share(self, updates: int, planned: int) -> float:
        """Share of the weights that are 0 behind the `updates`-th of `planned` updates: it rises ever more slowly."""
        start, end = self.start * planned, self.end * planned
        done = min(max((updates - start) / (end - start), 0.0), 1.0)
        return self.sparsity * (1 - (1 - done) ** 3)

    def due(self, updates: int, planned: int) -> bool:
        """Whether the weights that are 0 are chosen anew behind the `updates`-th of `planned` updates."""
        last = -int(-self.end * planned // 1)  # the first update at which all are gone
        return self.start * planned < updates <= last and (updates % self.every == 0 or updates == last)


@dataclass(frozen=True)
class Tortoise:
    """The slow network: an exponential moving average of the hare."""

    decay: BelowOne = 0.0
    """share of the tortoise kept whenever it follows; 0 copies the hare"""
    every: Count = 1
    """updates from one following to the next"""
    warmup_counts: bool = False
    """whether updates are counted as if there had been some in the warm-up, as by the originals' clock of env steps"""
    acts: bool = False
    """whether it, and not the hare, is used: chooses the actions of an agent, is judged as a classifier"""

    def due(self, updates: int, missed: int = 0) -> bool:
        """Whether it follows behind the `updates`-th update; `missed` are those that a warm-up left out."""
        return (updates + missed * self.warmup_counts) % self.every == 0


@dataclass(frozen=True)
class Resets:
    """hare <- keep * hare + (1 - keep) * source, every so many updates."""

    source: Literal["fresh", "initial", "tortoise", "orthogonal"]
    """a new random draw, the weights at the start of the run, the tortoise, or FIRE's (Han et al. 2026): in the body the
    nearest orthogonal weights, behind it those at the start"""
    every: Count | None = None
    """updates from one reset to the next; None: at the start of each task but the first"""
    keep_body: Share = 0.0
    """share that the body keeps: an agent's encoder and transition model"""
    keep_neck: Share = 0.0
    """share that the hidden layers behind the body keep, and an agent's predictor"""
    keep_head: Share = 0.0
    """share that the output layers keep"""
    tortoise_too: bool = False
    """whether the tortoise is reset as well, with its own draw"""
    moments: Literal["keep", "zero"] = "keep"
    """what becomes of Adam's moments of all weights, and of its count of updates"""
    restart: bool = False
    """whether an agent's annealing of n and gamma starts over"""
    warmup_counts: bool = False
    """whether updates are counted from the very first env step, as --tortoise.warmup-counts has it"""
    start: Annotated[int, Range("[0, 1_000_000_000]")] = 0
    """updates before which there is none"""
    times: Count | None = None
    """at most so many of them"""

    @property
    def keep(self) -> dict[str, float]:
        """The share that each part of a network keeps."""
        return {"body": self.keep_body, "neck": self.keep_neck, "head": self.keep_head}

    def rules(self, flag: str) -> None:
        """ValueError, naming the flag, if values mean nothing beside another."""
        twice = self.source == "tortoise" and self.tortoise_too
        require(not twice, f"{flag}tortoise-too means nothing with {flag}source tortoise")

    def due(self, updates: int, planned: int | None = None, missed: int = 0) -> bool:
        """Whether a reset follows the `updates`-th update of `planned` (None: nobody knows); `missed` as for the tortoise.

        New weights come only if a whole interval is left to learn in, the tortoise's if any update is: else the score at the
        end would be that of a network that has learnt little or nothing.
        """
        missed *= self.warmup_counts
        if self.every is None or updates < self.start or (updates + missed) % self.every != 0:
            return False
        before = (max(self.start, 1) - 1 + missed) // self.every  # that were too early
        if self.times is not None and (updates + missed) // self.every - before > self.times:
            return False
        return planned is None or planned - updates >= (1 if self.source == "tortoise" else self.every)

    def count(self, updates: int, missed: int = 0, known: bool = True) -> int:
        """How many resets there are in a run of `updates`; `known`: whether it knows from its start that it has so many."""
        if self.every is None:
            return 0
        first = self.every - missed * self.warmup_counts % self.every
        return sum(self.due(update, updates if known else None, missed) for update in range(first, updates + 1, self.every))


@dataclass(frozen=True)
class Recycling:
    """Units that do little start anew: by their activations ReDo (Sokar et al. 2023), by their gradients GraMa (2025)."""

    every: Count = 1_000
    """updates from one look, at that update's batch, to the next"""
    tau: Annotated[float, Range("[0, inf)")] = 0.1
    """a unit is dormant if its mean size is at most this share of its layer's"""
    by: Literal["activation", "gradient"] = "activation"
    """what the size is of: the unit's activations, or the gradient of its incoming weights"""

    def due(self, updates: int, planned: int | None = None) -> bool:
        """Whether there is a look behind the `updates`-th update of `planned`; as for `Resets`, with an interval left."""
        return updates % self.every == 0 and (planned is None or planned - updates >= self.every)


@dataclass(frozen=True)
class Silence:
    """Self-normalised resets (Farias and Jozefiak 2025): a unit starts anew when it is silent for longer than is usual for it.

    A unit is silent in an update if it is 0 or less on all of its batch. Silences are counted in updates.
    """

    rate: Annotated[float, Range("(0, 1)")] = 0.00125
    """a silence is unusual if at most this share of the unit's own have lasted as long"""
    longest: Annotated[int, Range("[1, 65_536]")] = 625
    """updates of silence that are unusual for any unit; what is unusual for a unit at the start"""
    every: Count = 1_000
    """updates from one look at the silences to the next"""


@dataclass(frozen=True)
class Replacement:
    """Continual backpropagation (Dohare et al. 2024): the least useful units start anew, at a steady rate.

    A unit's utility is a running mean of its mean size on the batch times the size of its outgoing weights.
    """

    rate: Share = 1e-4
    """share of the mature units of each layer that start anew in an update"""
    maturity: Annotated[int, Range("[0, 1_000_000_000]")] = 10_000
    """updates for which a new unit is left alone"""
    decay: BelowOne = 0.99
    """share of the utility kept at each update"""


@dataclass(frozen=True)
class Injection:
    """Plasticity injection (Nikishin et al. 2023): once, freeze the head and learn a change to it instead."""

    at: Count = 50_000
    """after how many updates"""


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
    silence: Silence | None = None
    replacement: Replacement | None = None
    constraints: Constraints = Constraints()
    pruning: Pruning | None = None

    def rules(self, flag: str) -> None:
        """ValueError if what is planned fights."""
        renewing = [name for name in ("recycling", "silence", "replacement") if getattr(self, name) is not None]
        require(len(renewing) < 2, f"{' and '.join(renewing)} both renew units: one of them at most")
        both = bool(renewing) and self.injection is not None
        require(not both, f"{' '.join(renewing)} and injection fight for the head: one of them at most")
        cancels = self.pruning is None or self.injection is None
        require(cancels, "pruning would part the two injections that cancel each other: pruning or injection, not both")

    def require_silence(self, activations: Collection[Kind]) -> None:
        """ValueError if units are renewed for being silent and under none of the `activations` they ever are."""
        by_size = self.recycling is not None and self.recycling.by == "activation"
        never = {"fourier": by_size or self.silence is not None, "crelu": self.silence is not None}
        name, kinds = "recycling by activation" if by_size else "silence", " and ".join(sorted(set(activations)))
        useless = all(never.get(kind, False) for kind in activations)
        require(not useless, f"{name} would renew no unit: under {kinds} none is ever silent")
