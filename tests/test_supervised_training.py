"""Whole runs on a tiny Fashion-MNIST: what they write, the last evaluation, exact resume, one line for a mistake."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.kills import CLOCKS
from experiment.checkpoint import load_checkpoint
from experiment.command import UserError
from experiment.device import peak_memory
from supervised import train
from supervised.data import load
from supervised.learner import Learner
from supervised.measures import accuracy
from supervised.models import Classifier
from supervised.options import read_command_line
from tests.killed import program
from tests.supervised_files import install_fashion

SHORT = ["--dataset", "fashion_mnist", "--device", "cpu", "--evaluations", "3", "--optimizer.batch-size", "32", "--seed", "4"]
MLP = ["--network.width", "16", "--protocol.passes", "2"]  # 20 epochs of a batch, then 2 of 7: 34 updates
RESNET = [
    "--model",
    "resnet18",
    "--network.width",
    "8",
    "--network.depth",
    "1",
    "--network.hidden",
    "4",
    "--protocol.passes",
    "1",
    "--images",
    "100",
]
VIT = ["--model", "vit_tiny", "--network.width", "64", "--network.depth", "1", "--protocol.passes", "1", "--images", "100"]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return install_fashion(monkeypatch, tmp_path)


def run(files: Path, out: Path, *flags: str) -> Path:
    """Make a run; its folder."""
    argv = [*SHORT, *flags, "--data-dir", str(files), "--out", str(out)]
    train.main(argv)
    return read_command_line(argv).folder


def rows(folder: Path) -> list[dict[str, Any]]:
    """The rows of metrics, without what the clock says."""
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "clock"} for row in found]


@pytest.mark.smoke
def test_what_a_run_leaves(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run(files, tmp_path / "runs", *MLP, "--method", "ht", "--hessian-rounds", "2")
    assert folder == tmp_path / "runs/fashion_mnist/mlp/warm_start/plain/ht/seed4"
    assert "test accuracy 0." in capsys.readouterr().out
    found, score = rows(folder), json.loads((folder / "score.json").read_text())
    assert [(row["task"], row["update"], row["task_update"]) for row in found] == [
        *((0, 7, 7), (0, 14, 14), (0, 20, 20)),
        *((1, 25, 5), (1, 30, 10), (1, 34, 14)),
    ]
    names = {"test_hare", "test_tortoise", "train_hare", "train_tortoise", "weight_norm", "initial_distance", "hessian"}
    assert names | {"zero_activations", "srank", "zero_gradients", "loss", "batch_accuracy"} <= found[0].keys()
    assert all(row["test"] == row["test_tortoise"] for row in found)  # of this method the tortoise is judged
    assert score["test"] == found[-1]["test"]
    assert [task["test"] for task in score["tasks"]] == [found[2]["test"], found[5]["test"]]
    assert found[-1]["train_hare"] > 0.5  # chance is 0.1
    config = json.loads((folder / "config.json").read_text())
    assert config["settings"]["config"]["protocol"]["shares"] == [0.1, 0.9]
    assert set(config["made"]["versions"]) == {"torch", "numpy"}


def test_the_last_evaluation_is_of_the_last_update(files: Path, tmp_path: Path) -> None:
    folder = run(files, tmp_path / "runs", *MLP, "--method", "ema")
    state = load_checkpoint(folder / "checkpoint.pt")
    config = read_command_line([*SHORT, *MLP, "--method", "ema"]).config
    data = load("fashion_mnist", files, torch.device("cpu"))
    for name in ("hare", "tortoise"):
        network = Classifier(config.network, 1, 28, 10)
        network.load_state_dict(state["learner"][name])
        assert rows(folder)[-1][f"test_{name}"] == accuracy(network, data, data.test_images, data.test_labels)


def test_an_evaluation_is_before_the_reset_that_falls_on_it(files: Path, tmp_path: Path) -> None:
    """Else the hare would be the tortoise there, and a network that is drawn anew would be scored."""
    found = rows(run(files, tmp_path / "runs", *MLP, "--method", "ht", "--resets.every", "7"))
    assert [row["update"] for row in found][:2] == [7, 14]
    assert all(row["train_hare"] != row["train_tortoise"] for row in found[:2])
    assert [row["resets"] for row in found] == [0, 1, 2, 3, 4, 4]


def test_the_bound_is_the_last_task_alone(files: Path, tmp_path: Path) -> None:
    found = rows(run(files, tmp_path / "runs", *MLP, "--method", "fresh"))
    assert [(row["task"], row["update"]) for row in found] == [(1, 5), (1, 10), (1, 14)]


def test_a_row_tells_of_the_hare_before_its_weights_are_changed_and_of_the_tortoise_behind_that(
    files: Path, tmp_path: Path
) -> None:
    """A copying tortoise says what the hare said. Behind a recycling of all units nearly all gradients would be 0."""
    copied = ["--method", "ema", "--tortoise.decay", "0", "--optimizer.learning-rate", "0.05"]
    found = rows(run(files, tmp_path / "copied", *MLP, *copied))
    assert all(row[f"{part}_tortoise"] == row[f"{part}_hare"] for row in found for part in ("test", "train"))
    recycled = ["--method", "redo", "--recycling.every", "1", "--recycling.tau", "1e9"]
    found = rows(run(files, tmp_path / "recycled", *MLP, *recycled))
    assert all(row["zero_gradients"] < 0.9 for row in found)


def test_a_finished_run_is_recognised_and_another_one_refused(files: Path, tmp_path: Path) -> None:
    folder = run(files, tmp_path / "runs", *MLP, "--method", "none")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert run(files, tmp_path / "runs", *MLP, "--method", "none") == folder
    with pytest.raises(UserError, match=r"holds a run with another --protocol\.noise"):
        run(files, tmp_path / "runs", *MLP, "--method", "none", "--protocol.noise", "0.2", "0")
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def interrupt(monkeypatch: pytest.MonkeyPatch, at: int, how: str) -> None:
    """Have the learner's update number `at` end the run: by SIGTERM, or as if it were killed."""
    update = Learner.update

    def interrupted(self: Learner, x: torch.Tensor, labels: torch.Tensor) -> None:
        update(self, x, labels)
        if self.updates == at:
            if how == "kill":
                raise InterruptedError
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Learner, "update", interrupted)


