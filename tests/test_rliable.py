"""Statistics against rliable, which needs pandas below 3, so an environment of its own: .ci/run makes one."""

import importlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rliable", reason="rliable is not installed: it needs pandas below 3")
FILE = Path(__file__).parent.parent / "analysis/compute/statistics.py"
spec = importlib.util.spec_from_file_location("statistics_of_reports", FILE)  # alone: the rest needs pandas 3
assert spec is not None
assert spec.loader is not None
s = importlib.util.module_from_spec(spec)
spec.loader.exec_module(s)
library, metrics = (importlib.import_module(f"rliable.{name}") for name in ("library", "metrics"))


@pytest.mark.parametrize("shape", [(100, 26), (50, 7)])
def test_rliable_agrees(shape: tuple[int, int]) -> None:
    scores, other = np.random.default_rng(2).lognormal(-1, 1, shape), np.random.default_rng(3).lognormal(-1, 1, shape)
    theirs = (metrics.aggregate_iqm, metrics.aggregate_median, metrics.aggregate_mean, metrics.aggregate_optimality_gap)
    points, bands = library.get_interval_estimates({"x": scores}, lambda x: np.array([f(x) for f in theirs]), reps=3000)
    ours = list(s.AGGREGATES.values())
    np.testing.assert_allclose([measure(scores) for measure in ours], points["x"], rtol=1e-12)
    width = bands["x"][1] - bands["x"][0]
    difference = np.array(s.intervals(scores, "x")).T - bands["x"]
    assert (np.abs(difference) < 0.15 * width).all()
    assert s.improvement(scores, other) == pytest.approx(metrics.probability_of_improvement(scores, other))
    thresholds = np.linspace(0, 2, 21)
    profiles, _ = library.create_performance_profile({"x": scores}, thresholds, reps=10)
    np.testing.assert_allclose(s.profile(scores, thresholds), profiles["x"])
