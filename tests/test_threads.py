"""The number of threads is part of a run on the CPU: continued or evaluated elsewhere, it goes on with its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import eval as evaluation
import train
from benchmarks.kills import difference, left_by
from experiment.checkpoint import load_checkpoint, save_checkpoint
from experiment.device import keep_threads
from experiment.session import Session
from tests.toy_run import TOY

LINE = [*TOY, "--checkpoint-every", "10", "--device", "cpu"]
LINE += ["--replay.ratio", "0.2"]  # few updates: two threads on busy cores wait for each other
NOTE = "note: 2 threads compute, as in the run so far, and not 1: another number gives other last digits\n"


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_a_run_goes_on_with_its_own_number_of_threads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One with two threads that is continued where one is the default ends as if it had not been interrupted."""
    torch.set_num_threads(2)
    train.main([*LINE, "--out", str(tmp_path / "whole")])
    saved = []
    save = Session.save

    def die(self: Session) -> None:
        save(self)
        saved.append(self._training.time)
        if saved[-1] == 50:  # in the middle of the updates
            raise InterruptedError

    with monkeypatch.context() as patch:
        patch.setattr(Session, "save", die)
        with pytest.raises(InterruptedError):
            train.main([*LINE, "--out", str(tmp_path / "parts")])
    torch.set_num_threads(1)
    capsys.readouterr()
    train.main([*LINE, "--out", str(tmp_path / "parts")])
    assert NOTE in capsys.readouterr().err
    whole, parts = (tmp_path / name / "der/Catch/seed0" for name in ("whole", "parts"))
    assert difference(left_by(parts), left_by(whole)) is None
    torch.set_num_threads(1)
    evaluation.main([str(whole), "--device", "cpu"])
    assert capsys.readouterr().err.startswith(NOTE)
    assert torch.get_num_threads() == 2
    # A checkpoint of before says nothing of threads.
    state = load_checkpoint(parts / "checkpoint.pt")
    del state["threads"], state["format"]
    save_checkpoint(parts / "checkpoint.pt", state)
    torch.set_num_threads(1)
    evaluation.main([str(parts), "--device", "cpu"])
    assert torch.get_num_threads() == 1


def test_threads_matter_where_they_compute(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a GPU")
    torch.set_num_threads(1)
    assert keep_threads({"device": "cuda", "threads": 2}, torch.device("cuda")) == "a GPU"
    assert keep_threads({"device": "cuda", "threads": 2}, torch.device("cpu")) == "CPU, 1 threads"
    assert capsys.readouterr().err == ""
    assert keep_threads({"device": "cpu", "threads": 2}, torch.device("cpu")) == "CPU, 2 threads"
    assert capsys.readouterr().err == NOTE
