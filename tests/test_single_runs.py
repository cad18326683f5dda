"""Published runs are read by what their files hold: every value counts, or the file is refused."""

import gzip
import json
import os
from pathlib import Path

import pytest

from analysis.read.single_runs import read_single_runs
from envs.games import GAMES, find_game
from experiment.command import UserError

FILES = os.environ.get("ATARI_100K_SCORES")

PONG, MS_PACMAN = [-10.0, 14.6], [307.3, 6951.6]
SEEDS = [(game, seed, score) for seed in range(2) for game, score in (("pong", PONG[seed]), ("mspacman", MS_PACMAN[seed]))]
# The same four runs in every shape that is read.
SAME = {
    "rliable": json.dumps({"Pong": PONG, "ms_pacman": MS_PACMAN}),
    "rliable, one game twice": json.dumps({"Pong": PONG[:1], "pong": PONG[1:], "MsPacman": MS_PACMAN}),
    "wide": "Pong,-10,14.6\nMsPacman,307.3,6951.6\n",
    "wide, a spreadsheet's": "\ufeffPong,-10,14.6,,\r\n,,,,\r\nMsPacman,307.3,6951.6,,\r\n",
    "one line a run": "pong,-10\nmspacman,307.3\npong,14.6\nmspacman,6951.6\n",
    "BBF": ",seed,game,GameScoreAverage,GameScoreNormalized\n"
    + "".join(f"{i},{100 + i},{game},{score},0\n" for i, (game, _, score) in enumerate(SEEDS)),
    "BBF, another order": ",GameScoreAverage,GameScoreNormalized,game,seed\n"
    + "".join(f"{i},{score},0,{game},{i}\n" for i, (game, _, score) in enumerate(SEEDS)),
    "a table": "Env ID,Run,Episode Return\n" + "".join(f"ALE/{game}-v5,{seed},{score}\n" for game, seed, score in SEEDS),
    "DreamerV3": json.dumps(
        [
            {"task": f"atari100k_{game}", "method": "dreamerv3", "seed": str(seed), "xs": [4e3, 4e5], "ys": [0.0, score]}
            for game, seed, score in SEEDS
        ]
    ),
    "MR.Q": "".join(
        f"----\nEnv: Atari-{game}-v5\nTimestep\tSeed 0\tSeed 1\n0\t0\t0\n100000\t{first}\t{second}\t\n"
        for game, (first, second) in (("Pong", PONG), ("MsPacman", MS_PACMAN))
    ),
}
SAME["rliable's CURL"] = json.dumps(
    [
        {"game": game, "seed": float(seed), "HNS": find_game(game).normalised(score), "Max HNS": 9.0}
        for game, seed, score in SEEDS
    ]
)


@pytest.mark.parametrize("shape", SAME)
def test_every_shape_gives_the_same_runs(shape: str, tmp_path: Path) -> None:
    (tmp_path / "theirs").write_bytes(SAME[shape].encode())
    (tmp_path / "theirs.gz").write_bytes(gzip.compress(SAME[shape].encode()))
    for name in ("theirs", "theirs.gz"):
        found, note = read_single_runs("theirs", tmp_path / name)
        scores = {game: [run.score for run in found if run.game == game] for game in ("Pong", "MsPacman")}
        assert scores == {"Pong": pytest.approx(PONG), "MsPacman": pytest.approx(MS_PACMAN)}
        assert [run.seed for run in found if run.game == "Pong"] == [0, 1]
        # What no file tells is not made up.
        assert {(run.env_steps, run.episodes, run.ours, run.label) for run in found} == {(None, None, False, "theirs")}
        told = {"DreamerV3": "at 400,000 of their own steps", "MR.Q": "at 100,000 of their own steps"}
        assert told.get(shape, "") in note
        assert bool(note) == (shape in told)


