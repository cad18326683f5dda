"""Every number of the report, as the tables that are written beside it: figures and page are made from their text."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from analysis import statistics as s
from analysis.curves import WINDOW, Course, Key, places, sampled
from analysis.grid import Grid
from analysis.labels import printable
from analysis.published import Published, published
from analysis.scores import Score
from envs.games import GAMES, find_game

THRESHOLDS = np.concatenate((np.arange(0, 2, 0.05), np.arange(2, 8.1, 0.25)))  # of performance profiles
CURVE_RESAMPLES = 500  # for the interval of an IQM at each of many env steps


@dataclass(frozen=True)
class Table:
    """Columns and rows of text, as in its CSV file; an empty text is a number that is not known."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def where(self, **equal: str) -> list[dict[str, str]]:
        """The rows that have these values, by column."""
        found = (dict(zip(self.columns, row, strict=True)) for row in self.rows)
        return [row for row in found if all(row[name] == value for name, value in equal.items())]

    def values(self, column: str) -> list[str]:
        """The different values of a column, in order."""
        index = self.columns.index(column)
        return list(dict.fromkeys(row[index] for row in self.rows))


class Unfinished(NamedTuple):
    """A run that is begun and not finished: its label and game, "" if they are not known, and how that shows."""

    label: str
    game: str
    why: str


def table(columns: Sequence[str], rows: Iterable[Sequence[str | int | float]]) -> Table:
    """A table of `rows`, numbers as text."""
    return Table(tuple(columns), tuple(tuple(text(value) for value in row) for row in rows))


def text(value: str | int | float) -> str:
    """A float with 5 digits, "" for nan; anything else as it is, if it can be printed."""
    if not isinstance(value, float):
        return printable(str(value))
    return "" if np.isnan(value) else np.format_float_positional(float(f"{value:.5g}") + 0.0, trim="-")


def share(value: float) -> str:
    """A normalised number, with 3 decimals; "" for nan."""
    return "" if np.isnan(value) else f"{round(value, 3) + 0.0:.3f}"


def agents(grid: Grid, sources: dict[str, str]) -> Table:
    """The four aggregates of each agent with their intervals, then those published, if the games are the benchmark's 26.

    `sources` has where an agent's runs are from, if it is not ours.
    """
    columns = ["agent", "kind", "runs", *(f"{name}{end}" for name in s.AGGREGATES for end in ("", "_low", "_high")), "source"]
    rows = []
    for label in grid.scores if grid.shared else ():
        scores = grid.matrix(label)
        bands = s.intervals(scores, label)
        numbers = [share(float(x)) for f, band in zip(s.AGGREGATES.values(), bands, strict=True) for x in (f(scores), *band)]
        rows.append((label, "run", grid.runs(label), *numbers, sources.get(label, "runs of ours")))
    for name, method in others(grid).items() if set(grid.shared) == set(GAMES) else ():
        numbers = [x for measure in s.AGGREGATES for x in (method.aggregates.get(measure, ""), "", "")]
        rows.append((name, method.basis, method.runs, *numbers, method.source))
    return table(columns, rows)


def others(grid: Grid) -> dict[str, Published]:
    """The published methods; but whose single runs are in the grid under the method's name speaks for itself."""
    return {name: method for name, method in published().items() if name not in grid.scores}


def profiles(grid: Grid) -> Table:
    """Of each agent the share of runs above each threshold."""
    rows = []
    for label in grid.scores if grid.shared else ():
        scores = grid.matrix(label)
        band = s.profile_band(scores, THRESHOLDS)
        for tau, value, low, high in zip(THRESHOLDS, s.profile(scores, THRESHOLDS), *band, strict=True):
            rows.append((label, share(tau), share(value), share(low), share(high)))
    return table(("agent", "threshold", "share", "share_low", "share_high"), rows)


