"""Intervals against Student's t by hand, tables from runs and back, and a picture for every kind of study."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from experiment.command import UserError
from supervised import report
from supervised.options import read_command_line
from supervised.studies import STUDIES
from supervised.table import TASKS, against, collect, final, notes, read, summary, tables_in


def test_an_interval_by_hand() -> None:
    found = summary(pd.Series([0.80, 0.82, 0.84]))
    assert found.mean == pytest.approx(0.82)
    assert found.half == pytest.approx(4.3027 * 0.02 / 3**0.5, rel=1e-4)  # t of 2 degrees of freedom, deviation 0.02
    assert str(found) == "82.00 ± 4.97"
    assert summary(pd.Series([0.5])).half is None
    assert str(summary(pd.Series([0.5]))) == "50.00"
    five = pd.Series([0.1, 0.2, 0.3, 0.4, 0.5])
    assert summary(five).half == pytest.approx(2.7764 * 0.025**0.5 / 5**0.5, rel=1e-4)


def test_a_difference_is_seed_by_seed() -> None:
    found = against(pd.Series({0: 0.5, 1: 0.7, 2: 0.9}), pd.Series({0: 0.4, 1: 0.6, 3: 0.0}))
    assert found is not None
    assert found.mean == pytest.approx(0.1)
    assert found.half == pytest.approx(0.0, abs=1e-9)  # both gain the same
    assert found.count == 2
    assert against(pd.Series({0: 0.5}), pd.Series({1: 0.5})) is None


def write_run(root: Path, study: str, point: str, method: str, seed: int, **flags: float | None) -> None:
    """What a run leaves, with an accuracy that can be recognised; `flags` are a learning `rate`, `noise`, `memory`."""
    folder = root / study / point / method / f"seed{seed}"
    folder.mkdir(parents=True)
    tasks = [1] if method == "fresh" else [0, 1]
    bonus = {"fresh": 0.05, "none": 0.0, "ht": 0.03, "ema": 0.04, "augmentation": 0.0}[method]
    rows = []
    for task in tasks:
        row = {"task": task, "update": 10 * (task + 1), "test": 0.5 + 0.2 * task + bonus + 0.01 * seed}
        row |= {"test_hare": row["test"], "train_hare": 0.9, "zero_activations": 0.5, "srank": 20.0, "weight_norm": 7.0}
        if method in ("ht", "ema"):
            row["test_tortoise"] = row["test"]
        if method == "ema":
            row["test_hare"] = row["test"] - bonus + flags.get("hare", 0.0)
        rows.append(row)
    about = {"study": study, "point": point, "dataset": "fashion_mnist", "model": "mlp", "method": method, "seed": seed}
    score = about | {
        "images": None,
        "judged": "tortoise" if method == "ema" else "hare",
        "test": rows[-1]["test"],
        "tasks": rows,
        "commit": "abc",
    }
    (folder / "score.json").write_text(json.dumps(score))
    protocol = {"noise": flags.get("noise", 0.5), "last_only": method == "fresh", "memory": flags.get("memory")}
    protocol |= {"held_out": flags["held_out"]} if "held_out" in flags else {}  # older runs do not have it
    settings = about | {
        "images": None,
        "config": {"protocol": protocol, "optimizer": {"learning_rate": flags.get("rate", 0.1)}},
    }
    (folder / "config.json").write_text(json.dumps({"settings": settings}))
    lines = [json.dumps({"kind": "evaluation", **row}) for row in rows]
    (folder / "metrics.jsonl").write_text("\n".join([*lines, json.dumps({"kind": "other"})]) + "\n")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for seed in range(3):
        for method in ("fresh", "none", "ht"):
            for study in ("warm_start", "continual"):
                write_run(tmp_path / "runs", study, next(iter(STUDIES[study].points)), method, seed)
        for method in ("fresh", "none"):
            for study in ("subset", "both"):
                for point in list(STUDIES[study].points)[:4]:
                    write_run(tmp_path / "runs", study, point, method, seed)
    (tmp_path / "runs" / "atari").mkdir()
    (tmp_path / "runs" / "atari" / "score.json").write_text('{"score": 1}')  # another program's
    return tmp_path / "runs"


def test_runs_that_differ_in_flags_alone_are_not_mixed(runs: Path, tmp_path: Path) -> None:
    write_run(runs / "search", "warm_start", "plain", "ht", 0)
    with pytest.raises(UserError, match="are two runs of one method and seed; collect them apart"):
        collect(runs, tmp_path / "results")
    assert collect(runs / "search", tmp_path / "results") == 1


@pytest.mark.parametrize("flags", [{"method": "none", "rate": 0.2}, {"noise": 0.2}, {"memory": 50}])
def test_runs_of_other_flags_are_not_averaged_or_compared(flags: dict[str, Any], runs: Path, tmp_path: Path) -> None:
    write_run(runs, "warm_start", "plain", seed=3, **{"method": "ema"} | flags)
    with pytest.raises(UserError, match="are of different settings"):
        collect(runs, tmp_path / "results")


def test_fresh_networks_have_all_images_whatever_others_remember(tmp_path: Path) -> None:
    for method, memory in (("fresh", None), ("none", 50), ("ema", 50)):
        write_run(tmp_path, "continual", "small", method, 0, memory=memory)
    assert collect(tmp_path, tmp_path / "results") == 3


def test_tables_hold_what_runs_left(runs: Path, tmp_path: Path) -> None:
    assert collect(runs, tmp_path / "results" / "supervised") == 3 * (2 * 3 + 2 * 4 * 2)
    rows = read(tables_in(tmp_path / "results"))
    assert set(map(tuple, rows[["dataset", "model"]].values)) == {("fashion_mnist", "mlp")}
    plain = rows[(rows["study"] == "warm_start") & (rows["point"] == "plain")]
    assert final(plain)["none"]["test"].to_dict() == {0: 0.7, 1: 0.71, 2: 0.72}
    first = plain[(plain["method"] == "none") & (plain["task"] == 0)]
    assert first.set_index("seed")["test"].to_dict() == {0: 0.5, 1: 0.51, 2: 0.52}
    assert set(plain.loc[plain["method"] == "fresh", "task"]) == {1}
    before = (tmp_path / "results" / "supervised" / TASKS).read_bytes()
    collect(runs, tmp_path / "results" / "supervised")
    assert (tmp_path / "results" / "supervised" / TASKS).read_bytes() == before


def test_a_report_from_runs_and_from_tables(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "results" / "supervised"
    report.main([str(runs), "--collect", str(out)])
    text = capsys.readouterr().out
    row = next(line for line in text.splitlines() if line.startswith("| `ht`"))
    assert (
        "| 74.00 ± 2.48 | 3.00 ± 0.00 (3) | 74.00 ± 2.48 | 74.00 ± 2.48 | 90.00 ± 0.00 | 50.00 ± 0.00 | 20.0 | 7.0 | 3 |" in row
    )
    order = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    assert order[:3] == ["fresh", "ht", "none"]
    names = {f"{study}-fashion_mnist-mlp.svg" for study in ("warm_start", "continual", "subset", "both")}
    assert names == {path.name for path in out.glob("*.svg")}
    assert all(f"({name})" in text for name in names)
    drawn = {path: path.read_bytes() for path in out.glob("*.svg")}
    report.main([str(tmp_path / "results")])
    assert {path: path.read_bytes() for path in drawn} == drawn  # the same numbers, the same file


def test_what_is_no_method_of_its_own_is_not_counted_as_one(tmp_path: Path) -> None:
    """Augmentation where all is augmented, the hares of networks that are averaged alone; and the pairs are counted."""
    for seed in range(3):
        for method in ("none", "ema", "augmentation"):
            for study, point in (("continual", "augmented"), ("warm_start", "plain")):
                if (method, seed) != ("ema", 2):
                    write_run(tmp_path / "runs", study, point, method, seed)
    collect(tmp_path / "runs", tmp_path)
    plain, augmented = report.report(tmp_path).split("## continual")
    assert "| `augmentation` |" in plain
    assert "| `augmentation` |" not in augmented
    assert "Setting `augmented`, which augments all images (so `augmentation` would be `none`)" in augmented
    row = next(line for line in plain.splitlines() if line.startswith("| `ema`"))
    assert "| 4.00 ± 0.00 (2) | `none` | 74.50 ± 6.35 | `none` |" in row
    assert "augmentation" not in STUDIES["continual"].methods_at("augmented")
    assert "augmentation" in STUDIES["warm_start"].methods_at("plain")


@pytest.mark.parametrize("flags", [{"hare": 0.01}, {"seed": 3}])
def test_a_hare_of_other_flags_or_seeds_speaks_for_itself(tmp_path: Path, flags: dict[str, Any]) -> None:
    write_run(tmp_path / "runs", "warm_start", "plain", "none", 0)
    write_run(tmp_path / "runs", "warm_start", "plain", "ema", **{"seed": 0, **flags})
    collect(tmp_path / "runs", tmp_path)
    row = next(line for line in report.report(tmp_path).splitlines() if line.startswith("| `ema`"))
    assert "`none`" not in row
    assert f"| {71 if 'hare' in flags else 73}.00 | {77 if 'seed' in flags else 74}.00 | 90.00 |" in row


def test_a_report_says_what_its_tables_are_known_to_have_wrong(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until they are made anew; what else is in the notes is the user's, and is kept."""
    monkeypatch.setattr(report, "picture", lambda *_: None)
    collect(runs, tmp_path)
    about = f"Of tasks.csv with the SHA-256 {hashlib.sha256((tmp_path / TASKS).read_bytes()).hexdigest()}:"
    (tmp_path / "notes.md").write_text(f"{about}\n\n`srank` is mistaken.\n")
    assert "\n\n`srank` is mistaken.\n\n## " in report.report(tmp_path)
    write_run(runs, "warm_start", "plain", "none", 3)
    collect(runs, tmp_path)
    assert "mistaken" not in report.report(tmp_path)
    (tmp_path / "notes.md").write_text("Buy milk.\n")
    collect(runs, tmp_path)
    assert "milk" not in report.report(tmp_path)
    assert (tmp_path / "notes.md").read_text() == "Buy milk.\n"
    committed = Path(__file__).parent.parent / "results/supervised"
    assert "Mistaken in the rows of `continual`" in notes(committed)
    assert notes(committed) in (committed / "report.md").read_text()


