"""Whole runs as the real wandb has them offline: rows, groups and tags, the score, a film; what the environment decides."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import wandb
from wandb.proto.wandb_internal_pb2 import Record

import train
from experiment.mirror import flat
from options import read_command_line
from supervised.options import read_command_line as read_supervised
from tests.toy_run import TOY, run_folder
from tests.wandb_file import named, records

LINE = [*TOY, "--device", "cpu", "--measure-every", "20", "--hessian-rounds", "0", "--log-every", "20"]
VARIABLES = ("PROJECT", "MODE", "ENTITY", "TAGS", "RUN_GROUP", "NAME")


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(f"WANDB_{name}", raising=False)
    wandb.teardown()


def kept(folder: Path) -> list[Record]:
    """What the run in `folder` left for wandb, whose service may write the end of it a moment after the run is finished."""
    (file,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    until = time.monotonic() + 60
    while not any(record.HasField("exit") for record in records(file)):
        assert time.monotonic() < until, "the file has no end"
        time.sleep(0.05)
    return list(records(file))


def history(found: list[Record]) -> list[dict[str, Any]]:
    return [named(record.history.item) for record in found if record.HasField("history")]


def summary(found: list[Record]) -> dict[str, Any]:
    return {name: value for record in found for name, value in named(record.summary.update).items()}


def test_a_run_is_there_with_all_its_rows_its_score_and_a_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "atari")
    monkeypatch.setenv("WANDB_ENTITY", "us")
    monkeypatch.setenv("WANDB_TAGS", "mine,der")
    train.main([*LINE, "--agent", "der_ht_wd", "--out", str(tmp_path), "--wandb", "offline"])
    folder = tmp_path / "der_ht_wd/Catch/seed0"
    found = kept(folder)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    shown = [{key: value for key, value in row.items() if key[0] != "_"} for row in history(found)]
    expected = [{"env_step": row.pop("env_step"), **flat(row.pop("kind"), row)} for row in rows]
    film = {name: shown[-1].pop(name) for name in sorted(shown[-1]) if name.startswith("film.")}
    assert shown == expected
    assert any("plasticity_layers/encoder.0/weight_norm" in row for row in shown)

    score = json.loads((folder / "score.json").read_text())
    assert {name: score[name] for name in ("score", "hns", "standard_error")}.items() <= summary(found).items()
    (run,) = [record.run for record in found if record.HasField("run")]
    assert (run.project, run.entity, run.run_group, run.display_name) == (
        *("atari", "us"),
        *("der_ht_wd-Catch", "der_ht_wd-Catch-seed0"),
    )
    assert set(run.tags) == {"der", "ht", "wd", "Catch", "mine"}

    (file,) = folder.glob("wandb/offline-run-*/files/media/videos/*.mp4")
    assert film["film._type"] == "video-file"
    assert film["film.path"] == f"media/videos/{file.name}"
    assert file.read_bytes() == (folder / "eval.mp4").read_bytes()


def test_without_its_package_there_is_no_film_and_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    monkeypatch.setenv("WANDB_MODE", "offline")  # in place of the flag
    train.main([*LINE, "--out", str(tmp_path)])
    told = capsys.readouterr().err
    assert "note: no film is shown: a film needs imageio-ffmpeg: pip install -e '.[video]'\n" in told
    found, folder = kept(run_folder(tmp_path)), run_folder(tmp_path)
    assert json.loads((folder / "score.json").read_text())["score"] == summary(found)["score"]
    assert not any(name.startswith("film") for row in history(found) for name in row)
    assert not (folder / "eval.mp4").exists()


def test_a_flag_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for read, project in ((read_command_line, "hare-and-tortoise"), (read_supervised, "hare-and-tortoise-supervised")):
        assert (read([]).wandb, read([]).mirror()["project"]) == ("off", project)
        with monkeypatch.context() as patch:
            patch.setenv("WANDB_PROJECT", "ours")
            for mode, meant in (("online", "online"), ("offline", "offline"), ("disabled", "off")):
                patch.setenv("WANDB_MODE", mode)
                assert (read([]).wandb, read([]).mirror()["project"]) == (meant, "ours")
            asked = read(["--wandb", "off", "--wandb-project", "mine"])
            assert (asked.wandb, asked.mirror()["project"]) == ("off", "mine")
            assert asked.identity() == read([]).identity()


def test_a_variant_stands_in_a_group_of_its_own() -> None:
    shown = read_command_line(["--agent", "der_ht", "--game", "pong", "--name", "slow"]).mirror()
    assert (shown["group"], shown["tags"]) == ("der_ht+slow-Pong", ["der", "ht", "Pong", "slow"])


def test_supervised_runs_stand_in_groups_with_tags() -> None:
    shown = read_supervised(["--method", "ht", "--seed", "3"]).mirror()
    assert shown["group"] == "ht-warm_start-plain-mnist_5k-mlp"
    assert shown["name"] == f"{shown['group']}-seed3"
    assert shown["tags"] == ["ht", "warm_start", "plain", "mnist_5k", "mlp"]
