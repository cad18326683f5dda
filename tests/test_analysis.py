"""Runs become tables without losing or inventing a number."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import collect, load, random_policy
from analysis.compute import curves
from analysis.read.folders import find
from experiment import sums
from experiment.command import UserError
from experiment.rows import read_metrics
from tests.fake_runs import fake_run


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.smoke
def test_runs_are_collected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs, results = tmp_path / "runs", tmp_path / "results"
    fake_run(runs, "der", "Pong", 0, -10.0)
    fake_run(runs, "der_ht", "Pong", 0, -5.0, config={"tortoise": {"decay": 0.5}})
    fake_run(runs, "spr", "Pong", 0, finished=False)
    collect.main([str(runs), "--out", str(results)])
    assert "2 finished runs" in capsys.readouterr().out
    scores = rows_of(results / "scores.csv")
    assert [(row["agent"], row["flags"], float(row["score"])) for row in scores] == [
        ("der", "", -10.0),
        ("der_ht", "--tortoise.decay 0.5", -5.0),
    ]
    log = [json.loads(line) for line in (runs / "der/Pong/seed0/metrics.jsonl").read_text().splitlines()]
    episodes = [row for row in log if row["kind"] == "episode"]
    found = rows_of(results / "curves.csv")
    assert len(found) == 2 * len(episodes) == 20
    assert [(int(row["env_step"]), float(row["return"])) for row in found[:10]] == [
        (row["env_step"], row["return"]) for row in episodes
    ]
    measured = rows_of(results / "plasticity.csv")
    assert float(measured[3]["srank"]) == [row for row in log if row["kind"] == "plasticity"][3]["srank"]


def test_what_collect_cannot_use_is_refused_before_it_writes(tmp_path: Path) -> None:
    runs, results = tmp_path / "runs", tmp_path / "results"
    folder = fake_run(runs, "der", "Pong", 0, -10.0)
    collect.main([str(runs), "--out", str(results)])
    before = (results / "scores.csv").read_bytes()
    with pytest.raises(UserError, match="there is no folder"):
        collect.main([str(tmp_path / "runz"), "--out", str(results)])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no finished run"):
        collect.main([str(tmp_path / "empty"), "--out", str(results)])
    fake_run(tmp_path / "copy", "der", "Pong", 0, -9.0)
    with pytest.raises(UserError, match="are of one agent, game and seed; collect one of them"):
        collect.main([str(runs), str(tmp_path / "copy"), "--out", str(results)])
    shorter = fake_run(tmp_path / "trial", "der", "Pong", 0, -9.0)
    for name, value, told in (("env_steps", 50, "100 env_steps, not 50"), ("episodes", 1, "2 episodes, not 1")):
        score = json.loads((folder / "score.json").read_text())
        returns = {"returns": [score["score"]]} if name == "episodes" else {}
        (shorter / "score.json").write_text(json.dumps(score | {name: value} | returns))
        with pytest.raises(UserError, match=f"results holds der on Pong, seed 0, with {told}; collect this run into another"):
            collect.main([str(tmp_path / "trial"), "--out", str(results)])
    assert (results / "scores.csv").read_bytes() == before


def test_runs_are_added_to_earlier_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at_once, by_parts = tmp_path / "at_once", tmp_path / "by_parts"
    runs = [("spr", "Pong", 1, -3.0), ("der", "Pong", 10, -10.0), ("der", "Pong", 2, -9.0), ("der", "Assault", 0, 300.0)]
    for index, run in enumerate(runs):
        fake_run(tmp_path / f"part{index}", *run)
        fake_run(tmp_path / "all", *run)
        collect.main([str(tmp_path / f"part{index}"), "--out", str(by_parts)])
    assert "1 finished runs" in capsys.readouterr().out.splitlines()[-1]
    collect.main([str(tmp_path / "all"), "--out", str(at_once)])
    for name in ("scores.csv", "curves.csv", "plasticity.csv"):
        assert (by_parts / name).read_bytes() == (at_once / name).read_bytes()
    assert [(row["agent"], row["seed"]) for row in rows_of(at_once / "scores.csv")] == [
        ("der", "0"),
        ("der", "2"),
        ("der", "10"),
        ("spr", "1"),
    ]
    capsys.readouterr()
    fake_run(tmp_path / "part1", "der", "Pong", 10, -8.0)
    collect.main([str(tmp_path / "part1"), "--out", str(by_parts)])
    assert capsys.readouterr().out.splitlines() == [
        "der  Pong 10: -10 is now -8",
        f"1 finished runs in {by_parts}, 3 more of earlier tables: scores.csv, curves.csv, plasticity.csv, agents.csv",
    ]
    assert len(rows_of(by_parts / "curves.csv")) == 40


def test_measurements_that_an_earlier_run_lacks_stay_empty(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "old", "der", "Pong", 0, -10.0) / "metrics.jsonl"
    rows = [json.loads(line) for line in folder.read_text().splitlines()]
    folder.write_text("".join(json.dumps({k: v for k, v in row.items() if k != "srank"}) + "\n" for row in rows))
    fake_run(tmp_path / "new", "der", "Pong", 1, -10.0)
    for part in ("old", "new"):
        collect.main([str(tmp_path / part), "--out", str(tmp_path / "results")])
    found = rows_of(tmp_path / "results/plasticity.csv")
    assert [row["srank"] == "" for row in found] == [True] * 10 + [False] * 10
    assert all(row["dead"] for row in found)


@pytest.mark.parametrize(
    ("name", "damage", "told"),
    [
        ("scores.csv", lambda text: text[:-1], "does not end with a whole line"),
        ("curves.csv", lambda text: text + "der,,Pong\n", "line 12: 7 values are needed, not 3; is it half-written"),
        ("plasticity.csv", lambda text: "a,b\n", "it has no column 'agent'"),
        ("agents.csv", lambda text: text[:-40], "does not end with a whole line"),
        ("agents.csv", lambda text: "a,b\n1,2\n", "it has no column 'agent'"),
        ("agents.csv", lambda text: text + 'der,,tortoise.decay,"""x"""\n', "tortoise.decay has another value above"),
        ("scores.csv", lambda text: text.replace("0.5", "x"), "line 2: standard_error is 'x', not a number"),
        ("scores.csv", lambda text: text.replace(",0,100,", ",many,100,"), "line 2: seed is 'many', not a number"),
        ("curves.csv", lambda text: text.replace(",9\n", ",x\n"), "line 2: length is 'x', not a number"),
        ("curves.csv", lambda text: text.replace(",100,", ",5,"), "line 11: env step 5 comes after 90"),
        ("plasticity.csv", lambda text: text.replace("der,,Pong,0,", "der,,Pong,0.5,"), "line 2: seed is '0.5', not a whole"),
    ],
)
def test_a_damaged_earlier_table_stops_collect_before_it_writes(name: str, damage: Any, told: str, tmp_path: Path) -> None:
    results = tmp_path / "results"
    fake_run(tmp_path / "old", "der", "Pong", 0, -10.0)
    collect.main([str(tmp_path / "old"), "--out", str(results)])
    (results / sums.FILE).unlink()  # as of tables without it
    (results / name).write_text(damage((results / name).read_text()))
    before = {path.name: path.read_bytes() for path in results.iterdir()}
    fake_run(tmp_path / "new", "der", "Pong", 1, -10.0)
    with pytest.raises(UserError, match=told):
        collect.main([str(tmp_path / "new"), "--out", str(results)])
    assert {path.name: path.read_bytes() for path in results.iterdir()} == before


def test_runs_of_the_supervised_study_are_left_alone(tmp_path: Path) -> None:
    fake_run(tmp_path / "runs", "der", "Pong", 0, -10.0)
    for name in ("score.json", "metrics.jsonl"):
        other = tmp_path / "runs/supervised/fashion_mnist/none/seed0" / name
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_text("{}")
    (other.parent / "config.json").write_text('{"settings": {"method": "none"}}')
    (tmp_path / "runs/supervised/unfinished").mkdir()
    (tmp_path / "runs/supervised/unfinished/config.json").write_text('{"settings": {"method": "none"}}')
    collect.main([str(tmp_path / "runs"), "--out", str(tmp_path / "results")])
    assert len(rows_of(tmp_path / "results/scores.csv")) == 1
    found = find([tmp_path / "runs"])
    assert ([path.parts[-3] for path in found.finished], found.unfinished) == (["der"], [])


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


def test_curves_are_sampled_as_a_naive_reader_would() -> None:
    rng = np.random.default_rng(0)
    points = [(float(step), rng.normal()) for step in sorted(rng.choice(100, 30, replace=False))]
    places = np.array([0.0, 10.0, points[3][0], 55.5, 100.0])
    for window in (1, 3, 10):
        naive = [[value for step, value in points if step <= place][-window:] for place in places]
        expected = [np.mean(values) if values else np.nan for values in naive]
        np.testing.assert_allclose(curves.sampled(*np.array(points).T, places, window), expected)
    assert np.isnan(curves.sampled(np.array([]), np.array([]), places, 1)).all()


def test_one_value_spoils_no_later_mean() -> None:
    """As sums would, of which differences are taken."""
    np.testing.assert_array_equal(curves.running_mean(np.array([1e-5, 1e13, 1e-5, 2e-5]), 1), [1e-5, 1e13, 1e-5, 2e-5])
    np.testing.assert_array_equal(curves.running_mean(np.array([1, np.nan, 3, 4]), 1), [1, np.nan, 3, 4])
    np.testing.assert_allclose(curves.running_mean(np.array([1, np.nan, 3, 5, 7]), 2), [1, np.nan, np.nan, 4, 6])
    np.testing.assert_allclose(curves.running_mean(np.array([2.0]), 10), [2])


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"kind": "episode", "env_step": 4', "is no JSON"),
        ("not json", "is no JSON"),
        ('{"kind": "train", "env_step": 4', "is no JSON"),
        ('{"env_step": 4}', "is no row of metrics"),
        ("[" * 10_000, "is nested too deep"),
        ('"\\ud800"', "surrogate"),
    ],
)
def test_a_half_written_log_is_refused(line: str, told: str, tmp_path: Path) -> None:
    path = fake_run(tmp_path, "der", "Pong", 0, -10.0) / "metrics.jsonl"
    path.write_text(path.read_text() + line)
    with pytest.raises(UserError, match=rf"metrics.jsonl, line 31 {told}|metrics.jsonl, line 31 holds .*{told}"):
        read_metrics(path, ("episode",))


def test_a_return_that_is_no_number_is_refused(tmp_path: Path) -> None:
    run = fake_run(tmp_path, "der", "Pong", 0, -10.0)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "episode", "env_step": 100, "return": NaN}\n')
    with pytest.raises(UserError, match="return is nan"):
        load(run)
