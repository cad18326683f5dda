"""Many runs of the supervised study, one after another."""

from pathlib import Path

import pytest

from experiment.command import DivergenceError, UserError
from supervised import sweep
from supervised.options import Run
from tests.supervised_files import install_fashion
from tests.test_supervised_training import MLP, SHORT


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return install_fashion(monkeypatch, tmp_path)


def test_a_sweep_makes_every_run_once(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = ["--data-dir", str(files), "--out", str(tmp_path / "runs")]
    argv = [
        "--study",
        "warm_start",
        "--points",
        "plain",
        "--methods",
        "none",
        "fresh",
        "--seeds",
        "2",
        *SHORT[:-2],
        *MLP,
        *place,
    ]
    sweep.main([*argv, "--list"])
    listed = capsys.readouterr().out.splitlines()
    assert len(listed) == 4
    assert listed[0].startswith("python -m supervised.train --study warm_start --point plain --method none --seed 0")
    assert not (tmp_path / "runs").exists()
    sweep.main(argv)
    scores = sorted((tmp_path / "runs").rglob("score.json"))
    assert [path.parts[-3:-1] for path in scores] == [(m, s) for m in ("fresh", "none") for s in ("seed0", "seed1")]
    with pytest.raises(UserError, match="unknown --method"):
        sweep.main(["--methods", "none", "nonee"])


def test_a_sweep_goes_on_behind_a_run_that_diverges(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def diverges(asked: Run, *_: object) -> None:
        made.append(asked.method)
        if made[-1] == "none":
            raise DivergenceError("the loss is not finite")

    monkeypatch.setattr(sweep, "start", diverges)
    with pytest.raises(UserError, match="1 of 2 runs failed, the first: --study warm_start") as error:
        sweep.main(["--study", "warm_start", "--points", "plain", "--methods", "none", "fresh", "--seeds", "1"])
    assert (made, error.value.code) == (["none", "fresh"], 1)


def test_a_sweep_ends_where_the_disk_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def fails(*asked: object) -> None:
        made.append(asked)
        raise UserError("cannot write a checkpoint: No space left on device", code=1)

    monkeypatch.setattr(sweep, "start", fails)
    with pytest.raises(UserError, match="No space left"):
        sweep.main(["--study", "warm_start", "--points", "plain", "--methods", "none", "fresh", "--seeds", "1"])
    assert len(made) == 1


@pytest.mark.parametrize("seeds", ["0", "-1", "1000000000"])
def test_a_sweep_of_no_seeds_is_a_mistake(seeds: str) -> None:
    with pytest.raises(UserError, match=rf"--seeds must lie in 1\.\.10000, not {seeds}"):
        sweep.runs_of(["--seeds", seeds])


@pytest.mark.parametrize("flag", ["--seed", "--point", "--method"])
def test_what_a_sweep_chooses_is_no_flag_of_its_runs(flag: str) -> None:
    """And no short form of the sweep's own."""
    with pytest.raises(UserError, match=f"{flag} is what a sweep chooses; say {flag}s"):
        sweep.runs_of([flag, "3"])


def test_a_run_that_diverged_is_not_tried_again(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ["--study", "warm_start", "--points", "plain", "--methods", "none", "--seeds", "1", *SHORT[:-2], *MLP]
    argv += ["--optimizer.learning-rate", "1000", "--optimizer.weight-decay", "1e6", "--optimizer.clip", "None"]
    argv += ["--data-dir", str(files), "--out", str(tmp_path)]
    with pytest.raises(UserError, match="1 of 1 runs failed"):
        sweep.main(argv)
    (folder,) = (path.parent for path in tmp_path.rglob("metrics.jsonl"))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert b'"kind": "diverged"' in before["metrics.jsonl"]
    capsys.readouterr()
    made: list[object] = []
    with monkeypatch.context() as patch:
        patch.setattr(sweep, "start", lambda *asked: made.append(asked))
        with pytest.raises(UserError, match="1 of 1 runs failed"):
            sweep.main(argv)
        assert not made
        assert f"was not finite in {folder}; --fresh would try it again" in capsys.readouterr().err
        sweep.main([*argv, "--fresh"])
        assert len(made) == 1
        with pytest.raises(UserError, match=r"holds a run with another --optimizer\.learning-rate"):
            sweep.main([*argv, "--optimizer.learning-rate", "0.1"])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
