"""The random policy against the published random scores: does the environment do what the benchmark's does?

    python -m analysis.random_policy results/random/scores.csv > docs/random_policy.md

Published random scores come from few games (30 in Mnih et al. 2015) with another start and time limit, and no spread was
published; so a game is called equal if the difference is within 3 standard errors of ours, taking theirs to be of 30 episodes
with our standard deviation.
"""

from math import sqrt

from analysis.scores import table_rows
from envs.games import GAMES
from experiment.command import run
from experiment.files import number, whole
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


def main(argv: list[str]) -> None:
    """Print the table as Markdown."""
    parser = Parser("analysis.random_policy", __doc__)
    parser.add_argument("scores", type=user_path)
    rows = table_rows(parser.parse_args(argv).scores, ("agent", "game", "score", "standard_error", "episodes"))
    runs = {values["game"]: (values, where) for values, where in rows if values["agent"] == "random"}
    print("| game | published | ours, mean ± standard error | z | our hns | |")
    print("|---|---|---|---|---|---|")
    for game in GAMES:
        if game not in runs:
            print(f"| {game} | {GAMES[game].random:,.1f} | not run | | | |")
            continue
        values, where = runs[game]
        score, error = (number(values[name], f"{where}: {name}") for name in ("score", "standard_error"))
        print(row(game, score, error, whole(values["episodes"], f"{where}: episodes"))[0])


if __name__ == "__main__":
    run(main)
