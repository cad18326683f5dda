"""The catalogue against numbers typed in from the papers' codes, and its values as such."""

import dataclasses
import json
import subprocess
import sys
from dataclasses import FrozenInstanceError, asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from agents.agent import Agent
from agents.bases import BASES
from agents.catalogue import AGENTS, METHODS, compose, fill, find_agent
from agents.config import AgentConfig, config_from_dict
from hare_tortoise import methods
from hare_tortoise.methods import AGENTS_DECAY, AGENTS_EVERY, Method, Use

ROOT = Path(__file__).parent.parent

PLAIN = {"width": 1, "activation": "relu", "layer_norm": False}
STREAMS = {"dueling": "streams", "hidden": 256, "noise_bias": "fan_out", "atoms": 51, "support": 10, "activation": "relu"}
STREAMS |= {"layer_norm": False, "spectral_norm": False}

ADAM = {"learning_rate": 0.0001, "epsilon": 0.00015, "beta1": 0.9, "beta2": 0.999, "clip": 10, "weight_decay": 0}
ADAM |= {"radius": 0}

# Kaixhin/Rainbow with its data-efficient flags; the importance exponent reaches 1 at the end of 100,000 env steps.
DER: dict[str, Any] = {
    "encoder": {**PLAIN, "kind": "data_efficient", "padding": "valid", "renormalise": False},
    "head": {**STREAMS, "noise": 0.1, "gradient_scale": 1},
    "initialisation": "uniform",
    "target": {"n": 20, "gamma": 0.99, "double": True, "end": None},
    "replay": {
        "ratio": 1,
        "batch_size": 32,
        "warmup_steps": 1600,
        "capacity": 100_000,  # the original's million is never full either
        "alpha": 0.5,
        "new_rows": "largest",
        "beta": {"start": 0.4, "end": 1, "steps": 100_000 - 1600},
        "priority": "loss",
    },
    "optimizer": ADAM,
    "penalties": {"initial": 0, "logits": 0, "orthogonal": 0},
    "constraints": {"bound": None, "norms": False},
    "exploration": {"epsilon": {"start": 0, "end": 0, "steps": 0}, "evaluation": 0.001},
    "tortoise": {"decay": 0, "every": 2000, "acts": False, "warmup_counts": True},
    "augmentation": None,
    "prediction": None,
    "resets": None,
    "recycling": None,
    "injection": None,
    "silence": None,
    "replacement": None,
    "pruning": None,
}

# mila-iqia/spr with augmentation and momentum tau 1; epsilon falls from 1 to 0 at the first update.
SPR: dict[str, Any] = {
    "encoder": {**PLAIN, "kind": "nature", "padding": "valid", "renormalise": True},
    "head": {**STREAMS, "noise": 0.5, "gradient_scale": 1 / 2**0.5},
    "initialisation": "uniform",
    "target": {"n": 10, "gamma": 0.99, "double": True, "end": None},
    "replay": {
        "ratio": 2,
        "batch_size": 32,
        "warmup_steps": 2000,
        "capacity": 100_000,
        "alpha": 0.5,
        "new_rows": "one",
        "beta": {"start": 0.4, "end": 1, "steps": 100_000 - 2000},
        "priority": "kl",
    },
    "optimizer": ADAM,
    "penalties": {"initial": 0, "logits": 0, "orthogonal": 0},
    "constraints": {"bound": None, "norms": False},
    "exploration": {"epsilon": {"start": 1, "end": 0, "steps": 0}, "evaluation": 0.001},
    "tortoise": {"decay": 0, "every": 1, "acts": False, "warmup_counts": False},
    "augmentation": {"pad": 4, "intensity": 0.05},
    "prediction": {"jumps": 5, "weight": 5, "batch_norm": True},
    "resets": None,
    "recycling": None,
    "injection": None,
    "silence": None,
    "replacement": None,
    "pruning": None,
}


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dicts as one, so that a difference is shown by its path."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        out |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return out


@pytest.mark.parametrize(("name", "expected"), [("der", DER), ("spr", SPR)])
def test_the_numbers_are_those_of_the_originals(name: str, expected: dict[str, Any]) -> None:
    found = flat(asdict(AGENTS[name]))
    assert found == pytest.approx(flat(expected))


def test_the_random_agent_is_random_and_does_not_learn() -> None:
    c = AGENTS["random"]
    assert c.optimizer is None
    assert (c.exploration.epsilon.start, c.exploration.epsilon.end, c.exploration.evaluation) == (1, 1, 1)


