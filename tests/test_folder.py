"""A run's folder: which of its files go on, which are refused, and what a fresh start and a mirror keep."""

import json
from pathlib import Path

import pytest
import torch

import eval as evaluation
import train
from experiment.checkpoint import load_checkpoint, save_checkpoint
from experiment.folder import older
from tests.test_command_line import TOY, refuse

SHORT = [*TOY, "--checkpoint-every", "10", "--device", "cpu"]


def run_folder(out: Path) -> Path:
    return out / "der" / "Catch" / "seed0"


def unfinished(out: Path) -> Path:
    """A run that was interrupted before its score."""
    train.main([*SHORT, "--out", str(out)])
    (run_folder(out) / "score.json").unlink()
    return run_folder(out)


def test_a_run_of_another_type_of_device_is_played_but_not_continued(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = ["--out", str(tmp_path)]
    train.main([*SHORT, *out])
    folder = run_folder(tmp_path)
    score = json.loads((folder / "score.json").read_text())["score"]
    state = load_checkpoint(folder / "checkpoint.pt", "cpu")
    state["device"] = "cuda"
    streams = torch.zeros(16, dtype=torch.uint8)  # a generator's state on CUDA
    state["agent"]["generators"] = dict.fromkeys(state["agent"]["generators"], streams)
    save_checkpoint(folder / "checkpoint.pt", {**state, "env_step": 50})
    (folder / "score.json").unlink()
    capsys.readouterr()
    told = refuse(train.main, [*SHORT, *out], capsys, monkeypatch)
    assert told == "program: the run was begun on cuda: --device cuda goes on, --fresh starts over"
    evaluation.main([str(folder), "--device", "cpu"])
    assert f"Catch: score {score:.1f}" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["format", "settings", "hash", "metrics", "both damaged"])
def test_a_checkpoint_that_does_not_fit_is_refused(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = unfinished(tmp_path)
    path = folder / "checkpoint.pt"
    state = load_checkpoint(older(path), "cpu")
    del state["format"]
    words = {"format": "format 7", "settings": "another run", "hash": "is of 0.0.7", "metrics": "rows are lost"}
    if what == "format":
        state["format"] = 7
    elif what == "settings":
        state["settings"] = state["settings"] | {"agent": "spr"}
    elif what == "hash":  # as another emulator would give
        state["past"] = state["past"] | {"hash": "0" * 32}
        state["versions"] = state["versions"] | {"ale-py": "0.0.7"}
    elif what == "metrics":
        (folder / "metrics.jsonl").write_text("")
    save_checkpoint(path, state)
    if what == "both damaged":
        for file in (path, older(path)):
            file.write_bytes(file.read_bytes()[:-1])
    before = {file.name: file.read_bytes() for file in folder.iterdir() if file.suffix == ".pt"}
    capsys.readouterr()
    told = refuse(train.main, [*SHORT, "--out", str(tmp_path)], capsys, monkeypatch)
    assert words.get(what, "damaged") in told.splitlines()[-1]
    assert {file.name: file.read_bytes() for file in folder.iterdir() if file.suffix == ".pt"} == before


@pytest.mark.parametrize("finished", [True, False])
def test_a_run_from_before_a_setting_was_added_is_recognised(
    finished: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = unfinished(tmp_path) if not finished else run_folder(tmp_path)
    line = [*SHORT, "--out", str(tmp_path)]
    train.main(line)
    for path, state in ((folder / "config.json", json.loads), (folder / "checkpoint.pt", None)):
        values = state(path.read_text()) if state else load_checkpoint(path, "cpu")
        del values["settings"]["config"]["penalties"], values["settings"]["config"]["replay"]["alpha"]
        values.pop("format", None)
        path.write_text(json.dumps(values)) if state else save_checkpoint(path, values)
    if not finished:
        (folder / "score.json").unlink()
    capsys.readouterr()
    train.main(line)
    assert "der on Catch: score" in capsys.readouterr().out
    told = refuse(train.main, [*line, "--replay.alpha", "0.25"], capsys, monkeypatch)
    assert "another config.replay.alpha" in told


def test_fresh_starts_over_and_only_then(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = unfinished(tmp_path)
    first = json.loads((folder / "config.json").read_text())
    train.main([*SHORT, "--out", str(tmp_path)])
    second = json.loads((folder / "config.json").read_text())
    assert second["made"] == first["made"]
    assert [made["env_step"] for made in second["continued"]] == [60]
    (folder / "score.json").unlink()
    train.main([*SHORT, "--out", str(tmp_path), "--fresh"])
    third = json.loads((folder / "config.json").read_text())
    assert third["continued"] == []
    assert third["made"]["wandb"] != first["made"]["wandb"]
