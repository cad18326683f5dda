"""The random policy against the published random scores: does the environment do what the benchmark's does?

    python -m analysis.random_policy results/random/scores.csv > docs/random_policy.md

Published random scores come from few games (30 in Mnih et al. 2015) with another start and time limit, and no spread was
published; so a game is called equal if the difference is within 3 standard errors of ours, taking theirs to be of 30 episodes
with our standard deviation.
"""

from math import sqrt
from pathlib import Path

from analysis.read.scores import not_negative, read_table, table_rows
from envs.games import GAMES
from experiment.command import UserError, run
from experiment.files import whole
from experiment.parser import Parser, user_path

PUBLISHED_EPISODES = 30
LIMIT = 3.0


def row(game: str, score: float, error: float, episodes: int) -> tuple[str, float]:
    """A row of the table, and by how many standard errors the two scores differ."""
    published = GAMES[game].random
    both = sqrt(error**2 * (1 + episodes / PUBLISHED_EPISODES))
    z = (score - published) / both if both else 0.0 if score == published else float("inf")
    verdict = "equal" if abs(z) <= LIMIT else "**differs**"
    shift = GAMES[game].normalised(score)
    return f"| {game} | {published:,.1f} | {score:,.1f} ± {error:,.1f} | {z:+.1f} | {shift:+.4f} | {verdict} |", z


def read(path: Path) -> dict[str, tuple[float, float, int]]:
    """Score, standard error and games of evaluation of the random run of each game. UserError for none, or two of one game."""
    runs: dict[str, tuple[float, float, int]] = {}
    for score, (values, where) in zip(read_table(path, None), table_rows(path, ("standard_error",)), strict=True):
        error = not_negative(values["standard_error"], f"{where}: standard_error")
        if score.agent == "random":
            if score.game in runs:
                raise UserError(f"{where}: there is a random run of {score.game} above")
            runs[score.game] = score.score, error, whole(values["episodes"], where)
    if not runs:
        raise UserError(f"{path} has no run of the random policy")
    return runs


def main(argv: list[str]) -> None:
    """Print the table as Markdown."""
    parser = Parser("analysis.random_policy", __doc__)
    parser.add_argument("scores", type=user_path)
    runs = read(parser.parse_args(argv).scores)
    print("| game | published | ours, mean ± standard error | z | our hns | |")
    print("|---|---|---|---|---|---|")
    for game in GAMES:
        if game not in runs:
            print(f"| {game} | {GAMES[game].random:,.1f} | not run | | | |")
            continue
        print(row(game, *runs[game])[0])


if __name__ == "__main__":
    run(main)
