"""A trained agent that plays: from its run folder and from an exported file, the same; what else is refused in a line."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import eval as evaluation
from agents.agent import Agent
from agents.catalogue import find_agent
from experiment.command import UserError
from experiment.exported import read_exported
from experiment.folder import older
from policy import Policy, needed
from tests.test_command_line import refuse
from tests.toy_run import run_folder

OBSERVATIONS = np.random.default_rng(0).integers(0, 256, (20, 4, 84, 84), np.uint8)
TOLD = r"observations must be uint8 \[4, 84, 84\] or \[L, 4, 84, 84\], not "


@pytest.fixture
def policy(toy_run: Path) -> Policy:
    """That of TOY's finished run."""
    return Policy.load(run_folder(toy_run), "cpu")


@pytest.fixture
def exported(policy: Policy, tmp_path: Path) -> Path:
    policy.save(tmp_path / "catch.safetensors")
    return tmp_path / "catch.safetensors"


def untrained(name: str) -> Policy:
    """A small agent that has learnt nothing, but whose weights are none that another would begin with."""
    config = find_agent(name)
    config = dataclasses.replace(config, head=dataclasses.replace(config.head, hidden=16))
    agent = Agent(config, 3, seed=5)
    with torch.no_grad():
        for parameter in agent.actor.parameters():
            parameter.add_(0.01)
    settings = {"agent": name, "game": "Catch", "seed": 5, "env_steps": 60, "config": dataclasses.asdict(config)}
    record = {"settings": settings, "env_step": 30, "num_actions": 3, "score": None, "played": None, "made": {}}
    return Policy(agent, record | {"versions": {}, "precision": "float32", "exported": False})


@pytest.mark.parametrize("name", ["der", "der_ht_inject", "spr", "plastic", "drq_ln", "random"])
def test_what_is_exported_plays_the_same_to_the_bit(name: str, tmp_path: Path) -> None:
    policy = untrained(name)
    if name.endswith("inject"):
        policy.agent.actor.set_injected_(True)
    policy.save(tmp_path / "one.safetensors")
    again = Policy.load(tmp_path / "one.safetensors", "cpu")
    ours, theirs = (needed(one.agent.actor.state_dict()) for one in (policy, again))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert not any("sigma" in key or "predict" in key for key in ours)
    np.testing.assert_array_equal(policy.values(OBSERVATIONS), again.values(OBSERVATIONS))
    for _ in range(3):
        np.testing.assert_array_equal(policy.act(OBSERVATIONS), again.act(OBSERVATIONS))
    assert repr(again) == repr(policy) == f"Policy({name} on Catch, 30 of 60 env steps, not scored)"
    again.save(tmp_path / "two.safetensors")
    assert (tmp_path / "two.safetensors").read_bytes() == (tmp_path / "one.safetensors").read_bytes()


@pytest.mark.parametrize("rank", [3, 4])
@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_actions_and_values_are_of_the_kind_that_was_given(policy: Policy, kind: Callable[..., Any], rank: int) -> None:
    obs = OBSERVATIONS if rank == 4 else OBSERVATIONS[3]
    stacks = torch.tensor(OBSERVATIONS if rank == 4 else OBSERVATIONS[3:4])
    expected = policy.agent.act(stacks, torch.Generator().manual_seed(0))
    action, values = policy.act(kind(obs)), policy.values(kind(obs))
    assert type(values) is type(kind(obs))
    assert isinstance(action, torch.Tensor) == isinstance(values, torch.Tensor)
    assert (action.shape, values.shape) == (((20,), (20, 3)) if rank == 4 else ((), (3,)))
    assert (action.dtype, values.dtype) in ((np.int64, np.float32), (torch.int64, torch.float32))
    assert torch.as_tensor(action).reshape(-1).equal(expected)
    assert torch.as_tensor(values).reshape(-1, 3).argmax(1).equal(expected)
    network = policy.agent.actor
    assert torch.as_tensor(values).reshape(-1, 3).equal(network.values(network(stacks / 255)).detach())