def test_three_runs_of_one_game_are_three(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("alien,700\nalien,900\nalien,1100\n")
    assert [run.score for run in read_single_runs("a", tmp_path / "a.csv").scores] == [700, 900, 1100]


def test_other_games_are_left_out_and_named(tmp_path: Path) -> None:
    others = "".join(f"{i},{i},{game},1,1\n" for i, game in enumerate(("zaxxon", "asteroids", "venture", "atlantis", "tennis")))
    (tmp_path / "bbf.csv").write_text(SAME["BBF"] + others)
    found, note = read_single_runs("a", tmp_path / "bbf.csv")
    assert len(found) == 4
    assert note == f"{tmp_path}/bbf.csv: left out, as no games of Atari-100k: asteroids, atlantis, tennis, venture and 1 more"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("game,seed,step,score\npong,0,50000,1\npong,1,100000,2\n", "scores are at 50,000 and 100,000 of their own steps"),
        ("game,seed,variant,score\npong,0,small,1\npong,1,large,2\n", "not read: variant"),
        (
            '[{"task": "pong", "seed": 0, "ys": [1]}, {"task": "pong", "seed": 1, "ys": [0, 2]}]',
            "scores are the last of ys, whose steps (xs) are not told",
        ),
    ],
)
def test_what_is_not_read_or_not_known_is_told(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    found, note = read_single_runs("a", tmp_path / "a.csv")
    assert [run.score for run in found] == [1, 2]
    assert note == f"{tmp_path}/a.csv: {told}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "holds no score of a game of Atari-100k"),
        ("{}", "holds no score of a game of Atari-100k"),
        ("[]", "holds no score of a game of Atari-100k"),
        ('{"Pnog": [1.0]}', "no score of a game of Atari-100k; Pnog are none"),
        ('{"Pong": []}', "'Pong' has no list of scores"),
        ('{"Pong": 5.0}', "'Pong' has no list of scores"),
        ('{"SPR": {"pong": [0.1]}}', "'SPR' has no list of scores"),
        ('{"Pong": [NaN]}', "score of Pong is nan"),
        ('{"Pong": [null]}', "score of Pong is None"),
        ('{"Pong": [[1.0]]}', r"score of Pong is \[1.0\]"),
        ('{"Pong": [1.0', "half-written"),
        ('{"Pong": [1.0], "Pong": [2.0]}', "stands twice"),
        ('[{"game": "Pong"}]', "record 1 has none of score, return"),
        ("[3]", "record 1 is no record of a run"),
        ('[{"score": 3}]', "record 1 has none of game, env"),
        ('[{"task": "atari_pong", "ys": []}]', "score of Pong is None"),
        ("3\n", "'3' has no list of scores"),
        ("Pong,1,,2\n", "line 1: the score of Pong is '', not a number"),
        ("Pong,1", "does not end with a whole line"),
        ("pong;1\n", "line 1: values must be separated by commas, which 'pong;1' is not"),
        ("pong;1,5;2,5\n", "line 1: values must be separated by commas"),
        ("game\tscore\npong\t1\n", "line 1: values must be separated by commas"),
        ("Game,Score,Score2,Score3\nAlien,700,800,900\n", "line 2 has numbers that are not read: score2, score3; write a line"),
        ("game,episode,score\npong,1,2\npong,2,3\n", "line 2 has numbers that are not read: episode; write a line"),
        ('[{"game": "Pong", "score": 1, "all": [1, 2]}]', "record 1 has numbers that are not read: all"),
        ("game,seed,score\npong,0,2\nPong,0,3\n", "line 3: there is a run 0 of Pong already"),
        ("game,seed,score\npong,0,2\npong,0.0,3\n", "line 3: there is a run 0 of Pong already"),
        ("game,seed,score\npong,,2\n", "line 2 does not tell its run: seed is empty"),
        ('[{"game": "Pong", "seed": null, "score": 1}]', "record 1 does not tell its run: seed is empty"),
        ("pong,1e13\n", r"line 1: the score of Pong is 1e\+13, which no game gives"),
        ('[{"task": "pong", "xs": [1], "ys": [2, 3]}]', "record 1: xs must be as many as ys, 2, and ascending"),
        ('[{"task": "pong", "xs": [2, 1], "ys": [2, 3]}]', "record 1: xs must be as many as ys, 2, and ascending"),
        ("Env: Pong-v5\nTimestep\tSeed 0\n0\t1\n100\t12", "does not end with a whole line"),
        ("Env: Pong-v5\nTimestep\tSeed 0\n0\t1\n10\n", "'Pong-v5' has the line '10', which is cut"),
        ("game,score,return\npong,1,2\n", "line 2 has score and return, where one is needed"),
        ("game,seed,score\npong,1,2\npong,1,3\n", "line 3: there is a run 1 of Pong already"),
        ("game,step,score\npong,1,2\npong,2,3\n", "scores of several steps: keep the last of each run"),
        ("agent,game,seed,score\na,pong,1,2\nb,pong,1,3\n", "scores of several methods: make it a file for each"),
        ("Env: Atari-Pong-v5\nTimestep\tSeed 0\n", "'Atari-Pong-v5' has no line of scores"),
        ("Env: Atari-Pong-v5\n0\t1\t2\n5\t3\n", "lines of several lengths"),
    ],
)
def test_published_runs_that_cannot_be_read(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text(text)
    with pytest.raises(UserError, match=told) as error:
        read_single_runs("theirs", tmp_path / "a")
    assert str(tmp_path / "a") in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.skipif(FILES is None, reason="ATARI_100K_SCORES names no folder of published scores")
def test_the_authors_files_are_read_whole() -> None:
    expected = {"twm/scores.json": 5, "diamond/DIAMOND.json": 5, "bbf/RR2_BBF_26games_14seeds.csv": 14}
    for name, runs in expected.items():
        found, note = read_single_runs("theirs", Path(FILES or "") / name)
        assert {game: sum(run.game == game for run in found) for game in GAMES} == dict.fromkeys(GAMES, runs)
        assert note == ""
