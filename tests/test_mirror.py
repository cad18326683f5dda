"""Weights & Biases mirrors a run: told before training if it cannot, offline without a network, never a reason to fail."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import wandb

import train
from experiment.metrics import Metrics
from experiment.on_wandb import KEY, PATIENCE, WandbRun, require_key
from tests.test_command_line import refuse
from tests.toy_run import TOY, run_folder

LINE = [*TOY, "--device", "cpu"]
NO_KEY = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_PROJECT", "WANDB_INIT_TIMEOUT", "WANDB_MODE")


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in NO_KEY:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    wandb.teardown()


class Run:
    """Stands for a run of wandb; keeps what it was given."""

    def __init__(self, fails: type[BaseException] | None = None) -> None:
        self.rows: list[tuple[int | None, dict[str, Any]]] = []
        self.summary: dict[str, float] = {}
        self.fails = fails

    def define_metric(self, *_: object, **__: object) -> None:
        pass

    def log(self, values: dict[str, Any], step: int | None = None) -> None:
        if self.fails is not None:
            raise self.fails(1)
        self.rows.append((step, values))

    def finish(self) -> None:
        if self.fails is not None:
            raise self.fails(1)


def metrics_of(folder: Path, kept: dict[str, Any] | int = 0) -> Metrics:
    """The metrics of a run in `folder`, which wandb mirrors."""
    metrics = Metrics(folder / "metrics.jsonl", kept)
    metrics.mirrors.append(WandbRun(arguments(folder), "env_step"))
    return metrics


def arguments(place: Path, mode: str = "offline") -> dict[str, Any]:
    return {"mode": mode, "dir": str(place), "project": "p", "id": "a"}


def test_without_a_key_nothing_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = refuse(train.main, [*LINE, "--out", str(tmp_path), "--wandb", "online"], capsys, monkeypatch)
    assert told == f"program: {KEY}"
    assert "wandb login" in KEY
    assert "--wandb offline" in KEY
    assert not list(tmp_path.rglob("config.json"))
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    require_key()


def test_a_key_in_netrc_is_found(tmp_path: Path) -> None:
    host = wandb.setup().settings.base_url.split("://")[1]
    (tmp_path / "netrc").write_text(f"machine {host}\n  login user\n  password {'b' * 40}\n")
    (tmp_path / "netrc").chmod(0o600)
    require_key()


def test_without_a_network_the_run_is_kept_offline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real one: a port where nothing listens."""
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "1")
    wandb.teardown()
    mirror = WandbRun(arguments(tmp_path, "online"), "env_step")
    mirror.log("train", 1, {"loss": 1.0}, 0)
    mirror.finish()
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.startswith("wandb is offline for this run (")
    assert told.endswith(f"; later: wandb sync {tmp_path}/wandb/offline-run-*\n")
    assert list(tmp_path.glob("wandb/offline-run-*/run-a.wandb"))


def test_the_network_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Any] = []
    monkeypatch.setattr("wandb.init", lambda **given: asked.append(given["settings"].init_timeout) or Run())
    WandbRun(arguments(tmp_path), "env_step")
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "7")
    WandbRun(arguments(tmp_path), "env_step")
    assert asked == [PATIENCE, wandb.Settings().init_timeout]
    assert PATIENCE < 90


@pytest.mark.parametrize("fails", [SystemExit, RuntimeError])
def test_what_fails_within_is_one_line(
    fails: type[BaseException], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wandb.init", lambda **_: Run(fails))
    metrics = metrics_of(tmp_path)
    metrics.log("train", 1, {"loss": 1.0})
    metrics.log("train", 2, {"loss": 1.0})
    metrics.close()
    assert capsys.readouterr().err == "wandb is off for this run: 1\n"
    assert (tmp_path / "metrics.jsonl").read_text().count("\n") == 2


def test_steps_go_on_where_the_checkpoint_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that is written again has the number that it had."""
    runs: list[Run] = []
    monkeypatch.setattr("wandb.init", lambda **_: runs.append(Run()) or runs[-1])
    metrics = metrics_of(tmp_path)
    metrics.log("train", 10, {"loss": 1.0})
    metrics.log("episode", 10, {"return": 2.0})
    kept = metrics.mark()
    metrics.log("train", 20, {"loss": 3.0})
    metrics.close()
    again = metrics_of(tmp_path, kept)
    again.log("train", 20, {"loss": 3.0})
    again.log("train", 30, {"loss": 4.0})
    again.close()
    assert [[step for step, _ in run.rows] for run in runs] == [[0, 1, 2], [2, 3]]
    assert runs[0].rows[2] == runs[1].rows[0] == (2, {"env_step": 20, "train/loss": 3.0})


def test_a_mirror_goes_on_under_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr("wandb.init", lambda **given: asked.append(given) or Run())
    for _ in range(2):
        train.main([*LINE, "--out", str(tmp_path), "--wandb", "offline"])
        (run_folder(tmp_path) / "score.json").unlink()
        monkeypatch.setenv("WANDB_PROJECT", "another")
    assert asked[0]["id"] == asked[1]["id"]
    assert [one["resume"] for one in asked] == ["allow", "allow"]
    assert [one["project"] for one in asked] == ["hare-and-tortoise", "another"]
    assert asked[0]["group"] == "der-Catch"  # the seeds of a sweep stand together on its page


def test_what_wandb_reads_itself_and_what_it_says(tmp_path: Path) -> None:
    """The entity is honoured, and a package called agents is not taken for one of language models."""
    code = (
        "import sys, types; sys.modules['agents'] = types.ModuleType('agents')\n"
        "from experiment.on_wandb import WandbRun\n"
        f"mirror = WandbRun({arguments(tmp_path)}, 'env_step')\n"
        "print(mirror._run.entity)\nmirror.finish()"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": "", "HOME": str(tmp_path), "WANDB_ENTITY": "us"},
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (told.stdout, told.stderr) == ("us\n", "")
