"""Curves over a run, sampled at common env steps: what training games returned, and how plastic the network was."""

from collections import defaultdict

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from analysis.compute import statistics as s
from analysis.compute.comparison import Comparison
from analysis.compute.rounding import ends, table
from analysis.read.scores import KEY
from envs.games import find_game

WINDOW = 10  # games of the running mean
POINTS = 40  # places at which curves are sampled
RESAMPLES = 500  # for the interval of an IQM at each of many env steps

Sampled = dict[str, dict[str, list[np.ndarray]]]  # label -> game -> float64 [places] of each run


def sampled(steps: np.ndarray, values: np.ndarray, places: np.ndarray, window: int) -> np.ndarray:
    """At each env step of `places` [T] the mean of the last `window` `values` up to it, nan before the first. float64 [T, ...].

    `values` are float64 [N, ...], at the env steps `steps` [N].
    """
    means = np.concatenate((np.full((1, *values.shape[1:]), np.nan), running_mean(values, window)))
    return means[np.searchsorted(steps, places, side="right")]


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of each value and up to `window` - 1 before it; float64, as `values`, along its first axis.

    Not a difference of sums, in which one huge value or nan would spoil all that come later.
    """
    first = values[: window - 1]
    head = (np.cumsum(first, 0).T / np.arange(1, len(first) + 1)).T
    tail = sliding_window_view(values, window, 0).mean(-1) if len(values) >= window else values[:0]
    return np.concatenate((head, tail))


def places(env_steps: int) -> np.ndarray:
    """The env steps at which curves are sampled, whole numbers: float64 [POINTS]."""
    return np.linspace(env_steps / POINTS, env_steps, POINTS).round()


def _by_game(courses: pd.DataFrame, columns: list[str], at: np.ndarray, window: int) -> dict[str, Sampled]:
    """Each of `columns` of each run that has it, sampled at the env steps `at`."""
    found: dict[str, Sampled] = {name: defaultdict(lambda: defaultdict(list)) for name in columns}
    for (label, game, _), run in courses.groupby(list(KEY)):
        rows = sampled(run["env_step"].to_numpy(float), run[columns].to_numpy(float), at, window)
        for name, row, is_told in zip(columns, rows.T, run[columns].notna().any(), strict=True):
            if is_told:
                found[name][label][game].append(row)
    return found


def _cube(games: dict[str, list[np.ndarray]], shared: tuple[str, ...]) -> np.ndarray | None:
    """The curves of the `shared` games, of each as many as the fewest have: [games, runs, places]; None if one has none."""
    if not shared or not all(game in games for game in shared):
        return None
    runs = min(len(games[game]) for game in shared)
    return np.array([games[game][:runs] for game in shared])


def returns(curves: pd.DataFrame, compared: Comparison, env_steps: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Learning curves: the IQM over all shared games, human-normalised; and the mean raw return of each game."""
    at = places(env_steps)
    whole, single = [], []
    for label, games in _by_game(curves, ["return"], at, WINDOW)["return"].items():
        cube = _cube({game: list(find_game(game).normalised(np.array(rows))) for game, rows in games.items()}, compared.shared)
        for index in () if cube is None else np.flatnonzero(~np.isnan(cube).any((0, 1))):
            scores = cube[:, :, index].T
            numbers = (float(s.iqm(scores)), *s.iqm_interval(scores, label, RESAMPLES))
            whole.append((label, int(at[index]), *scores.shape, *numbers))
        for game in (game for game in compared.games if game in games):
            single += [(game, label, *row) for row in _means([np.array(games[game])], at)]
    first = table(("agent", "env_step", "runs", "games", *ends("iqm")), whole)
    return first, table(("game", "agent", "env_step", "runs", *ends("return")), single)


def _means(values: list[np.ndarray], at: np.ndarray) -> list[tuple[int | float, ...]]:
    """Env step, runs, and the mean over games of the means over runs with its interval, wherever all runs have a value."""
    known = ~np.isnan(np.concatenate(values)).any(0)
    complete = [rows[:, known] for rows in values]
    columns = (np.mean([rows.mean(0) for rows in complete], 0), *s.mean_interval(complete))
    return [(int(step), len(values[0]), *map(float, row)) for step, *row in zip(at[known], *columns, strict=True)]


def plasticity(measured: pd.DataFrame, compared: Comparison, env_steps: int) -> pd.DataFrame:
    """Each measurement of plasticity of each agent, mean over the shared games and their runs."""
    at, rows = places(env_steps), []
    for measure, labels in _by_game(measured, sorted(set(measured) - {*KEY, "env_step"}), at, 1).items():
        for label, games in labels.items():
            cube = _cube(games, compared.shared)
            if cube is not None:
                means = _means(list(cube), at)
                rows += [(measure, label, step, runs, len(cube), *numbers) for step, runs, *numbers in means]
    return table(("measure", "agent", "env_step", "runs", "games", *ends("value")), rows)
