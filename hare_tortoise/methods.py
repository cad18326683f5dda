"""The methods that keep a network plastic, as functions from settings to settings: each can be put on agents and classifiers.

Where the two use other numbers, these stand beside each other. No torch here.
"""

from dataclasses import replace
from typing import Literal, NamedTuple, get_args

from hare_tortoise import changes as to
from hare_tortoise.changes import Change
from hare_tortoise.ranges import require
from hare_tortoise.settings import Pruning, Recycling, Replacement, Resets, Silence

# Every tortoise's decay. Agents: ours, by the ablation in docs/log.md; the paper's values for Atari are not public.
AGENTS_DECAY = 0.999
DECAY = 0.999  # Lee et al. 2024
# Updates between two resets of the hare. Agents: ours, by the same ablation. Classifiers: ours; the paper's code counts 10
# epochs, 200 to 1,960 updates on CIFAR.
AGENTS_EVERY = 16_000
EVERY = 1_000

# SR-SPR's, as in BBF's code: encoder a fifth of the way to a new draw, all else new; 40,000 updates are 20,000 env steps.
_SHARES = {"keep_body": 0.8, "keep_neck": 0.0, "keep_head": 0.0}
SR_SPR_RESETS = Resets("fresh", 40_000, **_SHARES, tortoise_too=True, moments="zero", restart=True, warmup_counts=True)


class Use(NamedTuple):
    """A method on agents, or on classifiers: what it changes, in words too, and the source of its numbers."""

    apply: Change
    changes: str
    source: str


Family = Literal["average", "reset", "recycle", "penalty", "constraint", "network", "optimizer"]


class Method(NamedTuple):
    """A method on agents and on classifiers, None where it is not to be had, of which kind it is, what it adds to an update."""

    agents: Use | None
    classifiers: Use | None
    family: Family
    cost: str = "none"


def both(apply: Change, changes: str, source: str) -> tuple[Use, Use]:
    """A method that is the same on agents and on classifiers."""
    use = Use(apply, changes, source)
    return use, use


