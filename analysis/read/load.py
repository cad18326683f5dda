"""Runs and their courses as data frames: for a notebook, and for the report."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from analysis.read.courses import read_courses
from analysis.read.folders import Contents, find
from analysis.read.scores import Protocol, Score, as_frame, read_run, read_table, unique


class Loaded(NamedTuple):
    """`runs` has a row for each run, `curves` one for each finished training game, `plasticity` one for each measurement.

    All have columns label (the agent and its flags), game and seed. `runs` has score (raw mean return) and hns (that,
    human-normalised), `curves` env_step and return, `plasticity` env_step and a column for each measure, nan where a
    run has it not.
    """

    runs: pd.DataFrame
    curves: pd.DataFrame
    plasticity: pd.DataFrame


def load(*paths: str | Path) -> Loaded:
    """All finished runs in `paths`: run folders, folders of either or of tables that analysis.collect wrote, tables.

    UserError, naming file and line, for what is damaged, for what is not there, and if two files disagree on a run.
    """
    contents = find(map(Path, paths))
    scores = read_scores(contents, None)
    return loaded(unique([score for score, _ in scores]), scores, contents.courses)


def read_scores(contents: Contents, protocol: Protocol | None) -> list[tuple[Score, Path | None]]:
    """Every score, with its run folder or None for a row of a table."""
    in_folders = [(read_run(folder, protocol), folder) for folder in contents.finished]
    return in_folders + [(score, None) for table in contents.scores for score in read_table(table, protocol)]


def loaded(wanted: list[Score], scores: Iterable[tuple[Score, Path | None]], courses: Iterable[Path]) -> Loaded:
    """The frames of the runs `wanted` among `scores`, whose courses are in their folders or in the tables `courses`."""
    folders = {score.key: folder for score, folder in scores if folder is not None}
    return Loaded(as_frame(wanted), *read_courses({score.key for score in wanted}, folders, courses))