def test_a_view_is_an_observation_too(policy: Policy) -> None:
    whole = OBSERVATIONS[::-1, ::-1]
    frozen = whole.copy()
    frozen.flags.writeable = False
    expected = policy.values(whole.copy())
    for view in (whole, frozen, torch.tensor(frozen.transpose(0, 2, 3, 1).copy()).permute(0, 3, 1, 2)):
        np.testing.assert_array_equal(np.asarray(policy.values(view)), expected)


@pytest.mark.parametrize(
    ("obs", "error", "told"),
    [
        (OBSERVATIONS[0].tolist(), TypeError, "a NumPy array or a tensor, not a list"),
        (OBSERVATIONS / 255, TypeError, TOLD + r"float64 \[20, 4, 84, 84\]"),
        (torch.zeros(4, 84, 84), TypeError, TOLD + r"float32 \[4, 84, 84\]"),
        (OBSERVATIONS[0, 0], ValueError, TOLD + r"uint8 \[84, 84\]"),
        (OBSERVATIONS[:, :3], ValueError, TOLD + r"uint8 \[20, 3, 84, 84\]"),
        (OBSERVATIONS[0].transpose(1, 2, 0), ValueError, TOLD + r"uint8 \[84, 84, 4\]"),
        (OBSERVATIONS[:0], ValueError, TOLD + r"uint8 \[0, 4, 84, 84\]"),
        (OBSERVATIONS[None], ValueError, TOLD + r"uint8 \[1, 20, 4, 84, 84\]"),
    ],
)
def test_what_is_no_observation_is_refused(obs: Any, error: type[Exception], told: str, policy: Policy) -> None:
    for method in (policy.act, policy.values):
        with pytest.raises(error, match=told):
            method(obs)


def test_noise_is_that_of_learning(policy: Policy, exported: Path) -> None:
    state = policy.agent.state_dict()
    twin = Agent(policy.agent.config, 3, seed=0)
    twin.load_state_dict(state)
    assert torch.equal(torch.tensor(policy.act(OBSERVATIONS, noise=True)), twin.act(torch.tensor(OBSERVATIONS)))
    with pytest.raises(ValueError, match="has no noise, which only learning needs: load the run folder"):
        Policy.load(exported).act(OBSERVATIONS, noise=True)


def test_a_policy_says_what_it_is(toy_run: Path, exported: Path, tmp_path: Path) -> None:
    score = json.loads((run_folder(toy_run) / "score.json").read_text())
    for path in (str(run_folder(toy_run)), exported):
        policy = Policy.load(path)
        assert repr(policy) == f"Policy(der on Catch, 60 env steps, score {score['score']:,.1f})"
        assert policy.score == score["score"]
    made, commit = (policy.record[name] for name in ("made", "score"))
    assert made["commit"] == commit["commit"] == score["commit"]
    assert policy.record["settings"]["config"]["replay"]["warmup_steps"] == 40


