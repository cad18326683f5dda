"""The base agents as values, every number with its source.

The sources: **vH** is van Hasselt, Hessel and Aslanides (2019), "When to use parametric models in reinforcement learning?", as
in Kaixhin/Rainbow. **DOP** is google/dopamine, labs/atari_100k. **SPR** is Schwarzer et al. (2021), "Data-efficient
reinforcement learning with self-predictive representations", as in mila-iqia/spr. **RWR** is Nikishin et al. (2022), "The
primacy bias in deep reinforcement learning", evgenii-nikishin/rl_with_resets. **BBF** is Schwarzer et al. (2023), "Bigger,
better, faster", google-research/bigger_better_faster, which also holds SR-SPR (D'Oro et al. 2023). **PLA** is Lee et al.
(2023), "PLASTIC: improving input and label plasticity for sample efficient reinforcement learning", dojeon-ai/PLASTIC.
docs/deviations.md lists where we differ from them.
"""

from dataclasses import replace
from typing import NamedTuple

from agents.config import AgentConfig, Anneal, Exploration, Replay, Target, TargetEnd
from hare_tortoise.methods import SR_SPR_RESETS
from hare_tortoise.settings import Optimizer, Tortoise
from networks.settings import Augmentation, Encoder, Head, SelfPrediction

HALF = Anneal(0.5, 0.5, 0)  # the importance exponent of Dopamine and all that comes from it
NO_NOISE = Anneal(0.0, 0.0, 0)  # epsilon where noisy layers explore


class Base(NamedTuple):
    """A base agent and what the table of agents says of it."""

    config: AgentConfig
    what: str
    source: str
    gflop: float
    """10**9 floating-point operations of an update with 18 actions, as torch's flop counter counts them"""


# vH, as in Kaixhin/Rainbow with its data-efficient flags.
DER = AgentConfig(
    encoder=Encoder(kind="data_efficient"),
    head=Head(hidden=256, noise=0.1, atoms=51, support=10.0),
    target=Target(n=20, gamma=0.99),
    replay=Replay(ratio=1.0, batch_size=32, warmup_steps=1600, alpha=0.5, beta=Anneal(0.4, 1.0, 98_400), priority="loss"),
    optimizer=Optimizer(learning_rate=1e-4, epsilon=1.5e-4, clip=10.0),
    exploration=Exploration(epsilon=NO_NOISE, evaluation=0.001),
    tortoise=Tortoise(decay=0.0, every=2000, warmup_counts=True),
)

# DOP, DER.gin: the agent of the rliable paper's 100 runs a game.
DER_DOPAMINE = AgentConfig(
    encoder=Encoder(kind="nature", padding="same"),
    head=Head(dueling="last", hidden=512, noise=0.1, noise_bias="fan_in", atoms=51, support=10.0),
    initialisation="xavier",
    target=Target(n=10, gamma=0.99),
    replay=Replay(ratio=1.0, batch_size=32, warmup_steps=1600, alpha=0.5, beta=HALF),
    optimizer=Optimizer(learning_rate=1e-4, epsilon=1.5e-4, clip=None),
    exploration=Exploration(epsilon=NO_NOISE, evaluation=0.001),
    tortoise=Tortoise(decay=0.0, every=2000, warmup_counts=True),
)

# DOP, OTRainbow.gin: neither double nor dueling nor noisy; 8 updates an env step after 20,000 of them.
OTRAINBOW = replace(
    DER_DOPAMINE,
    head=Head(dueling="none", hidden=512, noise=None, atoms=51, support=10.0),
    target=Target(n=3, gamma=0.99, double=False),
    replay=Replay(ratio=8.0, batch_size=32, warmup_steps=20_000, alpha=0.5, beta=HALF),
    optimizer=Optimizer(learning_rate=6.25e-5, epsilon=1.5e-4, clip=None),
    exploration=Exploration(epsilon=Anneal(1.0, 0.01, 50_000), evaluation=0.001),
    tortoise=Tortoise(decay=0.0, every=4000, warmup_counts=True),  # 500 env steps
)

# DOP, DrQ.gin: values are means, learnt with the Huber loss from uniform draws of augmented frames.
DRQ = replace(
    DER_DOPAMINE,
    head=Head(dueling="last", hidden=512, noise=None, atoms=1),
    replay=Replay(ratio=1.0, batch_size=32, warmup_steps=1600, alpha=0.0, beta=HALF),
    exploration=Exploration(epsilon=Anneal(1.0, 0.1, 5000), evaluation=0.05),
    tortoise=Tortoise(decay=0.0, every=1),
    augmentation=Augmentation(pad=4, intensity=0.05),
)

# DOP, DrQ_eps.gin: less random.
DRQ_EPS = replace(DRQ, exploration=Exploration(epsilon=Anneal(1.0, 0.01, 5000), evaluation=0.001))

# SPR with augmentation, as in mila-iqia/spr with its README's command (momentum tau 1).
SPR = AgentConfig(
    encoder=Encoder(kind="nature", renormalise=True),
    head=Head(hidden=256, noise=0.5, atoms=51, support=10.0, gradient_scale=2**-0.5),
    target=Target(n=10, gamma=0.99),
    replay=Replay(
        ratio=2.0,
        batch_size=32,
        warmup_steps=2000,
        alpha=0.5,
        new_rows="one",
        beta=Anneal(0.4, 1.0, 98_000),
        priority="kl",
    ),
    optimizer=Optimizer(learning_rate=1e-4, epsilon=1.5e-4, clip=10.0),
    exploration=Exploration(epsilon=Anneal(1.0, 0.0, 0), evaluation=0.001),
    tortoise=Tortoise(decay=0.0, every=1),
    augmentation=Augmentation(pad=4, intensity=0.05),
    prediction=SelfPrediction(jumps=5, weight=5.0, batch_norm=True),
)

