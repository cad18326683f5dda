"""Every error that a user can cause is one line with exit code 2, and comes before anything is trained or overwritten."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import eval as evaluation
import policy
import train
from experiment import command
from experiment.folder import RunFolder, older
from options import read_command_line
from tests.toy_run import TOY, run_folder

ROOT = Path(__file__).parent.parent


def refuse(
    main: object, arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, code: int = 2
) -> str:
    """Run a program that must refuse; the one line that it says."""
    monkeypatch.setattr("sys.argv", ["program", *arguments])
    with pytest.raises(SystemExit) as end:
        command.run(main)
    told = capsys.readouterr().err.strip()
    assert end.value.code == code, told
    assert "Traceback" not in told
    return told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--game", "Pnog"], ["Pnog", "Pong"]),
        (["--agent", "spr_th"], ["spr_th", "spr_ht"]),
        (["--agent"], ["--agent"]),
        (["--replay.ratoi", "2"], ["--replay.ratoi", "--replay.ratio"]),
        (["--replay_ratoi", "2"], ["did you mean --replay.ratio"]),
        (["--agent", "der", "--resets.every", "9"], ["unknown flag --resets.every"]),
        (["Pong"], ["Pong"]),
        (["--seed", "abc"], ["--seed", "abc"]),
        (["--seed", "-1"], ["--seed", "-1"]),
        (["--seed", str(1 << 63)], ["--seed", str(1 << 63)]),
        (["--replay.ratio", "0.00001"], ["--replay.ratio 1e-05 makes no update in 100000 env steps"]),
        (["--device", "tpu"], ["--device", "tpu"]),
        (["--env-steps", "-5"], ["--env-steps", "-5"]),
        (["--env-steps", "2000"], ["--replay.warmup-steps", "2000"]),
        (["--env-steps", "100000", "--num-lanes", "3"], ["--num-lanes"]),
        (["--num-lanes", "0"], ["--num-lanes"]),
        (["--execution.precision", "fp16"], ["--execution.precision", "fp16"]),
        (["--eval-episodes", "-1"], ["--eval-episodes"]),
        (["--log-every", "0"], ["--log-every"]),
        (["--checkpoint-every", "0"], ["--checkpoint-every"]),
        (["--replay.ratio", "0"], ["--replay.ratio"]),
        (["--replay.batch-size", "0"], ["--replay.batch-size"]),
        (["--replay.warmup-steps", "-3"], ["--replay.warmup-steps"]),
        (["--replay.warmup-steps", "9"], ["--replay.warmup-steps", "15"]),
        (["--replay.capacity", "9"], ["--replay.capacity", "24"]),
        (["--tortoise.decay", "1"], ["--tortoise.decay"]),
        (["--tortoise.decay", "-0.1"], ["--tortoise.decay"]),
        (["--tortoise.decay", "nan"], ["--tortoise.decay"]),
        (["--wandb", "maybe"], ["--wandb", "maybe"]),
        (["--agent", "der_inject", "--env-steps", "30000"], ["--injection.at 49200 never comes", "28400 updates", "14200"]),
    ],
)
def test_a_bad_command_line_is_one_line(
    arguments: list[str],
    words: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = refuse(train.main, [*arguments, "--out", str(tmp_path / "runs")], capsys, monkeypatch)
    assert told.count("\n") == 0, told
    assert all(word in told for word in words), told
    assert not (tmp_path / "runs").exists()  # nothing was made


@pytest.mark.parametrize("module", ["options", "evaluation", "supervised.options", "supervised.sweep", "sweep.grid"])
def test_a_command_line_is_read_without_torch(module: str) -> None:
    """It takes seconds to load, which `--help` and a wrong flag need not wait for."""
    code = f"import sys, {module}; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"


def test_cuda_that_is_absent_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    told = refuse(train.main, [*TOY, "--device", "cuda", "--out", str(tmp_path)], capsys, monkeypatch)
    assert told.count("\n") == 0
    assert "--device cpu" in told
    assert not list(tmp_path.rglob("config.json"))


def test_a_missing_rom_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envs.games.Game.rom", property(lambda self: "no_such_rom"))
    arguments = ["--game", "Pong", "--agent", "random", "--out", str(tmp_path)]
    told = refuse(train.main, arguments, capsys, monkeypatch)
    assert told.count("\n") == 0
    assert "no_such_rom" in told
    assert not list(tmp_path.rglob("config.json"))


def test_a_folder_that_cannot_be_written_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")  # permission bits would not stop the superuser
    told = refuse(train.main, [*TOY, "--out", str(tmp_path / "file" / "runs")], capsys, monkeypatch)
    assert told.count("\n") == 0
    assert "cannot write" in told


def test_a_folder_that_is_held_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunFolder(run_folder(tmp_path)) as holder:  # flock holds between two opens even of one process
        told = refuse(train.main, [*TOY, "--out", str(tmp_path)], capsys, monkeypatch)
    assert told.count("\n") == 0
    assert "another process" in told
    assert not (holder.path / "config.json").exists()


def test_another_configuration_is_refused_and_nothing_is_lost(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, folder = ["--out", str(tmp_path)], finished
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    told = refuse(train.main, [*TOY, "--tortoise.decay", "0.5", *out], capsys, monkeypatch)
    assert told.count("\n") == 0
    assert "tortoise.decay" in told

    capsys.readouterr()
    train.main([*TOY, *out])  # the same run: recognised as finished, not repeated
    assert "score" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before

    train.main([*TOY, "--tortoise.decay", "0.5", *out, "--fresh"])
    assert json.loads((folder / "config.json").read_text())["settings"]["config"]["tortoise"]["decay"] == 0.5


def test_an_evaluation_can_be_asked_for_later(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = ["--out", str(tmp_path)]
    train.main([*TOY, *out, "--eval-episodes", "0"])
    folder = run_folder(tmp_path)
    assert not (folder / "score.json").exists()
    capsys.readouterr()
    told = refuse(evaluation.main, [str(folder)], capsys, monkeypatch)
    assert told == f"program: the run in {folder} has no evaluation; say --episodes"
    metrics = (folder / "metrics.jsonl").read_text()
    train.main([*TOY, *out])
    assert len(json.loads((folder / "score.json").read_text())["returns"]) == 2
    assert json.loads((folder / "config.json").read_text())["settings"]["eval_episodes"] == 2
    assert (folder / "metrics.jsonl").read_text().startswith(metrics)  # trained once
    capsys.readouterr()
    told = refuse(train.main, [*TOY, *out, "--eval-episodes", "3"], capsys, monkeypatch)
    assert "another --eval-episodes (2 there, 3 here); --name TAG keeps both, --fresh replaces it" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--agent", "spr_ht", "--env-steps", "3000"], ["--resets.every 16000 is too long for a run of 2000 updates"]),
        (["--agent", "sr_spr", "--env-steps", "20000"], ["--resets.every 40000 is too long for a run of 36000 updates"]),
        (["--agent", "der_head", "--env-steps", "81000"], []),  # at env step 40,000, and then 41,000 are left
        (["--agent", "der_head", "--env-steps", "79000"], ["--resets.every 40000"]),
        (["--agent", "der_redo", "--recycling.every", "500000"], ["--recycling.every 500000 is too long"]),
        (
            ["--agent", "der_ht", "--env-steps", "9000", "--resets.start", "7000"],
            ["--resets.every 16000 behind --resets.start 7000 is too long for a run of 7400 updates"],
        ),
        (["--agent", "der"], []),
        (["--agent", "bbf_ht_redo"], []),
    ],
)
def test_a_run_that_is_too_short_for_its_resets_is_told(
    arguments: list[str], told: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    read_command_line(arguments)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(told)
    for line, words in zip(lines, told, strict=True):
        assert line.startswith(f"note: {words}")


@pytest.mark.parametrize(
    ("settings", "device", "precision"),
    [
        ({"execution": {"precision": "tf32"}}, "cuda", "tf32"),
        ({"execution": {"precision": "tf32"}}, "cpu", "float32"),
        ({"execution": {"precision": "bf16"}}, "cuda", "float32"),
        ({}, "cuda", "float32"),
    ],
)
def test_an_evaluation_computes_as_the_run_did(settings: dict[str, object], device: str, precision: str) -> None:
    assert policy.acting(settings, device).precision == precision


@pytest.mark.parametrize("content", [None, b"", b"not a checkpoint", b"PK\x03\x04 cut short"])
def test_a_bad_checkpoint_is_refused(
    content: bytes | None, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no run folder" in refuse(evaluation.main, [str(tmp_path)], capsys, monkeypatch)
    older(finished / "checkpoint.pt").unlink()
    if content is None:
        (finished / "checkpoint.pt").unlink()
    else:
        (finished / "checkpoint.pt").write_bytes(content)
    told = refuse(evaluation.main, [str(finished)], capsys, monkeypatch)
    assert told.count("\n") == 0
    assert "checkpoint" in told


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--video", ""], "--video: a path is empty"),
        (["--export="], "--export: a path is empty"),
        (["--video-steps", "9"], "--video-steps needs --video"),
        (["--episodes", "0"], "--episodes 0 leaves nothing to do without --video or --export"),
        (["--video", "film.avi"], "--video must name an .mp4 or .gif file, not film.avi"),
        (["--video", "film.gif", "--video-steps", "0"], "--video-steps must lie in [1, 100_000_000], not 0"),
        (["--video", "film.gif"], "a .gif needs --video-steps of at most 900; a whole game goes to an .mp4"),
        (["--video", "film.gif", "--video-steps", "901"], "a .gif needs --video-steps of at most 900"),
        (["--episodes", "-1"], "--episodes must lie in [0, 100_000_000], not -1"),
        (["--export", "der.pt"], "--export must name a .safetensors file or a folder, not der.pt"),
    ],
)
def test_a_bad_evaluation_is_one_line(
    flags: list[str], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert told in refuse(evaluation.main, ["runs", *flags], capsys, monkeypatch)
