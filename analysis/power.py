"""How many runs a comparison takes: what two agents must differ by to be told apart, by the spread of runs that are there.

    python -m analysis.power DER.json SPR.json --seeds 1 2 3 5 10

Files hold scores of single runs, two of a game at least: published ones, in any shape that analysis.report --per-run reads, or
your own as analysis.export writes them. A row is a study of two agents, each with so many seeds of so many games, whose runs
vary as those of the file do. An agent's aggregate lies within ± of the truth in 95 % of such studies. The last columns are true
differences, human-normalised and the same in every game, that 8 of 10 studies find: of the means by the interval that the
report has of pairs, which takes games as its sample if there is one seed, six at least; of IQMs as many standard errors.
Agents whose difference varies from game to game need more, and of a few runs the spread is hardly known.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from analysis.compute import statistics as s
from analysis.read.single_runs import read_single_runs
from envs.games import find_game
from experiment.command import UserError, run, user_errors
from experiment.parser import Parser, user_path

SEEDS = (1, 2, 3, 5, 10)
DRAWS = 2_000
MOST = 1_000  # seeds: the memory of a draw


def runs_of_games(path: Path) -> dict[str, np.ndarray]:
    """Human-normalised scores, float64 [runs], of each game in a file, by name. UserError if it is of no known shape."""
    known: dict[str, list[float]] = defaultdict(list)
    for score in read_single_runs(path.name, path).scores:
        known[score.game].append(score.hns)
    return {game: np.array(known[game]) for game in sorted(known)}


def drawn(known: Sequence[np.ndarray], runs: int, rng: np.random.Generator) -> np.ndarray:
    """So many `runs`, float64 [runs, games], each drawn from those that are `known` of its game."""
    return np.stack([rng.choice(scores, runs) for scores in known], axis=1)


def errors(known: Sequence[np.ndarray], runs: int) -> dict[str, float]:
    """The standard errors of IQM and mean of `runs` of each game, each drawn from those that are `known` of it."""
    rng = np.random.default_rng(runs)
    iqms = [s.iqm(drawn(known, runs, rng)) for _ in range(DRAWS)]
    return {"IQM": float(np.std(iqms)), "mean": float(np.sqrt(sum(scores.var() / runs for scores in known)) / len(known))}


def least(known: Sequence[np.ndarray], runs: int) -> float:
    """What 8 of 10 studies with so many `runs` find, a difference of the means; nan if none could."""
    rng = np.random.default_rng(runs)
    found = [s.paired(list((drawn(known, runs, rng) - drawn(known, runs, rng)).T)) for _ in range(DRAWS)]
    needed = [high - middle - middle for middle, (_, high) in found]  # to lift the lower end of the interval above 0
    return float(np.quantile(needed, 0.8))


def rows(name: str, known: Sequence[np.ndarray], seeds: Sequence[int]) -> Iterator[str]:
    """The lines of a Markdown table for the runs of a file."""
    for runs in seeds:
        error, difference = errors(known, runs), least(known, runs)
        ratio = error["IQM"] / error["mean"] if error["mean"] else 0.0
        numbers = [s.Z * error["IQM"], s.Z * error["mean"], ratio * difference, difference]
        cells = [name, str(len(known)), str(runs), *("-" if np.isnan(number) else f"{number:.3f}" for number in numbers)]
        yield f"| {' | '.join(cells)} |"


def chosen(path: Path, games: Sequence[str]) -> list[np.ndarray]:
    """The runs of each of `games`, none named: of all in a file. UserError if it lacks one, or has one run of it.

    They are moved away from their mean a little, so that what is drawn from a few varies as they do.
    """
    known = runs_of_games(path)
    for game in games or known:
        if len(known.get(game, ())) < 2:
            raise UserError(f"{path} has too few runs of {game} ({len(known.get(game, ()))}): a spread takes two")
    return [widened(known[game]) for game in games or known]


def widened(scores: np.ndarray) -> np.ndarray:
    """`scores` [n] around the same mean, their variance over n that of these over n - 1."""
    return scores.mean() + (scores - scores.mean()) * np.sqrt(len(scores) / (len(scores) - 1))


def main(argv: list[str]) -> None:
    """Print the table as Markdown."""
    parser = Parser("analysis.power", __doc__)
    parser.add_argument("files", nargs="+", type=user_path, help="scores of single runs")
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS, help="runs of each game and agent")
    parser.add_argument("--games", nargs="+", metavar="GAME", help="these alone, instead of all in a file")
    asked = parser.parse_args(argv)
    if not all(1 <= runs <= MOST for runs in asked.seeds):
        raise UserError(f"--seeds are runs of each game, from 1 to {MOST:,}")
    with user_errors("--games"):
        games = list(dict.fromkeys(find_game(game).name for game in asked.games or ()))
    files = [(path.name, chosen(path, games)) for path in asked.files]
    print("| runs vary as in | games | seeds | IQM ± | mean ± | IQMs differ by | means differ by |")
    print("|---|---|---|---|---|---|---|")
    for name, known in files:
        for line in rows(name, known, asked.seeds):
            print(line, flush=True)


if __name__ == "__main__":
    run(main)
