"""The table of docs/results.md, in Markdown, from the tables of a report that had published runs (--per-run).

python -m analysis.summary results/report_files --into docs/results.md
"""

import os
from pathlib import Path

import pandas as pd

from analysis.compute.rounding import ends
from experiment import sums
from experiment.command import UserError, run
from experiment.files import read_table, read_text, write_text
from experiment.parser import Parser, user_path

AUTHORS = "DER (authors)"  # of published.csv
BEGIN = "<!-- results: python -m analysis.summary results/report_files --into docs/results.md -->"
END = "<!-- end of results -->"


def read(path: Path) -> pd.DataFrame:
    """The text of a CSV file of a report. UserError if it is not there, or not as the report wrote it."""
    if not os.path.isfile(path):
        raise UserError(f"there is no {path}; analysis.report writes it")
    sums.check(path.parent, [path.name])
    columns, rows = read_table(path)
    return pd.DataFrame([row for row, _ in rows], columns=columns, dtype=str)


def plain(text: str) -> str:
    """A number with commas and no more decimals than it needs beside others of a game's scores."""
    value = float(text)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{round(value, 3) + 0.0:.4g}"


def banded(rows: pd.DataFrame, name: str) -> str:
    """A number in the first of `rows` and, if it has one, its interval; "" if there are no rows."""
    if rows.empty:
        return ""
    value, low, high = rows.iloc[0][ends(name)]
    return f"{plain(value)} [{plain(low)}, {plain(high)}]" if low and high else plain(value)


def share(rows: pd.DataFrame) -> str:
    """The mean of the shares of published runs below, "-" for no rows."""
    return f"{rows['below'].astype(float).mean():.2f}" if len(rows) else "-"


def of(table: pd.DataFrame, **values: str) -> pd.DataFrame:
    """The rows of `table` with these values, by column."""
    return table[table[list(values)].eq(values).all(axis=1)]


def by_game(games: pd.DataFrame, ranks: pd.DataFrame, agents: list[str], published: list[str]) -> list[list[str]]:
    """A row for each game with published runs: scores, the shares of these runs below each, and what is published."""
    rows = []
    for game in (game for game in games["game"].unique() if game in set(ranks["game"])):
        scores, placed, cells = of(games, game=game), of(ranks, game=game), [game]
        for agent in agents:
            shares = ", ".join(share(of(placed, agent=agent, published=name)) for name in published)
            score = banded(of(scores, agent=agent), "score")
            cells.append(f"{score} ({shares})" if score else "")
        cells += [banded(of(placed, published=name), "published_median") for name in published]
        rows.append([*cells, banded(of(scores, agent=AUTHORS), "score")])
    return rows


def over_games(aggregates: pd.DataFrame, ranks: pd.DataFrame, agents: list[str], published: list[str]) -> list[list[str]]:
    """The rows below the games: aggregates over those that all have, and the mean share of published runs below."""
    games = aggregates["games"].iloc[0] if len(aggregates) else 0
    columns = [of(aggregates, agent=name) for name in (*agents, *published)]
    rows = [
        [f"{title} of {games} games, hns", *(banded(one, measure) for one in columns), ""]
        for title, measure in (("IQM", "iqm"), ("mean", "mean"))
    ]
    for name in published:
        shares = [share(of(ranks, game="all", published=name, agent=agent)) for agent in agents]
        rows.append([f"mean share of {name}'s runs below ours", *shares, *[""] * len(published), ""])
    return rows


def differences(pairs: pd.DataFrame, improvement: pd.DataFrame) -> list[str]:
    """A line for each Hare & Tortoise agent and its base."""
    lines = []
    for (agent, base), one in of(pairs, game="all").groupby(["agent", "base"], sort=False):
        chance = of(improvement, agent=agent, over=base)
        value = f"{banded(one, 'difference')}{over(one)} human-normalised"
        count = f"mean of {one['pairs'].item()} pairs, better in {one['better'].item()}"
        improved = f"; probability of improvement {banded(chance, 'probability')}{over(chance)}" if len(chance) else ""
        lines.append(f"`{agent}` - `{base}`: {value}, {count}{improved}.")
    return lines


def over(rows: pd.DataFrame) -> str:
    """What the interval in the first of `rows` is over, if there is one."""
    sample = rows["interval_over"].iloc[0]
    return f" (over {sample})" if sample else ""


def summary(folder: Path) -> str:
    """The table and the lines below it. UserError if the tables in `folder` are not those of a report with --per-run."""
    try:
        return _summary(folder)
    except (KeyError, ValueError) as error:
        raise UserError(f"{folder} has no tables of a report as it is written today: {error}") from error


def _summary(folder: Path) -> str:
    names = ("games", "ranks", "aggregates", "pairs", "improvement")
    games, ranks, aggregates, pairs, improvement = (read(folder / f"{name}.csv") for name in names)
    if ranks.empty:
        raise UserError(f"{folder} is of a report without --per-run")
    agents, published = (list(ranks[name].unique()) for name in ("agent", "published"))
    medians = (f"{name}: median, 95 % of its runs" for name in published)
    head = ["game", *(f"`{agent}`" for agent in agents), *medians, AUTHORS]
    body = by_game(games, ranks, agents, published) + over_games(aggregates, ranks, agents, published)
    cells = ([cell.replace("|", "\\|") for cell in row] for row in (head, ["---"] * len(head), *body))
    return "\n".join([*(f"| {' | '.join(row)} |" for row in cells), "", *differences(pairs, improvement)])


def inserted(text: str, results: str) -> str:
    """`text` with `results` between its two marks. UserError if it has none."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise UserError(f"--into: the file needs the lines {BEGIN} and {END}, once each")
    return f"{text.split(BEGIN)[0]}{BEGIN}\n{results}\n{END}{text.split(END)[1]}"


def main(argv: list[str]) -> None:
    """Print them, or put them into a file."""
    parser = Parser("analysis.summary", __doc__)
    parser.add_argument("folder", type=user_path, help="the folder beside a report's page")
    parser.add_argument("--into", type=user_path, help="put it into this file, between its marks, instead of printing it")
    asked = parser.parse_args(argv)
    results = summary(asked.folder)
    if asked.into is None:
        print(results)
    else:
        write_text(asked.into, inserted(read_text(asked.into), results))


if __name__ == "__main__":
    run(main)
