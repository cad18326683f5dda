"""Published scores of single runs, from the files that their authors or rliable offer; the project holds no such file.

These shapes are read, known by what a file holds and not by its name (a .gz is unpacked). Every score in it is a run.

| shape | as of |
|---|---|
| CSV without a header: a game, then scores; a game may have several lines | spreadsheets |
| CSV with a header, a line for each run: a column of `GAME` and one of `SCORE` or `NORMALISED`; a `RUN` may be there | BBF |
| JSON `{game: [scores]}` | rliable, DIAMOND, IRIS, Simulus, STORM, TWM |
| JSON `[{game, score}]`, its names as those of the columns above | rliable's CURL |
| JSON `[{task, method, seed, xs, ys}]`: the last of `ys` is the score, the last of `xs` its step | DreamerV3 |
| text: `Env: game`, names of columns, lines of a step and scores, tabs between: the last line has the scores | MR.Q |

Games outside Atari-100k and columns of text are left out, and a note says so; a column of numbers that is none of these is
refused, as it may be of scores.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from analysis.read.scores import Score, is_number
from analysis.read.settings import printable
from envs.games import GAMES, Game, find_game
from experiment.command import UserError
from experiment.files import number, parse_json, read_lines, read_table, read_text, shown, whole

# Names of columns and keys, in lower case, with `_` for other signs.
GAME = ("game", "env", "task", "environment", "env_name", "env_id", "game_name")
SCORE = ("score", "return", "gamescoreaverage", "raw_score", "episode_return", "mean_return", "eval_return", "ys")
NORMALISED = ("hns", "gamescorenormalized", "normalized_score", "human_normalized_score")
RUN = ("seed", "run", "run_id", "trial")
METHOD = ("method", "agent", "algorithm", "algo")
STEP = ("step", "steps", "env_step", "env_steps", "frame", "frames", "timestep")
BESIDE = ("", "unnamed_0", "xs", "max_hns")  # the number of a line, the steps of `ys`, the best of a curve: never a score
COLUMNS = {*GAME, *SCORE, *NORMALISED, *RUN, *METHOD, *STEP, *BESIDE}
LARGEST = 1e12  # no game gives such a score, and its square is a number still
NAMED = 4  # games that a note names
SHAPES = "analysis/read/single_runs.py has the shapes that are read"


class Value(NamedTuple):
    """The score of a run as it stands in a file: `at` is its step, and `note` says what was not read or is not known."""

    game: str
    score: Any
    where: str
    normalised: bool = False
    at: Any = None
    note: str = ""


class Runs(NamedTuple):
    """The runs of a file, and what is to be said of it, "" for nothing."""

    scores: list[Score]
    note: str


def read_single_runs(name: str, path: Path) -> Runs:
    """The runs in the file `path`, as an agent called `name`. UserError, naming the file, if it is of another shape."""
    by_game: dict[str, list[float]] = defaultdict(list)
    others, steps, remarks = set(), set(), set()
    for value in _values(path):
        game = _game(value.game)
        if game is None:
            others.add(printable(value.game))
            continue
        score = number(value.score, f"{value.where}: the score of {game.name}")
        score = game.random + score * (game.human - game.random) if value.normalised else score
        if abs(score) > LARGEST:
            raise UserError(f"{value.where}: the score of {game.name} is {score:g}, which no game gives")
        by_game[game.name].append(score)
        if value.at is not None:
            steps.add(number(value.at, f"{value.where}: the step of {game.name}"))
        if value.note:
            remarks.add(f"{path}: {value.note}")
    if not by_game:
        named = f"{', '.join(sorted(others)[:NAMED])} are none; " if others else ""
        raise UserError(f"{path} holds no score of a game of Atari-100k; {named}{SHAPES}")
    scores = [
        Score(name, "", game, seed, None, None, score, "", "", float("nan"), str(path), ours=False)
        for game, runs in by_game.items()
        for seed, score in enumerate(runs)
    ]
    return Runs(scores, "; ".join((*_notes(path, sorted(others), sorted(steps)), *sorted(remarks))))


def _notes(path: Path, others: list[str], steps: list[float]) -> Iterator[str]:
    if others:
        more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
        yield f"{path}: left out, as no games of Atari-100k: {', '.join(others[:NAMED])}{more}"
    if steps:
        ends = dict.fromkeys(f"{step:,.0f}" for step in (steps[0], steps[-1]))
        yield f"{path}: scores are at {(' to ' if len(steps) > 2 else ' and ').join(ends)} of their own steps"


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
    if lines and re.search(r"[;\t]", lines[0][0][0]):
        raise UserError(f"{lines[0][1]}: values must be separated by commas, which {shown(lines[0][0][0])} is not")
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
    found = [(_named(row, where), where) for row, where in rows]
    nameless = [row for row, _ in found if not any(name in row for name in RUN)]
    for told, kept, names in (
        ("methods: make it a file for each", [row for row, _ in found], METHOD),
        ("steps: keep the last of each run", nameless, STEP),
    ):
        if len({tuple(str(row.get(name)) for name in names) for row in kept}) > 1:
            raise UserError(f"{path} has scores of several {told}")
    seen = set()
    for row, where in found:
        value = _record(row, where)
        if any(name in row for name in RUN):
            game = _game(value.game)
            run = (game.name if game else value.game, _run(row, where))
            if run in seen:
                raise UserError(f"{where}: there is a run {' '.join(run[1])} of {run[0]} already")
            seen.add(run)
        yield value


def _named(row: Any, where: str) -> dict[str, Any]:
    """A record with plain names. UserError if it is none, or two of its names are one."""
    found = {_plain(name): value for name, value in row.items()} if isinstance(row, dict) else {}
    if not isinstance(row, dict) or len(found) < len(row):
        raise UserError(f"{where} is no record of a run; {SHAPES}")
    return found


def _record(row: dict[str, Any], where: str) -> Value:
    """The value of a record, whose names are plain. UserError if a number in it is not read, or its curve is not whole."""
    normalised = not any(name in row for name in SCORE)
    score = _one(row, (*SCORE, *NORMALISED) if normalised else SCORE, where)
    at = next((row[name] for name in STEP if row.get(name) not in (None, "")), None)
    others = {name: value for name, value in row.items() if name not in COLUMNS and value not in ("", None)}
    if numbers := [name for name, value in others.items() if not isinstance(value, str | bool) or is_number(value)]:
        told = "write a line for each run, and delete what is no score"
        raise UserError(f"{where} has numbers that are not read: {', '.join(numbers)}; {told}")
    notes = [f"not read: {', '.join(others)}"] if others else []
    if "ys" in row:
        points, places = score, row.get("xs")
        score = points[-1] if isinstance(points, list) and points else None
        if places is None:
            notes.append("scores are the last of ys, whose steps (xs) are not told")
        elif score is not None:
            at = _last_step(places, len(points), where)
    return Value(str(_one(row, GAME, where)), score, where, normalised, at, "; ".join(notes))


def _last_step(places: Any, points: int, where: str) -> float:
    """The last of the steps `places` of a curve. UserError if they are not as many as its `points`, and ascending."""
    steps = [number(step, f"{where}: one of xs") for step in places] if isinstance(places, list) else []
    if len(steps) != points or any(later < step for step, later in pairwise(steps)):
        raise UserError(f"{where}: xs must be as many as ys, {points}, and ascending")
    return steps[-1]


def _run(row: dict[str, Any], where: str) -> tuple[str, ...]:
    """What tells the run of a record from others of its game: 0 and 0.0 are one. UserError if nothing does."""
    names = []
    for value in (str(row[name]).strip() for name in RUN if row.get(name) not in (None, "")):
        try:
            names.append(str(whole(value, where)))
        except UserError:
            names.append(value)
    if not names:
        raise UserError(f"{where} does not tell its run: {', '.join(name for name in RUN if name in row)} is empty")
    return tuple(names)


def _one(row: dict[str, Any], names: tuple[str, ...], where: str) -> Any:
    """The value of the one of `names` that `row` has. UserError if it has none or several."""
    there = [name for name in names if name in row]
    if len(there) != 1:
        named = " and ".join(there) or f"none of {', '.join(names)}"
        raise UserError(f"{where} has {named}, where one is needed; {SHAPES}")
    return row[there[0]]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _curves(text: str, path: Path) -> Iterator[Value]:
    """The last line of each block of MR.Q's files. UserError if a block has none, or lines of several lengths, or is cut."""
    if not text.endswith("\n"):
        raise UserError(f"{path} does not end with a whole line; is it half-written?")
    for block in re.split(r"^Env: ", text, flags=re.MULTILINE)[1:]:
        game, *lines = block.split("\n")
        if cut := [line for line in lines if line.strip("- ") and "\t" not in line]:
            raise UserError(f"{path}: {shown(game)} has the line {shown(cut[0])}, which is cut; is it half-written?")
        rows = [line.rstrip("\t").split("\t") for line in lines if "\t" in line and not line.startswith("Timestep")]
        if not rows or len({len(row) for row in rows}) > 1:
            raise UserError(f"{path}: {shown(game)} has no line of scores, or lines of several lengths; {SHAPES}")
        at, *scores = rows[-1]
        yield from (Value(game.strip(" :"), score, str(path), at=at) for score in scores)
