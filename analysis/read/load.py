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
    return loaded(unique(read_scores(contents, None)), contents.courses)


def read_scores(contents: Contents, protocol: Protocol | None) -> list[Score]:
    """Every score, those in run folders first."""
    in_folders = [read_run(folder, protocol) for folder in contents.finished]
    return in_folders + [score for table in contents.scores for score in read_table(table, protocol)]


def loaded(scores: list[Score], courses: Iterable[Path]) -> Loaded:
    """The frames of the runs of `scores`, whose courses are in their folders or in the tables `courses`."""
    folders = {score.key: score.folder for score in scores if score.folder is not None}
    return Loaded(as_frame(scores), *read_courses({score.key for score in scores}, folders, courses))
