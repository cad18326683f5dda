"""Published scores of single runs, from the files their authors or rliable offer; the project holds no such file.

Three forms are read: JSON `{game: [raw scores]}` (rliable, DIAMOND, TWM), JSON `[{"game":, "seed":, "HNS":}]` (rliable's CURL),
and CSV without a header, game and then raw scores (BBF).
"""

import csv
from collections import defaultdict
from pathlib import Path
from typing import Any

from analysis.labels import read_json
from analysis.scores import Protocol, Score, number
from envs.games import find_game
from experiment.command import UserError


def read_per_run(name: str, path: Path, protocol: Protocol) -> list[Score]:
    """The runs in the file `path`, as an agent called `name`. UserError, naming the file, if it is of another form."""
    if not path.is_file():
        raise UserError(f"there is no {path}")
    table = _csv(path) if path.suffix == ".csv" else _json(path)
    found = []
    for text, scores in table.items():
        try:
            game = find_game(text)
        except ValueError as error:
            raise UserError(f"{path}: {error}") from error
        for seed, score in enumerate(scores):
            value = number({"score": score}, "score", f"{path}, {text}")
            found.append(_published(name, game.name, seed, value, path, protocol))
    return found


def _published(name: str, game: str, seed: int, score: float, path: Path, protocol: Protocol) -> Score:
    steps, episodes = protocol.env_steps, protocol.episodes
    return Score(name, "", game, seed, steps, episodes, score, "", "", float("nan"), str(path), ours=False)


def _csv(path: Path) -> dict[str, list[Any]]:
    with path.open(newline="") as file:
        return {row[0]: row[1:] for row in csv.reader(file) if row}


def _json(path: Path) -> dict[str, list[Any]]:
    """Game -> raw scores."""
    content = read_json(path)
    if isinstance(content, dict) and all(isinstance(scores, list) for scores in content.values()):
        return content
    found: dict[str, list[float]] = defaultdict(list)
    try:
        for row in content:
            game = find_game(row["game"])
            hns = number(row, "HNS", f"{path}, {row['game']}")
            found[row["game"]].append(game.random + hns * (game.human - game.random))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is no list of runs: {error}") from error
    return found
