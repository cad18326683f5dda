"""What the end of a run says can be typed next, can be."""

import shlex
from pathlib import Path

import pytest

import eval as evaluation
import evaluation as flags_of_eval
import train
from analysis import report
from analysis.read.scores import Protocol
from analysis.request import read_command_line as report_asks
from experiment.command import parse
from experiment.start import say_next
from options import Run
from supervised import report as supervised_report
from sweep.cells import cells
from sweep.states import last_words, log_of
from tests.fake_runs import leave_out_figures
from tests.supervised_files import install_fashion
from tests.test_supervised_training import MLP, run
from tests.toy_run import TOY


def following(told: str) -> dict[str, list[str]]:
    """The commands of what a run printed, by what they do: the indented lines at its end."""
    *_, score, film, compare = told.splitlines()
    assert " on Catch: score " in score
    found = {}
    for line in (film, compare):
        assert line.startswith("  ")
        purpose, _, command = line.strip().partition(": ")
        found[purpose] = shlex.split(command)
    return found


def test_what_is_said_can_be_typed(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("imageio_ffmpeg")
    train.main([*TOY, "--out", str(tmp_path)])
    told = following(capsys.readouterr().out)
    assert told["film it"][:3] == ["python", "eval.py", str(finished)]
    assert told["compare"][:4] == ["python", "-m", "analysis.report", str(tmp_path)]
    monkeypatch.chdir(tmp_path)
    evaluation.main(told["film it"][2:])
    assert (tmp_path / "film.mp4").stat().st_size
    assert "film.mp4: Catch, return" in capsys.readouterr().out
    leave_out_figures(monkeypatch)
    report.main(told["compare"][3:])
    assert "der --head.hidden 32" in (tmp_path / "report.html").read_text()


def test_what_a_run_of_the_study_says_can_be_typed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(install_fashion(monkeypatch, tmp_path), tmp_path / "runs", *MLP, "--method", "none")
    score, compare = capsys.readouterr().out.splitlines()[-2:]
    assert " test accuracy " in score
    command = shlex.split(compare.removeprefix("  compare: "))
    assert command[:3] == ["python", "-m", "supervised.report"]
    supervised_report.main(command[3:])
    assert "| `none` | " in (tmp_path / "runs" / "report.md").read_text()


@pytest.mark.parametrize(
    "asked",
    [
        Run(),
        Run(game="Catch", env_steps=60_000, eval_episodes=7),
        Run(agent="der", name="fast", out=Path("a folder"), imports=("my_methods", "mine")),
    ],
    ids=["usual", "another protocol", "another folder"],
)
def test_it_is_what_the_run_needs(asked: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("analysis.request.bring_in", lambda *_: None)
    say_next(**asked.following(scored=True))
    film, compare = (shlex.split(line.split(":", 1)[1]) for line in capsys.readouterr().out.splitlines())
    eval_asks = parse(flags_of_eval.Evaluation, film[2:])
    assert (eval_asks.folder, eval_asks.imports) == (asked.folder, asked.imports)
    assert (eval_asks.episodes, eval_asks.video) == (0, Path("film.mp4"))
    other = report_asks(compare[3:], None)
    assert (other.paths, tuple(other.imports)) == ([asked.out], asked.imports)
    assert (other.env_steps, other.episodes) == (asked.env_steps, asked.eval_episodes)
    assert asked.game in other.games
    assert other.incomplete
    assert list(asked.following(scored=False)) == ["film it"]  # a report is of scores


def test_the_usual_protocol_is_the_reports() -> None:
    assert Protocol() == Protocol(Run.env_steps, Run.eval_episodes)


def test_a_sweep_tells_the_score_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (cell,) = cells("der", [("Catch", 0)], ["--out", str(tmp_path)])
    score = cell.outcome({"score": 0.5})
    print(score)
    say_next(**cell.following(scored=True))
    log_of(cell).parent.mkdir()
    log_of(cell).write_text(capsys.readouterr().out)
    assert last_words(cell) == f"{score[:120]} ({log_of(cell)})"