# RWR's SPR: that of the primacy-bias curves, without its bugs.
SPR_JAX = AgentConfig(
    encoder=Encoder(kind="nature", padding="same", renormalise=True),
    head=Head(dueling="last", hidden=512, noise=0.5, noise_bias="fan_in", atoms=51, support=10.0),
    initialisation="xavier",
    target=Target(n=10, gamma=0.99),
    replay=Replay(ratio=2.0, batch_size=32, warmup_steps=2000, alpha=0.5, beta=HALF),
    optimizer=Optimizer(learning_rate=1e-4, epsilon=1.5e-4, clip=None),
    exploration=Exploration(epsilon=Anneal(1.0, 0.0, 2001), evaluation=0.001),
    tortoise=Tortoise(decay=0.0, every=2, warmup_counts=True),  # once an env step
    augmentation=Augmentation(pad=4, intensity=0.05),
    prediction=SelfPrediction(jumps=5, weight=5.0, batch_norm=False),
)

# BBF's SR_SPR.gin, with the noisy layers that its comment says the paper had: shrink and perturb, and a new head.
SR_SPR = replace(
    SPR_JAX,
    tortoise=Tortoise(decay=0.995, every=1, acts=True),
    resets=SR_SPR_RESETS,
)

# BBF's BBF.gin: a larger encoder, more of it perturbed, n and gamma annealed after every reset, weights that decay.
BBF = replace(
    SR_SPR,
    encoder=Encoder(kind="impala", padding="same", width=4, renormalise=True),
    head=Head(dueling="last", hidden=2048, noise=None, atoms=51, support=10.0),
    target=Target(n=10, gamma=0.97, end=TargetEnd(n=3, gamma=0.997, updates=10_000)),
    optimizer=Optimizer(learning_rate=1e-4, epsilon=1.5e-4, clip=None, weight_decay=0.1),
    resets=replace(SR_SPR_RESETS, keep_body=0.5),
)

# PLA, scripts/NeurIPS2023/drq_plastic_dagger_rr2.sh: what it calls DrQ is C51 with noisy dueling streams, augmentation and an
# average target; to that layer normalisation in the encoder and a head that is drawn anew. At ratios 4 and 8 its encoder keeps
# 0.6 at a reset.
PLASTIC_DAGGER = AgentConfig(
    encoder=Encoder(kind="nature", layer_norm=True),
    head=Head(hidden=512, noise=0.5, atoms=51, support=10.0, gradient_scale=2**-0.5),
    target=Target(n=10, gamma=0.99),
    replay=Replay(ratio=2.0, batch_size=32, warmup_steps=2000, alpha=0.5, beta=Anneal(0.4, 1.0, 98_000)),
    optimizer=Optimizer(learning_rate=1.414e-4, epsilon=1.5e-4, clip=10.0),
    exploration=Exploration(epsilon=Anneal(1.0, 0.0, 0), evaluation=0.001),
    tortoise=Tortoise(decay=0.99, every=1, acts=True),
    augmentation=Augmentation(pad=4, intensity=0.05),
    resets=replace(SR_SPR_RESETS, keep_body=1.0, restart=False),
)

# PLA, scripts/NeurIPS2023/drq_plastic_rr2.sh: the same with sharpness-aware steps, and CReLU in the head.
PLASTIC = replace(
    PLASTIC_DAGGER,
    head=replace(PLASTIC_DAGGER.head, activation="crelu", hidden=362),  # 256 units that make 512 features
    optimizer=replace(PLASTIC_DAGGER.optimizer, radius=0.1),
)

BASES: dict[str, Base] = {
    "otrainbow": Base(OTRAINBOW, "overtrained Rainbow", "Kielak 2020, in Dopamine", 3.986),
    "der": Base(DER, "data-efficient Rainbow", "van Hasselt et al. 2019", 0.5309),
    "der_dopamine": Base(DER_DOPAMINE, "data-efficient Rainbow of Dopamine", "Agarwal et al. 2021", 5.049),
    "drq": Base(DRQ, "augmented Q-learning", "Kostrikov et al. 2021, in Dopamine", 4.122),
    "drq_eps": Base(DRQ_EPS, "the same, less random", "Agarwal et al. 2021", 4.122),
    "spr": Base(SPR, "self-predictive representations", "Schwarzer et al. 2021", 10.68),
    "spr_jax": Base(SPR_JAX, "the same, in Dopamine's form", "Nikishin et al. 2022", 22.96),
    "sr_spr": Base(SR_SPR, "SPR with an average target and resets", "D'Oro et al. 2023", 22.96),
    "bbf": Base(BBF, "bigger, better, faster", "Schwarzer et al. 2023", 602.8),
    "plastic_dagger": Base(PLASTIC_DAGGER, "augmented C51, layer norm in the encoder, new heads", "Lee et al. 2023", 3.453),
    "plastic": Base(PLASTIC, "the same with sharpness-aware steps and CReLU in the head", "Lee et al. 2023", 4.618),
}

# The policy of the published random scores.
RANDOM = AgentConfig(
    encoder=Encoder(kind="data_efficient"),
    optimizer=None,
    exploration=Exploration(epsilon=Anneal(1.0, 1.0, 0), evaluation=1.0),
)