# In the order in which their names are put behind a base agent's.
METHODS: dict[str, Method] = {
    "ht": Method(
        Use(
            to.hare_tortoise(AGENTS_DECAY, AGENTS_EVERY, acts=None),
            f"the tortoise is an average (decay {AGENTS_DECAY:g}, ours); "
            f"the hare is set back to it every {AGENTS_EVERY:,} updates (ours)",
            "Lee et al. 2024",
        ),
        Use(
            to.hare_tortoise(DECAY, EVERY),
            f"the hare is set back to the tortoise every {EVERY:,} updates (ours); the tortoise is judged",
            "Lee et al. 2024",
        ),
        "average",
        "an average of the weights; `spr` and `drq`: a second pass of the encoder",
    ),
    "head": Method(
        Use(
            to.reset(replace(SR_SPR_RESETS, keep_body=1.0, keep_neck=1.0)),
            f"output layers new every {SR_SPR_RESETS.every:,} updates while as many are left, moments 0",
            "Nikishin et al. 2022",
        ),
        Use(to.reset(Resets("initial", keep_body=1.0)), "neck and head as at the start, in each task", "Lee et al. 2024"),
        "reset",
    ),
    "sp": Method(
        Use(to.reset(SR_SPR_RESETS), "encoder 0.8 old + 0.2 new, head new, as often, moments 0", "D'Oro et al. 2023"),
        Use(
            to.reset(Resets("initial", keep_body=0.2, keep_neck=0.2, keep_head=0.2)),
            "0.2 weights + 0.8 initial ones, in each task",
            "Ash and Adams 2020; Lee et al. 2024",
        ),
        "reset",
    ),
    "redo": Method(
        Use(to.renew(Recycling(1_000, 0.1)), "dormant units (tau 0.1) new every 1,000 updates", "Sokar et al. 2023"),
        Use(
            to.renew(Recycling(EVERY, 0.025)),
            f"dormant units (tau 0.025) new every {EVERY:,} updates",
            "Sokar et al. 2023",
        ),
        "recycle",
        "a pass every 1,000 updates",
    ),
    "crelu": Method(
        *both(lambda c: c.with_activation("crelu"), "CReLU, layers narrower by the root of 2", "Abbas et al. 2023"),
        "network",
        "wider activations, similar parameter count",
    ),
    "ln": Method(
        Use(lambda c: c.with_layer_norm(), "layer norm before every activation", "Lyle et al. 2023"),
        Use(lambda c: c.with_layer_norm(), "layer norm behind linear layers, before the activation", "Lyle et al. 2023"),
        "network",
        "the normalisations",
    ),
    "l2init": Method(
        *both(to.penalise(initial=1e-3), "loss + 0.001 (ours) x squared distance to initial weights", "Kumar et al. 2023"),
        "penalty",
        "a pass over the weights",
    ),
    "wd": Method(
        Use(to.optimise(weight_decay=0.1), "weights decay by 0.1 x learning rate", "Schwarzer et al. 2023"),
        Use(to.optimise(weight_decay=0.1), "weights decay by 0.1 x learning rate", "Lee et al. 2024"),
        "penalty",
    ),
    "spectral": Method(
        Use(to.penalise(logits=1e-3), "loss + 0.001 (ours) x mean squared output", "Pezeshki et al. 2021"),
        Use(to.penalise(logits=1e-2), "loss + 0.01 (ours) x mean squared logit", "Pezeshki et al. 2021"),
        "penalty",
    ),
    "inject": Method(
        Use(
            to.inject,
            "halfway at the base's own ratio, the head is frozen and a change to it is learnt",
            "Nikishin et al. 2023",
        ),
        None,
        "reset",
        "from then on two more passes of the head",
    ),
    "snr": Method(
        Use(
            to.renew(Silence(rate=0.00125, longest=625)),
            "units new that are silent for longer than all but 0.125 % of their own silences, or for 625 updates (ours)",
            "Farias and Jozefiak 2025",
        ),
        Use(
            to.renew(Silence(rate=0.01, longest=80, every=EVERY)),
            "units new that are silent for longer than all but 1 % of their own silences, or for 80 updates (ours)",
            "Farias and Jozefiak 2025",
        ),
        "recycle",
        "a pass; a pass over the weights and moments",
    ),
    "grama": Method(
        *both(
            to.renew(Recycling(1_000, 0.01, by="gradient")),
            "units with small gradients (tau 0.01) new every 1,000 updates",
            "Liu et al. 2025",
        ),
        "recycle",
    ),
    "cbp": Method(
        Use(
            to.renew(Replacement(1e-4, 10_000)),
            "at each update 0.0001 of the units that are older than 10,000 updates are new, the least useful ones",
            "Dohare et al. 2024",
        ),
        Use(
            to.renew(Replacement(3e-4, 100)),
            "at each update 0.0003 of the units that are older than 100 updates are new, the least useful ones",
            "Dohare et al. 2024",
        ),
        "recycle",
        "a pass; a pass over the weights and moments",
    ),
    "nap": Method(
        *both(
            to.normalise_and_project,
            "layer norm as in `ln`; hidden layers keep the norm of their initial weights",
            "Lyle et al. 2024",
        ),
        "constraint",
        "the normalisations; a pass over the weights",
    ),
    "snorm": Method(
        Use(lambda c: c.with_spectral_norm(), "hidden layers of the head spectrally normalised", "Gogianu et al. 2021"),
        Use(lambda c: c.with_spectral_norm(), "hidden linear layers spectrally normalised", "Gogianu et al. 2021"),
        "network",
        "a round of power iteration",
    ),
    "parseval": Method(
        *both(
            to.penalise(orthogonal=1e-3),
            "loss + 0.001 x squared distance of W W^T from 1, hidden layers",
            "Chung et al. 2024; scale 1 ours",
        ),
        "penalty",
        "a product of each hidden layer with itself",
    ),
    "clip": Method(
        *both(
            to.constrain(bound=3.0), "weights at most 3 x as large as their layer's largest at the start", "Elsayed et al. 2024"
        ),
        "constraint",
        "a pass over the weights",
    ),
    "fourier": Method(
        *both(lambda c: c.with_activation("fourier"), "sine and cosine, layers half as wide", "Lewandowski et al. 2024"),
        "network",
        "less: half of the products",
    ),
    "sam": Method(
        Use(to.optimise(radius=0.1), "the gradient is taken 0.1 uphill", "Foret et al. 2021; Lee et al. 2023"),
        Use(to.optimise(radius=0.05), "the gradient is taken 0.05 uphill", "Foret et al. 2021"),
        "optimizer",
        "the gradient a second time",
    ),
    "prune": Method(
        *both(
            to.prune(Pruning(sparsity=0.95, start=0.2, end=0.8)),
            "the smallest weights are 0, more and more of them: 95 % from four fifths of the run on",
            "Obando-Ceron et al. 2024",
        ),
        "constraint",
        "a pass over the weights",
    ),
    "fire": Method(
        Use(
            to.orthogonalise,
            "halfway at the base's own ratio, the encoder's nearest orthogonal weights, all else as at the start",
            "Han et al. 2026",
        ),
        Use(
            to.reset(Resets("orthogonal", keep_neck=1.0, keep_head=1.0)),
            "the body's nearest orthogonal weights, in each task",
            "Han et al. 2026",
        ),
        "reset",
    ),
    "ema": Method(None, Use(to.average(DECAY), "the tortoise is judged", "Lee et al. 2024"), "average"),
    "reinit": Method(None, Use(to.reset(Resets("fresh")), "all weights new, in each task", "Ash and Adams 2020"), "reset"),
}


def check_methods() -> None:
    """ValueError, one line, if METHODS, to which modules of users may add, has what is no method or cannot stand in a name."""
    for name, method in METHODS.items():
        named = isinstance(name, str) and name.isalnum() and name.islower()
        require(named, f"a method's name has small letters and digits alone, without an underscore, not {name!r}")
        whole = isinstance(method, Method) and all(use is None or isinstance(use, Use) for use in method[:2])
        require(whole, f"the method {name!r} is no Method(Use(...) or None, Use(...) or None, family)")
        families = get_args(Family)
        require(method.family in families, f"the family of {name!r} is {', '.join(families)}, not {method.family!r}")
