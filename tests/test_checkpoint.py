"""Checkpoints: whole, checked, two of them, without code; and what a run says when one cannot be written or read."""

import os
import pickle
import resource
from pathlib import Path
from typing import Any

import pytest
import torch

import train
from experiment.checkpoint import MARK, load_checkpoint, save_checkpoint
from experiment.command import UserError
from experiment.folder import older
from experiment.past import Past
from tests.test_command_line import refuse
from tests.toy_run import TOY, run_folder

SHORT = [*TOY, "--checkpoint-every", "10", "--device", "cpu"]


class Malicious:
    """Runs a command when it is unpickled."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.proof}",)


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"weights": torch.arange(3.0), "env_step": 7})
    state = load_checkpoint(path)
    assert state["env_step"] == 7
    assert state["weights"].tolist() == [0, 1, 2]
    assert not older(path).exists()
    save_checkpoint(path, {"env_step": 8})
    assert load_checkpoint(path)["env_step"] == 8
    assert load_checkpoint(older(path))["env_step"] == 7
    save_checkpoint(path, {"env_step": 9})
    assert load_checkpoint(older(path))["env_step"] == 8
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint.older.pt", "checkpoint.pt"]


def test_a_second_interrupt_within_a_save_is_no_disk_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"env_step": 1})
    before = path.read_bytes()

    def interrupted(_: memoryview) -> bytes:  # half of the file is written by then
        raise UserError("stopped by SIGINT", code=130)

    monkeypatch.setattr("experiment.checkpoint._sound", Path.read_bytes)
    monkeypatch.setattr("experiment.checkpoint.checksum", interrupted)
    with pytest.raises(UserError, match=r"^stopped by SIGINT$") as end:
        save_checkpoint(path, {"env_step": 2})
    assert end.value.code == 130
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", ["absent", "empty", "cut", "start", "middle", "end"])
def test_a_damaged_checkpoint_is_told_and_the_one_before_it_used(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "checkpoint.pt"
    for env_step in (1, 2):
        save_checkpoint(path, {"env_step": env_step, "weights": torch.rand(10_000)})
    data = bytearray(path.read_bytes())
    if damage == "absent":  # as between the two renames of a save
        path.unlink()
    elif damage in ("empty", "cut"):
        path.write_bytes(b"" if damage == "empty" else data[: len(data) // 2])
    else:
        at = {"start": 5, "middle": len(data) // 2, "end": len(data) - 3}[damage]
        data[at] ^= 1
        path.write_bytes(data)
    assert load_checkpoint(path)["env_step"] == 1
    told = capsys.readouterr().err
    assert told.count("\n") == (damage != "absent")
    assert damage == "absent" or "the checkpoint before it is used" in told
    save_checkpoint(path, {"env_step": 3})  # what is damaged does not push out what is whole
    assert load_checkpoint(older(path))["env_step"] == 1
    path.unlink() if damage == "absent" else path.write_bytes(b"")
    older(path).unlink()
    with pytest.raises(UserError, match="checkpoint"):
        load_checkpoint(path)


def test_a_run_whose_only_checkpoint_is_damaged_says_what_to_do(tmp_path: Path) -> None:
    train.main([*TOY, "--out", str(tmp_path)])
    folder = run_folder(tmp_path)
    (folder / "score.json").unlink()
    older(folder / "checkpoint.pt").unlink(missing_ok=True)
    (folder / "checkpoint.pt").write_bytes(b"garbage")
    with pytest.raises(UserError, match=r"checksum is wrong.; --fresh starts the run over"):
        train.main([*TOY, "--out", str(tmp_path)])
    train.main([*TOY, "--out", str(tmp_path), "--fresh"])
    assert (folder / "score.json").exists()


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    path, proof = tmp_path / "checkpoint.pt", tmp_path / "broken in"
    path.write_bytes(pickle.dumps(Malicious(proof)))
    with pytest.raises(UserError, match="no checkpoint, or a damaged one"):
        load_checkpoint(path)
    save_checkpoint(path, {"weights": Malicious(proof)})  # with a checksum that is right
    with pytest.raises(UserError, match="is no checkpoint") as error:
        load_checkpoint(path)
    assert "\n" not in str(error.value)
    assert not proof.exists()


def test_another_format_is_named(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"env_step": 1})
    save_checkpoint(path, {"format": 99})
    with pytest.raises(UserError, match="format 99; this version reads"):  # and the older one is not taken instead
        load_checkpoint(path)


def test_the_checksum_is_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"env_step": 1})
    assert path.read_bytes()[-len(MARK) - 32 :].startswith(MARK)
    assert torch.load(path, weights_only=True)["env_step"] == 1  # anyone can still read it


@pytest.fixture
def full_disk() -> Any:
    """No file may grow beyond 200 kB, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_loses_nothing(tmp_path: Path, full_disk: None) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"env_step": 1})
    with pytest.raises(UserError, match=r"cannot write a checkpoint: .*; the last checkpoint is kept") as error:
        save_checkpoint(path, {"env_step": 2, "weights": torch.rand(1_000_000)})
    assert error.value.code == 1
    assert "\n" not in str(error.value)
    assert load_checkpoint(path)["env_step"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize("room", [100, 1_000, 5_000, 50_000, 150_000, 400_000, 600_000])
def test_a_save_that_fails_gives_the_disks_own_reason(room: int, tmp_path: Path) -> None:
    """Wherever in the file it fails: torch hides it behind an error of its own writer, or behind none."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        with pytest.raises(UserError) as error:
            save_checkpoint(tmp_path / "checkpoint.pt", {"one": torch.rand(100_000), "more": torch.rand(60_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert str(error.value) == "cannot write a checkpoint: File too large; there is no checkpoint yet"
    assert not list(tmp_path.iterdir())


def test_a_run_on_a_full_disk_says_so(
    tmp_path: Path, full_disk: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = refuse(train.main, [*SHORT, "--out", str(tmp_path)], capsys, monkeypatch, code=1).splitlines()[-1]
    assert "cannot write a checkpoint" in told
    assert "there is no checkpoint yet" in told


def test_the_past_is_a_chain() -> None:
    import numpy as np

    def past(order: list[int]) -> Past:
        out = Past(3, 1)
        for value in order:
            out.add(np.array([value]), np.full((1, 4), value, np.uint8), np.array([0.5]))
        return out

    assert past([1, 2, 3]).hash == past([1, 2, 3]).hash != past([1, 3, 2]).hash
    assert past([1, 2]).hash != past([1, 2, 3]).hash
    assert past([1, 250]).state_dict()["actions"].tolist() == [[1], [250]]
