"""Score files are read or refused with one line; matrices are those of the files."""

import csv
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.compute.comparison import compare
from analysis.compute.statistics import AGGREGATES
from analysis.read import folders, published, scores, settings
from analysis.read.single_runs import read_single_runs
from envs.games import GAMES, find_game
from experiment.command import UserError
from tests.fake_runs import fake_run, score_table

PROTOCOL = scores.Protocol(env_steps=100, episodes=2)
FILES = os.environ.get("ATARI_100K_SCORES")

# IQM, median, mean, optimality gap of published runs, as recomputed by others than this code.
EXPECTED = {
    "rl_with_resets/atari_100k_DER.json": (0.183, 0.189, 0.350, 0.698),
    "rl_with_resets/atari_100k_DrQ.json": (0.224, 0.212, 0.369, 0.692),
    "rl_with_resets/atari_100k_DrQ(eps).json": (0.280, 0.313, 0.465, 0.631),
    "rl_with_resets/atari_100k_SPR.json": (0.337, 0.396, 0.616, 0.577),
    "rl_with_resets/atari_100k_CURL_10_evals.json": (0.113, 0.092, 0.261, 0.768),
    "rl_with_resets/spr_jax_final_hns_from_curves.json:SPR": (0.382, 0.457, 0.583, 0.556),
    "rl_with_resets/spr_jax_final_hns_from_curves.json:SPR+resets": (0.478, 0.514, 0.911, 0.502),
    "bbf/RR2_BBF_26games_14seeds.csv": (0.940, 0.755, 2.175, 0.377),
    "bbf/RR8_BBF_26games_first10seeds.csv": (1.058, 0.855, 2.242, 0.322),
    "twm/scores.json": (0.459, 0.505, 0.956, 0.513),
    "diamond/DIAMOND.json": (0.641, 0.373, 1.459, 0.480),
}
NAMES = ("DER", "DrQ", "DrQ(eps)", "SPR", "CURL", "SPR-JAX", "SPR+resets", "BBF RR2", "BBF RR8 (10 seeds)", "TWM", "DIAMOND")


@pytest.mark.skipif(FILES is None, reason="ATARI_100K_SCORES names no folder of published scores")
@pytest.mark.parametrize(("name", "method"), list(zip(EXPECTED, NAMES, strict=True)))
def test_published_aggregates_come_out(name: str, method: str, tmp_path: Path) -> None:
    file, _, key = name.partition(":")
    path = Path(FILES or "") / file
    if key:  # two methods in one file: written in the form of a list of runs first
        table = json.loads(path.read_text())[key]
        rows = [{"game": game, "seed": seed, "HNS": hns} for game, runs in table.items() for seed, hns in enumerate(runs)]
        path = tmp_path / "runs.json"
        path.write_text(json.dumps(rows))
    found = compare(scores.as_frame(read_single_runs("theirs", path).scores), tuple(GAMES), incomplete=False)
    values = [float(measure(found.matrix("theirs"))) for measure in AGGREGATES.values()]
    np.testing.assert_allclose(values, EXPECTED[name], atol=0.000501)
    ours = published.published()
    ours = ours[ours["method"] == method].pivot(index="game", columns="measure", values="value")
    assert tuple(ours.loc[published.ALL, list(AGGREGATES)]) == EXPECTED[name]
    means = ours["score"].dropna() if "score" in ours else {}  # of some methods aggregates alone
    for game, score in means.items():  # of one decimal
        mean = found.of("theirs", game)["score"].mean()
        # Runs that are published as normalised scores are rounded, to 6 digits.
        slack = 0.051 + 1e-6 * (GAMES[game].human - GAMES[game].random)
        assert score == pytest.approx(mean, abs=slack), game


def test_normalised_scores_by_hand() -> None:
    """(score - random) / (human - random), with the constants of the papers."""
    assert find_game("Pong").normalised(-10.0) == pytest.approx(10.7 / 35.3)
    assert find_game("Breakout").normalised(16.1) == pytest.approx(14.4 / 28.8)
    assert find_game("Alien").normalised(227.8) == 0


