"""Draw learning curves: the return of every training game, and its running mean, for each game and agent.

python -m analysis.curves results/curves.csv --out results/curves.svg
"""

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import numpy as np

from envs.games import find_game

WINDOW = 10  # games of the running mean
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito: safe for the colour-blind

Curves = dict[str, dict[tuple[str, str], np.ndarray]]


def read(path: Path) -> Curves:
    """Game -> (agent, seed) -> float64 [games, 2] of env step and return, from a table that analysis.collect wrote."""
    found: dict[str, dict[tuple[str, str], list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    with path.open() as file:
        for row in csv.DictReader(file):
            found[row["game"]][row["agent"], row["seed"]].append((float(row["env_step"]), float(row["return"])))
    return {game: {run: np.array(points) for run, points in runs.items()} for game, runs in found.items()}


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of each value and up to `window` - 1 before it; float64, as long as `values`."""
    sums = np.cumsum(np.concatenate(([0.0], values)))
    last = np.arange(1, len(values) + 1)
    first = np.maximum(last - window, 0)
    return (sums[last] - sums[first]) / (last - first)


def draw(curves: Curves, path: Path) -> None:
    """One panel a game; the format follows the suffix of `path`."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "curves"  # the same curves give the same file
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(curves), figsize=(6.4 * len(curves), 4), squeeze=False, layout="constrained")
    agents = sorted({agent for runs in curves.values() for agent, _ in runs})
    for panel, (game, runs) in zip(panels[0], sorted(curves.items()), strict=True):
        for (agent, seed), points in sorted(runs.items()):
            colour = COLOURS[agents.index(agent) % len(COLOURS)]
            panel.plot(points[:, 0], points[:, 1], ".", color=colour, alpha=0.25, markersize=4)
            panel.plot(points[:, 0], running_mean(points[:, 1], WINDOW), color=colour, label=f"{agent}, seed {seed}")
        panel.axhline(find_game(game).random, color="grey", linestyle=":", label="random")
        panel.set(title=game, xlabel="env steps", ylabel=f"return of a training game (line: mean of {WINDOW})")
        panel.legend(frameon=False)
    figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(figure)


def main() -> None:
    """Draw what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("curves", type=Path)
    parser.add_argument("--out", type=Path, default=Path("curves.svg"))
    asked = parser.parse_args()
    draw(read(asked.curves), asked.out)
    print(asked.out)


if __name__ == "__main__":
    main()
