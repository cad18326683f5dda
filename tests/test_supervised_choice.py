"""Images that are held out to choose settings by, a memory that never binds, and runs from before these settings."""

import json
from pathlib import Path

import pytest
import torch

from experiment.checkpoint import load_checkpoint
from experiment.command import UserError
from supervised.data import Batches, load
from supervised.measures import accuracy
from supervised.models import Classifier
from supervised.options import read_command_line
from supervised.splits import hold_out
from tests.supervised_files import install_fashion
from tests.test_supervised_training import MLP, SHORT, rows, run


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return install_fashion(monkeypatch, tmp_path)


def test_settings_are_chosen_by_images_that_are_held_out(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No task has them, and the test images are not looked at."""
    seen: list[torch.Tensor] = []
    draw = Batches.draw
    monkeypatch.setattr(Batches, "draw", lambda self, *args: (seen.append(self._images), draw(self, *args))[1])
    folder = run(files, tmp_path / "runs", *MLP, "--method", "none", "--protocol.held-out", "50")
    assert "accuracy on 50 held-out images 0." in capsys.readouterr().out
    used, held = hold_out(200, None, 50, seed=4)
    assert set(torch.cat(seen).tolist()) == set(used.tolist())
    data, network = (
        load("fashion_mnist", files, torch.device("cpu")),
        Classifier(read_command_line([*SHORT, *MLP]).config.network, 1, 28, 10),
    )
    network.load_state_dict(load_checkpoint(folder / "checkpoint.pt")["learner"]["hare"])
    assert rows(folder)[-1]["test"] == accuracy(network, data, data.images[held], data.labels[held])


def test_a_memory_that_never_binds_is_told(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--study", "continual_buffer", "--images", "90", *MLP, "--protocol.passes", "0.1", "--method", "none"]
    run(files, tmp_path / "runs", *flags)
    assert "--protocol.memory 5000 holds all old ones of 90 images" in capsys.readouterr().err
    run(files, tmp_path / "others", *flags, "--protocol.memory", "80")
    assert "--protocol.memory" not in capsys.readouterr().err


def test_runs_from_before_a_setting_was_added_are_recognised(files: Path, tmp_path: Path) -> None:
    folder = run(files, tmp_path / "runs", *MLP, "--method", "none")
    config = json.loads((folder / "config.json").read_text())
    for name in ("held_out", "last_epochs"):
        del config["settings"]["config"]["protocol"][name]
    (folder / "config.json").write_text(json.dumps(config))
    before = (folder / "score.json").read_bytes()
    run(files, tmp_path / "runs", *MLP, "--method", "none")
    assert (folder / "score.json").read_bytes() == before
    with pytest.raises(UserError, match=r"holds a run with another --protocol\.held-out"):
        run(files, tmp_path / "runs", *MLP, "--method", "none", "--protocol.held-out", "9")


def test_more_images_than_there_are_are_refused(files: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--images 150 and --protocol\.held-out 51: fashion_mnist has 200"):
        run(files, tmp_path / "runs", *MLP, "--images", "150", "--protocol.held-out", "51")
    with pytest.raises(UserError, match=r"^--protocol\.held-out 5000: fashion_mnist has 200, and a task needs one at least$"):
        run(files, tmp_path / "runs", *MLP, "--protocol.held-out", "5000")
