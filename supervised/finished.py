"""A finished run as its folder holds it, found whole or refused in one line. No torch here."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from analysis.read.settings import as_flags, flat
from experiment.command import UserError, user_errors
from experiment.files import number, read_json, shown, whole
from experiment.folder import CONFIG, METRICS, require_untouched
from experiment.outside import require
from experiment.rows import read_metrics
from experiment.score import read_score
from experiment.settings import filled
from supervised.methods import EVERYTHING, FORMER
from supervised.settings import Config
from supervised.sources import SOURCES
from supervised.studies import MODELS, STUDIES, compose

SETTING = ("dataset", "model", "study", "point")
NAMES = (*SETTING, "method")
ACCURACIES = ("test", "test_hare", "test_tortoise", "train_hare", "train_tortoise")
COMMIT = re.compile(r"[0-9a-f]{3,40}(-dirty)?|unknown")


class Finished(NamedTuple):
    """A run: its names, seed, images and who is judged; its settings; a row for each evaluation, and for each task's last."""

    folder: Path
    about: dict[str, Any]
    settings: dict[str, Any]
    tasks: list[dict[str, Any]]
    evaluations: list[dict[str, Any]]
    commit: str

    @property
    def protocol(self) -> dict[str, Any]:
        """The settings of its tasks."""
        protocol: dict[str, Any] = self.settings["config"]["protocol"]
        return protocol

    @property
    def flags(self) -> str:
        """What its settings change of what its names mean today, as flags. UserError if that is too long."""
        about, point = self.about, STUDIES[self.about["study"]].points[self.about["point"]]
        usual = asdict(compose(about["model"], point, about["method"], SOURCES[about["dataset"]].flips))
        ours = flat(json.loads(json.dumps(usual))) | {"images": point.images, "precision": "float32"}
        theirs = {"images": about["images"], "precision": self.settings.get("precision", "float32")}
        with user_errors(str(self.folder / CONFIG)):
            return as_flags(flat(self.settings["config"]) | theirs, ours)


def read_finished(path: Path) -> Finished | None:
    """The run whose score.json is `path`, None if another program made it. UserError if it is not whole.

    Its files say much twice: names and seed are in the settings too, the last row of each task is in the metrics too. And
    score.json has checksums of itself and of the others, but for old runs.
    """
    if not {"tasks", "study"} & _table(read_json(path), path).keys():
        return None
    score = _table(read_score(path), path, "seed", "images", "judged", "commit", "tasks", *NAMES)
    settings = _settings(path.with_name(CONFIG), score)
    check_names(score, path)
    _hold(isinstance(score["commit"], str) and COMMIT.fullmatch(score["commit"]), path, "commit", score["commit"])
    whole(score["seed"], f"{path}: seed")
    evaluations = _evaluations(path.with_name(METRICS))
    require_untouched(path.parent, score)
    for task in score["tasks"]:
        if not any(task == {name: row[name] for name in row if name not in ("kind", "clock")} for row in evaluations):
            raise UserError(f"{path}: a row of its tasks is not in {path.with_name(METRICS)}; is one of them damaged?")
    about = {name: score[name] for name in (*NAMES, "seed", "images", "judged")}
    about["method"] = FORMER.get(about["method"], about["method"])
    return Finished(path.parent, about, settings, score["tasks"], evaluations, score["commit"])


def check_names(row: dict[str, Any], where: str | Path) -> None:
    """UserError, beginning with `where`, unless the catalogue has the data set, model, study, point and method of `row`."""
    known = {"dataset": SOURCES, "model": MODELS, "study": STUDIES, "method": EVERYTHING | FORMER}
    for name, names in known.items():
        advice = "; one of your own needs --import" if name == "method" else ""
        _hold(isinstance(row[name], str) and row[name] in names, where, name, row[name], advice)
    _hold(isinstance(row["point"], str) and row["point"] in STUDIES[row["study"]].points, where, "point", row["point"])
    _hold(row["judged"] in ("hare", "tortoise"), where, "judged", row["judged"])


def check_accuracies(row: dict[str, Any], where: str) -> None:
    """UserError, beginning with `where`, if an accuracy of `row` is none, or not that of whom is judged."""
    for name in (name for name in ACCURACIES if row.get(name) not in (None, "")):
        _hold(0 <= number(row[name], f"{where}: {name}") <= 1, where, name, row[name])
    _hold(row.get("test") not in (None, ""), where, "test", row.get("test"))
    if "judged" in row and row["test"] != row.get(f"test_{row['judged']}"):
        raise UserError(f"{where}: test is not test_{row['judged']}, which it was judged by; is it damaged?")


def _settings(path: Path, score: dict[str, Any]) -> dict[str, Any]:
    """The settings in config.json `path`, which must be of the run of `score`."""
    about = ("seed", "images", *NAMES)
    settings = _table(_table(read_json(path), path, "settings")["settings"], f"{path}: settings", "config", *about)
    for name in about:
        _hold(settings[name] == score[name], path, name, settings[name])
    require(settings.get("imports", {}), path.parent)
    config = _table(settings["config"], f"{path}: config", "protocol")
    _table(config["protocol"], f"{path}: protocol")
    # Fields that were added since have their defaults.
    return settings | {"config": json.loads(json.dumps(filled(Config, config)))}


def _evaluations(path: Path) -> list[dict[str, Any]]:
    """The rows of kind `evaluation` of the metrics at `path`."""
    rows = []
    for row, where in read_metrics(path, ("evaluation",)):
        check_accuracies(_table(row, where, "task", "update", "test"), where)
        for name in ("task", "update"):
            whole(row[name], f"{where}: {name}")
        for name, value in row.items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            _hold(is_number or name in ("kind", "clock", "layers"), where, name, value)
        rows.append(row)
    return rows


def _table(value: Any, where: str | Path, *names: str) -> dict[str, Any]:
    """`value`, if it is a table that has `names`. UserError, beginning with `where`, if not."""
    if not isinstance(value, dict):
        raise UserError(f"{where} is {shown(value)}, not a table")
    for name in names:
        if name not in value:
            raise UserError(f"{where} has no {name!r}")
    return value


def _hold(holds: Any, where: str | Path, name: str, value: Any, advice: str = "") -> None:
    if not holds:
        raise UserError(f"{where}: {name} cannot be {shown(value)}{advice}")
