"""Runs become tables without losing or inventing a number."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from analysis import collect, curves, random_policy


def fake_run(folder: Path, agent: str, score: float) -> None:
    folder.mkdir(parents=True)
    settings = {"agent": agent, "game": "Pong", "seed": 0}
    result = settings | {"env_steps": 100, "episodes": 2, "score": score, "standard_error": 0.5, "hns": 0.1}
    result |= {"commit": "abc", "device": "CPU", "hours": 0.1, "returns": [score - 0.5, score + 0.5]}
    (folder / "score.json").write_text(json.dumps(result))
    (folder / "config.json").write_text(json.dumps({"settings": settings, "made": {}}))
    rows = [
        {"kind": "episode", "env_step": 40, "return": -20.0, "length": 40, "lane": 0},
        {"kind": "train", "env_step": 50, "loss": 1.0},
        {"kind": "episode", "env_step": 90, "return": -18.0, "length": 50, "lane": 0},
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_runs_are_collected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fake_run(tmp_path / "runs/der/Pong/seed0", "der", -10.0)
    fake_run(tmp_path / "runs/der_ht/Pong/seed0", "der_ht", -5.0)
    (tmp_path / "runs/spr/Pong/seed0").mkdir(parents=True)  # unfinished: no score
    monkeypatch.setattr(sys, "argv", ["collect", str(tmp_path / "runs"), "--out", str(tmp_path / "results")])
    collect.main()
    assert "2 finished runs" in capsys.readouterr().out
    with (tmp_path / "results/scores.csv").open() as file:
        scores = list(csv.DictReader(file))
    assert [(row["agent"], float(row["score"])) for row in scores] == [("der", -10.0), ("der_ht", -5.0)]
    with (tmp_path / "results/curves.csv").open() as file:
        curves = list(csv.DictReader(file))
    assert [(row["agent"], row["env_step"], row["return"]) for row in curves[:2]] == [
        ("der", "40", "-20.0"),
        ("der", "90", "-18.0"),
    ]
    assert len(curves) == 4


@pytest.mark.parametrize(
    ("score", "error", "z", "verdict"),
    [
        (-20.7, 0.1, 0.0, "equal"),
        (-20.7 + 0.208, 0.1, 1.0, "equal"),  # 0.1 * sqrt(1 + 100 / 30) = 0.208
        (-20.7 + 0.7, 0.1, 3.36, "**differs**"),
        (-20.7, 0.0, 0.0, "equal"),
        (-20.0, 0.0, float("inf"), "**differs**"),
    ],
)
def test_scores_are_compared_in_standard_errors(score: float, error: float, z: float, verdict: str) -> None:
    line, found = random_policy.row("Pong", score, error, 100)
    assert found == pytest.approx(z, abs=0.01)
    assert line.endswith(f"| {verdict} |")


def test_curves_are_drawn(tmp_path: Path) -> None:
    np.testing.assert_allclose(curves.running_mean(np.array([2.0, 4.0, 6.0, 8.0]), 2), [2, 3, 5, 7])
    fake_run(tmp_path / "runs/der/Pong/seed0", "der", -10.0)
    rows = collect.curve_rows(tmp_path / "runs/der/Pong/seed0")
    collect.write(tmp_path / "curves.csv", collect.CURVES, rows)
    found = curves.read(tmp_path / "curves.csv")
    np.testing.assert_array_equal(found["Pong"]["der", "0"], [[40, -20], [90, -18]])
    for name in ("curves.svg", "curves.png"):
        curves.draw(found, tmp_path / name)
    assert "<svg" in (tmp_path / "curves.svg").read_text()
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
