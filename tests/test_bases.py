"""The bases against numbers typed in from the originals' released configurations; test_catalogue.py has `der` and `spr`."""

from dataclasses import asdict
from typing import Any

import pytest
import torch

from agents.agent import Agent
from agents.bases import BASES
from agents.catalogue import AGENTS
from agents.schedules import anneal
from networks.layers import NoisyLinear
from tests.fake_replay import small

NATURE = {"kind": "nature", "padding": "same", "width": 1, "renormalise": False, "activation": "relu", "layer_norm": False}
RENORMALISED = {**NATURE, "renormalise": True}
# One hidden layer of 512 before value and advantage; sigma is divided by the root of the inputs' number, biases' too.
HEAD = {"dueling": "last", "hidden": 512, "noise": 0.1, "noise_bias": "fan_in", "atoms": 51, "support": 10}
HEAD |= {"gradient_scale": 1, "activation": "relu", "layer_norm": False, "spectral_norm": False}
NO_NOISE = {"noise": None, "noise_bias": "fan_out"}  # which fan means nothing without noise
ADAM = {"learning_rate": 0.0001, "epsilon": 0.00015, "beta1": 0.9, "beta2": 0.999, "clip": None, "weight_decay": 0, "radius": 0}
SHIFTS = {"pad": 4, "intensity": 0.05}
HALF = {"start": 0.5, "end": 0.5, "steps": 0}
UPDATES_10_000 = {"n": 3, "gamma": 0.997, "updates": 10_000}

# The capacity is 100,000 everywhere: Dopamine's million and BBF's 200,000 are not full after 100,000 env steps either.
REPLAY = {
    "ratio": 1,
    "batch_size": 32,
    "warmup_steps": 1600,
    "capacity": 100_000,
    "alpha": 0.5,
    "beta": HALF,
    "new_rows": "largest",
}
REPLAY |= {"priority": "loss"}  # the cross-entropy, not the divergence

OFF: dict[str, Any] = {
    "initialisation": "xavier",
    "penalties": {"initial": 0, "logits": 0, "orthogonal": 0},
    "constraints": {"bound": None, "norms": False},
    "augmentation": None,
    "prediction": None,
    "resets": None,
    "recycling": None,
    "injection": None,
    "silence": None,
    "replacement": None,
    "pruning": None,
}

# google/dopamine, labs/atari_100k.
DER_DOPAMINE: dict[str, Any] = {
    **OFF,
    "encoder": NATURE,
    "head": HEAD,
    "target": {"n": 10, "gamma": 0.99, "double": True, "end": None},
    "replay": REPLAY,
    "optimizer": ADAM,
    "exploration": {"epsilon": {"start": 0, "end": 0, "steps": 0}, "evaluation": 0.001},  # noise explores
    "tortoise": {"decay": 0, "every": 2000, "acts": False, "warmup_counts": True},  # 8,000 in Dopamine's first months
}

OTRAINBOW: dict[str, Any] = {
    **OFF,
    "encoder": NATURE,
    "head": {**HEAD, **NO_NOISE, "dueling": "none"},
    "target": {"n": 3, "gamma": 0.99, "double": False, "end": None},
    "replay": {**REPLAY, "ratio": 8, "warmup_steps": 20_000},
    "optimizer": {**ADAM, "learning_rate": 0.0000625},
    "exploration": {"epsilon": {"start": 1, "end": 0.01, "steps": 50_000}, "evaluation": 0.001},
    "tortoise": {"decay": 0, "every": 500 * 8, "acts": False, "warmup_counts": True},  # 500 env steps there, updates here
}

DRQ: dict[str, Any] = {
    **OFF,
    "encoder": NATURE,
    "head": {**HEAD, **NO_NOISE, "atoms": 1},  # the support means nothing for a mean
    "target": {"n": 10, "gamma": 0.99, "double": True, "end": None},
    "replay": {**REPLAY, "alpha": 0},  # uniform: the importance weights are all 1, whatever their exponent
    "optimizer": ADAM,  # the paper clips by 10, Dopamine does not
    "exploration": {"epsilon": {"start": 1, "end": 0.1, "steps": 5000}, "evaluation": 0.05},
    "tortoise": {"decay": 0, "every": 1, "acts": False, "warmup_counts": False},
    "augmentation": SHIFTS,
}

