"""Every table of the report but curves and ranks: frames of rounded numbers, from which figures and page are made."""

from collections.abc import Iterable
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from analysis.compute import statistics as s
from analysis.compute.comparison import Comparison
from analysis.compute.rounding import ends, table
from analysis.read.published import ALL, published
from envs.games import GAMES, find_game

THRESHOLDS = np.concatenate((np.arange(0, 2, 0.05), np.arange(2, 8.1, 0.25)))  # of performance profiles
NAN = float("nan")


def aggregates(compared: Comparison, sources: dict[str, str]) -> pd.DataFrame:
    """The four aggregates of each agent with their intervals, then those published, if the games are the benchmark's 26.

    `sources` has where an agent's runs are from, if it is not ours.
    """
    rows = []
    for label in compared.labels if compared.shared else ():
        scores = compared.matrix(label)
        bands = s.intervals(scores, label)
        numbers = [float(x) for f, band in zip(s.AGGREGATES.values(), bands, strict=True) for x in (f(scores), *band)]
        rows.append((label, "run", len(scores), len(compared.shared), *numbers, sources.get(label, "runs of ours")))
    for name, known in _others(compared).groupby("method", sort=False) if set(compared.shared) == set(GAMES) else ():
        values = known[known["game"] == ALL].set_index("measure")["value"]
        numbers = [x for measure in s.AGGREGATES for x in (values.get(measure, NAN), NAN, NAN)]
        first = known.iloc[0]
        rows.append((name, first["basis"], _count(first["runs"]), len(GAMES), *numbers, first["source"]))
    return table(("agent", "kind", "runs", "games", *(c for name in s.AGGREGATES for c in ends(name)), "source"), rows)


def _others(compared: Comparison) -> pd.DataFrame:
    """What is published of methods; but whose single runs are compared under the method's name speaks for itself."""
    known = published()
    return known[~known["method"].isin(compared.labels)]


def _count(runs: str) -> int | None:
    return int(runs) if runs else None


def profiles(compared: Comparison) -> pd.DataFrame:
    """Of each agent the share of runs above each threshold."""
    rows: list[tuple[Any, ...]] = []
    for label in compared.labels if compared.shared else ():
        scores = compared.matrix(label)
        numbers = (THRESHOLDS, s.profile(scores, THRESHOLDS), *s.profile_band(scores, THRESHOLDS))
        rows += [(label, *scores.shape, *row) for row in zip(*numbers, strict=True)]
    return table(("agent", "runs", "games", "threshold", *ends("share")), rows)


def improvements(compared: Comparison) -> pd.DataFrame:
    """The probability of improvement of every agent over every other."""
    chances: dict[tuple[str, str], tuple[Any, ...]] = {}
    matrices = {label: compared.matrix(label) for label in compared.labels} if compared.shared else {}
    for x, y in combinations(matrices, 2):
        value = s.improvement(matrices[x], matrices[y])
        low, high = s.improvement_interval(matrices[x], matrices[y])
        over = interval_over(low, min(len(matrices[x]), len(matrices[y])))
        chances[x, y], chances[y, x] = (value, low, high, over), (1 - value, 1 - high, 1 - low, over)
    games = len(compared.shared)
    rows = [(x, y, games, *chances[x, y]) for x in matrices for y in matrices if x != y]
    return table(("agent", "over", "games", *ends("probability"), "interval_over"), rows)


def without_ht(agent: str) -> str | None:
    """The agent that is `agent` without Hare & Tortoise, None if it is such a one itself."""
    base, *methods = agent.split("_")
    return "_".join([base, *(m for m in methods if m != "ht")]) if "ht" in methods else None


def _differ_in_ht(label: str, base: str) -> bool:
    """Whether two labels, agent and flags, differ in Hare & Tortoise, its own settings and its --name alone."""
    (agent, *flags), (other, *others) = (text.split(" --") for text in (label, base))
    kept = [flag for flag in flags if not flag.startswith(("tortoise.", "resets."))]
    return without_ht(agent) == other and others in (kept, [flag for flag in kept if not flag.startswith("name ")])