def improvements(grid: Grid) -> Table:
    """The probability of improvement of every agent over every other."""
    found: dict[tuple[str, str], tuple[float, float, float]] = {}
    for x, y in combinations(grid.scores if grid.shared else (), 2):
        value = s.improvement(grid.matrix(x), grid.matrix(y))
        low, high = s.improvement_interval(grid.matrix(x), grid.matrix(y))
        found[x, y], found[y, x] = (value, low, high), (1 - value, 1 - high, 1 - low)
    drawn = {(x, y): _drawn(low, min(grid.runs(x), grid.runs(y))) for (x, y), (_, low, _) in found.items()}
    rows = [(x, y, *map(share, found[x, y]), drawn[x, y]) for x in grid.scores for y in grid.scores if (x, y) in found]
    return table(("agent", "over", "probability", "probability_low", "probability_high", "drawn"), rows)


def without_ht(agent: str) -> str | None:
    """The agent that is `agent` without Hare & Tortoise, None if it is such a one itself."""
    base, *methods = agent.split("_")
    return "_".join([base, *(m for m in methods if m != "ht")]) if "ht" in methods else None


def _differ_in_ht(label: str, base: str) -> bool:
    """Whether two labels, agent and flags, differ in Hare & Tortoise and its own settings alone."""
    (agent, *flags), (other, *others) = (text.split(" --") for text in (label, base))
    kept = [flag for flag in flags if not flag.startswith(("tortoise.", "resets."))]
    return without_ht(agent) == other and kept == others


def pairs(grid: Grid) -> Table:
    """Hare & Tortoise agents against those without it, over the same games and seeds: differences in human-normalised score."""
    rows = []
    for label, base in ((x, y) for x in grid.scores for y in grid.scores if _differ_in_ht(x, y)):
        differences = grid.differences(label, base)
        for game, found in [("all", list(differences.values()))] * bool(differences) + [
            (g, [d]) for g, d in differences.items()
        ]:
            value, (low, high) = s.paired(found)
            single = np.concatenate(found)
            better = int((single > 0).sum())
            drawn = _drawn(low, min(map(len, found)))
            rows.append((label, base, game, len(single), better, share(value), share(low), share(high), drawn))
    return table(("agent", "base", "game", "pairs", "better", "difference", "difference_low", "difference_high", "drawn"), rows)


def _drawn(low: float, runs: int) -> str:
    """What was drawn anew for an interval whose lower end is `low`: "" if there is none."""
    return "" if np.isnan(low) else "runs" if runs > 1 else "games"


def games(grid: Grid) -> Table:
    """Raw scores of every game: agents with intervals (Student's t), published means, random and human."""
    rows = []
    for name in grid.games:
        game = find_game(name)
        for label, found in grid.scores.items():
            raw = np.array(list(found.get(name, {}).values()))[:, None]
            if len(raw):
                band = map(float, s.mean_interval([raw])[:, 0])
                rows.append((name, label, "run", len(raw), raw.mean(), *band, share(game.normalised(raw.mean()))))
        for method, known in others(grid).items():
            if name in known.scores:
                value = known.scores[name]
                kind = "recalled" if known.basis == "recalled" else "published"
                rows.append((name, method, kind, known.runs, value, "", "", share(game.normalised(float(value)))))
        for method, value in (("human", game.human), ("random", game.random)):
            rows.append((name, method, "reference", "", str(value), "", "", share(game.normalised(value))))
    return table(("game", "agent", "kind", "runs", "score", "score_low", "score_high", "hns"), rows)


