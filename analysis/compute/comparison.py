"""What is compared: runs of several agents on several games; what is missing is refused, or told wherever numbers are shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from envs.games import GAMES
from experiment.command import UserError

NAMED = 3  # agents that a note names


@dataclass(frozen=True)
class Comparison:
    """`runs` has a row for each run, as analysis.read has it.

    `games` were asked for; `shared`, of these, have runs of every agent, and aggregates are over them alone; `missing` has the
    number of runs that an agent lacks on a game, by label and game; `note` says what is missing, "" if nothing is.
    """

    runs: pd.DataFrame
    games: tuple[str, ...]
    shared: tuple[str, ...]
    missing: pd.Series
    note: str

    @property
    def labels(self) -> list[str]:
        """The agents, each with its flags."""
        return list(self.runs["label"].unique())

    def of(self, label: str, game: str) -> pd.DataFrame:
        """The runs of an agent on a game, by seed."""
        return self._cells.get((label, game), self.runs[:0])

    @cached_property
    def _cells(self) -> dict[Any, pd.DataFrame]:
        return dict(iter(self.runs.sort_values("seed").groupby(["label", "game"])))

    def matrix(self, label: str) -> np.ndarray:
        """Human-normalised scores on the shared games: float64 [runs, games].

        Where games differ in their number of runs, all have the least of these, the lowest seeds; so each counts the same.
        """
        count = self.count(label)
        return np.array([self.of(label, game)["hns"][:count] for game in self.shared]).T

    def count(self, label: str) -> int:
        """Runs of each shared game that aggregates use; 0 if no game is shared."""
        return min((len(self.of(label, game)) for game in self.shared), default=0)

    def differences(self, label: str, base: str) -> dict[str, np.ndarray]:
        """Human-normalised differences, `label` minus `base`, of each game and seed that both have: float64 [pairs] by game.

        None of published runs: their files do not tell which seeds are the same.
        """
        if not self.runs.loc[self.runs["label"].isin((label, base)), "ours"].all():
            return {}
        pairs = {game: self.of(label, game).merge(self.of(base, game), on="seed") for game in self.games}
        return {game: (both["hns_x"] - both["hns_y"]).to_numpy() for game, both in pairs.items() if len(both)}


def compare(runs: pd.DataFrame, games: Sequence[str], incomplete: bool) -> Comparison:
    """The comparison of `runs` on `games`. UserError for none, or if one is missing, unless `incomplete` is allowed."""
    if runs.empty:
        raise UserError("there is no finished run to report")
    labels = runs["label"].unique()
    counts = pd.crosstab(runs["label"], runs["game"]).reindex(index=labels, columns=list(games), fill_value=0)
    wanted = counts.max(axis=1)
    lacking = (-counts).add(wanted, axis=0).stack()
    missing = lacking[lacking > 0]
    if len(missing) and not incomplete:
        (label, game), count = missing.index[0], missing.iloc[0]
        more = f" ({len(missing) - 1} more such cells)" if len(missing) > 1 else ""
        advice = "--incomplete reports what there is, --agents and --games leave some out"
        raise UserError(f"{count} of {wanted[label]} runs of {label} on {game} missing{more}; {advice}")
    shared = tuple(game for game in games if counts[game].all())
    return Comparison(runs, tuple(games), shared, missing, _note(missing, games, shared))


def _note(missing: pd.Series, games: Sequence[str], shared: Sequence[str]) -> str:
    """What must be said wherever a number of this comparison is shown."""
    said = []
    if len(missing):
        cells = missing.groupby(level=0, sort=False).size()
        named = [f"{label} has all its runs on {len(games) - n} of {len(games)} games" for label, n in cells[:NAMED].items()]
        if len(cells) > NAMED:
            named.append(f"{len(cells) - NAMED} more agents lack runs")
        said.append(f"Incomplete: {'; '.join(named)}.")
        one = f", {shared[0]}" if len(shared) == 1 else ""
        over = f"the {len(shared)} games" if len(shared) > 1 else "the one game" if one else "no game: none"
        said.append(f"Aggregates are over {over} that all agents have{one}.")
    if set(games) != set(GAMES):
        said.append(f"Not the benchmark's 26 games but {', '.join(games) if len(games) < 6 else len(games)}, as asked.")
    return " ".join(said)
