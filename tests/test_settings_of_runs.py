"""What an agent is called stays true when the catalogue or its settings change."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from agents.catalogue import find_agent
from analysis import collect
from analysis.read import courses, settings
from analysis.read.scores import Protocol, read_table
from experiment import sums
from experiment.command import UserError
from options import read_command_line
from tests.fake_runs import fake_run
from tests.test_analysis import rows_of


def test_a_default_that_changes_does_not_make_two_agents_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results, before = tmp_path / "results", find_agent("der_ht")
    fake_run(tmp_path / "old", "der_ht", "Pong", 0, -10.0)
    fake_run(tmp_path / "old", "der_ht", "Pong", 1, -9.0, config={"tortoise": {"decay": 0.5}})
    collect.main([str(tmp_path / "old"), "--out", str(results)])
    assert {row["flags"] for row in rows_of(results / "agents.csv")} == {"", "--tortoise.decay 0.5"}
    stored = {row["setting"]: json.loads(row["value"]) for row in rows_of(results / "agents.csv") if not row["flags"]}
    assert stored == settings.flat(json.loads(json.dumps(asdict(before))))

    after = replace(before, tortoise=replace(before.tortoise, decay=0.5))
    monkeypatch.setattr(settings, "find_agent", lambda _: after)
    monkeypatch.setattr(settings, "_catalogue", settings._catalogue.__wrapped__)  # uncached
    kept = f"--tortoise.decay {before.tortoise.decay}"
    assert [score.flags for score in read_table(results / "scores.csv", Protocol(100, 2))] == [kept, ""]
    found = courses.read_courses({(f"der_ht {kept}", "Pong", 0)}, {}, [results / "curves.csv"])[0]
    assert set(found["label"]) == {f"der_ht {kept}"}
    collect.main([str(tmp_path / "old"), "--out", str(results)])
    assert [row["flags"] for row in rows_of(results / "scores.csv")] == ["", kept]
    assert {row["flags"] for row in rows_of(results / "agents.csv")} == {"", kept}


def test_a_setting_that_is_added_does_not_make_two_agents_one(tmp_path: Path) -> None:
    """Runs of before it are as its default says, whatever the catalogue has: in folders and in tables."""
    results = tmp_path / "results"
    for agent, seed in (("sr_spr", 0), ("der_ht", 0), ("sr_spr", 1)):
        folder = fake_run(tmp_path / "runs", agent, "Pong", seed, -10.0)
        values = json.loads((folder / "config.json").read_text())
        if not seed:
            del values["settings"]["config"]["resets"]["warmup_counts"]
        (folder / "config.json").write_text(json.dumps(values))
    collect.main([str(tmp_path / "runs"), "--out", str(results)])
    expected = [("der_ht", "", "0"), ("sr_spr", "", "1"), ("sr_spr", "--resets.no-warmup-counts", "0")]
    assert [(row["agent"], row["flags"], row["seed"]) for row in rows_of(results / "scores.csv")] == expected
    (results / sums.FILE).unlink()
    for name in ("agents.csv", "scores.csv"):  # as if they had been written before
        text = (results / name).read_text().replace(" --resets.no-warmup-counts", "").replace("--resets.no-warmup-counts", "")
        lines = [line for line in text.splitlines() if "resets.warmup-counts" not in line]
        lines = [line for line in lines if name == "agents.csv" or not line.startswith("sr_spr,,Pong,1,")]
        (results / name).write_text("".join(f"{line}\n" for line in lines))
    found = [(score.agent, score.flags) for score in read_table(results / "scores.csv", Protocol(100, 2))]
    assert found == [("der_ht", ""), ("sr_spr", "--resets.no-warmup-counts")]


def test_an_agent_that_there_is_no_more_is_named(tmp_path: Path) -> None:
    results, folder = tmp_path / "results", fake_run(tmp_path / "runs", "der", "Pong", 0, -10.0)
    collect.main([str(tmp_path / "runs"), "--out", str(results)])
    (results / sums.FILE).unlink()
    for path in (results / "agents.csv", results / "scores.csv", folder / "config.json"):
        path.write_text(path.read_text().replace("der,", "dar,").replace('"der"', '"dar"'))
    with pytest.raises(UserError, match=r"scores.csv, line 2: .*dar"):
        read_table(results / "scores.csv", Protocol(100, 2))
    with pytest.raises(UserError, match=r"config.json: .*dar"):
        settings.identity(folder)


@pytest.mark.parametrize(
    ("path", "value"), [("tortoise.warmup-counts", False), ("tortoise.acts", True), ("tortoise.decay", 0.5)]
)
def test_a_label_can_be_typed(path: str, value: object) -> None:
    flag = settings._flag(path, value)
    config = read_command_line(["--agent", "der", *flag.split()]).config
    assert getattr(config.tortoise, path.split(".")[1].replace("-", "_")) == value
