"""What is exported with a policy: model card, record; and files of other versions and projects, refused in a line."""

import json
import sys
from collections.abc import Callable
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import eval as evaluation
from experiment import exported
from experiment.command import UserError
from policy import Policy
from tests.toy_run import run_folder

ROOT = Path(__file__).parent.parent


def export(toy_run: Path, path: Path, *flags: str) -> Path:
    """Export the policy of TOY's run to `path`."""
    evaluation.main([str(run_folder(toy_run)), "--device", "cpu", "--export", str(path), *flags])
    return path


def test_a_folder_has_a_card_that_the_hub_reads(toy_run: Path, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    text = (export(toy_run, tmp_path / "der-catch") / "README.md").read_text()
    card = hub.ModelCard(text)
    score = json.loads((run_folder(toy_run) / "score.json").read_text())
    (result,) = card.data.eval_results
    assert (result.task_type, result.dataset_type, result.metric_type) == ("reinforcement-learning", "Catch", "mean_reward")
    assert result.metric_value == f"{score['score']:.1f} +/- {score['standard_error']:.1f}"
    assert card.data.model_name == "der"
    assert {"reinforcement-learning", "atari-100k", "Catch"} <= {*card.data.tags}
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert card.data.license == setup["metadata"]["license"].lower()
    made = json.loads((run_folder(toy_run) / "config.json").read_text())["made"]
    for fact in ("60 env steps, 240 frames", f"`{score['commit'][:10]}", f"`python {made['command']}`", "2 games", "float32"):
        assert fact in card.content
    assert f"human-normalised {score['hns']:.3f}" in card.content


def test_a_folder_is_played_as_a_file_is(toy_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, folder = (export(toy_run, tmp_path / name) for name in ("one.safetensors", "one"))
    assert (folder / "model.safetensors").read_bytes() == file.read_bytes()
    assert repr(Policy.load(folder)) == repr(Policy.load(file))
    export(toy_run, folder)  # again
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"one has a README\.md of its own; choose another folder"):
        export(toy_run, folder)


def test_a_score_in_half_precision_is_told_if_it_was_played(toy_run: Path, tmp_path: Path) -> None:
    card = (export(toy_run, tmp_path / "half", "--half") / "README.md").read_text()
    assert "| Weights | float16; the score is that of the float32 weights, and was not measured again with these |" in card
    folder = export(toy_run, tmp_path / "played", "--half", "--episodes", "3", "--seed", "4")
    played = Policy.load(folder).record["played"]
    assert (played["episodes"], played["seed"], len(played["returns"])) == (3, 4, 3)
    assert Policy.load(folder).score == played["score"]
    card = (folder / "README.md").read_text()
    assert "float16, with which the score was played; " in card
    assert "the mean return of 3 games" in card
    assert "the mean return of 2 games" in card
    assert card.index("3 games") < card.index("2 games")


def changed(path: Path, **how: Callable[[Any], Any]) -> None:
    """Write the file `path` anew, with its weights or parts of its record as `how` makes them of what they are."""
    tensors, record = exported.read_exported(path)
    if "tensors" in how:
        tensors = how.pop("tensors")(tensors)
    exported.write_exported(path, tensors, record | {name: change(record.get(name)) for name, change in how.items()})


def with_config(**pieces: Any) -> dict[str, Callable[[Any], Any]]:
    """A change to pieces of the configuration."""
    return {"settings": lambda settings: settings | {"config": settings["config"] | pieces}}


def with_settings(**values: Any) -> dict[str, Callable[[Any], Any]]:
    """A change to settings; None takes one away."""
    return {"settings": lambda old: {name: value for name, value in (old | values).items() if value is not None}}


@pytest.mark.parametrize(
    ("told", "how"),
    [
        ("is of no agent of this version: AgentConfig has no magic", with_config(magic=1)),
        ("is of no agent of this version: Tortoise has no hare", with_config(tortoise={"hare": 1})),
        (r"is of no agent of this version: --tortoise\.decay must lie", with_config(tortoise={"decay": 7})),
        ("is of no agent of this version: unknown game 'Pnog'", with_settings(game="Pnog")),
        ("is of no agent of this version: 'game'", with_settings(game=None)),
        ("was made with a module of its user's: say --import mine", with_settings(imports={"mine": "0"})),
        (
            "is of no agent of this version: its weights have other names",
            {"tensors": lambda old: old | {"more": torch.zeros(1)}},
        ),
        ("its weights are not those of its agent", {"num_actions": lambda old: old + 1}),
    ],
)
def test_a_file_of_another_version_is_one_line(told: str, how: dict[str, Any], toy_run: Path, tmp_path: Path) -> None:
    path = export(toy_run, tmp_path / "one.safetensors")
    changed(path, **how)
    with pytest.raises(UserError, match=told) as error:
        Policy.load(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_files_of_others_are_one_line(toy_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "one.safetensors"
    path.write_bytes(safetensors.torch.save({"weight": torch.zeros(2)}, {"format": "pt"}))
    with pytest.raises(UserError, match=r"one\.safetensors is of another project: its metadata has no 'hare-and-tortoise'"):
        Policy.load(path)
    path.write_bytes(safetensors.torch.save({"weight": torch.zeros(2)}, {exported.KEY: "[]"}))
    with pytest.raises(UserError, match="is damaged: its checksum is wrong"):
        Policy.load(path)
    with monkeypatch.context() as patch:
        patch.setattr(exported, "FORMAT", 2)
        export(toy_run, path)
    with pytest.raises(UserError, match="has export format 2; this version reads 1"):
        Policy.load(path)
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    with pytest.raises(UserError, match=r"\.safetensors files need safetensors: pip install safetensors"):
        Policy.load(path)
