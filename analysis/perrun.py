"""Published scores of single runs, from the files that their authors or rliable offer; the project holds no such file.

These shapes are read, known by what a file holds and not by its name (a .gz is unpacked). Every score in it is a run.

| shape | as of |
|---|---|
| CSV without a header: a game, then scores; a game may have several lines | spreadsheets |
| CSV with a header, a line for each run: a column of `GAME` and one of `SCORE` or `NORMALISED`; a `RUN` may be there | BBF |
| JSON `{game: [scores]}` | rliable, DIAMOND, IRIS, Simulus, STORM, TWM |
| JSON `[{game, score}]`, its names as those of the columns above | rliable's CURL |
| JSON `[{task, method, seed, xs, ys}]`: the last of `ys` is the score | DreamerV3 |
| text: `Env: game`, names of columns, lines of a step and scores, tabs between: the last line has the scores | MR.Q |

Games outside Atari-100k are left out, and a note says so.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from analysis.labels import printable
from analysis.scores import Score
from envs.games import GAMES, Game, find_game
from experiment.command import UserError
from experiment.files import number, parse_json, read_lines, read_table, read_text, shown

# Names of columns and keys, in lower case, with `_` for other signs.
GAME = ("game", "env", "task", "environment", "env_name", "env_id", "game_name")
SCORE = ("score", "return", "gamescoreaverage", "raw_score", "episode_return", "mean_return", "eval_return", "ys")
NORMALISED = ("hns", "gamescorenormalized", "normalized_score", "human_normalized_score")
RUN = ("seed", "run", "run_id", "trial")
METHOD = ("method", "agent", "algorithm", "algo")
STEP = ("step", "steps", "env_step", "env_steps", "frame", "frames", "timestep")
NAMED = 4  # games that a note names
SHAPES = "analysis/perrun.py has the shapes that are read"


class Value(NamedTuple):
    """The score of a run as it stands in a file: `at` is the step of a curve's last point."""

    game: str
    score: Any
    where: str
    normalised: bool = False
    at: Any = None


class Runs(NamedTuple):
    """The runs of a file, and what is to be said of it, "" for nothing."""

    scores: list[Score]
    note: str


def read_per_run(name: str, path: Path) -> Runs:
    """The runs in the file `path`, as an agent called `name`. UserError, naming the file, if it is of another shape."""
    found: dict[str, list[float]] = defaultdict(list)
    others, steps = set(), set()
    for value in _values(path):
        game = _game(value.game)
        if game is None:
            others.add(printable(value.game))
            continue
        score = number(value.score, f"{value.where}: the score of {game.name}")
        found[game.name].append(game.random + score * (game.human - game.random) if value.normalised else score)
        if value.at is not None:
            steps.add(number(value.at, f"{value.where}: the last step of {game.name}"))
    if not found:
        named = f"{', '.join(sorted(others)[:NAMED])} are none; " if others else ""
        raise UserError(f"{path} holds no score of a game of Atari-100k; {named}{SHAPES}")
    scores = [
        Score(name, "", game, seed, None, None, score, "", "", float("nan"), str(path), ours=False)
        for game, runs in found.items()
        for seed, score in enumerate(runs)
    ]
    return Runs(scores, "; ".join(_notes(path, sorted(others), steps)))


def _notes(path: Path, others: list[str], steps: set[float]) -> Iterator[str]:
    if others:
        more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
        yield f"{path}: left out, as no games of Atari-100k: {', '.join(others[:NAMED])}{more}"
    if steps:
        yield f"{path}: scores are the last points of curves, at {min(steps):,.0f} to {max(steps):,.0f} of their own steps"


def _game(text: str) -> Game | None:
    """The game of Atari-100k that `text` means, None for others: atari100k_ms_pacman (DreamerV3), Atari-MsPacman-v5 (MR.Q)."""
    try:
        game = find_game(re.sub(r"^atari(100k)?[-_/]", "", text.strip(), flags=re.IGNORECASE))
    except ValueError:
        return None
    return game if game.name in GAMES else None


