"""What a whole score.json is: no flipped bit gives another score, and older files without a checksum are still read."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

import train
from experiment.command import UserError
from experiment.score import read_score, sealed
from tests.test_command_line import refuse
from tests.toy_run import TOY

WHOLE = {"agent": "der", "game": "Catch", "seed": 0, "score": 1.5, "hns": 0.25, "episodes": 2, "returns": [1.0, 2.0]}
WHOLE |= {"hours": 0.5, "evaluation_hours": 0.25, "standard_error": 0.5, "commit": "abc", "device": "CPU, 1 threads"}
STUDY = {"study": "warm_start", "seed": 4, "test": 0.75, "tasks": [{"test": 0.5}, {"test": 0.75}], "commit": "abc"}


@pytest.mark.parametrize("score", [WHOLE, STUDY], ids=["evaluation", "study"])
def test_no_flipped_bit_gives_another_score(score: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "score.json"
    whole = (json.dumps(sealed(score), indent=2) + "\n").encode()
    for bit in range(0, 8 * len(whole), 7):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        found, told = score, f"{path} "
        try:
            found = read_score(path)
        except UserError as error:
            told = str(error)
        assert told.startswith(f"{path} ")
        assert "\n" not in told
        assert {name: found[name] for name in score} == score
    path.write_bytes(whole)
    assert {**read_score(path), "checksum": ""} == {**score, "checksum": ""}


@pytest.mark.parametrize("text", ["{}", "[]", "0", "", "null", '{"score": 1', "[" * 100_000, '"x"', "9" * 5000])
def test_what_is_no_score(text: str, tmp_path: Path) -> None:
    (tmp_path / "score.json").write_text(text)
    with pytest.raises(UserError, match=r"score\.json") as error:
        read_score(tmp_path / "score.json")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"score": 1.25}, "its score 1.25 is not the mean of its returns, 1.5"),
        ({"returns": [1.0, 3.0]}, "is not the mean of its returns, 2"),
        ({"returns": [1.5]}, "it has not the returns of 2 games"),
        ({"returns": []}, "it has not the returns of 2 games"),
        ({"returns": None}, "it has not the returns of 2 games"),
        ({"returns": [1.0, None]}, "one of its returns is None, not a number"),
        ({"returns": [1.0, 10**400]}, "one of its returns is a number of over 40 digits"),
        ({"score": "1.5"}, "its score is None, not a number"),
        ({"score": True}, "its score is True, not a finite number"),
        ({"hns": None}, "its hns is None"),
        ({"hours": "two"}, "its hours is None"),
        ({"seed": 1}, "its seed is not that of the run"),
        ({"game": "Pong"}, "its game is not that of the run"),
    ],
)
def test_a_score_of_before_without_a_checksum(changed: dict[str, Any], told: str, tmp_path: Path) -> None:
    path, settings = tmp_path / "score.json", {"game": "Catch", "seed": 0, "eval_episodes": 2}
    path.write_text(json.dumps(WHOLE))
    assert read_score(path, settings) == WHOLE
    path.write_text(json.dumps(WHOLE | changed))
    with pytest.raises(UserError) as error:
        read_score(path, settings)
    assert str(error.value).startswith(f"{path} is damaged: ")
    assert told in str(error.value)


def test_a_damaged_score_is_not_printed_as_a_finished_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = [*TOY, "--device", "cpu", "--out", str(tmp_path)]
    train.main(line)
    path = tmp_path / "der/Catch/seed0/score.json"
    whole, draw = path.read_bytes(), random.Random(0)
    right = capsys.readouterr().out
    texts = [b"{}", b"[]", b"0", whole[: len(whole) // 2]]
    texts += [
        bytes(b ^ (1 << 2) * (i == at) for i, b in enumerate(whole)) for at in draw.sample(range(whole.index(b'"checksum"')), 5)
    ]
    for text in texts:
        path.write_bytes(text)
        told = refuse(train.main, line, capsys, monkeypatch)
        assert told.count("\n") == 0
        assert f"{path} " in told
        assert told.endswith("; delete it, and the run goes on from its checkpoint")
    path.unlink()
    train.main(line)
    assert capsys.readouterr().out == right
