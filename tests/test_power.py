"""How many runs a comparison takes: against closed forms, and against the intervals of the report in simulated studies."""

import json
from pathlib import Path

import numpy as np
import pytest

from analysis import power
from analysis.compute import statistics as s
from envs.games import GAMES
from experiment.command import UserError

TEN = list(GAMES)[:10]


def write(path: Path, runs: dict[str, list[float]]) -> Path:
    """A file of human-normalised `runs`, by game."""
    raw = {name: [GAMES[name].random + x * (GAMES[name].human - GAMES[name].random) for x in xs] for name, xs in runs.items()}
    path.write_text(json.dumps(raw))
    return path


def told(capsys: pytest.CaptureFixture[str], *argv: str) -> list[list[float]]:
    """The numbers of each row that the program prints."""
    power.main(list(argv))
    return [
        [float("nan") if cell.strip() == "-" else float(cell) for cell in line.split("|")[2:-1]]
        for line in capsys.readouterr().out.splitlines()[2:]
    ]


def test_of_normal_runs_it_is_the_closed_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of games at one level the IQM's error is that of a 25 % trimmed mean, 1.195 (Huber 1981) of the mean's variance."""
    rng = np.random.default_rng(0)
    file = write(tmp_path / "runs.json", {name: list(rng.normal(1, 0.3, 4_000)) for name in TEN})
    for seeds, row in zip((2, 50), told(capsys, str(file), "--seeds", "2", "50"), strict=True):
        error = 0.3 / np.sqrt(10 * seeds)
        trimmed = np.sqrt(1.195) * error
        np.testing.assert_allclose(row[:4], [10, seeds, 1.96 * trimmed, 1.96 * error], rtol=0.06)
    times = np.sqrt(2) * (1.965 + 0.842)  # points of Student's t with 490 degrees of freedom
    np.testing.assert_allclose(row[4:], [times * trimmed, times * error], rtol=0.06)


@pytest.mark.parametrize("seeds", [1, 2, 5])
def test_the_report_finds_such_a_difference_in_eight_of_ten_studies(seeds: int) -> None:
    """By its intervals of pairs, of games that vary more the higher they are; 800 studies, an error of 1.6 %."""
    rng = np.random.default_rng(0)
    known = [rng.normal(level, 0.1 + level, 100) for level in np.linspace(0, 1, 10)]
    difference = power.least(known, seeds)
    found = 0
    for _ in range(800):
        pairs = power.drawn(known, seeds, rng) + difference - power.drawn(known, seeds, rng)
        low, high = s.paired(list(pairs.T))[1]
        found += not low <= 0 <= high
    assert found / 800 == pytest.approx(0.8, abs=0.06)


def test_runs_of_a_file_are_a_sample() -> None:
    """Of one game and one seed IQM and mean are the run; its spread is that of n - 1."""
    scores = np.array([0.0, 0.2, 1.0])
    found = power.errors([power.widened(scores)], 1)
    assert found["mean"] == pytest.approx(scores.std(ddof=1))
    assert found["IQM"] == pytest.approx(found["mean"], rel=0.05)


def test_games_are_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "runs.json", {"Pong": [0, 1], "Boxing": [0.5, 0.5], "Alien": [1.0]})
    assert told(capsys, str(file), "--games", "boxing", "Boxing", "--seeds", "2") == [[1, 2, 0, 0, 0, 0]]
    two = told(capsys, str(file), "--games", "Pong", "boxing", "--seeds", "1", "2")
    assert [row[:2] for row in two] == [[2, 1], [2, 2]]
    assert np.isnan(two[0][4:]).all()  # one seed of fewer than six games has no interval
    assert np.isfinite(two[1]).all()
    (pong,) = told(capsys, str(file), "--games", "Pong", "--seeds", "2")
    assert pong[3] == pytest.approx(1.96 * 0.5, abs=0.001)  # of two runs, 1 apart, by n - 1


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], r"too few runs of Alien \(1\)"),
        (["--games", "Freeway"], r"too few runs of Freeway \(0\)"),
        (["--games", "Pung"], "--games: .*Pong"),
        (["--games", "Pong", "--seeds", "0"], "--seeds are runs of each game, from 1"),
        (["--games", "Pong", "--seeds", "1001"], "from 1 to 1,000"),
    ],
)
def test_what_cannot_be_told_is_one_line(tmp_path: Path, argv: list[str], said: str) -> None:
    file = write(tmp_path / "runs.json", {"Alien": [1.0], "Pong": [0, 1]})
    with pytest.raises(UserError, match=said):
        power.main([str(file), *argv])