def test_published_results_are_whole_and_have_sources() -> None:
    found = published.published()
    for name in ("DER", "OTRainbow", "CURL", "DrQ", "DrQ(eps)", "SPR", "SPR-JAX", "SPR+resets", "SR-SPR RR16", "BBF RR8"):
        assert name in set(found["method"])
    assert {"IRIS", "TWM", "DreamerV3", "STORM", "DIAMOND", "EfficientZero"} <= set(found["method"])
    with published.FILE.open() as file:
        rows = list(csv.DictReader(file))
    assert len({(row["method"], row["game"], row["measure"]) for row in rows}) == len(rows)
    for row in rows:
        assert row["source"]
        assert row["basis"] in ("computed", "recalled")
        assert np.isfinite(float(row["value"]))
        assert row["game"] in GAMES or (row["game"] == published.ALL and row["measure"] in AGGREGATES)
    for _, rows in found.groupby("method"):
        games = rows[rows["game"] != published.ALL]
        aggregates = rows[rows["game"] == published.ALL].set_index("measure")["value"]
        assert len(games) in (0, 26)
        if len(games):  # the games' means give the aggregates that are functions of them
            normalised = [GAMES[row.game].normalised(row.value) for row in games.itertuples()]
            assert np.mean(normalised) == pytest.approx(aggregates["mean"], abs=0.002)
            assert np.median(normalised) == pytest.approx(aggregates["median"], abs=0.002)


# Means of the games, in our order, from the second version of DreamerV3's paper; recalled.
DREAMER = (
    *(1118, 97, 683, 1062, 398, 20300, 82, 10, 2222, 86225, 577, 0, 3377),
    *(2160, 13354, 540, 2643, 8171, 25900, 1521, -4, 3238, 2921, 19230, 962, 46910),
)


def test_what_is_published_of_dreamer_is_what_its_paper_has() -> None:
    """Not the last points of its curves, whose median and mean are others."""
    normalised = [game.normalised(score) for game, score in zip(GAMES.values(), DREAMER, strict=True)]
    found = published.published().set_index(["method", "measure"])["value"]["DreamerV3"]
    assert found["median"] == pytest.approx(np.median(normalised), abs=0.0006)
    assert found["mean"] == pytest.approx(np.mean(normalised), abs=0.0006)


def test_runs_and_tables_are_read(tmp_path: Path) -> None:
    fake_run(tmp_path / "runs", "der", "Pong", 0, -10.0)
    fake_run(tmp_path / "runs", "der", "Pong", 1, -12.0, config={"tortoise": {"decay": 0.5}})
    fake_run(tmp_path / "runs", "der", "Pong", 2, finished=False)
    score_table(tmp_path / "results/scores.csv", [("der", "", "Pong", 0, -10.0), ("spr", "", "Alien", 0, 900.0)])
    (tmp_path / "results/curves.csv").write_text("agent,game,seed,env_step,return,length\n")
    there = folders.find([tmp_path / "runs", tmp_path / "results"])
    finished, unfinished, tables = there.finished, there.unfinished, there.scores
    assert [path.name for path in unfinished] == ["seed2"]
    assert [path.name for path in tables] == ["scores.csv"]
    found = scores.unique(
        [scores.read_run(run, PROTOCOL) for run in finished] + [s for t in tables for s in scores.read_table(t, PROTOCOL)]
    )
    assert [(s.label, s.game, s.seed, s.score) for s in found] == [
        ("der", "Pong", 0, -10.0),  # in both, once
        ("der --tortoise.decay 0.5", "Pong", 1, -12.0),
        ("spr", "Alien", 0, 900.0),
    ]