def returns(courses: dict[Key, Course], grid: Grid, env_steps: int) -> tuple[Table, Table]:
    """Learning curves: the IQM over all shared games, human-normalised; and the mean raw return of each game."""
    at = places(env_steps)
    curves: dict[str, dict[str, np.ndarray]] = defaultdict(dict)  # label -> game -> [runs, places]
    for (label, game, _), course in sorted(courses.items(), key=lambda item: item[0]):
        row = sampled(course.returns, at, WINDOW)[None]
        curves[label][game] = np.concatenate((curves[label].get(game, row[:0]), row))
    whole, single = [], []
    for label, found in curves.items():
        if grid.shared and all(game in found for game in grid.shared):
            runs = min(len(found[game]) for game in grid.shared)
            cube = np.array([find_game(game).normalised(found[game][:runs]) for game in grid.shared])  # [games, runs, places]
            for index in np.flatnonzero(~np.isnan(cube).any((0, 1))):
                scores = cube[:, :, index].T
                band = s.iqm_interval(scores, label, CURVE_RESAMPLES)
                whole.append((label, int(at[index]), runs, *map(share, (float(s.iqm(scores)), *band))))
        for game in (game for game in grid.games if game in found):
            rows = found[game]
            told = ~np.isnan(rows).any(0)
            columns = zip(at[told], rows[:, told].mean(0), *s.mean_interval([rows[:, told]]), strict=True)
            single += [(game, label, int(step), len(rows), *map(float, numbers)) for step, *numbers in columns]
    first = table(("agent", "env_step", "runs", "iqm", "iqm_low", "iqm_high"), whole)
    return first, table(("game", "agent", "env_step", "runs", "return", "return_low", "return_high"), single)


def plasticity(courses: dict[Key, Course], grid: Grid, env_steps: int) -> Table:
    """Each measurement of plasticity of each agent, mean over the shared games and their runs."""
    at = places(env_steps)
    found: dict[tuple[str, str], dict[str, list[np.ndarray]]] = defaultdict(lambda: defaultdict(list))
    for (label, game, _), course in sorted(courses.items(), key=lambda item: item[0]):
        for name, points in course.measured.items() if game in grid.shared else ():
            found[name, label][game].append(sampled(points, at, 1))
    rows = []
    for (name, label), by_game in sorted(found.items()):
        if len(by_game) == len(grid.shared):
            runs = min(len(curves) for curves in by_game.values())
            cube = np.array([curves[:runs] for curves in by_game.values()])  # [games, runs, places]
            told = ~np.isnan(cube).any((0, 1))
            columns = zip(at[told], cube[:, :, told].mean((0, 1)), *s.mean_interval(list(cube[:, :, told])), strict=True)
            rows += [(name, label, int(step), runs, *map(float, numbers)) for step, *numbers in columns]
    return table(("measure", "agent", "env_step", "runs", "value", "value_low", "value_high"), rows)


def cost(scores: Iterable[Score]) -> Table:
    """Hours of training and env steps a second, for each agent and device: mean, least and most over runs."""
    found: dict[tuple[str, str], list[Score]] = defaultdict(list)
    for score in scores:
        if score.ours and score.hours > 0 and score.env_steps > 0:
            found[score.label, score.device].append(score)
    rows = []
    for (label, device), runs in found.items():
        hours = np.array([run.hours for run in runs])
        speed = np.array([run.env_steps / run.hours / 3600 for run in runs])
        spread = [float(f(x)) for x in (hours, speed) for f in (np.mean, np.min, np.max)]
        rows.append((label, device, len(runs), *spread, float(hours.sum())))
    names = [f"{name}{end}" for name in ("hours", "env_steps_per_second") for end in ("", "_low", "_high")]
    return table(("agent", "device", "runs", *names, "hours_of_all"), rows)


def runs(scores: Iterable[Score]) -> Table:
    """Every run of ours, with its commit and what its configuration changes of the catalogue's agent."""
    names = ("agent", "flags", "game", "seed", "env_steps", "episodes")
    rows = [
        (*(getattr(x, name) for name in names), x.score, share(x.hns), x.hours, x.device, short(x.commit))
        for x in scores
        if x.ours
    ]
    return table((*names, "score", "hns", "hours", "device", "commit"), rows)


def short(commit: str) -> str:
    """A commit in 12 digits, and whether files differed from it."""
    return commit[:12] + "-dirty" * commit.endswith("-dirty")


def missing(grid: Grid, unfinished: Iterable[Unfinished]) -> Table:
    """What the grid lacks, and runs that are begun and not finished."""
    rows = [(label, game, count, "not in the files") for label, game, count in grid.missing()]
    rows += [(run.label, run.game, 1, run.why) for run in unfinished]
    return table(("agent", "game", "runs", "why"), rows)
