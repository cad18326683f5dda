"""What each method changes, what a name means, and which names are refused."""

import json
import re
from dataclasses import asdict, replace
from typing import Any

import pytest

from agents.bases import BASES
from agents.catalogue import AGENTS, METHODS, changed, compose, find_agent, help_text, tables
from agents.config import AgentConfig, config_from_dict
from hare_tortoise.methods import AGENTS_DECAY, AGENTS_EVERY

# These differ as a whole.
OPTIONAL = ("augmentation", "prediction", "resets", "recycling", "injection", "silence", "replacement", "pruning")
NAMES = tuple(BASES)
TORTOISE = {f"tortoise.{name}" for name in ("decay", "every", "acts", "warmup_counts")}

# `ht` is not here: which fields of the tortoise it changes depends on what the base's tortoise does.
CHANGES = {
    "head": {"resets"},
    "sp": {"resets"},
    "redo": {"recycling"},
    "crelu": {"encoder.activation", "head.activation"},
    "ln": {"encoder.layer_norm", "head.layer_norm"},
    "l2init": {"penalties.initial"},
    "wd": {"optimizer.weight_decay"},
    "spectral": {"penalties.logits"},
    "inject": {"injection"},
    "snr": {"silence"},
    "grama": {"recycling"},
    "cbp": {"replacement"},
    "nap": {"constraints.norms", "encoder.layer_norm", "head.layer_norm"},
    "snorm": {"head.spectral_norm"},
    "parseval": {"penalties.orthogonal"},
    "clip": {"constraints.bound"},
    "fourier": {"encoder.activation", "head.activation"},
    "sam": {"optimizer.radius"},
    "prune": {"pruning"},
    "fire": {"resets"},
}
NOTHING = {("bbf", "wd"), ("sr_spr", "sp"), ("plastic", "sam")}  # they have that already
HALVES = {("plastic", "crelu"): {"encoder.activation"}}
HALVES |= {(f"plastic{end}", "ln"): {"head.layer_norm"} for end in ("", "_dagger")}
HALVES |= {(f"plastic{end}", "nap"): {"head.layer_norm", "constraints.norms"} for end in ("", "_dagger")}

RESET = {
    "start": 0,
    "times": None,
    "source": "fresh",
    "every": 40_000,
    "keep_head": 0,
    "tortoise_too": True,
    "moments": "zero",
    "restart": True,
}
RESET |= {"warmup_counts": True}
KEPT = {"start": 0, "keep_body": 0, "keep_neck": 0, "keep_head": 0, "moments": "keep", "restart": False, "warmup_counts": False}
VALUES: dict[str, dict[str, Any]] = {
    "head": {"resets": {**RESET, "keep_body": 1, "keep_neck": 1}},
    "sp": {"resets": {**RESET, "keep_body": 0.8, "keep_neck": 0}},
    "redo": {"recycling": {"every": 1000, "tau": 0.1, "by": "activation"}},
    "crelu": {"encoder.activation": "crelu", "head.activation": "crelu"},
    "ln": {"encoder.layer_norm": True, "head.layer_norm": True},
    "l2init": {"penalties.initial": 0.001},
    "wd": {"optimizer.weight_decay": 0.1},
    "spectral": {"penalties.logits": 0.001},
    "snr": {"silence": {"rate": 0.00125, "longest": 625, "every": 1000}},
    "grama": {"recycling": {"every": 1000, "tau": 0.01, "by": "gradient"}},
    "cbp": {"replacement": {"rate": 1e-4, "maturity": 10_000, "decay": 0.99}},
    "nap": {"constraints.norms": True},
    "snorm": {"head.spectral_norm": True},
    "parseval": {"penalties.orthogonal": 0.001},
    "clip": {"constraints.bound": 3},
    "fourier": {"encoder.activation": "fourier", "head.activation": "fourier"},
    "sam": {"optimizer.radius": 0.1},
    "prune": {"pruning": {"sparsity": 0.95, "start": 0.2, "end": 0.8, "every": 1000}},
}

# Half of the updates in 100,000 env steps: (100,000 - warm-up) x ratio / 2.
HALFWAY = {"otrainbow": 320_000, "der": 49_200, "der_dopamine": 49_200, "drq": 49_200, "drq_eps": 49_200}
HALFWAY |= {"spr": 98_000, "spr_jax": 98_000, "sr_spr": 98_000, "bbf": 98_000, "plastic": 98_000, "plastic_dagger": 98_000}