def pairs(compared: Comparison) -> pd.DataFrame:
    """Hare & Tortoise agents against those without it, over the same games and seeds: differences in human-normalised score."""
    rows = []
    for label, base in ((x, y) for x in compared.labels for y in compared.labels if _differ_in_ht(x, y)):
        by_game = compared.differences(label, base)
        parts = {"all": list(by_game.values()), **{game: [values] for game, values in by_game.items()}} if by_game else {}
        for game, values in parts.items():
            value, (low, high) = s.paired(values)
            single = np.concatenate(values)
            over = interval_over(low, min(map(len, values)))
            rows.append((label, base, game, len(single), int((single > 0).sum()), value, low, high, over))
    return table(("agent", "base", "game", "pairs", "better", *ends("difference"), "interval_over"), rows)


def interval_over(low: float, runs: int) -> str:
    """What is the sample of an interval whose lower end is `low`: "" if there is none."""
    return "" if np.isnan(low) else "runs" if runs > 1 else "games"


def games(compared: Comparison) -> pd.DataFrame:
    """Raw scores of every game: agents with intervals (Student's t), published means, random and human."""
    columns = ("game", "agent", "kind", "runs", *ends("score"), "hns")
    parts, others = [], _others(compared)
    for game in map(find_game, compared.games):
        rows = []
        for label in compared.labels:
            raw = compared.of(label, game.name)["score"].to_numpy()
            if len(raw):
                value = float(raw.mean())
                rows.append((game.name, label, "run", len(raw), value, *s.interval([raw]), game.normalised(value)))
        theirs = others[others["game"] == game.name].itertuples()
        known = [(x.method, "recalled" if x.basis == "recalled" else "published", _count(x.runs), x.value) for x in theirs]
        known += [("human", "reference", None, game.human), ("random", "reference", None, game.random)]
        # As their sources have them, not rounded.
        exact = [(game.name, *row, NAN, NAN, round(game.normalised(row[-1]), 3) + 0.0) for row in known]
        parts += [table(columns, rows), pd.DataFrame(exact, columns=columns)]
    return pd.concat(parts, ignore_index=True)


def cost(runs: pd.DataFrame) -> pd.DataFrame:
    """Hours of training, env steps a second and memory, for each agent and device: mean, least and most over runs."""
    trained = runs[runs["ours"] & (runs["hours"] > 0) & (runs["env_steps"] > 0)]
    trained = trained.assign(speed=(trained["env_steps"] / trained["hours"] / 3600).astype(float))
    rows = []
    for names, group in trained.groupby(["label", "device"], sort=False):
        spread = [float(x) for name in ("hours", "speed", "memory_gb") for x in group[name].agg(["mean", "min", "max"])]
        rows.append((*names, len(group), *spread, float(group["hours"].sum())))
    spreads = [end for name in ("hours", "env_steps_per_second", "memory_gb") for end in ends(name)]
    return table(("agent", "device", "runs", *spreads, "hours_of_all"), rows)


def runs(found: pd.DataFrame) -> pd.DataFrame:
    """Every run of ours, with its commit and what its configuration changes of the catalogue's agent."""
    of_run = ["agent", "flags", "game", "seed", "env_steps", "episodes"]
    columns = [*of_run, "score", "hns", "hours", "memory_gb", "device", "commit"]
    ours = found[found["ours"]]
    return table(columns, ours.assign(commit=ours["commit"].map(short))[columns].itertuples(index=False))


def short(commit: str) -> str:
    """A commit in 12 digits, and whether files differed from it."""
    return commit[:12] + "-dirty" * commit.endswith("-dirty")


def missing(compared: Comparison, unfinished: Iterable[tuple[str, str, str]]) -> pd.DataFrame:
    """What the comparison lacks, and runs that are begun and not finished: label, game and why."""
    rows = [(label, game, int(count), "not in the files") for (label, game), count in compared.missing.items()]
    rows += [(label, game, 1, why) for label, game, why in unfinished]
    return table(("agent", "game", "runs", "why"), rows)