def test_tables_with_more_runs_are_not_replaced(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    collect(runs, out)
    before = {path: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(UserError, match=r"results holds 57 more runs, which are not in .*warm_start; collect into another"):
        report.main([str(runs / "warm_start"), "--collect", str(out)])
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_runs_from_before_a_setting_was_added_go_with_later_ones(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", "warm_start", "plain", "none", 0)
    write_run(tmp_path / "runs", "warm_start", "plain", "none", 1, held_out=0)
    assert collect(tmp_path / "runs", tmp_path) == 2
    assert list(read(tmp_path)["held_out"]) == [0] * 4


def test_accuracies_on_held_out_images_are_called_so(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", "warm_start", "plain", "none", 0, held_out=500)
    collect(tmp_path / "runs", tmp_path)
    assert "Setting `plain`, judged by training images that were held out, not by test images" in report.report(tmp_path)
    write_run(tmp_path / "runs", "warm_start", "plain", "none", 1)
    with pytest.raises(UserError, match="are of different settings"):
        collect(tmp_path / "runs", tmp_path)


def test_what_runs_change_of_what_their_names_mean_is_told(tmp_path: Path) -> None:
    """By the settings of whole runs: of all methods, or of one, which a comparison would else show under its plain name."""
    names = ["--study", "warm_start", "--point", "small", "--dataset", "fashion_mnist", "--model", "mlp", "--method"]
    for kind, common, own in (("usual", [], []), ("changed", ["--images", "900"], ["--tortoise.decay", "0.9"])):
        for method in ("none", "ht"):
            write_run(tmp_path / kind, "warm_start", "small", method, 0)
            run = tmp_path / kind / "warm_start/small" / method / "seed0"
            settings = read_command_line([*names, method, *common, *(own if method == "ht" else [])]).identity()
            (run / "config.json").write_text(json.dumps({"settings": settings}))
            score = json.loads((run / "score.json").read_text()) | {"images": settings["images"]}
            (run / "score.json").write_text(json.dumps(score))
        collect(tmp_path / kind, tmp_path / kind)
    assert set(read(tmp_path / "usual")["flags"]) == {""}
    assert "Setting `small`:" in report.report(tmp_path / "usual")
    changed = "`none` with `--images 900`; `ht` with `--images 900 --tortoise.decay 0.9`"
    assert f"Setting `small`, other than its methods are by default: {changed}:" in report.report(tmp_path / "changed")
    read_command_line([*names, "ht", *read(tmp_path / "changed")["flags"].iloc[0].split()])  # they can be typed


def test_nothing_to_report_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no finished run in"):
        report.main([str(tmp_path), "--collect", str(tmp_path / "out")])
    assert not (tmp_path / "out" / TASKS).exists()
    with pytest.raises(UserError, match="--collect"):
        report.main([str(tmp_path)])
