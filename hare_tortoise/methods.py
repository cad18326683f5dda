"""The methods that keep a network plastic, as functions from settings to settings: each can be put on agents and classifiers.

Where the two use other numbers, these stand beside each other. No torch here.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from hare_tortoise.ranges import require
from hare_tortoise.settings import Injection, Recycling, Resets, Tortoise

Change = Callable[[Any], Any]  # from the settings of an agent or a classifier to the same with one thing changed

# Every tortoise's decay. Agents: ours, by the small ablation in docs/log.md; the paper's values for Atari are not public.
AGENTS_DECAY = 0.99
DECAY = 0.999  # Lee et al. 2024
# Updates between two resets of the hare. Agents: a guess of ours. Classifiers: ours; the paper's code counts 10 epochs, 200 to
# 1,960 updates on CIFAR.
AGENTS_EVERY = 4_000
EVERY = 1_000

# SR-SPR's, as in BBF's code: encoder a fifth of the way to a new draw, all else new; 40,000 updates are 20,000 env steps.
SR_SPR_RESETS = Resets(
    "fresh",
    every=40_000,
    keep_body=0.8,
    keep_neck=0.0,
    keep_head=0.0,
    tortoise_too=True,
    moments="zero",
    restart=True,
    warmup_counts=True,
)


class Use(NamedTuple):
    """A method on agents, or on classifiers: what it changes, in words too, and the source of its numbers."""

    apply: Change
    changes: str
    source: str


class Method(NamedTuple):
    """A method on agents and on classifiers, None where it is not to be had, and what it adds to an update."""

    agents: Use | None
    classifiers: Use | None
    cost: str = "none"


def average(decay: float) -> Change:
    """A slow tortoise that acts."""
    return lambda c: replace(c, tortoise=Tortoise(decay, acts=True))


def hare_tortoise(decay: float, every: int) -> Change:
    """A slow tortoise that acts, and to which the hare is set back."""
    return lambda c: replace(average(decay)(c), resets=Resets("tortoise", every=every))


def reset(resets: Resets) -> Change:
    """Planned resets."""
    return lambda c: replace(c, resets=resets)


def recycle(every: int, tau: float) -> Change:
    """Dormant units start anew."""
    return lambda c: replace(c, recycling=Recycling(every, tau))


def penalise(**strengths: float) -> Change:
    """A penalty in the loss."""
    return lambda c: replace(c, penalties=replace(c.penalties, **strengths))


def decay_weights(rate: float) -> Change:
    """Decoupled weight decay; nothing of a network that does not learn."""
    return lambda c: replace(c, optimizer=replace(c.optimizer, weight_decay=rate)) if c.optimizer is not None else c


def inject(c: Any) -> Any:
    """Halfway through, freeze the head and learn a change to it."""
    return replace(c, injection=Injection(at=c.halfway))


# In the order in which their names are put behind a base agent's.
METHODS: dict[str, Method] = {
    "ht": Method(
        Use(
            hare_tortoise(AGENTS_DECAY, AGENTS_EVERY),
            f"the tortoise is an average (decay {AGENTS_DECAY:g}, ours) and acts; "
            f"the hare is set back to it every {AGENTS_EVERY:,} updates (ours)",
            "Lee et al. 2024",
        ),
        Use(
            hare_tortoise(DECAY, EVERY),
            f"the hare is set back to the tortoise every {EVERY:,} updates (ours); the tortoise is judged",
            "Lee et al. 2024",
        ),
        "an average of the weights; `spr` and `drq`: a second pass of the encoder",
    ),
    "head": Method(
        Use(
            reset(replace(SR_SPR_RESETS, keep_body=1.0, keep_neck=1.0)),
            f"output layers new every {SR_SPR_RESETS.every:,} updates while as many are left, moments 0",
            "Nikishin et al. 2022",
        ),
        Use(reset(Resets("initial", keep_body=1.0)), "neck and head as at the start, in each task", "Lee et al. 2024"),
    ),
    "sp": Method(
        Use(reset(SR_SPR_RESETS), "encoder 0.8 old + 0.2 new, head new, as often, moments 0", "D'Oro et al. 2023"),
        Use(
            reset(Resets("initial", keep_body=0.2, keep_neck=0.2, keep_head=0.2)),
            "0.2 weights + 0.8 initial ones, in each task",
            "Ash and Adams 2020; Lee et al. 2024",
        ),
    ),
    "redo": Method(
        Use(recycle(1_000, 0.1), "dormant units (tau 0.1) new every 1,000 updates", "Sokar et al. 2023"),
        Use(recycle(EVERY, 0.025), f"dormant units (tau 0.025) new every {EVERY:,} updates", "Sokar et al. 2023"),
        "a pass every 1,000 updates",
    ),
    "crelu": Method(
        *[Use(lambda c: c.with_activation("crelu"), "CReLU, layers narrower by the root of 2", "Abbas et al. 2023")] * 2,
        "wider activations, similar parameter count",
    ),
    "ln": Method(
        Use(lambda c: c.with_layer_norm(), "layer norm before every activation", "Lyle et al. 2023"), None, "the normalisations"
    ),
    "l2init": Method(
        *[Use(penalise(initial=1e-3), "loss + 0.001 (ours) x squared distance to initial weights", "Kumar et al. 2023")] * 2,
        "a pass over the weights",
    ),
    "wd": Method(
        Use(decay_weights(0.1), "weights decay by 0.1 x learning rate", "Schwarzer et al. 2023"),
        Use(decay_weights(0.1), "weights decay by 0.1 x learning rate", "Lee et al. 2024"),
    ),
    "spectral": Method(
        Use(penalise(logits=1e-3), "loss + 0.001 (ours) x mean squared output", "Pezeshki et al. 2021"),
        Use(penalise(logits=1e-2), "loss + 0.01 (ours) x mean squared logit", "Pezeshki et al. 2021"),
    ),
    "inject": Method(
        Use(
            inject,
            "halfway at the base's own ratio, the head is frozen and a change to it is learnt",
            "Nikishin et al. 2023",
        ),
        None,
        "from then on two more passes of the head",
    ),
    "ema": Method(None, Use(average(DECAY), "the tortoise is judged", "Lee et al. 2024")),
    "reinit": Method(None, Use(reset(Resets("fresh")), "all weights new, in each task", "Ash and Adams 2020")),
}


def check_methods() -> None:
    """ValueError, one line, if METHODS, to which modules of users may add, has what is no method or cannot stand in a name."""
    for name, method in METHODS.items():
        named = isinstance(name, str) and name.isalnum() and name.islower()
        require(named, f"a method's name has small letters and digits alone, without an underscore, not {name!r}")
        whole = isinstance(method, Method) and all(use is None or isinstance(use, Use) for use in method[:2])
        require(whole, f"the method {name!r} is no Method(Use(...) or None, Use(...) or None)")