def leaves(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by dotted name, optional pieces as a whole."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        deeper = isinstance(value, dict) and name not in OPTIONAL
        out |= leaves(value, f"{prefix}{name}.") if deeper else {prefix + name: value}
    return out


def differences(before: AgentConfig, after: AgentConfig) -> dict[str, Any]:
    """The dotted names of the fields that differ, with their new values."""
    old, new = leaves(asdict(before)), leaves(asdict(after))
    assert old.keys() == new.keys()
    return {name: new[name] for name in new if old[name] != new[name]}


PAIRS = [(base, method) for base in NAMES for method in CHANGES]


@pytest.mark.parametrize(("base", "method"), PAIRS, ids=["_".join(pair) for pair in PAIRS])
def test_a_method_changes_its_fields_and_no_other(base: str, method: str) -> None:
    start = BASES[base].config
    after = METHODS[method].apply(start)
    found = differences(start, after)
    assert set(found) == (set() if (base, method) in NOTHING else HALVES.get((base, method), CHANGES[method]))
    assert changed(start, after) == set(found)
    halfway = {
        "inject": {"injection": {"at": HALFWAY[base]}},  # a new base: add it to HALFWAY
        "fire": {"resets": {**KEPT, "source": "orthogonal", "every": HALFWAY[base], "times": 1, "tortoise_too": True}},
    }
    expected = VALUES[method] if method in VALUES else halfway[method]
    new = leaves(asdict(after))
    assert {name: new[name] for name in expected} == expected
    if found:
        assert AGENTS[f"{base}_{method}"] == after


@pytest.mark.parametrize("base", NAMES)
def test_hare_and_tortoise_changes_the_tortoise_and_resets_only(base: str) -> None:
    start, variant = AGENTS[base], AGENTS[f"{base}_ht"]
    found = differences(start, variant)
    assert {"resets"} <= set(found) <= {"resets", *TORTOISE}
    assert changed(start, variant) == set(found)
    assert replace(variant, tortoise=start.tortoise, resets=start.resets) == start
    assert (variant.tortoise.decay, variant.tortoise.every) == (AGENTS_DECAY, 1)
    assert variant.resets is not None
    assert (variant.resets.source, variant.resets.every) == ("tortoise", AGENTS_EVERY)
    assert (variant.resets.keep_body, variant.resets.keep_neck, variant.resets.keep_head) == (0, 0, 0)
    assert (variant.resets.moments, variant.resets.restart, variant.resets.tortoise_too) == ("keep", False, False)


def test_methods_are_composed() -> None:
    both = find_agent("der_dopamine_ht_wd")
    assert both == METHODS["wd"].apply(METHODS["ht"].apply(BASES["der_dopamine"].config))
    assert both == METHODS["ht"].apply(METHODS["wd"].apply(BASES["der_dopamine"].config))  # they do not meet
    start = BASES["der_dopamine"].config
    assert differences(AGENTS["der_dopamine_ht"], both) == {"optimizer.weight_decay": 0.1}
    assert differences(AGENTS["der_dopamine_wd"], both) == differences(start, AGENTS["der_dopamine_ht"])
    assert compose("der_dopamine", ["ht", "wd"]) == both
    assert compose("spr", []) == AGENTS["spr"]


def test_many_methods_change_all_that_each_of_them_does() -> None:
    name = "spr_sp_redo_crelu_ln_l2init_wd_spectral"
    expected = set().union(*(CHANGES[method] for method in name.split("_")[1:]))
    assert set(differences(AGENTS["spr"], find_agent(name))) == expected


@pytest.mark.parametrize(
    ("name", "base", "methods"),
    [
        ("sr_spr_ht", "sr_spr", ["ht"]),
        ("drq_eps_ht", "drq_eps", ["ht"]),
        ("der_dopamine_ht", "der_dopamine", ["ht"]),
        ("sr_spr_ht_wd", "sr_spr", ["ht", "wd"]),
        ("drq_eps_ht_wd", "drq_eps", ["ht", "wd"]),
        ("spr_jax_ln_inject", "spr_jax", ["ln", "inject"]),
        ("drq_ln_wd", "drq", ["ln", "wd"]),
        ("spr_ht_spectral", "spr", ["ht", "spectral"]),
    ],
)
def test_a_name_begins_with_the_longest_base(name: str, base: str, methods: list[str]) -> None:
    config = BASES[base].config
    for method in methods:
        config = METHODS[method].apply(config)
    assert find_agent(name) == config
    assert config_from_dict(json.loads(json.dumps(asdict(config), allow_nan=False))) == config


def test_the_catalogue_holds_each_base_with_each_method_and_no_more() -> None:
    pairs = {(base, method) for base in NAMES for method in METHODS}
    nothing = {(base, method) for base, method in pairs if METHODS[method].apply(BASES[base].config) == BASES[base].config}
    assert nothing >= NOTHING
    assert set(AGENTS) == {"random", *NAMES, *("_".join(pair) for pair in pairs - nothing)}
    assert len(AGENTS) == 1 + len(NAMES) + len(pairs - nothing)  # no name is of two
    assert {*CHANGES, "ht"} <= set(METHODS)
    assert all(find_agent(name) is config for name, config in AGENTS.items())


def test_no_two_names_mean_the_same() -> None:
    """SR-SPR is SPR with another tortoise and with resets, which `ht` replaces; but who acts stays as the base has it."""
    found: dict[AgentConfig, list[str]] = {}
    for name, config in AGENTS.items():
        found.setdefault(config, []).append(name)
    assert [names for names in found.values() if len(names) > 1] == []
    assert (AGENTS["spr_jax_ht"].tortoise.acts, AGENTS["sr_spr_ht"].tortoise.acts) == (False, True)


def test_the_tables_have_a_row_for_each_base_and_method() -> None:
    bases, methods = (
        [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()] for table in tables().split("\n\n")
    )
    assert [row[0] for row in bases[2:]] == [f"`{name}`" for name in NAMES]
    assert [row[0] for row in methods[2:]] == [f"`_{name}`" for name in METHODS]
    assert {len(row) for row in bases} == {6}
    assert {len(row) for row in methods} == {4}
    assert all(cell for row in bases + methods for cell in row)
    ratios = {row[0].strip("`"): row[4] for row in bases[2:]}
    assert [ratios[name] for name in ("otrainbow", "der", "drq", "spr", "bbf")] == ["8", "1", "1", "2", "2"]


def test_help_fits_a_terminal_and_names_them_all() -> None:
    lines = help_text().splitlines()
    assert max(map(len, lines)) <= 100
    first = [line.split()[0] for line in lines if re.match(r"  \S", line)]
    assert first == [*NAMES, "random", *(f"_{name}" for name in METHODS)]