def test_a_folder_that_is_not_whole_plays_as_it_is(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (finished / "config.json").write_text("[]")
    (finished / "score.json").write_text("{}")
    assert repr(Policy.load(finished, "cpu")) == "Policy(der on Catch, 60 env steps, not scored)"
    assert capsys.readouterr().err.startswith(f"note: {finished / 'score.json'} is damaged")
    older(finished / "checkpoint.pt").replace(finished / "checkpoint.pt")  # not what the score is of
    assert repr(Policy.load(finished, "cpu")) == "Policy(der on Catch, 50 of 60 env steps, not scored)"
    assert capsys.readouterr().err == ""


def test_a_file_is_played_as_its_run_folder_is(toy_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, file = str(run_folder(toy_run)), str(tmp_path / "catch.safetensors")
    evaluation.main([folder, "--export", file, "--device", "cpu"])
    assert capsys.readouterr().out.startswith(f"{file}: Policy(der on Catch, ")
    said = []
    for what in (folder, file):
        for more in ([], ["--seed", "3", "--episodes", "30"]):
            evaluation.main([what, "--device", "cpu", *more])
            said.append(capsys.readouterr().out)
    assert said[:2] == said[2:]
    assert "30 episodes" in said[1]
    assert said[0] != said[1]


def test_half_precision(policy: Policy, tmp_path: Path) -> None:
    path, again = tmp_path / "half.safetensors", tmp_path / "again.safetensors"
    policy.save(tmp_path / "whole.safetensors")
    whole = {name: value.clone() for name, value in needed(policy.agent.actor.state_dict()).items()}
    before = policy.values(OBSERVATIONS)
    policy.halve_()
    policy.save(path)
    halved = Policy.load(path, "cpu")
    for name, value in needed(halved.agent.actor.state_dict()).items():
        assert value.dtype == whole[name].dtype
        assert torch.equal(value, whole[name].half().to(value.dtype))
    np.testing.assert_array_equal(halved.values(OBSERVATIONS), policy.values(OBSERVATIONS))
    np.testing.assert_allclose(halved.values(OBSERVATIONS), before, atol=0.01)
    assert (halved.values(OBSERVATIONS) != before).any()
    assert path.stat().st_size < 0.6 * (tmp_path / "whole.safetensors").stat().st_size
    halved.save(again)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("content", [b"", b"no tensors", bytes(1000), b"PK\x03\x04 cut short"])
def test_what_is_no_such_file(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.safetensors"
    assert refuse(evaluation.main, [str(path)], capsys, monkeypatch).endswith("is no run folder: it has no checkpoint.pt")
    path.write_bytes(content)
    told = refuse(evaluation.main, [str(path)], capsys, monkeypatch)
    assert told.startswith(f"program: {path} is no .safetensors file, or a damaged one (")
    assert "\n" not in told


def test_no_flipped_bit_gives_another_policy(exported: Path) -> None:
    content, (tensors, record) = exported.read_bytes(), read_exported(exported)
    for bit in [*range(0, 8 * 7000, 997), *range(8 * 7000, 8 * len(content), 8 * len(content) // 40)]:
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        exported.write_bytes(flipped)
        told, found, about = "", tensors, record
        try:
            found, about = read_exported(exported)
        except UserError as error:
            told = str(error)
        assert told == "" or told.startswith(str(exported))
        assert "\n" not in told
        assert about == record  # where nothing is told, it is a blank more or less
        assert found.keys() == tensors.keys()
        assert all(torch.equal(found[name], tensors[name]) for name in tensors)
    exported.write_bytes(content[:-3])
    with pytest.raises(UserError, match="damaged one"):
        Policy.load(exported)


def computes() -> tuple[object, ...]:
    """How torch computes in this process."""
    cudnn = torch.backends.cudnn
    switches = cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32
    return *switches, torch.get_float32_matmul_precision(), torch.are_deterministic_algorithms_enabled()


def test_a_policy_leaves_torch_as_its_user_set_it_and_a_program_sets_it(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = computes()
    for name, value in (("benchmark", False), ("deterministic", True), ("allow_tf32", True)):
        monkeypatch.setattr(torch.backends.cudnn, name, value)
    torch.set_float32_matmul_precision("high")
    torch.use_deterministic_algorithms(True)
    try:
        kept = computes()
        Policy.load(exported, "cpu").act(OBSERVATIONS)
        assert computes() == kept == (False, True, True, "high", True)
        evaluation.main([str(exported), "--episodes", "1", "--device", "cpu"])
        assert computes() == (True, False, False, "highest", False)
    finally:
        torch.set_float32_matmul_precision(str(before[3]))
        torch.use_deterministic_algorithms(bool(before[4]))
    monkeypatch.undo()
    assert computes() == before
