"""README's table of results, in Markdown, from the tables of a report that had published runs (--per-run).

python -m analysis.summary results/report_files --into README.md
"""

import os
from pathlib import Path

from analysis.tables import Table
from experiment import sums
from experiment.command import UserError, run
from experiment.files import read_table, read_text, write_text
from experiment.parser import Parser, user_path

AUTHORS = "DER (authors)"  # of published.csv
BEGIN = "<!-- results: python -m analysis.summary results/report_files --into README.md -->"
END = "<!-- end of results -->"


def read(path: Path) -> Table:
    """The table in a CSV file of a report. UserError if it is not there, or not as the report wrote it."""
    if not os.path.isfile(path):
        raise UserError(f"there is no {path}; analysis.report writes it")
    sums.check(path.parent, [path.name])
    found = read_table(path)
    return Table(found.columns, tuple(tuple(row.values()) for row, _ in found.rows))


def plain(text: str) -> str:
    """A number with commas and no more decimals than it needs beside others of a game's scores."""
    value = float(text)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{round(value, 3) + 0.0:.4g}"


def banded(row: dict[str, str], name: str) -> str:
    """A value and, if it has one, its interval."""
    value, *ends = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    return f"{plain(value)} [{', '.join(map(plain, ends))}]" if all(ends) else plain(value)


def by_game(games: Table, standing: Table, published: list[str]) -> list[list[str]]:
    """A row for each game with published runs: scores, the shares of these runs below each, and what is published."""
    agents = standing.values("agent")
    rows = [
        ["game", *(f"`{agent}`" for agent in agents), *(f"{name}: median, 95 % of its runs" for name in published), AUTHORS]
    ]
    for game in (game for game in games.values("game") if standing.where(game=game)):
        cells = []
        for agent in agents:
            score = games.where(game=game, agent=agent)
            places = [standing.where(game=game, published=name, agent=agent) for name in published]
            shares = ", ".join(map(mean, places))
            cells.append(f"{banded(score[0], 'score')} ({shares})" if score else "")
        theirs = [standing.where(game=game, published=name) for name in published]
        authors = games.where(game=game, agent=AUTHORS)
        cells += [banded(found[0], "published_median") if found else "" for found in theirs]
        rows.append([game, *cells, plain(authors[0]["score"]) if authors else ""])
    return rows


def mean(rows: list[dict[str, str]]) -> str:
    """Mean of the shares of published runs below, "-" for no rows."""
    return f"{sum(float(row['below']) for row in rows) / len(rows):.2f}" if rows else "-"


def over_games(aggregates: Table, games: Table, standing: Table, published: list[str]) -> list[list[str]]:
    """The rows below the games: aggregates over those that all have, and the mean share of published runs below."""
    labels = standing.values("agent")
    found = {label: aggregates.where(agent=label) for label in (*labels, *published)}
    runs = aggregates.where(kind="run")
    shared = [g for g in games.values("game") if runs and all(games.where(game=g, agent=row["agent"]) for row in runs)]
    rows = [
        [f"{name} of {len(shared)} games, hns", *(banded(rows[0], measure) if rows else "" for rows in found.values()), ""]
        for name, measure in (("IQM", "iqm"), ("mean", "mean"))
    ]
    for name in published:
        shares = [mean(standing.where(game="all", published=name, agent=agent)) for agent in labels]
        rows.append([f"mean share of {name}'s runs below ours", *shares, *[""] * len(published), ""])
    return rows


def differences(pairs: Table, improvement: Table) -> list[str]:
    """A line for each Hare & Tortoise agent and its base."""
    lines = []
    for row in pairs.where(game="all"):
        chance = improvement.where(agent=row["agent"], over=row["base"])
        value = (
            f"{banded(row, 'difference')}{over(row)} human-normalised, mean of {row['pairs']} pairs, better in {row['better']}"
        )
        told = f"; probability of improvement {banded(chance[0], 'probability')}{over(chance[0])}" if chance else ""
        lines.append(f"`{row['agent']}` - `{row['base']}`: {value}{told}.")
    return lines


def over(row: dict[str, str]) -> str:
    """What an interval is over, if there is one."""
    return f" (over {row['drawn']})" if row["drawn"] else ""


def summary(folder: Path) -> str:
    """The table and the lines below it. UserError if the tables in `folder` are not those of a report with --per-run."""
    try:
        return _summary(folder)
    except (KeyError, ValueError) as error:
        raise UserError(f"{folder} has no tables of a report as it is written today: {error}") from error


def _summary(folder: Path) -> str:
    names = ("games", "standing", "aggregates", "pairs", "improvement")
    games, standing, aggregates, pairs, improvement = (read(folder / f"{name}.csv") for name in names)
    if not standing.rows:
        raise UserError(f"{folder} is of a report without --per-run")
    theirs = standing.values("published")
    rows = by_game(games, standing, theirs) + over_games(aggregates, games, standing, theirs)
    rows.insert(1, ["---"] * len(rows[0]))
    cells = ([cell.replace("|", "\\|") for cell in row] for row in rows)
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
    found = summary(asked.folder)
    if asked.into is None:
        print(found)
    else:
        write_text(asked.into, inserted(read_text(asked.into), found))


if __name__ == "__main__":
    run(main)