def test_the_settings_that_an_agent_has_anyway_are_no_flags(tmp_path: Path) -> None:
    run = fake_run(tmp_path, "spr_ht", "Pong", 0, 0.0)
    assert settings.identity(run)["flags"] == ""
    run = fake_run(tmp_path, "der", "Pong", 0, 0.0, config={"replay": {"warmup_steps": 300}, "recycling": {"tau": 0.2}})
    changed = "--recycling.by activation --recycling.every 1000 --recycling.tau 0.2 --replay.warmup-steps 300"
    assert settings.identity(run)["flags"] == changed
    content = json.loads((run / "config.json").read_text())
    for execution, told in (({"precision": "bf16", "captured": True}, "--execution.precision bf16 "), ({"captured": True}, "")):
        content["settings"]["execution"] = execution
        (run / "config.json").write_text(json.dumps(content))
        assert settings.identity(run)["flags"] == f"{told}{changed}"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"game": "Pnog"}, "its game is not that of the run"),
        ({"agent": "derr"}, "its agent is not that of the run"),
        ({"score": float("nan")}, "its score is nan, not a finite number"),
        ({"score": "many"}, "its score is None, not a number"),
        ({"env_steps": 30}, "30 env steps of training, not 100"),
        ({"episodes": 1, "returns": [-10.0]}, "1 games of evaluation, not 2"),
        ({"repeat_action_probability": 0.25}, "sticky actions"),
        ({"hns": 0.5}, "hns 0.5 is not that of score -10"),
        ({"returns": [-10.0]}, "it has not the returns of 2 games"),
        ({"returns": [-10.0, -9.0]}, "is not the mean of its returns"),
        ({"hours": None}, "hours is None"),
        ({"memory_gb": -1}, "memory_gb is -1, less than 0"),
    ],
)
def test_a_bad_score_is_refused_by_its_file(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    run = fake_run(tmp_path, "der", "Pong", 0, -10.0)
    file = run / "score.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(UserError) as error:
        scores.read_run(run, PROTOCOL)
    assert str(file) in str(error.value)
    assert told in str(error.value)
    assert "\n" not in str(error.value)
    assert error.value.code == 2


@pytest.mark.parametrize("name", ["score.json", "config.json"])
def test_a_half_written_run_is_refused(name: str, tmp_path: Path) -> None:
    run = fake_run(tmp_path, "der", "Pong", 0, -10.0)
    (run / name).write_text((run / name).read_text()[:40])
    with pytest.raises(UserError, match=f"{name} is no JSON .*; is it half-written"):
        scores.read_run(run, PROTOCOL)


def test_a_half_written_table_is_refused(tmp_path: Path) -> None:
    file = score_table(tmp_path / "scores.csv", [("der", "", "Pong", 0, -10.0)])
    whole = file.read_text()
    for cut, told in ((whole[:-1], "whole line"), (whole[:-12] + "\n", "line 2"), (whole.replace("hns", "x"), "column 'hns'")):
        file.write_text(cut)
        with pytest.raises(UserError, match=told):
            scores.read_table(file, PROTOCOL)


def test_scores_are_in_order_and_published_ones_last(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"Pong": [1.0]}')
    rows = [("spr", "", "Pong", 0, 0.0), ("der", "", "Pong", 1, 0.0), ("der", "", "Pong", 0, 0.0), ("der", "", "Alien", 0, 0.0)]
    found = read_single_runs("a", tmp_path / "a.json").scores
    found += scores.read_table(score_table(tmp_path / "scores.csv", rows), PROTOCOL)
    assert [(s.label, s.game, s.seed) for s in scores.unique(found)] == [
        ("der", "Alien", 0),
        ("der", "Pong", 0),
        ("der", "Pong", 1),
        ("spr", "Pong", 0),
        ("a", "Pong", 0),
    ]


def test_two_files_that_disagree_are_refused(tmp_path: Path) -> None:
    rows = [("der", "", "Pong", 0, -10.0), ("der", "", "Pong", 0, -11.0)]
    found = scores.read_table(score_table(tmp_path / "scores.csv", rows), PROTOCOL)
    with pytest.raises(UserError, match=r"line 2 and .*line 3 hold different scores of der on Pong, seed 0: -10 and -11"):
        scores.unique(found)