@pytest.mark.parametrize("name", ["der", "spr"])
def test_hare_and_tortoise_variants_are_their_bases_with_two_changes(name: str) -> None:
    base, variant = AGENTS[name], AGENTS[f"{name}_ht"]
    assert variant == METHODS["ht"].apply(base)
    assert replace(variant, tortoise=base.tortoise, resets=None) == base
    assert (variant.tortoise.decay, variant.tortoise.every) == (AGENTS_DECAY, 1)
    assert variant.resets is not None
    assert (variant.resets.source, variant.resets.every) == ("tortoise", AGENTS_EVERY)
    assert (variant.resets.keep_body, variant.resets.keep_head, variant.resets.moments) == (0, 0, "keep")


@pytest.mark.parametrize(
    ("name", "actions"),
    [*((name, 18) for name in ("random", *BASES)), *((name, 3) for name in ("random", "der", "drq"))],
)
def test_every_base_builds_for_any_game(name: str, actions: int) -> None:
    agent = Agent(AGENTS[name], actions, device="cpu", seed=0)
    frames = torch.zeros(200, 4, 84, 84, dtype=torch.uint8)
    agent.epsilon = 1.0
    chosen = agent.act(frames)
    assert set(chosen.tolist()) == set(range(actions))
    x = torch.zeros(2, 4, 84, 84)
    with torch.no_grad():
        assert agent.actor.logits(agent.actor.encode(x), agent.actor.noisy(None)).shape == (2, actions, AGENTS[name].head.atoms)


@pytest.mark.parametrize("name", list(AGENTS))
def test_values_are_frozen_and_can_be_hashed(name: str) -> None:
    def pieces(value: Any) -> list[Any]:
        inner = [getattr(value, field.name) for field in dataclasses.fields(value)]
        return [value, *(p for piece in inner if dataclasses.is_dataclass(piece) for p in pieces(piece))]

    found = pieces(AGENTS[name])
    assert len(found) > 8
    for piece in found:
        with pytest.raises(FrozenInstanceError):
            setattr(piece, dataclasses.fields(piece)[0].name, None)
    assert hash(AGENTS[name]) == hash(replace(AGENTS[name]))


@pytest.mark.parametrize("name", list(AGENTS))
def test_a_configuration_survives_json(name: str) -> None:
    values = asdict(AGENTS[name])
    read = json.loads(json.dumps(values, allow_nan=False))
    assert read == values
    assert config_from_dict(read) == AGENTS[name]


def test_a_configuration_from_before_a_field_was_added_has_its_default() -> None:
    values = asdict(AGENTS["der_ht"])
    del values["resets"]["warmup_counts"], values["penalties"]
    assert config_from_dict(values) == AGENTS["der_ht"]


def test_a_configuration_with_other_fields_is_refused() -> None:
    values = asdict(AGENTS["spr_ht"])
    del values["resets"]["source"]
    with pytest.raises(ValueError, match="Resets needs source"):
        config_from_dict(values)
    with pytest.raises(ValueError, match="AgentConfig has no tau"):
        config_from_dict(asdict(AGENTS["spr_ht"]) | {"tau": 0.5})
    with pytest.raises(ValueError, match=r"--tortoise\.decay"):
        config_from_dict(asdict(AGENTS["spr_ht"]) | {"tortoise": {"decay": 2.0, "every": 1, "acts": True}})


def test_the_horizon_is_the_longer_of_return_and_jumps() -> None:
    assert AGENTS["der"].reach == 20
    assert AGENTS["spr"].reach == 10
    spr = AGENTS["spr"]
    assert replace(spr, target=replace(spr.target, n=3)).reach == 5
    assert AgentConfig(target=replace(spr.target, n=3)).reach == 3


@pytest.mark.parametrize("module", ["agents.catalogue", "agents.schedules", "hare_tortoise.settings", "hare_tortoise.methods"])
def test_the_command_line_can_be_read_without_torch(module: str) -> None:
    code = f"import sys, {module}; print([m for m in ('torch', 'numpy') if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert answer.stdout.strip() == "[]"


def test_an_agent_that_is_like_none_is_answered_with_all_there_is() -> None:
    with pytest.raises(ValueError, match=f"unknown agent 'foo': there are random, {', '.join(BASES)}. Behind a base") as error:
        find_agent("foo")
    assert str(error.value).endswith(", ".join(METHODS))


def test_a_method_that_does_not_fit_a_base_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(c: AgentConfig) -> AgentConfig:
        if c.prediction is None:
            raise ValueError("twice needs a self-prediction")
        return replace(c, prediction=replace(c.prediction, weight=2 * c.prediction.weight))

    with monkeypatch.context() as patch:
        patch.setitem(methods.METHODS, "twice", Method(Use(twice, "", ""), None, "penalty"))
        fill()
        bases = {name.removesuffix("_twice") for name in AGENTS if name.endswith("_twice")}
        with pytest.raises(ValueError, match=r"^twice needs a self-prediction$"):
            compose("der", ["twice"])
    fill()
    assert bases == {name for name, base in BASES.items() if base.config.prediction is not None}
