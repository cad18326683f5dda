"""Twenty methods on one page: each once, by family, with the intervals of the statistics."""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from agents.catalogue import AGENTS
from analysis import report
from analysis.compute import statistics as s
from analysis.compute.comparison import Comparison, compare
from analysis.compute.families import FAMILIES, by_family, told_apart
from analysis.compute.methods import base_of, methods
from analysis.compute.rounding import ends, table
from analysis.draw import many
from analysis.draw.forest import BETTER, OPEN, WORSE, forest
from analysis.read.scores import as_frame
from envs.games import find_game
from hare_tortoise.methods import METHODS
from supervised import report as supervised_report
from supervised.differences import differences
from supervised.methods import EVERYTHING
from supervised.table import TASKS, read
from tests.fake_runs import leave_out_figures, score_table
from tests.test_tables import score, where

GAMES = ("Alien", "Pong")
SEEDS = 4
ON_SPR = {name: f"spr_{name}" for name in METHODS if f"spr_{name}" in AGENTS}


@pytest.fixture(scope="module")
def scores() -> dict[str, np.ndarray]:
    """Human-normalised scores of `spr` and of each method on it, of which one is better, one worse: [seeds, games]."""
    draw = np.random.default_rng(0)
    levels = {"spr": 0.5, **dict.fromkeys(ON_SPR.values(), 0.5), "spr_redo": 1.5, "spr_wd": -0.5}
    return {name: level + 0.1 * draw.normal(size=(SEEDS, len(GAMES))) for name, level in levels.items()}


@pytest.fixture(scope="module")
def compared(scores: dict[str, np.ndarray]) -> Comparison:
    runs = [
        score(agent, game, seed, hns)
        for agent, matrix in scores.items()
        for seed, row in enumerate(matrix)
        for game, hns in zip(GAMES, row, strict=True)
    ]
    return compare(as_frame(runs), GAMES, incomplete=False)


def drawn(panel: Axes) -> list[str]:
    """The labels of a panel from above."""
    return [label.get_text() for label in panel.get_yticklabels()][::-1]


def test_every_method_stands_once_in_its_family_the_best_first(compared: Comparison) -> None:
    found = methods(compared)
    assert len(ON_SPR) >= 20
    assert sorted(found["method"]) == sorted(ON_SPR)
    assert all(METHODS[row.method].family == row.family for row in found.itertuples())
    assert list(found["family"].unique()) == [name for name in FAMILIES if name in set(found["family"])]
    for _, rows in found.groupby("family"):
        assert list(rows["difference"]) == sorted(rows["difference"], reverse=True)
    labels = drawn(forest(found, "score").panels[0])
    assert [label for label in labels if label in ON_SPR] == list(found["method"])
    headings = [FAMILIES[name] for name in found["family"].unique()]
    assert [label for label in labels if label not in ON_SPR] == headings


def test_its_intervals_are_those_of_the_statistics(compared: Comparison, scores: dict[str, np.ndarray]) -> None:
    found = methods(compared)
    panel = forest(found, "score").panels[0]
    marks = {tuple(line.get_xdata()): line for line in panel.lines}
    for row in found.itertuples():
        value, ends = s.paired(list((scores[row.agent] - scores["spr"]).T))
        told = (row.difference, row.difference_low, row.difference_high)
        assert told == pytest.approx((value, *ends), abs=6e-4)
        assert (row.games, row.pairs, row.interval_over) == (len(GAMES), SEEDS * len(GAMES), "runs")
        assert row.better == (scores[row.agent] > scores["spr"]).sum()
        look = BETTER if row.difference_low > 0 else WORSE if row.difference_high < 0 else OPEN
        assert (row.difference_low, row.difference_high) in marks
        assert marks[(row.difference,)].get_marker() == look.mark
    assert where(found, method="redo")["difference_low"].item() > 0.5
    (said,) = told_apart(found)
    better, worse = re.findall(r"(?:better|worse): ([^;.]*)", said)
    assert better.startswith("redo")
    assert worse.endswith("wd")
    assert said.startswith(f"Of {len(ON_SPR)} methods against spr, beyond chance better: ")


