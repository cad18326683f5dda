"""Names of agents that are refused, each in a line that says why."""

import re

import pytest

from agents.catalogue import AGENTS, find_agent


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("der_wd_ht", ["der_ht_wd"]),  # the right order
        ("der_dopamine_ln_redo_ht", ["der_dopamine_ht_redo_ln"]),
        ("spr_wd_wd", ["spr_wd"]),
        ("spr_ht_head", ["ht", "head", "resets"]),
        ("spr_ht_sp", ["ht", "sp", "resets"]),
        ("spr_head_sp", ["head", "sp", "resets"]),
        ("bbf_ht_sp", ["ht", "sp", "resets"]),
        ("spr_redo_inject", ["recycling", "injection"]),
        ("spr_inject_cbp", ["replacement", "injection"]),
        ("spr_redo_snr", ["recycling", "silence"]),
        ("spr_redo_grama", ["redo", "grama", "recycling"]),
        ("spr_nap_clip", ["norms", "bound"]),
        ("spr_redo_fourier", ["recycling", "fourier"]),
        ("spr_crelu_snr", ["silence", "crelu"]),
        ("spr_crelu_fourier", ["crelu", "fourier"]),
        ("spr_inject_prune", ["pruning", "injection"]),
        ("spr_head_fire", ["head", "fire", "resets"]),
        ("bbf_wd", ["bbf_wd", "has that already"]),
        ("bbf_ht_wd", ["bbf_wd", "has that already"]),
        ("sr_spr_sp", ["sr_spr_sp", "has that already"]),
        ("rainbow", ["'rainbow'", "otrainbow"]),
        ("zzz", ["'zzz'", "der_dopamine", "sr_spr"]),  # nothing is near: all bases
        ("zzz_ht", ["'zzz_ht'"]),
        ("sprr_ht", ["'sprr_ht'", "spr_ht"]),
        ("spr_zzzzzz", ["'spr_zzzzzz'", "spectral", "inject"]),
        ("spr_ht_zzzzzz", ["'spr_ht_zzzzzz'", "spectral", "inject"]),
        ("sr_spr_jax", ["'sr_spr_jax'", "spr_jax"]),
        ("spr_", ["'spr_'"]),
        ("spr__ht", ["'spr__ht'", "spr_ht"]),
        ("SPR", ["'SPR'"]),
        ("_ht", ["'_ht'"]),
        ("ht", ["'ht'"]),
        ("", ["''"]),
        ("random_ht", ["'random_ht'"]),  # what does not learn has no plasticity
    ],
)
def test_other_names_are_refused_in_a_line(name: str, told: list[str]) -> None:
    assert name not in AGENTS
    with pytest.raises(ValueError, match=r".") as error:
        find_agent(name)
    message = str(error.value)
    assert "\n" not in message
    for word in told:
        assert re.search(rf"(?<!\w){re.escape(word)}(?!\w)", message), message
