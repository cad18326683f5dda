"""Tables are checked before they are written, and what they lack is told or left blank, never another number."""

from pathlib import Path

import pandas as pd
import pytest

from experiment import sums
from experiment.command import UserError
from experiment.files import read_json
from experiment.folder import RunFolder
from supervised import report
from supervised.table import LACKING, TASKS, collect, final, read
from tests.test_supervised_report import write_run


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The tables of three runs."""
    for method, seed in (("none", 0), ("none", 1), ("ht", 0)):
        write_run(tmp_path / "runs", "warm_start", "plain", method, seed)
    collect(tmp_path / "runs", tmp_path / "out")
    return tmp_path / "out"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"noise": 0.5', '"noise": 0.5, "held_out": "abc"', "held_out is 'abc', not a number"),
        ('"seed": 0', '"seed": -1', "seed cannot be '-1'"),
        ('"images": null', f'"images": "{"x" * 200_000}"', "images is 'xxx"),
        ('"images": null', f'"images": {"9" * 4000}', "images "),
        ('"images": null', '"images": "=HYPERLINK(1)"', "images is '=HYPERLINK(1)', not a number"),
        ('"task": 1,', '"task": 1.5,', "task is 1.5, not a whole number"),
        ('"update": 20', '"update": 20.5', "update is 20.5, not a whole number"),
    ],
)
def test_what_no_table_can_hold_is_refused_before_anything_is_written(
    old: str, new: str, told: str, out: Path, tmp_path: Path
) -> None:
    run, found = tmp_path / "runs/warm_start/plain/none/seed0", 0
    for name in ("config.json", "score.json", "metrics.jsonl"):
        text = (run / name).read_text()
        found += old in text
        (run / name).write_text(text.replace(old, new))
    before = {path: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(UserError) as error:
        report.main([str(tmp_path / "runs"), "--collect", str(out)])
    assert found
    assert told in str(error.value)
    assert str(run) in str(error.value)
    assert error.value.code == 2
    assert {path: path.read_bytes() for path in out.iterdir()} == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("score.json", '"srank": 20.0', '"srank": 21.0'),
        ("score.json", '"tasks"', '"tbsks"'),
        ("config.json", "0.1", "0.2"),
        ("metrics.jsonl", "other", "otter"),
    ],
)
def test_a_run_that_is_not_as_its_score_lists_it_is_refused(name: str, old: str, new: str, tmp_path: Path) -> None:
    write_run(tmp_path / "runs", "warm_start", "plain", "none", 0)
    (path,) = (tmp_path / "runs").rglob(name)
    RunFolder(path.parent).write_score(read_json(path.with_name("score.json")))
    assert collect(tmp_path / "runs", tmp_path / "out") == 1
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(UserError, match=rf"{name} is damaged"):
        collect(tmp_path / "runs", tmp_path / "out")


def without(out: Path, cells: str, kept: bool) -> None:
    """Delete the rows of the table in `out` that begin with `cells`, or if `kept` their rank."""
    lines = (out / TASKS).read_text().splitlines(keepends=True)
    chosen = [line for line in lines if line.startswith(f"fashion_mnist,mlp,warm_start,plain,{cells},")]
    assert chosen
    for line in chosen:
        lines[lines.index(line)] = line.replace(",20,,", ",,,") if kept else ""
    (out / TASKS).write_text("".join(lines))
    (out / sums.FILE).unlink()


@pytest.mark.parametrize(
    ("cells", "ranks"), [("none", ["", "20.0"]), ("none,0", ["20.0 (1)", "20.0"]), ("none,0,,0,hare,1", ["20.0 (1)", "20.0"])]
)
def test_a_value_that_is_lacking_is_left_blank(cells: str, ranks: list[str], out: Path) -> None:
    """Or its mean is said to be of fewer seeds; the rank of another task is no rank at the end of the last."""
    without(out, cells, kept=True)
    told = {line.split("`")[1]: line.split(" | ") for line in report.table(read(out)).splitlines()[2:]}
    assert [told["none"][7], told["ht"][7]] == ranks


@pytest.mark.parametrize("cells", ["none,1,,0,hare,1", "ht,0,,0,hare,1"])
def test_a_run_that_lacks_a_row_is_told(cells: str, out: Path) -> None:
    assert final(read(out))["none"]["test"].to_dict() == {0: 0.7, 1: 0.71}
    without(out, cells, kept=False)
    with pytest.raises(UserError, match=r"(none|ht), seed [01] has no row of task [01], which others have; are rows lost\?"):
        read(out)


def test_tables_are_listed_and_read_as_listed(out: Path) -> None:
    assert set(sums.listed(out)) == {TASKS, "curves.csv"}
    text = (out / TASKS).read_text()
    (out / TASKS).write_text(text.replace("0.7,0.7", "0.8,0.8", 1))
    with pytest.raises(UserError, match=r"tasks.csv is not as .*SHA256SUMS lists it"):
        read(out)


def test_a_table_from_before_some_columns_is_read(out: Path) -> None:
    now = read(out)
    lines = [line.split(",") for line in (out / TASKS).read_text().splitlines()]
    kept = [i for i, name in enumerate(lines[0]) if name not in LACKING]
    (out / TASKS).write_text("".join(",".join(line[i] for i in kept) + "\n" for line in lines))
    (out / sums.FILE).unlink()
    pd.testing.assert_frame_equal(read(out), now.assign(flags=""))  # in which these runs, made up, have none of them
    assert now["gradient_norm_eval"].isna().all()
