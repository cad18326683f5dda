"""Scores become runs x games matrices; what a grid lacks is refused, or told wherever its numbers are shown."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.scores import Score
from envs.games import GAMES, find_game
from experiment.command import UserError

NAMED = 3  # agents that a note names


@dataclass(frozen=True)
class Grid:
    """Raw scores by label, game and seed.

    `games` were asked for; `shared`, of these, have runs of every agent, and aggregates are over them alone; `wanted` is the
    number of runs of each agent that a game should have; `note` says what is missing, "" if nothing is.
    """

    scores: dict[str, dict[str, dict[int, float]]]
    games: tuple[str, ...]
    shared: tuple[str, ...]
    wanted: dict[str, int]
    note: str

    def matrix(self, label: str) -> np.ndarray:
        """Human-normalised scores on the shared games: float64 [runs, games].

        Where games differ in their number of runs, all have the least of these, the lowest seeds; so each counts the same.
        """
        runs = self.runs(label)
        return np.array([self.normalised(label, game)[:runs] for game in self.shared]).T

    def runs(self, label: str) -> int:
        """Runs of each shared game that aggregates use; 0 if no game is shared."""
        return min((len(self.scores[label][game]) for game in self.shared), default=0)

    def normalised(self, label: str, game: str) -> np.ndarray:
        """Human-normalised scores of the runs on a game, by seed: float64 [runs]."""
        return np.array([find_game(game).normalised(score) for _, score in sorted(self.scores[label].get(game, {}).items())])

    def differences(self, label: str, base: str) -> dict[str, np.ndarray]:
        """Human-normalised differences, `label` minus `base`, of each game and seed that both have: float64 [pairs] by game."""
        found = {}
        for game in self.games:
            ours, theirs = self.scores[label].get(game, {}), self.scores[base].get(game, {})
            seeds = sorted(ours.keys() & theirs.keys())
            if seeds:
                scale = find_game(game).human - find_game(game).random
                found[game] = np.array([ours[seed] - theirs[seed] for seed in seeds]) / scale
        return found

    def missing(self) -> list[tuple[str, str, int]]:
        """Label, game and number of missing runs."""
        return _missing(self.scores, self.games, self.wanted)


def build_grid(scores: Iterable[Score], games: Sequence[str], incomplete: bool) -> Grid:
    """The grid of `scores` on `games`. UserError if a run is missing, or if there is none, unless `incomplete` is allowed."""
    table: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for score in scores:
        table[score.label][score.game][score.seed] = score.score
    if not table:
        raise UserError("there is no finished run to report")
    plain = {label: dict(rows) for label, rows in table.items()}
    wanted = {label: max(len(seeds) for seeds in rows.values()) for label, rows in plain.items()}
    shared = tuple(game for game in games if all(game in rows for rows in plain.values()))
    missing = _missing(plain, games, wanted)
    if missing and not incomplete:
        label, game, count = missing[0]
        more = f" ({len(missing) - 1} more such cells)" if len(missing) > 1 else ""
        told = "--incomplete reports what there is, --agents and --games leave some out"
        raise UserError(f"{count} of {wanted[label]} runs of {label} on {game} missing{more}; {told}")
    return Grid(plain, tuple(games), shared, wanted, _note(plain, games, shared, missing))


def _missing(
    scores: dict[str, dict[str, dict[int, float]]], games: Sequence[str], wanted: dict[str, int]
) -> list[tuple[str, str, int]]:
    cells = ((label, game, wanted[label] - len(rows.get(game, ()))) for label, rows in scores.items() for game in games)
    return [cell for cell in cells if cell[2]]


def _note(
    scores: dict[str, dict[str, dict[int, float]]],
    games: Sequence[str],
    shared: Sequence[str],
    missing: Sequence[tuple[str, str, int]],
) -> str:
    """What must be said wherever a number of this grid is shown."""
    told = []
    if missing:
        cells = {label: [cell for cell in missing if cell[0] == label] for label in scores}
        lacking = [label for label, found in cells.items() if found]
        named = []
        for label in lacking[:NAMED]:
            whole = len(games) - len(cells[label])
            named.append(f"{label} has all its runs on {whole} of {len(games)} games")
        if len(lacking) > NAMED:
            named.append(f"{len(lacking) - NAMED} more agents lack runs")
        told.append(f"Incomplete: {'; '.join(named)}.")
        over = f"the {len(shared)} games" if len(shared) > 1 else shared[0] if shared else "no game: none"
        told.append(f"Aggregates are over {over} that all agents have.")
    if set(games) != set(GAMES):
        told.append(f"Not the benchmark's 26 games but {', '.join(games) if len(games) < 6 else len(games)}, as asked.")
    return " ".join(told)
