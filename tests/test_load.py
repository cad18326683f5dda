"""What a notebook gets: tidy frames, the same from folders as from tables."""

import json
from pathlib import Path

import pandas as pd
import pytest

from analysis import collect, load
from analysis.read.courses import read_courses
from analysis.read.folders import find
from tests.fake_runs import fake_run


def same(found: tuple[pd.DataFrame, ...], expected: tuple[pd.DataFrame, ...]) -> bool:
    """Whether frames hold the same, but for where it is from."""
    pairs = zip(found, expected, strict=True)
    return all(
        one.drop(columns="where", errors="ignore").equals(two.drop(columns="where", errors="ignore")) for one, two in pairs
    )


def test_what_is_read_from_tables_is_what_is_read_from_folders(tmp_path: Path) -> None:
    runs, results = tmp_path / "runs", tmp_path / "results"
    folders = {("der", "Pong", seed): fake_run(runs, "der", "Pong", seed, -10.0 + seed) for seed in range(2)}
    collect.main([str(runs), "--out", str(results)])
    expected = load(runs)
    assert same(load(str(results)), expected)
    assert same(load(runs, results), expected)
    assert list(expected.runs["label"]) == ["der", "der"]
    assert [str(where) for where in load(results).runs["where"]] == [f"{results}/scores.csv, line {line}" for line in (2, 3)]
    tables = find([results]).courses
    assert [table.name for table in tables] == ["curves.csv", "plasticity.csv"]
    assert same(read_courses(set(folders), folders, []), expected[1:])
    assert same(read_courses(set(folders), {}, [*tables, *tables]), expected[1:])  # as of results and a copy of it
    assert set(read_courses({("der", "Pong", 1)}, {}, tables)[0]["seed"]) == {1}


def test_a_notebook_has_tidy_frames(tmp_path: Path) -> None:
    fake_run(tmp_path / "runs", "der", "Pong", 0, -10.0)
    fake_run(tmp_path / "runs", "der_ht", "Pong", 2**60 + 1, -5.0, config={"tortoise": {"decay": 0.5}})
    runs, returns, plasticity = load(tmp_path / "runs")
    assert runs.groupby("label")["score"].mean().to_dict() == {"der": -10.0, "der_ht --tortoise.decay 0.5": -5.0}
    assert runs["hns"].tolist() == pytest.approx([10.7 / 35.3, 15.7 / 35.3])
    assert set(runs["seed"]) == set(returns["seed"]) == set(plasticity["seed"]) == {0, 2**60 + 1}
    assert list(returns) == ["label", "game", "seed", "env_step", "return"]
    assert len(returns) == len(plasticity) == 20
    log = [json.loads(line) for line in (tmp_path / "runs/der/Pong/seed0/metrics.jsonl").read_text().splitlines()]
    expected = [row["srank"] for row in log if row["kind"] == "plasticity"]
    assert plasticity.loc[plasticity["label"] == "der", "srank"].tolist() == expected
    assert all(frame.empty for frame in load())
