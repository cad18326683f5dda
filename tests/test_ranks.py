"""Where a run stands among published ones, by hand and by chance."""

import numpy as np
import pytest

from analysis.compute.ranks import below, ranks
from analysis.compute.rounding import as_text
from analysis.read.scores import Score, as_frame
from tests.test_tables import numbers, score


def test_a_run_among_published_ones_by_hand() -> None:
    assert below(2.0, np.array([0.0, 1.0, 2.0, 3.0])) == (1 + 1 + 0.5 + 0) / 4
    theirs = [
        Score("DER", "", game, seed, None, None, float(value), "", "", float("nan"), "file", ours=False)
        for game, values in (("Alien", [100, 300]), ("Pong", range(-20, 20)))
        for seed, value in enumerate(values)
    ]
    ours = [score("der", "Alien", 0, 0.0), score("der", "Pong", 5, 10.2 / 35.3), score("der", "Assault", 0, 0.3)]
    found = ranks(as_frame([*ours, *theirs]))  # nobody published Assault here
    assert as_text(found)[["game", "seed", "below"]].values.tolist() == [
        ["Alien", "0", "0.500"],
        ["Pong", "5", "0.250"],  # -10.5 is above -20 to -11
        ["all", "", "0.375"],
    ]
    assert numbers(found.iloc[1], "published_median") == pytest.approx([-0.5, -19.025, 18.025])
    assert found[["published", "published_runs", "score"]].values[1].tolist() == ["DER", 40, -10.5]


def test_ranks_of_runs_drawn_from_the_published_ones_are_uniform() -> None:
    draw = np.random.default_rng(0)
    found = np.array([below(x, others) for x, *others in draw.lognormal(size=(4000, 101))])
    assert ((found > 0.025) & (found < 0.975)).mean() == pytest.approx(95 / 101, abs=0.012)  # 3 to 97 of 100 are lower
    assert found.mean() == pytest.approx(0.5, abs=0.015)
    assert found.std() == pytest.approx(12**-0.5, abs=0.01)
