"""Event files as TensorBoard's own readers show them: each row once, however often a run was killed."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import train
from experiment.folder import EVENTS
from experiment.metrics import Metrics
from experiment.mirror import flat
from experiment.on_tensorboard import TensorBoard
from supervised import train as supervised_train
from supervised.options import read_command_line
from tests.killed import finish
from tests.supervised_files import install_fashion
from tests.test_command_line import refuse
from tests.test_resume import AGENTS
from tests.test_resume import TOY as KILLED
from tests.test_supervised_training import MLP, SHORT
from tests.toy_run import TOY

accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
loaders = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
Points = dict[str, list[tuple[int, float]]]


def shown(reader: Any) -> Points:
    """What a page shows of a run by now: by the name of each curve its steps and values."""
    reader.Reload()
    return {tag: [(e.step, e.value) for e in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}


def stored(folder: Path) -> Points:
    """All that the event files hold, for readers that know of no restart."""
    found: Points = {}
    for file in sorted(folder.glob(EVENTS)):
        for event in loaders.EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name == "scalars":
                    found.setdefault(value.tag, []).append((event.step, value.tensor.float_val[0]))
    return found


def expected(metrics: Path, clock: str) -> Points:
    """The same of metrics.jsonl."""
    found: Points = {}
    for row in map(json.loads, metrics.read_text().splitlines()):
        kind, step = row.pop("kind"), row.pop(clock)
        for name, value in flat(kind, row).items():
            if isinstance(value, int | float):
                found.setdefault(name, []).append((step, float(np.float32(value))))
    return found


def test_a_run_that_is_killed_twice_has_each_point_once(tmp_path: Path) -> None:
    """Its checkpoints are behind its metrics when it dies: the files held points that are written again."""
    folder = tmp_path / "der/Catch/seed0"
    command = [*KILLED, *AGENTS["der"], "--out", str(tmp_path), "--tensorboard", "--measure-every", "10"]
    page = accumulators.EventAccumulator(str(folder))
    for moment in ("in env step 110", "in env step 110", None):
        assert finish(command, tmp_path / "log", moment) == (0 if moment is None else -9), (tmp_path / "log").read_text()
        during = shown(page)  # as a page that is open all the time
        assert any(name.startswith("train/") for name in during)
    wanted = expected(folder / "metrics.jsonl", "env_step")
    assert during == shown(accumulators.EventAccumulator(str(folder))) == stored(folder) == wanted
    assert {"train/loss", "plasticity/dormant", "plasticity_layers/encoder.0/weight_norm", "evaluation/score"} <= set(during)
    assert [step for step, _ in during["train/update"]] == list(range(10, 130, 10))


def watched(folder: Path, kept: dict[str, Any] | int = 0) -> Metrics:
    """The metrics of a run in `folder`, of which there are event files."""
    metrics = Metrics(folder / "metrics.jsonl", kept)
    metrics.mirrors.append(TensorBoard(folder / "metrics.jsonl", "env_step", {"agent": "der"}))
    return metrics


def write(metrics: Metrics, steps: range, factor: float) -> None:
    for step in steps:
        metrics.log("train", step, {"loss": factor * step, "words": "none", "clock": {"seconds": 3600.0 * step}})


def test_points_past_the_checkpoint_are_gone_also_where_nothing_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, kept, now = accumulators.EventAccumulator(str(tmp_path)), 0, time.time
    for turn in range(3):
        # Files are read in the order of the seconds in which they were begun.
        monkeypatch.setattr(time, "time", lambda turn=turn: now() + turn)
        metrics = watched(tmp_path, kept)
        write(metrics, range(10 * turn, 10 * turn + 10), 1 + turn)
        kept = metrics.mark()
        write(metrics, range(10 * turn + 10, 10 * turn + 15), 100.0)
        metrics.close()
        shown(page)
    monkeypatch.setattr(time, "time", lambda: now() + 3)
    watched(tmp_path, kept).close()
    losses = [(step, float(step * (1 + step // 10))) for step in range(30)]
    assert shown(page)["train/loss"] == stored(tmp_path)["train/loss"] == losses
    assert len([file for file in tmp_path.glob(EVENTS) if file.stat().st_size]) == 1
    assert len(list(tmp_path.glob(EVENTS))) <= 2
    hours = [event.wall_time for event in page.Scalars("train/loss")]
    assert hours[-1] - hours[0] == pytest.approx(29 * 3600)
    assert hours[-1] == pytest.approx(time.time(), abs=60)


def test_settings_are_shown(tmp_path: Path) -> None:
    watched(tmp_path).close()
    page = accumulators.EventAccumulator(str(tmp_path))
    page.Reload()
    (event,) = page.Tensors("settings/text_summary")
    lines = event.tensor_proto.string_val[0].decode().splitlines()
    assert all(line.startswith("    ") for line in lines)  # in Markdown: letters that are all as wide
    assert json.loads("\n".join(lines)) == {"agent": "der"}


def test_a_supervised_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = install_fashion(monkeypatch, tmp_path)
    argv = [*SHORT, *MLP, "--data-dir", str(files), "--out", str(tmp_path / "runs"), "--tensorboard"]
    supervised_train.main(argv)
    folder = read_command_line(argv).folder
    found = shown(accumulators.EventAccumulator(str(folder)))
    assert found == expected(folder / "metrics.jsonl", "update")
    assert [step for step, _ in found["evaluation/test"]] == [7, 14, 20, 25, 30, 34]


def test_starting_over_leaves_no_old_point(tmp_path: Path) -> None:
    line = [*TOY, "--device", "cpu", "--out", str(tmp_path), "--log-every", "10"]
    train.main([*line, "--tensorboard"])
    folder = tmp_path / "der/Catch/seed0"
    assert stored(folder) == expected(folder / "metrics.jsonl", "env_step")
    train.main([*line, "--fresh"])
    assert not list(folder.glob(EVENTS))


def test_without_the_package_nothing_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    told = refuse(train.main, [*TOY, "--out", str(tmp_path), "--tensorboard"], capsys, monkeypatch)
    assert told == "program: --tensorboard needs a package: pip install -e '.[watch]'"
    assert not list(tmp_path.rglob("config.json"))


def test_what_fails_within_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = watched(tmp_path)
    metrics.mirrors[0]._writer.close()
    metrics.mirrors[0]._writer.add_scalar = lambda *_: 1 / 0
    write(metrics, range(3), 1.0)
    metrics.close()
    assert capsys.readouterr().err == "TensorBoard is off for this run: division by zero\n"
    assert (tmp_path / "metrics.jsonl").read_text().count("\n") == 3
