"""Every agent as a value, every number with its source.

The sources: Kaixhin/Rainbow is the PyTorch code of van Hasselt, Hessel and Aslanides (2019), "When to use parametric models
in reinforcement learning?"; mila-iqia/spr is that of Schwarzer et al. (2021), "Data-efficient reinforcement learning with
self-predictive representations". docs/deviations.md lists where we differ from them.
"""

from dataclasses import replace

from agents.config import AgentConfig, Anneal, Exploration, Optimizer, Replay, Resets, Target, Tortoise
from networks.settings import Augmentation, Encoder, Head, SelfPrediction

# Ours: the paper's values for Atari are not public. The decay is that of its supervised study (official code), the interval
# that of the nearest public DQN with hare and tortoise (continual-foragax-agents: 4,000).
HARE_TORTOISE_DECAY = 0.999
HARE_TORTOISE_EVERY = 4_000  # updates


def with_hare_tortoise(base: AgentConfig) -> AgentConfig:
    """`base` with a slow tortoise that acts and to which the hare is set back; nothing else changes (Lee et al. 2024)."""
    return replace(
        base,
        tortoise=Tortoise(decay=HARE_TORTOISE_DECAY, every=1, acts=True),
        resets=Resets(source="tortoise", every=HARE_TORTOISE_EVERY),
    )


# Data-efficient Rainbow (van Hasselt et al. 2019), as in Kaixhin/Rainbow with its data-efficient flags.
DER = AgentConfig(
    encoder=Encoder(kind="data_efficient"),
    head=Head(hidden=256, noise=0.1, atoms=51, support=10.0),
    target=Target(n=20, gamma=0.99),
    replay=Replay(
        ratio=1.0, batch_size=32, warmup_steps=1600, alpha=0.5, beta=Anneal(0.4, 1.0, 98_400), priority="cross_entropy"
    ),
    optimizer=Optimizer(learning_rate=1e-4, epsilon=1.5e-4, clip=10.0),
    exploration=Exploration(epsilon=Anneal(0.0, 0.0, 0), evaluation=0.001),  # noisy layers explore
    tortoise=Tortoise(decay=0.0, every=2000),
)

# SPR with augmentation (Schwarzer et al. 2021), as in mila-iqia/spr with the README's command (momentum tau 1).
SPR = AgentConfig(
    encoder=Encoder(kind="nature", renormalise=True),
    head=Head(hidden=256, noise=0.5, atoms=51, support=10.0, gradient_scale=2**-0.5),
    target=Target(n=10, gamma=0.99),
    replay=Replay(ratio=2.0, batch_size=32, warmup_steps=2000, alpha=0.5, beta=Anneal(0.4, 1.0, 98_000), priority="kl"),
    optimizer=Optimizer(learning_rate=1e-4, epsilon=1.5e-4, clip=10.0),
    exploration=Exploration(epsilon=Anneal(1.0, 0.0, 0), evaluation=0.001),
    tortoise=Tortoise(decay=0.0, every=1),
    augmentation=Augmentation(pad=4, intensity=0.05),
    prediction=SelfPrediction(jumps=5, weight=5.0, batch_norm=True),
)

# The policy of the published random scores.
RANDOM = AgentConfig(
    encoder=Encoder(kind="data_efficient"),
    optimizer=None,
    exploration=Exploration(epsilon=Anneal(1.0, 1.0, 0), evaluation=1.0),
)

AGENTS: dict[str, AgentConfig] = {
    "random": RANDOM,
    "der": DER,
    "der_ht": with_hare_tortoise(DER),
    "spr": SPR,
    "spr_ht": with_hare_tortoise(SPR),
}
