"""A run that dies and is continued ends as if it had not died: weights, priorities, random streams, metrics, score."""

import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch

from benchmarks.kills import difference, left_by
from envs.games import GAMES
from tests.killed import DEATHS, finish, start, wait_for

TOY = ["--game", "Catch", "--env-steps", "120", "--replay.warmup-steps", "60", "--log-every", "10", "--eval-episodes", "6"]
TOY += ["--checkpoint-every", "30", "--device", "cpu", "--num-lanes", "2", "--head.hidden", "32"]
# Five updates are done after 80 env steps, ten after 100: what is saved there is past a reset, and n is on its way.
RESETS = ["--replay.ratio", "0.25", "--replay.batch-size", "2", "--prediction.jumps", "1", "--resets.every", "4"]
RESETS += ["--checkpoint-every", "20"]
AGENTS = {
    "der": ["--agent", "der", "--replay.ratio", "0.5", "--replay.batch-size", "4", "--replay.capacity", "90"],  # the ring wraps
    "spr_ht": ["--agent", "spr_ht", *RESETS],
    "bbf": ["--agent", "bbf", *RESETS, "--target.end.updates", "6", "--encoder.width", "1"],
}


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, float]]:
    """The folder of an uninterrupted run of each agent, and its seconds; made when first asked for."""

    class Runs(dict):
        def __missing__(self, agent: str) -> tuple[Path, float]:
            out, began = tmp_path_factory.mktemp(agent), time.monotonic()
            assert finish([*TOY, *AGENTS[agent], "--out", str(out)], out / "log") == 0, (out / "log").read_text()
            self[agent] = out / agent / "Catch" / "seed0", time.monotonic() - began
            return self[agent]

    return Runs()


def check_end(agent: str, out: Path, undisturbed: dict[str, tuple[Path, float]]) -> None:
    """Continue the run in `out` to its end, which must be the undisturbed one's."""
    assert finish([*TOY, *AGENTS[agent], "--out", str(out)], out / "log") == 0, (out / "log").read_text()
    assert difference(left_by(out / agent / "Catch" / "seed0"), left_by(undisturbed[agent][0])) is None


@pytest.mark.parametrize("moment", DEATHS)
def test_death_at_a_chosen_moment_changes_nothing(
    moment: str, undisturbed: dict[str, tuple[Path, float]], tmp_path: Path
) -> None:
    command = [*TOY, *AGENTS["der"], "--out", str(tmp_path)]
    if moment == "while playing again":
        assert finish(command, tmp_path / "log", "after a save") == -9
    assert finish(command, tmp_path / "log", moment) == -9
    check_end("der", tmp_path, undisturbed)


@pytest.mark.parametrize("agent", ["spr_ht", pytest.param("bbf", marks=pytest.mark.slow)])
def test_a_run_that_dies_twice_behind_resets_changes_nothing(
    agent: str, undisturbed: dict[str, tuple[Path, float]], tmp_path: Path
) -> None:
    """These two have most in their state. The second process goes on after 80 env steps, the third after 100."""
    command = [*TOY, *AGENTS[agent], "--out", str(tmp_path)]
    for moment, env_step in [("in env step 90", 80), ("in env step 110", 100)]:
        assert finish(command, tmp_path / "log", moment) == -9
        state = torch.load(tmp_path / agent / "Catch/seed0/checkpoint.pt", weights_only=True)
        assert (state["env_step"], state["agent"]["updates"]) == (env_step, (env_step - 60) // 4)
    check_end(agent, tmp_path, undisturbed)


# By default of one; der dies at chosen moments.
@pytest.mark.parametrize(("agent", "kills"), [("spr_ht", 3), *(pytest.param(a, 20, marks=pytest.mark.slow) for a in AGENTS)])
def test_death_at_random_moments_changes_nothing(
    agent: str, kills: int, undisturbed: dict[str, tuple[Path, float]], tmp_path: Path
) -> None:
    command, draw = [*TOY, *AGENTS[agent], "--out", str(tmp_path)], random.Random(f"{agent} {kills}")
    _, seconds = undisturbed[agent]
    for _ in range(kills):
        process = start(command, tmp_path / "log")
        process.join(draw.uniform(0, seconds))
        process.kill()
        process.join()
    check_end(agent, tmp_path, undisturbed)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGINT, 130)])
def test_a_signal_saves_and_ends(
    number: signal.Signals, code: int, undisturbed: dict[str, tuple[Path, float]], tmp_path: Path
) -> None:
    log, command = tmp_path / "log", [*TOY, *AGENTS["der"], "--checkpoint-every", "1000", "--out", str(tmp_path)]
    assert finish(command, log, number.name) == code  # it comes before update 8
    assert f"stopped by {number.name}; everything is saved" in log.read_text()
    state = torch.load(tmp_path / "der/Catch/seed0/checkpoint.pt", weights_only=True)
    assert (state["env_step"], state["agent"]["updates"]) == (76, 8)  # the env step is finished first
    check_end("der", tmp_path, undisturbed)


def test_a_second_interrupt_does_not_wait(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = start([*TOY, *AGENTS["der"], "--out", str(tmp_path)], log, "slow updates")
    wait_for("60/120", log)
    assert process.pid is not None
    for _ in range(2):
        time.sleep(0.5)
        os.kill(process.pid, signal.SIGINT)
    process.join(10)
    assert process.exitcode == 130
    assert log.read_text().endswith("stopped by SIGINT; the same command (without --fresh) goes on from the last checkpoint\n")


def test_a_signal_ends_an_evaluation_at_once(undisturbed: dict[str, tuple[Path, float]], tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = start([*TOY, *AGENTS["der"], "--out", str(tmp_path)], log, "slow evaluation")
    wait_for("120/120", log)
    time.sleep(1)
    process.terminate()
    process.join(10)
    assert process.exitcode == 75
    check_end("der", tmp_path, undisturbed)


def goes_on(game: str, env_steps: int, tmp_path: Path) -> None:
    """A run of `env_steps` of `game`, and one that dies behind its third save: every frame and reward is in the hash."""
    lanes = "2" if game == "Qbert" else "1"
    command = ["--game", game, "--agent", "random", "--env-steps", str(env_steps), "--eval-episodes", "0", "--num-lanes", lanes]
    command += ["--checkpoint-every", str(env_steps // 4), "--device", "cpu", "--out"]
    assert finish([*command, str(tmp_path / "a")], tmp_path / "log") == 0
    assert finish([*command, str(tmp_path / "b")], tmp_path / "log", "after a save") == -9
    assert finish([*command, str(tmp_path / "b")], tmp_path / "log") == 0, (tmp_path / "log").read_text()
    a, b = (left_by(tmp_path / name / "random" / game / "seed0") for name in "ab")
    assert a["state"]["env_step"] == env_steps
    assert difference(b, a) is None


@pytest.mark.parametrize(("game", "env_steps"), [("Assault", 500), ("Qbert", 280)])
def test_a_game_goes_on_in_a_new_process(game: str, env_steps: int, tmp_path: Path) -> None:
    """The death comes in the second game, of which the emulator remembers the first, or in two lanes after lost lives."""
    goes_on(game, env_steps, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("game", [game for game in GAMES if game != "Catch"])
def test_every_game_goes_on_in_a_new_process(game: str, tmp_path: Path) -> None:
    goes_on(game, 2500, tmp_path)
