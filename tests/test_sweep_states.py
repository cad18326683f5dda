"""What is found in the folders of a sweep."""

import fcntl
import json
import os
import threading
import time
from pathlib import Path

import pytest

from experiment.command import UserError
from experiment.folder import RunFolder
from options import read_command_line
from sweep import grid, states
from sweep.cells import cells
from sweep.states import TODO, State, hours_left, log_of, look, recent
from tests.sweep_folders import make


def test_states(tmp_path: Path) -> None:
    assert look(make(tmp_path, "Alien", score=2.0)).state is State.FINISHED
    resumable = make(tmp_path, "Amidar")
    (resumable.folder / "checkpoint.pt").touch()
    rows = [{"kind": "train", "env_step": 1000}, {"kind": "episode", "env_step": 3000}]
    (resumable.folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)) + '\n{"kind": "tr')
    found = look(resumable)
    assert (found.state, found.share) == (State.RESUMABLE, 0.75)
    assert recent([found]) == 1
    os.utime(resumable.folder / "metrics.jsonl", (0, time.time() - 1000))
    assert recent([found]) == 0
    with RunFolder(resumable.folder):
        assert look(resumable).state is State.RUNNING
        assert look(resumable).share == 0.75
    (resumable.folder / "metrics.jsonl").write_text('{"kind": "train", "env_step": 3000, "update": 17}\n')
    assert look(resumable).state is State.RESUMABLE
    (resumable.folder / "metrics.jsonl").write_text('{"kind": "diverged", "env_step": 3000, "update": 17}\n')
    found = look(resumable)
    assert (found.state, found.note[:34]) == (State.DIVERGED, "the loss of update 17 was not fini")
    assert found.state not in TODO
    failed = make(tmp_path, "Assault")
    assert (look(failed).state, look(failed).note) == (State.FAILED, "no log")
    log_of(failed).parent.mkdir()
    log_of(failed).write_text("one\nout of memory\n\n")
    assert look(failed).note == f"out of memory ({log_of(failed)})"
    (missing,) = cells("der", [("Asterix", 0)], ["--out", str(tmp_path)])
    assert look(missing).state is State.MISSING
    assert not missing.folder.exists()


def test_looking_takes_nothing_from_a_run_that_starts(tmp_path: Path) -> None:
    """However slow a look is: here it has the lock for 200 ms, as on a network file system at its worst."""
    run = make(tmp_path, "Pong")
    slow = os.open(run.folder / "lock", os.O_RDONLY)
    fcntl.flock(slow, fcntl.LOCK_SH)
    threading.Timer(0.2, os.close, [slow]).start()
    assert look(run).state is State.FAILED  # two looks at once do not take each other for a run
    with RunFolder(run.folder):
        assert look(run).state is State.RUNNING
    assert look(run).state is State.FAILED


def test_a_lock_that_stays_held_still_refuses(tmp_path: Path) -> None:
    with RunFolder(tmp_path), pytest.raises(UserError, match="held by another process"), RunFolder(tmp_path):
        pass


DAMAGED = {
    "half": '{"score": 1.0, "hn',
    "empty": "",
    "no table": "[]",
    "NaN": '{"score": NaN, "hns": 0.1, "returns": [1, 1]}',
    "no hns": '{"score": 1.0, "returns": [1, 1]}',
    "a game short": '{"score": 1.0, "hns": 0.1, "returns": [1]}',
    "hours": '{"score": 1.0, "hns": 0.1, "returns": [1, 1], "hours": "two"}',
}


@pytest.mark.parametrize("text", list(DAMAGED.values()), ids=list(DAMAGED))
def test_a_damaged_score_is_named_and_not_counted(text: str, tmp_path: Path) -> None:
    run = make(tmp_path, "Pong")
    (run.folder / "score.json").write_text(text)
    found = look(run)
    assert found.state is State.REFUSED
    assert str(run.folder / "score.json") in found.note
    assert "\n" not in found.note


@pytest.mark.parametrize("text", ['{"settings": {', "[]", "{}", "null"])
def test_a_damaged_configuration_is_named(text: str, tmp_path: Path) -> None:
    run = make(tmp_path, "Pong", score=1.0)
    (run.folder / "config.json").write_text(text)
    assert look(run).state is State.REFUSED
    assert "config.json cannot be read" in look(run).note


def test_another_protocol_is_named_and_not_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make(tmp_path, "Pong", score=1.0)
    grid.main(["--agents", "der", "--games", "pong", "--out", str(tmp_path)])
    told = capsys.readouterr()
    assert told.out == ""
    assert (
        f"refused: der Pong seed 0: {run.folder} holds a run with another --env-steps (4000 there, 100000 here), --eval"
        in told.err
    )
    assert "1 refused\n" in told.err


def test_hours_left(tmp_path: Path) -> None:
    half = make(tmp_path, "Amidar")
    (half.folder / "checkpoint.pt").touch()
    (half.folder / "metrics.jsonl").write_text('{"env_step": 2000}\n')
    looks = [
        look(run) for run in (make(tmp_path, "Alien", hours=1.0, evaluation_hours=0.0), make(tmp_path, "Pong", hours=2.75))
    ]
    looks += [look(half), look(make(tmp_path, "Qbert"))]
    assert hours_left(looks) == pytest.approx(2.0 * 0.5 + 2.0)
    assert hours_left(looks[2:]) is None
    assert grid.listing(looks, 8)[-1].strip() == "hours left: about 3, or 1.5 with 8 at once (as 2 finished on a CPU)"


@pytest.mark.parametrize(("step", "share"), [("1" + "0" * 400, 1.0), ("-5", 0.0), ("150", 0.5)])
def test_a_row_with_any_number_tells_a_share(step: str, share: float, tmp_path: Path) -> None:
    run = read_command_line(
        ["--agent", "der", "--game", "Catch", "--env-steps", "300", "--replay.warmup-steps", "100", "--out", str(tmp_path)]
    )
    run.folder.mkdir(parents=True)
    (run.folder / "metrics.jsonl").write_text(f'{{"kind": "train", "env_step": {step}}}\n')
    assert states._share(run) == share
