"""What lies in the folders that a command names: runs, tables of runs, and what is none of these."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from analysis.read.courses import PLASTICITY
from analysis.read.scores import COLUMNS
from analysis.read.settings import AGENTS
from experiment import sums
from experiment.command import UserError
from experiment.files import header, read_json
from experiment.folder import CONFIG, SCORE

SUPERVISED = {"dataset", "model", "study", "method"}  # whose tables have a report of their own
REPORT = ("aggregates.csv", "improvement.csv", "runs.csv")  # are in every folder that a report wrote
NAMED = 3  # files that a note names


@dataclass
class Contents:
    """Folders of finished and unfinished runs, tables of scores and of courses, and why files were `left` out."""

    finished: list[Path] = field(default_factory=list)
    unfinished: list[Path] = field(default_factory=list)
    scores: list[Path] = field(default_factory=list)
    courses: list[Path] = field(default_factory=list)
    left: dict[Path, str] = field(default_factory=dict)

    def note(self) -> str:
        """What was left out, in a line; "" for nothing."""
        named = ", ".join(f"{path} ({why.removeprefix(f'{path} ')})" for path, why in list(self.left.items())[:NAMED])
        more = f", and {len(self.left) - NAMED} more" if len(self.left) > NAMED else ""
        return f"not taken: {named}{more}" if named else ""


def find(paths: Iterable[Path]) -> Contents:
    """What `paths` are or hold. UserError for one that is not there, and for a table that is not as its folder lists it.

    A file that is named must be a table of scores. In a folder, hidden files, other tables and those of an earlier report are
    left out.
    """
    contents = Contents()
    for path in paths:
        if os.path.isdir(path):  # unlike Path.is_dir it bears any name
            contents.finished += runs_below(path)
            configs = [file for file in _below(path, CONFIG) if of_agent(file.parent)]
            contents.unfinished += [file.parent for file in configs if not (file.parent / SCORE).exists()]
            _sort_tables(path, contents)
        elif os.path.exists(path):
            contents.scores.append(path)
        else:
            raise UserError(f"there is no {path}")
    return contents


def runs_below(folder: Path) -> list[Path]:
    """The folders of agents' finished runs somewhere below `folder`, in order."""
    return [path.parent for path in _below(folder, SCORE) if of_agent(path.parent)]


def of_agent(run: Path) -> bool:
    """Whether the run folder `run` is an agent's and not the supervised study's; a damaged one may be."""
    try:
        return "agent" in read_json(run / CONFIG)["settings"]
    except (UserError, KeyError, TypeError):
        return True


def _below(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.rglob(pattern) if not _hidden(path, folder))


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _sort_tables(folder: Path, contents: Contents) -> None:
    for file in sorted(folder.rglob("*.csv")):
        if all((file.parent / name).exists() for name in REPORT):
            continue
        if _hidden(file, folder):
            contents.left[file] = "is hidden"
            continue
        names, why = set[str](), ""
        try:
            names = set(header(file))
        except UserError as error:
            why = str(error)
        sums.check(file.parent, [file.name])
        if names >= set(COLUMNS):
            contents.scores.append(file)
        elif names >= set(PLASTICITY) and "score" not in names:
            contents.courses.append(file)
        elif why or (file.name != AGENTS and not names >= SUPERVISED):
            contents.left[file] = why or "is no table of runs"
