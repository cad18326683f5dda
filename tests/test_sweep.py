"""The sweep: numbers of cells, what is read from their folders, and what is printed to be typed."""

import os
import random
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import train
from envs.games import GAMES
from experiment.command import UserError
from sweep import grid, task
from sweep.cells import ORDER, array_string, place, side_by_side, task_of
from tests.sweep_folders import STEPS, make

ROOT = Path(__file__).parent.parent


def listed(argv: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[list[str], str]:
    """The lines that `sweep.grid` prints to be typed, and its listing."""
    grid.main(argv)
    told = capsys.readouterr()
    return told.out.splitlines(), told.err


def expanded(array: str) -> list[int]:
    """The task numbers of SLURM's --array."""
    tasks: list[int] = []
    for part in array.split("%")[0].split(","):
        first, _, last = part.partition("-")
        tasks += range(int(first), int(last or first) + 1)
    return tasks


def test_low_numbers_give_every_game_one_seed_first() -> None:
    assert len(ORDER) == 26
    assert set(ORDER) == set(GAMES)
    assert [place(number) for number in (0, 1, 25, 26, 129)] == [
        ("Alien", 0), ("Amidar", 0), ("UpNDown", 0), ("Alien", 1), ("UpNDown", 4),
    ]  # fmt: skip
    assert [task_of(*place(number)) for number in range(260)] == list(range(260))
    assert len({place(number) for number in range(260)}) == 260
    with pytest.raises(UserError, match="Catch is not one of the 26"):
        task_of("Catch", 0)


def test_array_strings() -> None:
    assert array_string([3, 7, 8, 9]) == "3,7-9"
    assert array_string([5]) == "5"
    assert array_string([2, 1, 0, 4, 4]) == "0-2,4"
    draw = random.Random(0)
    for _ in range(200):
        tasks = draw.sample(range(130), draw.randint(1, 130))
        assert expanded(array_string(tasks)) == sorted(tasks)


@pytest.mark.parametrize("at_most", [1, 2, 5])
def test_runs_side_by_side_are_those_asked_for(at_most: int) -> None:
    draw = random.Random(at_most)
    for _ in range(100):
        tasks = draw.sample(range(130), draw.randint(1, 130))
        found = side_by_side(tasks, at_most)
        covered = [first + 26 * i for size, firsts in found.items() for first in firsts for i in range(size)]
        assert sorted(covered) == sorted(tasks)
        assert max(found) <= at_most
    assert side_by_side(range(130), at_most)[at_most][:26] == list(range(26))


@pytest.mark.parametrize("side", [1, 3])
def test_what_is_printed_runs_the_unfinished_cells_and_no_others(
    side: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw, flags = random.Random(side), STEPS
    games = ORDER[1::4]  # seven
    everything = {(game, seed) for game in games for seed in range(3)}
    finished = set(draw.sample(sorted(everything), 8))
    for game, seed in finished:
        make(tmp_path, game, seed, score=3.0)
    argv = ["--agents", "der", "--games", *games, "--seeds", "3", "--out", str(tmp_path), "--runs-per-gpu", str(side)]
    argv += ["--", *flags]
    lines, told = listed(argv, capsys)
    found = []
    for line in lines:
        words = shlex.split(line)
        size = int(words.pop(0).split("=")[1]) if words[0].startswith("RUNS_PER_GPU=") else 1
        assert words[-8:] == ["sweep/array.sbatch", "der", "--out", str(tmp_path), *flags]
        array = re.findall(r"--array=(\S+)", line)[0]
        found += [place(first + 26 * i) for first in expanded(array) for i in range(size)]
    assert len(found) == len(set(found))
    assert set(found) == everything - finished
    assert "8 finished, 13 missing" in told
    assert "hours left: about 13, or 1.6 with 8 at once" in told
    commands, _ = listed([*argv[:-5], "--commands", "--", *flags], capsys)
    assert len(commands) == 13
    assert commands[0].startswith("python train.py --agent der --game ")


def test_an_exported_number_of_runs_does_not_add_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RUNS_PER_GPU", "4")
    lines, _ = listed(["--agents", "der", "--games", "Pong", "--out", str(tmp_path)], capsys)
    assert lines == [f"RUNS_PER_GPU=1 sbatch --cpus-per-task=2 --array=20%1 sweep/array.sbatch der --out {tmp_path}"]


BAD = {
    "--agents sprr": "sprr: unknown agent 'sprr': did you mean spr",
    "--agents der --games Pnog": "unknown game 'Pnog': did you mean Pong",
    "--agents": "--agents needs at least one name",
    "": "--agents",
    "--agents der --sedes 3": "did you mean --seeds?",
    "--agents der --seeds 0": "--seeds must lie in [1, 1000], not 0",
    "--agents der --games Catch": "use --commands",
    "--agents der --replay.ratio 4": "unknown flag --replay.ratio: train.py's flags go behind --",
    "--agents der --env-steps=300": "unknown flag --env-steps: train.py's flags go behind --",
    "--agents der -- --env-stesp 3": "der: unknown flag --env-stesp: did you mean --env-steps",
    "--agents der -- --seed=3": "--seed is not for the runs of a sweep",
    "--agents der -- --fresh": "--fresh is not for the runs of a sweep",
    "--agents der -- --eval-episodes 0": "--eval-episodes must be at least 1",
}


@pytest.mark.parametrize("line", list(BAD))
def test_bad_input_is_answered_with_one_line(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError) as error:
        grid.main(line.split())
    assert error.value.code == 2
    assert BAD[line] in str(error.value)
    assert "\n" not in str(error.value)
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_a_sweep_without_a_cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two real runs of Catch, one of them by the pipe of README, which asks for it alone."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    flags = "--env-steps 60 --eval-episodes 2"
    asked = f"--agents random --games Catch --seeds 2 --out '{tmp_path}/a b' --commands -- {flags}"
    assert len(listed(shlex.split(asked), capsys)[0]) == 2
    train.main(["--agent", "random", "--game", "Catch", "--seed", "0", "--out", f"{tmp_path}/a b", *flags.split()])
    line = f"python -m sweep.grid {asked} | tee '{tmp_path}/asked' | xargs -P 2 -L 1 env OMP_NUM_THREADS=1"
    subprocess.run(line, shell=True, cwd=ROOT, env=environment, capture_output=True, check=True)
    assert "--seed 1" in (tmp_path / "asked").read_text()
    assert (tmp_path / "asked").read_text().count("\n") == 1
    capsys.readouterr()
    assert listed(shlex.split(asked), capsys)[0] == []
    (tmp_path / "a b/random/Catch/seed1/score.json").unlink()
    (again,) = listed(shlex.split(asked), capsys)[0]
    assert "--seed 1" in again


def test_a_task_becomes_its_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, command: started.append(command))
    monkeypatch.setattr(os, "dup2", lambda *_: None)
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "20")
    flags = ["--out", str(tmp_path), *STEPS]
    task.main(["2", "spr_ht", *flags])
    assert started[0][1:] == [str(ROOT / "train.py"), "--agent", "spr_ht", "--game", "Pong", "--seed", "2", *flags]
    assert "restart 0, process" in (tmp_path / "logs/spr_ht-Pong-seed2.log").read_text()
    assert "spr_ht Pong seed 2" in capsys.readouterr().out
    monkeypatch.delenv("SLURM_ARRAY_TASK_ID")
    with pytest.raises(UserError, match="sbatch --array"):
        task.main(["2", "spr_ht"])