CONTINUAL = ["--study", "continual", "--images", "90", "--protocol.passes", "1", "--checkpoint-every", "40"]
ONCE = ["--evaluations", "1"]


@pytest.mark.parametrize(
    ("flags", "at", "how"),
    [
        ([*MLP, "--method", "ht", "--resets.every", "5"], 9, "SIGTERM"),
        ([*MLP, "--method", "ht", "--resets.every", "5"], 20, "SIGTERM"),  # the end of the first task
        ([*MLP, "--method", "reinit", *CONTINUAL], 46, "SIGTERM"),
        ([*MLP, "--method", "none", "--protocol.convention", "kept"], 27, "kill"),
        ([*MLP, "--method", "redo", "--recycling.every", "3", "--recycling.tau", "0.5"], 22, "kill"),
        ([*RESNET, *ONCE, "--method", "distillation", "--point", "augmented"], 7, "SIGTERM"),
        ([*VIT, *ONCE, "--method", "ema"], 5, "kill"),
    ],
)
def test_an_interrupted_run_ends_the_same(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], at: int, how: str
) -> None:
    flags = ["--checkpoint-every", "4", *flags]
    whole = run(files, tmp_path / "whole", *flags)
    with monkeypatch.context() as patch:
        interrupt(patch, at, how)
        with pytest.raises(InterruptedError if how == "kill" else UserError) as stopped:
            run(files, tmp_path / "parts", *flags)
        assert how == "kill" or stopped.value.code == 75
    torch.manual_seed(5)  # nothing may hang on the global generator
    parts = run(files, tmp_path / "parts", *flags)
    assert len(json.loads((parts / "config.json").read_text())["continued"]) == 1
    assert rows(parts) == rows(whole)
    scores = [json.loads((folder / "score.json").read_text()) for folder in (parts, whole)]
    clocks = dict.fromkeys(CLOCKS)
    assert scores[0] | clocks == scores[1] | clocks
    assert scores[0]["memory_gb"] == pytest.approx(peak_memory(torch.device("cpu")), abs=0.01)
    ours, theirs = (load_checkpoint(folder / "checkpoint.pt")["learner"] for folder in (parts, whole))
    assert same(ours, theirs)


def same(first: Any, second: Any) -> bool:
    """Whether two nested states are equal to the bit."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(same(a, b) for a, b in zip(first, second, strict=True))
    return first == second


def test_a_seed_decides_a_run(files: Path, tmp_path: Path) -> None:
    first, again, other = (
        rows(run(files, tmp_path / str(i), *MLP, "--method", "none", "--seed", seed)) for i, seed in enumerate("445")
    )
    assert first == again
    assert first[-1]["weight_norm"] != other[-1]["weight_norm"]


def test_a_loss_that_is_not_finite_ends_the_run(files: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not finite; there is no checkpoint yet") as error:
        run(
            files,
            tmp_path / "runs",
            *MLP,
            "--method",
            "none",
            "--optimizer.learning-rate",
            "1000",
            "--optimizer.weight-decay",
            "1e6",
            "--optimizer.clip",
            "None",
        )
    assert error.value.code == 1


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--dataset", "fasion_mnist"], "unknown --dataset 'fasion_mnist': did you mean fashion_mnist"),
        (["--method", "hare"], "unknown --method 'hare'"),
        (["--study", "warm"], "unknown --study 'warm'"),
        (["--model", "resnet"], "unknown --model 'resnet': did you mean resnet18"),
        (["--study", "noise", "--point", "2"], "unknown --point '2'"),
        (["--protocol.shares", "0.1", "0.8"], "--protocol.shares must sum to 1, not 0.9"),
        (["--protocol.shares", "0.1", "0.2", "0.7"], "--protocol.noise needs a value for each of the 3 tasks"),
        (["--model", "vgg16_bn"], "a vgg halves an image five times"),
        (["--method", "none", "--tortoise.decay", "0.9"], "unknown flag --tortoise.decay"),
        (["--resets.every", "0"], "--resets.every must lie in [1, 1_000_000_000], not 0"),
        (["--images", "0"], "--images must lie in [1, 100_000_000], not 0"),
        (["--images", "4"], "4 images are too few for --protocol.shares"),
        (["--images", "500"], "--images 500: fashion_mnist has 200"),
    ],
)
def test_a_mistake_is_one_line(files: Path, tmp_path: Path, flags: list[str], told: str) -> None:
    with pytest.raises(UserError) as error:
        run(files, tmp_path / "runs", *flags)
    assert told in str(error.value)
    assert "\n" not in str(error.value)
    assert error.value.code == 2
    assert not list((tmp_path / "runs").rglob("config.json"))


def test_the_command_line_ends_with_its_code(tmp_path: Path) -> None:
    assert program("-m supervised.train --dataset cifar", tmp_path / "out", tmp_path / "err") == 2
    told = (tmp_path / "err").read_text()
    assert told.count("\n") == 1
    assert "did you mean cifar10" in told