DRQ_EPS: dict[str, Any] = {
    **DRQ,
    "exploration": {"epsilon": {"start": 1, "end": 0.01, "steps": 5000}, "evaluation": 0.001},
}

# evgenii-nikishin/rl_with_resets.
SPR_JAX: dict[str, Any] = {
    **OFF,
    "encoder": RENORMALISED,
    "head": {**HEAD, "noise": 0.5},
    "target": {"n": 10, "gamma": 0.99, "double": True, "end": None},
    "replay": {**REPLAY, "ratio": 2, "warmup_steps": 2000},
    "optimizer": ADAM,
    "exploration": {"epsilon": {"start": 1, "end": 0, "steps": 2001}, "evaluation": 0.001},
    "tortoise": {"decay": 0, "every": 2, "acts": False, "warmup_counts": True},  # once an env step, which has 2 updates
    "augmentation": SHIFTS,
    "prediction": {"jumps": 5, "weight": 5, "batch_norm": False},
}

# google-research/bigger_better_faster. Its intervals between resets are 40,000 updates in env steps; updates here.
RESETS = {
    "source": "fresh",
    "every": 40_000,
    "start": 0,
    "times": None,
    "keep_body": 0.8,
    "keep_neck": 0,
    "keep_head": 0,
    "tortoise_too": True,
}
RESETS |= {"moments": "zero", "restart": True, "warmup_counts": True}

SR_SPR: dict[str, Any] = {
    **SPR_JAX,
    "head": {**HEAD, "noise": 0.5},  # off in the released file, on in the paper as its comment says
    "replay": {**REPLAY, "ratio": 2, "warmup_steps": 2000},  # the paper has 2, 4, 8, 16; the released file 8
    "tortoise": {"decay": 1 - 0.005, "every": 1, "acts": True, "warmup_counts": False},
    "resets": RESETS,
}

BBF: dict[str, Any] = {
    **SR_SPR,
    "encoder": {**RENORMALISED, "kind": "impala", "width": 4},
    "head": {**HEAD, **NO_NOISE, "hidden": 2048},
    "target": {"n": 10, "gamma": 0.97, "double": True, "end": UPDATES_10_000},
    "optimizer": {**ADAM, "weight_decay": 0.1, "radius": 0},
    "resets": {**RESETS, "keep_body": 0.5},
}

# dojeon-ai/PLASTIC, scripts/NeurIPS2023/drq_plastic_rr2.sh and drq_plastic_dagger_rr2.sh over configs/agent/drq.yaml.
VALID = {**NATURE, "padding": "valid", "layer_norm": True}  # after each convolution and none in the head
PLASTIC_DAGGER: dict[str, Any] = {
    **OFF,
    "initialisation": "uniform",
    "encoder": VALID,
    "head": {**HEAD, "dueling": "streams", "noise": 0.5, "noise_bias": "fan_out", "gradient_scale": 2 ** (-1 / 2)},
    "target": {"n": 10, "gamma": 0.99, "double": True, "end": None},
    "replay": {**REPLAY, "ratio": 2, "warmup_steps": 2000, "beta": {"start": 0.4, "end": 1, "steps": 98_000}},
    "optimizer": {**ADAM, "learning_rate": 0.0001414, "clip": 10},
    "exploration": {"epsilon": {"start": 1, "end": 0, "steps": 0}, "evaluation": 0.001},
    "tortoise": {"decay": 0.99, "every": 1, "acts": True, "warmup_counts": False},
    "augmentation": SHIFTS,
    "resets": {**RESETS, "keep_body": 1, "restart": False},
}

PLASTIC: dict[str, Any] = {
    **PLASTIC_DAGGER,
    "head": {**PLASTIC_DAGGER["head"], "activation": "crelu", "hidden": 362},  # see the test of its layers
    "optimizer": {**PLASTIC_DAGGER["optimizer"], "radius": 0.1},
}