@pytest.mark.parametrize(
    ("label", "found"),
    [
        ("spr_ht", ("spr", "ht", "average")),
        ("der_dopamine_ht_wd", ("der_dopamine", "ht_wd", "several")),
        ("der_ht --resets.every 9 --tortoise.decay 0.9", ("der", "ht --resets.every 9 --tortoise.decay 0.9", "average")),
        ("der_wd --optimizer.weight-decay 0.2 --z 4", ("der --z 4", "wd --optimizer.weight-decay 0.2 --z 4", "penalty")),
        *((name, None) for name in ("spr", "random", "BBF", "SR-SPR_ht", "spr_nothing")),
    ],
)  # fmt: skip
def test_the_base_the_methods_and_their_family(label: str, found: tuple[str, str, str] | None) -> None:
    assert base_of(label) == found


def test_the_base_has_the_same_name_if_there_is_such_a_one() -> None:
    label, flags = "der_ht --name new --replay.ratio 4 --tortoise.decay 0.9", "--replay.ratio 4"
    named, unnamed = f"der --name new {flags}", f"der {flags}"
    for labels, base in (((named, unnamed), named), ((unnamed,), unnamed), ((), named)):
        assert base_of(label, labels)[0] == base


def test_one_method_is_no_page_of_its_own(scores: dict[str, np.ndarray]) -> None:
    for names in (("spr", "spr_ht"), ("spr_ht", "spr_wd"), ("spr",)):
        runs = [score(name, "Pong", seed, scores[name][seed, 0]) for name in names for seed in range(SEEDS)]
        assert methods(compare(as_frame(runs), ("Pong",), incomplete=False)).empty


def test_what_lies_far_off_leaves_the_others_room() -> None:
    rows = [("none", "reset", f"m{i}", 0.5 + 0.1 * i, i * 0.1, 1 + 0.1 * i) for i in range(8)]
    rows += [("none", "penalty", "broken", -75.0, -80.0, -70.0)]
    made = pd.DataFrame(rows, columns=["base", "family", "method", "difference", "difference_low", "difference_high"])
    panel = forest(by_family(made), "accuracy").panels[0]
    low, high = panel.get_xlim()
    assert -1 < low < 0
    assert 1.7 < high < 3
    (text,) = panel.texts
    assert text.get_text() == " -75 "
    assert drawn(panel)[round(len(drawn(panel)) - 1 - text.get_position()[1])] == "broken"


