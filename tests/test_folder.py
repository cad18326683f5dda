"""A run's folder: which of its files go on, which are refused, and what a fresh start and a mirror keep."""

import json
import os
from pathlib import Path

import pytest
import torch

import eval as evaluation
import train
from experiment.checkpoint import load_checkpoint, save_checkpoint
from experiment.folder import older
from tests.test_command_line import refuse
from tests.toy_run import TOY, run_folder

SHORT = [*TOY, "--checkpoint-every", "10", "--device", "cpu"]


@pytest.fixture
def unfinished(finished: Path) -> Path:
    """The folder of a run that was interrupted before its score."""
    (finished / "score.json").unlink()
    return finished


@pytest.mark.smoke
def test_a_run_of_another_type_of_device_is_played_but_not_continued(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, folder = ["--out", str(tmp_path)], finished
    score = json.loads((folder / "score.json").read_text())["score"]
    state = load_checkpoint(folder / "checkpoint.pt")
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


@pytest.mark.parametrize("what", ["format", "settings", "hash", "hash again", "metrics", "both damaged"])
def test_a_checkpoint_that_does_not_fit_is_refused(
    what: str, unfinished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, path = unfinished, unfinished / "checkpoint.pt"
    state = load_checkpoint(older(path))
    del state["format"]
    words = {
        "format": "format 7",
        "settings": "another run",
        "hash": "is of 0.0.7; install that one",
        "metrics": "rows are lost",
    }
    words["hash again"] = f"ale-py is {state['versions']['ale-py']} as it was then"
    if what == "format":
        state["format"] = 7
    elif what == "settings":
        state["settings"] = state["settings"] | {"agent": "spr"}
    elif what.startswith("hash"):  # as another emulator would give
        state["past"] = state["past"] | {"hash": "0" * 32}
        state["versions"] |= {"ale-py": "0.0.7"} if what == "hash" else {}
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


@pytest.mark.parametrize("over", [True, False])
def test_a_run_from_before_a_setting_was_added_is_recognised(
    over: bool, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, line = finished, [*SHORT, "--out", str(tmp_path)]
    for path, state in ((folder / "config.json", json.loads), (folder / "checkpoint.pt", None)):
        values = state(path.read_text()) if state else load_checkpoint(path)
        del values["settings"]["config"]["penalties"], values["settings"]["config"]["replay"]["alpha"]
        values.pop("format", None)
        path.write_text(json.dumps(values)) if state else save_checkpoint(path, values)
    if not over:
        (folder / "score.json").unlink()
    capsys.readouterr()
    train.main(line)
    assert "der on Catch: score" in capsys.readouterr().out
    told = refuse(train.main, [*line, "--replay.alpha", "0.25"], capsys, monkeypatch)
    assert "another --replay.alpha (" in told


@pytest.mark.smoke
def test_fresh_starts_over_and_only_then(unfinished: Path, tmp_path: Path) -> None:
    folder = unfinished
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


def test_a_lost_configuration_is_made_again_from_the_checkpoint(
    unfinished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    line, folder = [*SHORT, "--out", str(tmp_path)], unfinished
    settings = json.loads((folder / "config.json").read_text())["settings"]
    (folder / "config.json").unlink()
    kept = {file.name: file.read_bytes() for file in folder.iterdir()}
    told = refuse(train.main, [*line, "--tortoise.decay", "0.5"], capsys, monkeypatch)
    assert "is of another run, with another --tortoise.decay (0.0 there, 0.5 here); --name TAG keeps both, --fresh" in told
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == kept
    train.main(line)
    assert "config.json was lost; it is made again" in capsys.readouterr().err
    config = json.loads((folder / "config.json").read_text())
    assert config["settings"] == settings
    assert [made["env_step"] for made in config["continued"]] == [60]
    assert (folder / "checkpoint.pt").read_bytes() == kept["checkpoint.pt"]
    for path in folder.glob("c*"):
        path.unlink()
    told = refuse(train.main, line, capsys, monkeypatch)
    assert told == f"program: {folder / 'score.json'} is there without config.json; --fresh starts the run over"


def test_a_damaged_configuration_of_a_run_that_can_go_on_says_how(
    unfinished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in ("[]", '{"settings": {}}', '{"settings": {}, "made": {}, "continued": [0]}', "{"):
        (unfinished / "config.json").write_text(text)
        told = refuse(train.main, [*SHORT, "--out", str(tmp_path)], capsys, monkeypatch).splitlines()[-1]
        assert told.endswith("config.json cannot be read; delete it, and the run goes on with its checkpoint's settings")


@pytest.mark.parametrize("at", [3, 40, -2])
def test_metrics_that_are_not_what_was_written_are_refused(
    at: int, unfinished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = unfinished / "metrics.jsonl"
    state = load_checkpoint(path.with_name("checkpoint.pt"))
    whole = path.read_bytes()
    flipped = bytearray(whole[: state["metrics"]["bytes"]])
    flipped[at] ^= 1
    path.write_bytes(flipped)
    told = refuse(train.main, [*SHORT, "--out", str(tmp_path)], capsys, monkeypatch).splitlines()[-1]
    assert told == f"program: {path} is damaged: it is not what it was at the checkpoint; --fresh starts the run over"
    # As a run of before: its checkpoint has no hash, and how many bytes there were is all that is asked.
    del state["format"]
    save_checkpoint(path.with_name("checkpoint.pt"), state | {"metrics": state["metrics"]["bytes"]})
    path.write_bytes(whole)
    train.main([*SHORT, "--out", str(tmp_path)])
    assert path.read_bytes().startswith(whole[: state["metrics"]["bytes"]])


def test_an_evaluation_is_of_the_checkpoints_own_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """config.json has no checksum: what is edited there changes nothing, and a lost one neither."""
    train.main([*SHORT, "--out", str(tmp_path), "--eval-episodes", "5"])
    folder = run_folder(tmp_path)
    evaluation.main([str(folder), "--device", "cpu"])
    right = capsys.readouterr().out.splitlines()[-1]
    config = json.loads((folder / "config.json").read_text())
    config["settings"] |= {"seed": 7, "eval_episodes": 3}
    config["settings"]["config"]["exploration"]["evaluation"] = 1.0
    for text in (json.dumps(config), "[]", None):
        (folder / "config.json").unlink() if text is None else (folder / "config.json").write_text(text)
        evaluation.main([str(folder), "--device", "cpu"])
        assert capsys.readouterr().out.splitlines()[-1] == right
    state = load_checkpoint(folder / "checkpoint.pt")
    del state["format"], state["settings"]["game"]
    save_checkpoint(folder / "checkpoint.pt", state)
    assert "is of no agent of this version: 'game'" in refuse(evaluation.main, [str(folder)], capsys, monkeypatch)


@pytest.mark.parametrize("name", ["config.json", "score.json", "checkpoint.pt", "metrics.jsonl"])
@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_what_is_no_file_is_one_line(
    name: str, kind: str, unfinished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is not waited for."""
    folder = unfinished
    (folder / name).unlink(missing_ok=True)
    older(folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name) if kind == "pipe" else (folder / name).mkdir()
    told = refuse(train.main, [*SHORT, "--out", str(tmp_path)], capsys, monkeypatch).splitlines()[-1]
    assert str(folder / name) in told