EXPECTED = {
    "der_dopamine": DER_DOPAMINE,
    "otrainbow": OTRAINBOW,
    "drq": DRQ,
    "drq_eps": DRQ_EPS,
    "spr_jax": SPR_JAX,
    "sr_spr": SR_SPR,
    "bbf": BBF,
    "plastic_dagger": PLASTIC_DAGGER,
    "plastic": PLASTIC,
}


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dicts as one, so that a difference is shown by its path."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        out |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return out


@pytest.mark.parametrize("name", EXPECTED)
def test_the_numbers_are_those_of_the_originals(name: str) -> None:
    assert flat(asdict(AGENTS[name])) == pytest.approx(flat(EXPECTED[name]))


def test_no_base_is_left_out() -> None:
    assert set(BASES) == {*EXPECTED, "der", "spr"}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        # e + (1 - e) (warm-up + length - t) / length, held between e and 1; env step t and value
        ("otrainbow", {0: 1, 20_000: 1, 45_000: 0.505, 70_000: 0.01, 100_000: 0.01}),
        ("drq", {1600: 1, 4100: 0.55, 6600: 0.1, 50_000: 0.1}),
        ("drq_eps", {1600: 1, 4100: 0.505, 6600: 0.01}),
        ("spr_jax", {2000: 1, 3000: 1001 / 2001, 4001: 0}),
        ("sr_spr", {2000: 1, 3000: 1001 / 2001, 4001: 0}),
        ("bbf", {1999: 1, 2001: 2000 / 2001, 4000: 1 / 2001, 4001: 0}),
        ("spr", {1999: 1, 2000: 0}),
        ("plastic", {1999: 1, 2000: 0}),
        ("der_dopamine", {0: 0, 1600: 0, 1_000: 0}),
    ],
)
def test_epsilon_goes_as_in_the_originals(name: str, values: dict[int, float]) -> None:
    c = AGENTS[name]
    found = {t: anneal(c.exploration.epsilon, t - c.replay.warmup_steps) for t in values}
    assert found == pytest.approx(values, abs=1e-12)


@pytest.mark.parametrize(("name", "sigma"), [("der_dopamine", 0.1), ("spr_jax", 0.5), ("sr_spr", 0.5)])
def test_noise_begins_with_sigma_over_the_root_of_the_inputs(name: str, sigma: float) -> None:
    """Weights' and biases' alike; Kaixhin/Rainbow and mila-iqia/spr divide the biases' by the outputs."""
    layers = [m for m in Agent(small(name), 3, device="cpu", seed=0).hare.modules() if isinstance(m, NoisyLinear)]
    inputs = [layer.weight.shape[1] for layer in layers]
    assert sorted(inputs) == [16, 16, 11 * 11 * 64]
    for layer, count in zip(layers, inputs, strict=True):
        for found in (layer.weight_sigma, layer.bias_sigma):
            torch.testing.assert_close(found, torch.full_like(found, sigma / count**0.5))


@pytest.mark.parametrize("name", ["otrainbow", "drq", "drq_eps", "bbf"])
def test_the_others_have_no_noise(name: str) -> None:
    c = small(name)
    assert not any(isinstance(m, NoisyLinear) for m in Agent(c, 3, device="cpu", seed=0).hare.modules())


@pytest.mark.parametrize(("name", "units"), [("plastic_dagger", 512), ("plastic", 256)])
def test_plastic_has_the_layers_of_its_authors(name: str, units: int) -> None:
    """512 features before the outputs: 512 ReLUs, or the halves of 256 units; norms between convolutions and ReLUs alone."""
    network = Agent(AGENTS[name], 18, device="cpu", seed=0).hare
    assert [tuple(m.weight.shape) for m in network.modules() if isinstance(m, NoisyLinear)] == [
        *[(units, 3136), (18 * 51, 512)],
        *[(units, 3136), (51, 512)],
    ]
    norms = [path for path, m in network.named_modules() if isinstance(m, torch.nn.GroupNorm)]
    assert norms == ["encoder.1.norm", "encoder.3.norm", "encoder.5.norm"]
    c = AGENTS[name]
    assert c.resets is not None
    assert c.resets.count(196_000, c.missed) == 4