def test_a_report_of_twenty_methods(scores: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = []
    for agent, matrix in scores.items():
        for seed, row in enumerate(matrix):
            games = [(find_game(game), hns) for game, hns in zip(GAMES, row, strict=True)]
            rows += [(agent, "", game.name, seed, game.random + hns * (game.human - game.random)) for game, hns in games]
    score_table(tmp_path / "results/scores.csv", rows)
    leave_out_figures(monkeypatch, "methods")
    flags = ["--games", *GAMES, "--env-steps", "100", "--episodes", "2", "--out", str(tmp_path / "r.html")]
    report.main([str(tmp_path / "results"), *flags])
    text, files = (tmp_path / "r.html").read_text(), tmp_path / "r_files"
    assert "methods against spr, beyond chance better: redo" in text
    ElementTree.fromstring((files / "methods.svg").read_text())
    written = pd.read_csv(files / "methods.csv")
    assert sorted(written["method"]) == sorted(ON_SPR)
    panel = re.search(r'aria-label="[^"]*minus spr"><svg(.*?)</svg>', text, re.DOTALL)
    assert panel is not None
    assert not re.findall(r"#[0-9a-f]{6}\b", panel[1])  # its colours follow the page
    assert all(f">{name}<" in panel[1] for name in ON_SPR)


def made_up(columns: tuple[str, ...], *values: Any) -> pd.DataFrame:
    """Two rows with these `values` of each agent: a base with methods, one without, an agent whose base is not there."""
    agents = ["spr", *ON_SPR.values(), "der", "drq_ht"]
    return table(("agent", *columns), [(name, *row) for name in agents for row in zip(*values, strict=True)])


def test_curves_of_many_agents_are_by_family() -> None:
    agents = ["spr", *ON_SPR.values(), "der", "drq_ht"]
    looks = many.looks(agents)
    assert len(set(looks.values())) == len(agents)
    curves = made_up(("env_step", "runs", "games", *ends("iqm")), (50, 100), (3, 3), (2, 2), (0.1, 0.2), (0, 0.1), (0.2, 0.3))
    canvas = many.learning(curves, looks)
    families = [name for name in FAMILIES if any(METHODS[method].family == name for method in ON_SPR)]
    assert canvas.titles == [*(f"spr: {FAMILIES[name]}" for name in families), "others"]
    for panel, family in zip(canvas.panels[:-1], families, strict=True):
        names = ["spr", *(agent for method, agent in ON_SPR.items() if METHODS[method].family == family)]
        drawn = [(line.get_color(), line.get_marker()) for line in panel.lines]
        assert drawn == [(looks[name].colour, looks[name].mark) for name in names]
        assert len({looks[name].colour for name in names}) == len(names)
    assert len(canvas.panels[-1].lines) == 2
    shares = made_up(("runs", "games", "threshold", *ends("share")), (3, 3), (2, 2), (0.5, 1.0), (0.9, 0.1), (0.8, 0), (1, 0.2))
    assert many.profiles(shares, looks).titles == canvas.titles


def test_plasticity_of_many_agents_is_told_at_the_end() -> None:
    columns = ("measure", "env_step", "runs", "games", *ends("value"))
    measured = made_up(columns, ("srank", "srank"), (50, 100), (3, 3), (2, 2), (5.0, 7.0), (4.0, 6.0), (6.0, 8.0))
    canvas = many.plasticity(measured, {})
    assert canvas.titles == ["srank of the last layer, spr", "srank of the last layer, others"]
    labels = drawn(canvas.panels[0])
    assert labels[0] == "spr"
    assert [label for label in labels[1:] if label in ON_SPR] == sorted(ON_SPR, key=[*labels].index)
    assert drawn(canvas.panels[1]) == ["der", "drq_ht"]
    points = {float(line.get_xdata()[0]) for line in canvas.panels[0].lines if len(line.get_xdata()) == 1}
    assert points == {7.0}


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    """Tables of every method of the study with five seeds, made of a row of the committed ones."""
    committed = Path(__file__).parent.parent / "results/supervised" / TASKS
    frame = pd.read_csv(committed, dtype=str, keep_default_na=False)
    last = frame[(frame["study"] == "warm_start") & (frame["method"] == "fresh")].iloc[0]
    draw, made = np.random.default_rng(0), []
    for method in EVERYTHING:
        for seed in range(5):
            test = 0.8 + 0.01 * draw.normal() + {"ht": 0.1, "wd": -0.1, "ema": 0.05}.get(method, 0)
            accuracies = dict.fromkeys(("test", f"test_{last['judged']}"), str(test))
            made.append({**last, "method": method, "seed": str(seed), **accuracies})
    pd.DataFrame(made).to_csv(tmp_path / TASKS, index=False)
    return tmp_path


def test_classifiers_against_none_and_against_averaging(tasks: Path) -> None:
    rows = read(tasks)
    found = differences(rows)
    assert list(found["base"].unique()) == ["none", "ema"]
    by_method = {name: part.set_index("seed")["test"] for name, part in rows.groupby("method")}
    for base, part in found.groupby("base"):
        assert sorted(part["method"]) == sorted(EVERYTHING.keys() - {"none", base})
        for row in part.itertuples():
            value, ends = s.paired([100 * (by_method[row.method] - by_method[base]).to_numpy()])
            assert (row.difference, row.difference_low, row.difference_high) == pytest.approx((value, *ends), abs=1e-9)
            assert row.pairs == 5
    text = supervised_report.report(tasks)
    against_none, against_ema = re.findall(r"- `small`: (Of \d+ methods against .*)", text)
    assert re.search(r"against none, beyond chance better: ht, (.*, )?ema(,|;).*worse: (.*, )?wd\.$", against_none)
    assert re.search(r"against ema, beyond chance better: ht;", against_ema)
    assert "fresh" not in against_none + against_ema  # references are no methods
    picture = tasks / "warm_start-fashion_mnist-resnet_small-differences.svg"
    assert f"![differences]({picture.name})" in text
    labels = [element.text for element in ElementTree.fromstring(picture.read_text()).iter() if element.tag.endswith("}text")]
    for name in EVERYTHING.keys() - {"none"}:
        assert labels.count(name) == (1 if name == "ema" else 2)


def test_few_classifiers_make_the_report_that_they_made(tasks: Path) -> None:
    frame = pd.read_csv(tasks / TASKS, dtype=str, keep_default_na=False)
    frame[frame["method"].isin(["none", "ht", "fresh"])].to_csv(tasks / TASKS, index=False)
    assert "beyond chance" not in supervised_report.report(tasks)
    assert not list(tasks.glob("*-differences.svg"))
