"""How often the report's intervals leave out the truth, in simulations of which it is known; 5 % are meant.

Each number is of --count simulations.

    python -m benchmarks.coverage --count 1000

Intervals of normal runs leave it out in at most 6 %, but for the error of a simulation; those of lognormal runs of one game
in up to 9.2 %. Of a profile the worst threshold counts: 10 % for 2 runs of one game, at most 6 % for others.

    python -m benchmarks.coverage --published atari_100k_SPR.json

Or runs are drawn from published ones, a file for each agent, of any shape that `analysis.report --per-run` reads.

Probabilities of improvement are of two agents that are normal in every game, the first better by 0 to 3 deviations. The rest
is of one agent: normal runs around levels of the games that lie between 0 and 1, or lognormal ones around levels from a 20th
to 2.
"""

import argparse
import math
from collections.abc import Callable, Iterator
from itertools import combinations, combinations_with_replacement, product
from pathlib import Path
from typing import Any

import numpy as np

from analysis.compute import statistics as s
from analysis.power import drawn, runs_of_games
from benchmarks.program import Program, Row
from experiment.command import run

RUNS = (1, 2, 3, 5, 10)
PAIRS = (*combinations_with_replacement(RUNS, 2), (2, 100), (3, 100), (10, 100))
BETWEEN = ((2, 2), (3, 3), (5, 5), (10, 10), (3, 100))
SHIFTS = (0, 1, 2, 3)  # by how many deviations the first of two agents is the better
GAMES = (1, 10, 26)
THRESHOLDS = (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98)  # of profiles, as quantiles of all runs
MANY = 1_000  # runs of each of two agents that stand for all
DRAWS = 300  # of the bootstrap: what 2,000 find, a little noisier

Draw = Callable[[np.random.Generator, int], np.ndarray]


def improvement(x: int, y: int, games: int, count: int, shift: float = 0) -> float:
    """Share of `count` intervals that leave out the truth, of agents with `x` and `y` runs; nan if there are none.

    The runs of the first are better by `shift` deviations.
    """
    rng = np.random.default_rng([games, x, y])
    found = [s.improvement_interval(rng.normal(shift, size=(x, games)), rng.normal(size=(y, games))) for _ in range(count)]
    return _outside(np.array(found), (1 + math.erf(shift / 2)) / 2)


def between(one: Draw, other: Draw, x: int, y: int, count: int) -> float:
    """Share of `count` intervals of two agents with `x` and `y` runs that leave out the probability of improvement of many."""
    rng = np.random.default_rng([x, y])
    truth = s.improvement(one(rng, MANY), other(rng, MANY))
    return _outside(np.array([s.improvement_interval(one(rng, x), other(rng, y)) for _ in range(count)]), truth)


def normal(games: int) -> Draw:
    """Runs, float64 [runs, games], of deviation 0.3."""
    return lambda rng, runs: rng.normal(np.linspace(0, 1, games), 0.3, size=(runs, games))


def lognormal(games: int) -> Draw:
    """Runs, float64 [runs, games], the logarithms of deviation 0.5."""
    return lambda rng, runs: rng.lognormal(np.linspace(-3, 0.7, games), 0.5, size=(runs, games))


def published(path: Path) -> tuple[list[str], Draw]:
    """The games in a file of published scores, and runs, float64 [runs, games], each drawn from those of its game."""
    known = runs_of_games(path)
    return list(known), lambda rng, runs: drawn(list(known.values()), runs, rng)


def aggregates(draw: Draw, runs: int, games: int, count: int) -> dict[str, float]:
    """Share of `count` intervals of each aggregate, and of the worst place of a profile, that leave out what many runs have."""
    rng = np.random.default_rng([runs, games])
    many = draw(rng, 50_000)
    thresholds = np.quantile(many, THRESHOLDS)
    truth = {name: measure(many) for name, measure in s.AGGREGATES.items()} | {"profile": s.profile(many, thresholds)}
    found: dict[str, list[Any]] = {name: [] for name in truth}
    for index in range(count):
        scores = draw(rng, runs)
        intervals = [*s.intervals(scores, str(index), DRAWS), s.profile_band(scores, thresholds)]
        for name, interval in zip(truth, intervals, strict=True):
            found[name].append(interval)
    return {name: _outside(np.array(found[name]), truth[name]) for name in truth}


def percentiles(draw: Draw, runs: int, games: int, count: int) -> float:
    """The same of the mean with the percentiles of a bootstrap, which is what is usual."""
    rng = np.random.default_rng([runs, games])
    truth = float(draw(rng, 50_000).mean())
    found = [
        np.percentile(np.concatenate([s.mean(d) for d in s.resampled(draw(rng, runs), DRAWS, rng)]), s.LEVEL)
        for _ in range(count)
    ]
    return _outside(np.array(found), truth)


def _outside(intervals: np.ndarray, truth: float | np.ndarray) -> float:
    """The share of `intervals` [N, 2, ...] without `truth` [...], of the worst place; nan if they are nan."""
    if np.isnan(intervals).all():
        return float("nan")
    rounding = 1e-9
    outside = (intervals[:, 0] > truth + rounding) | (intervals[:, 1] < truth - rounding)
    return float(outside.mean(0).max())


def rows(asked: argparse.Namespace) -> Iterator[Row]:
    """Of both tables, in percent; of published runs alone if there are any."""
    if asked.published:
        files = [(path.name, *published(path)) for path in asked.published]
        for (name, games, one), (other, others, two) in combinations(files, 2):
            if games == others:
                shares = {f"{x} and {y}": 100 * between(one, two, x, y, asked.count) for x, y in BETWEEN}
                yield {"improvement": f"{name} over {other}", **shares}
        agents = [(name, len(games), draw) for name, games, draw in files]
    else:
        yield from _improvements(asked.count)
        agents = [(kind.__name__, games, kind(games)) for kind, games in product((normal, lognormal), GAMES)]
    for (name, games, draw), runs in product(agents, RUNS[1:]):
        shares = aggregates(draw, runs, games, asked.count)
        shares["mean, percentiles"] = percentiles(draw, runs, games, asked.count)
        yield {"runs are": name, "games": games, "runs": runs} | {what: 100 * share for what, share in shares.items()}


def _improvements(count: int) -> Iterator[Row]:
    for (x, y), shift in product(PAIRS, SHIFTS):
        shares = {f"{games} games": 100 * improvement(x, y, games, count, shift) for games in GAMES}
        yield {"improvement, runs": f"{x} and {y}", "better by": shift, **shares}


main = Program("coverage", __doc__, rows, count=1000, published=[])

if __name__ == "__main__":
    run(main)
