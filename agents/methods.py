"""What maintains plasticity, as functions from agent to agent: each can be put on every base."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import NamedTuple

from agents.bases import RESETS
from agents.config import AgentConfig, Injection, Recycling, Resets, Tortoise

# Ours: the decay by the small ablation in docs/log.md, the interval a guess; the paper's values for Atari are not public.
HARE_TORTOISE_DECAY = 0.99
HARE_TORTOISE_EVERY = 4_000  # updates

INITIAL_PENALTY = 1e-3  # ours
LOGITS_PENALTY = 1e-3  # ours
WEIGHT_DECAY = 0.1  # BBF


def with_hare_tortoise(base: AgentConfig) -> AgentConfig:
    """A slow tortoise that acts and to which the hare is set back; nothing else changes (Lee et al. 2024)."""
    return replace(
        base,
        tortoise=Tortoise(decay=HARE_TORTOISE_DECAY, every=1, acts=True),
        resets=Resets("tortoise", every=HARE_TORTOISE_EVERY),
    )


def with_head_reset(base: AgentConfig) -> AgentConfig:
    """New output layers, and Adam's moments 0 (Nikishin et al. 2022)."""
    return replace(base, resets=replace(RESETS, keep_body=1.0, keep_neck=1.0))


def with_shrink_perturb(base: AgentConfig) -> AgentConfig:
    """Encoder and transition model a fifth of the way to a new draw, all else new (SR-SPR, D'Oro et al. 2023)."""
    return replace(base, resets=RESETS)


def with_recycling(base: AgentConfig) -> AgentConfig:
    """Dormant units start anew: ReDo, with the paper's values beyond plain DQN (Sokar et al. 2023)."""
    return replace(base, recycling=Recycling(every=1_000, tau=0.1))


def with_crelu(base: AgentConfig) -> AgentConfig:
    """CReLU for ReLU, in layers narrower by the root of 2 (Abbas et al. 2023)."""
    return replace(base, encoder=replace(base.encoder, activation="crelu"), head=replace(base.head, activation="crelu"))


def with_layer_norm(base: AgentConfig) -> AgentConfig:
    """Layer normalisation before every activation of encoder and head (Lyle et al. 2023)."""
    return replace(base, encoder=replace(base.encoder, layer_norm=True), head=replace(base.head, layer_norm=True))


def with_initial_penalty(base: AgentConfig) -> AgentConfig:
    """The squared distance to the initial weights in the loss (L2 Init, Kumar et al. 2023)."""
    return replace(base, penalties=replace(base.penalties, initial=INITIAL_PENALTY))


def with_weight_decay(base: AgentConfig) -> AgentConfig:
    """Decoupled weight decay, with the value of BBF (Schwarzer et al. 2023)."""
    if base.optimizer is None:
        return base
    return replace(base, optimizer=replace(base.optimizer, weight_decay=WEIGHT_DECAY))


def with_spectral_decoupling(base: AgentConfig) -> AgentConfig:
    """The mean square of the head's outputs in the loss (Pezeshki et al. 2021)."""
    return replace(base, penalties=replace(base.penalties, logits=LOGITS_PENALTY))


def with_injection(base: AgentConfig) -> AgentConfig:
    """Halfway through, freeze the head and learn a change to it (Nikishin et al. 2023)."""
    halfway = int((100_000 - base.replay.warmup_steps) * base.replay.ratio / 2)
    return replace(base, injection=Injection(at=halfway))


class Method(NamedTuple):
    """A method and what the table of agents says of it."""

    apply: Callable[[AgentConfig], AgentConfig]
    changes: str
    source: str
    cost: str


# In the order in which their names are put behind a base's.
METHODS: dict[str, Method] = {
    "ht": Method(
        with_hare_tortoise,
        f"the tortoise is an average (decay {HARE_TORTOISE_DECAY:g}, ours) and acts; "
        f"the hare is set back to it every {HARE_TORTOISE_EVERY:,} updates (ours)",
        "Lee et al. 2024",
        "an average of the weights; `spr` and `drq`: a second pass of the encoder",
    ),
    "head": Method(
        with_head_reset,
        f"output layers new every {RESETS.every:,} updates while as many are left, moments 0",
        "Nikishin et al. 2022",
        "none",
    ),
    "sp": Method(
        with_shrink_perturb,
        "encoder 0.8 old + 0.2 new, head new, as often, moments 0",
        "D'Oro et al. 2023",
        "none",
    ),
    "redo": Method(
        with_recycling, "dormant units (tau 0.1) new every 1,000 updates", "Sokar et al. 2023", "a pass every 1,000 updates"
    ),
    "crelu": Method(
        with_crelu,
        "CReLU, layers narrower by the root of 2",
        "Abbas et al. 2023",
        "wider activations, similar parameter count",
    ),
    "ln": Method(with_layer_norm, "layer norm before every activation", "Lyle et al. 2023", "the normalisations"),
    "l2init": Method(
        with_initial_penalty,
        f"loss + {INITIAL_PENALTY:g} (ours) x squared distance to the initial weights",
        "Kumar et al. 2023",
        "a pass over the weights",
    ),
    "wd": Method(with_weight_decay, f"weights decay by {WEIGHT_DECAY:g} x learning rate", "Schwarzer et al. 2023", "none"),
    "spectral": Method(
        with_spectral_decoupling, f"loss + {LOGITS_PENALTY:g} (ours) x mean squared output", "Pezeshki et al. 2021", "none"
    ),
    "inject": Method(
        with_injection,
        "halfway at the base's own ratio, the head is frozen and a change to it is learnt",
        "Nikishin et al. 2023",
        "from then on two more passes of the head",
    ),
}


def changed(before: AgentConfig, after: AgentConfig) -> set[str]:
    """Which fields differ: a piece that may be None as a whole, of any other piece the fields in it."""
    found: set[str] = set()
    for field in fields(AgentConfig):
        old, new = getattr(before, field.name), getattr(after, field.name)
        if old == new:
            continue
        optional = field.default is None
        if optional or not (is_dataclass(old) and is_dataclass(new)):
            found.add(field.name)
        else:
            found |= {f"{field.name}.{f.name}" for f in fields(new) if getattr(old, f.name) != getattr(new, f.name)}
    return found
