"""The random policy against the published random scores: does the environment do what the benchmark's does?

    python -m analysis.random_policy results/random/scores.csv > docs/random_policy.md

Published random scores come from few games (30 in Mnih et al. 2015) with another start and time limit, and no spread was
published; so a game is called equal if the difference is within 3 standard errors of ours, taking theirs to be of 30 episodes
with our standard deviation.
"""

import argparse
import csv
from math import sqrt
from pathlib import Path

from envs.games import GAMES

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


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", type=Path)
    asked = parser.parse_args()
    with asked.scores.open() as file:
        runs = {run["game"]: run for run in csv.DictReader(file) if run["agent"] == "random"}
    print("| game | published | ours, mean ± standard error | z | our hns | |")
    print("|---|---|---|---|---|---|")
    for game in GAMES:
        if game not in runs:
            print(f"| {game} | {GAMES[game].random:,.1f} | not run | | | |")
            continue
        run = runs[game]
        print(row(game, float(run["score"]), float(run["standard_error"]), int(run["episodes"]))[0])


if __name__ == "__main__":
    main()