def _values(path: Path) -> Iterator[Value]:
    """Every score of the file."""
    text = read_text(path).lstrip()
    if text.startswith(("{", "[")):
        content = parse_json(text, str(path))
        if isinstance(content, list):
            return _records(((row, f"{path}, record {index}") for index, row in enumerate(content, 1)), path)
        return (value for game, scores in content.items() for value in _several(game, scores, str(path)))
    if re.search(r"^Env: ", text, flags=re.MULTILINE):
        return _curves(text, path)
    lines = [(cells, where) for cells, where in read_lines(path) if any(cells)]
    if lines and any(_plain(name) in GAME for name in lines[0][0]):
        return _records(read_table(path).rows, path)
    for cells, _ in lines:
        while not cells[-1]:  # by which spreadsheets make lines equally long
            cells.pop()
    return (value for (game, *scores), where in lines for value in _several(game, scores, where))


def _several(game: str, scores: Any, where: str) -> Iterator[Value]:
    """The values of a game and its list of scores. UserError if there is none."""
    if not isinstance(scores, list) or not scores:
        raise UserError(f"{where}: {shown(game)} has no list of scores; {SHAPES}")
    return (Value(game, score, where) for score in scores)


def _records(rows: Iterable[tuple[Any, str]], path: Path) -> Iterator[Value]:
    """The values of records, a run each. UserError if they are of several methods, or several are of one run."""
    seen, methods, steps = set(), set(), set()
    for row, where in rows:
        found = {_plain(name): value for name, value in row.items()} if isinstance(row, dict) else {}
        if not isinstance(row, dict) or len(found) < len(row):
            raise UserError(f"{where} is no record of a run; {SHAPES}")
        normalised = not any(name in found for name in SCORE)
        score, at = _one(found, (*SCORE, *NORMALISED) if normalised else SCORE, where), None
        if "ys" in found:
            score, at = (points[-1] if isinstance(points, list) and points else None for points in (score, found.get("xs")))
        value = Value(str(_one(found, GAME, where)), score, where, normalised, at)
        run, method, step = (tuple(str(found.get(name)) for name in names) for names in (RUN, METHOD, STEP))
        methods.add(method)
        if any(name in found for name in RUN):
            if (value.game, run) in seen and len(methods) == 1:
                raise UserError(f"{where}: there is a run {' '.join(x for x in run if x != 'None')} of {value.game} already")
            seen.add((value.game, run))
        else:
            steps.add(step)
        if len(methods) > 1 or len(steps) > 1:
            told = "methods: make it a file for each" if len(methods) > 1 else "steps: keep the last of each run"
            raise UserError(f"{path} has scores of several {told}")
        yield value


def _one(row: dict[str, Any], names: tuple[str, ...], where: str) -> Any:
    """The value of the one of `names` that `row` has. UserError if it has none or several."""
    found = [name for name in names if name in row]
    if len(found) != 1:
        told = " and ".join(found) or f"none of {', '.join(names)}"
        raise UserError(f"{where} has {told}, where one is needed; {SHAPES}")
    return row[found[0]]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _curves(text: str, path: Path) -> Iterator[Value]:
    """The last line of each block of MR.Q's files. UserError if a block has none, or lines of several lengths."""
    for block in re.split(r"^Env: ", text, flags=re.MULTILINE)[1:]:
        game, *lines = block.split("\n")
        rows = [line.rstrip("\t").split("\t") for line in lines if "\t" in line and not line.startswith("Timestep")]
        if not rows or len({len(row) for row in rows}) > 1:
            raise UserError(f"{path}: {shown(game)} has no line of scores, or lines of several lengths; {SHAPES}")
        at, *scores = rows[-1]
        yield from (Value(game.strip(" :"), score, str(path), at=at) for score in scores)
