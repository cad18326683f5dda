"""Runs of a sweep side by side on one machine: stand-ins for train.py, cards and services that are not here."""

from pathlib import Path

import pytest

from experiment.command import UserError
from sweep import here, machine, mps
from sweep.states import log_of
from tests.sweep_folders import make

FAKE = """
import json, os, sys
words = sys.argv[1:]
name = words[words.index("--game") + 1]
print({key: os.environ.get(key) for key in ("CUDA_VISIBLE_DEVICES", "CUDA_MPS_PIPE_DIRECTORY", "OMP_NUM_THREADS")})
sys.exit(3 if name == "Krull" else 0)
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A train.py that tells of its environment, and nothing of this machine's GPUs; the folder of programs that are found."""
    train, programs = tmp_path / "train.py", tmp_path / "bin"
    train.write_text(FAKE)
    programs.mkdir()
    monkeypatch.setattr(here, "TRAIN", train)
    monkeypatch.setattr(here, "LOOK", 0.01)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    for name in ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", mps.PIPE):
        monkeypatch.delenv(name, raising=False)
    return programs


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/bash\n{text}")
    path.chmod(0o755)


def two_cards(programs: Path, free: int | str = 80_000) -> None:
    program(programs / "nvidia-smi", f"echo '0, GPU-aa, {free}'; echo '1, GPU-bb, {free}'\n")


def a_service(programs: Path, running: str = "no", works: str = "yes", also: str = ":") -> Path:
    """A stand-in for NVIDIA's control program, which tells in a file what it was asked; its daemon runs once it was begun."""
    log = programs / "asked"
    program(
        programs / "nvidia-cuda-mps-control",
        f"""
        echo "$@ ${{CUDA_VISIBLE_DEVICES-no cards}}" >> {log}
        where=${{CUDA_MPS_PIPE_DIRECTORY:-{programs}/users}}
        if [ "$1" = -d ]; then [ {works} = yes ] && touch "$where/up"; {also}; exit 0; fi
        read -r word; echo "$word" >> {log}
        [ {running} = yes ] && exit 0
        [ -e "$where/up" ]
        """,
    )
    return log


def told(out: Path) -> dict[str, dict[str, str]]:
    """What each run's environment was, by its game."""
    logs = sorted((out / "logs").iterdir())
    return {log.name.split("-")[1]: eval(log.read_text().splitlines()[1]) for log in logs}


def carry_out(out: Path, *words: str) -> str:
    """What the sweep ends with; its runs are stand-ins that never leave a score."""
    with pytest.raises(UserError) as error:
        here.main(["--agents", "der", "--games", "Pong", "Krull", "Qbert", "--out", str(out), *words])
    return str(error.value)


def test_runs_are_spread_over_the_cards_and_share_them_by_a_service_of_their_own(fake: Path, tmp_path: Path) -> None:
    two_cards(fake)
    log = a_service(fake)
    assert carry_out(tmp_path / "runs", "--at-once", "3").startswith("3 of 3 runs are not finished")
    found = told(tmp_path / "runs")
    assert [found[game]["CUDA_VISIBLE_DEVICES"] for game in ("Pong", "Krull", "Qbert")] == ["GPU-aa", "GPU-bb", "GPU-aa"]
    pipes = {environment["CUDA_MPS_PIPE_DIRECTORY"] for environment in found.values()}
    assert len(pipes) == 1
    assert not Path(pipes.pop()).exists()  # the service has ended, and its folder is gone
    assert log.read_text().splitlines() == [
        " no cards",
        "get_server_list",
        "-d no cards",
        *[" no cards", "get_server_list"],
        " no cards",
        "quit",
    ]
    assert {environment["OMP_NUM_THREADS"] for environment in found.values()} == {str(max(1, machine.cores() // 3))}


def test_a_service_that_runs_is_used_and_left_alone(fake: Path, tmp_path: Path) -> None:
    two_cards(fake)
    log = a_service(fake, running="yes")
    carry_out(tmp_path / "runs")
    assert "quit" not in log.read_text()
    assert "-d" not in log.read_text()
    assert {environment["CUDA_MPS_PIPE_DIRECTORY"] for environment in told(tmp_path / "runs").values()} == {None}


def test_a_signal_while_the_service_starts_leaves_none_behind(fake: Path, tmp_path: Path) -> None:
    two_cards(fake)
    log = a_service(fake, also="kill -TERM $PPID")
    assert carry_out(tmp_path / "runs").startswith("stopped by SIGTERM")
    assert log.read_text().splitlines()[-1] == "quit"
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("works", ["no", "absent"])
def test_without_a_service_runs_take_turns(works: str, fake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two_cards(fake)
    if works == "no":
        a_service(fake, works="no")
    carry_out(tmp_path / "runs")
    assert "runs that share a card take turns" in capsys.readouterr().err
    assert len(told(tmp_path / "runs")) == 3


def test_a_card_for_each_run_needs_no_service_and_the_named_ones_are_used(fake: Path, tmp_path: Path) -> None:
    two_cards(fake)
    log = a_service(fake)
    carry_out(tmp_path / "runs", "--at-once", "1", "--gpus", "1")
    assert {environment["CUDA_VISIBLE_DEVICES"] for environment in told(tmp_path / "runs").values()} == {"GPU-bb"}
    assert not log.exists()


def test_one_that_fails_stops_no_other(fake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished = make(tmp_path / "runs", "Pong", score=1.0)
    flags = ["--", "--env-steps", "4000", "--eval-episodes", "2"]
    assert carry_out(tmp_path / "runs", "--at-once", "1", *flags).startswith("2 of 3 runs are not finished")
    said = capsys.readouterr().err
    assert "1 finished, 2 to be made" in said
    assert "1/2 failed with exit status 3: der Krull seed 0: " in said
    assert "2/2 failed with exit status 0: der Qbert seed 0: " in said
    assert not log_of(finished).exists()


def test_a_run_that_can_have_no_log_stops_no_other(fake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "runs/logs/der-Krull-seed0.log").mkdir(parents=True)
    assert carry_out(tmp_path / "runs", "--at-once", "2").startswith("3 of 3 runs are not finished")
    said = capsys.readouterr().err
    assert "failed: der Krull seed 0 cannot start with its log" in said
    assert "Is a directory" in said
    assert "3/3 failed with exit status 0" in said


@pytest.mark.parametrize(
    ("words", "cards", "what"),
    [
        (["--gpus", "7"], True, "--gpus 7: there are 0, 1"),
        (["--gpus", "0"], False, "--gpus 0: nvidia-smi tells of no card here"),
        (["--gpus", "0", "--", "--device", "cpu"], True, "--gpus means nothing for runs with --device cpu"),
        (["--at-once", "0"], True, "--at-once must lie in [1, 1000], not 0"),
        (["--", "--seed", "3"], True, "--seed is not for the runs of a sweep"),
        (["--games", "Pnog"], True, "did you mean Pong"),
    ],
)
def test_bad_input_is_one_line(words: list[str], cards: bool, what: str, fake: Path, tmp_path: Path) -> None:
    if cards:
        two_cards(fake)
    line = carry_out(tmp_path / "runs", *words)
    assert what in line
    assert "\n" not in line
    assert not (tmp_path / "runs").exists()


def test_more_runs_than_memory_holds_are_refused_before_they_start(fake: Path, tmp_path: Path) -> None:
    two_cards(fake, free=5_000)  # MiB; a run of 100,000 rows takes 0.7 GB beside 3 GiB
    line = carry_out(tmp_path / "runs", "--at-once", "3")
    assert line == "2 runs at once need about 7.9 GB and GPU 0 has 5.2 GB free: 1 fit"
    assert carry_out(tmp_path / "runs", "--at-once", "2").startswith("3 of 3 runs are not finished")


def test_a_process_sees_the_cards_that_it_is_given(fake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two_cards(fake)
    assert [card.index for card in machine.cards()] == ["0", "1"]
    for visible, seen in (("1", ["1"]), ("GPU-aa", ["0"]), ("0, GPU-b", ["0", "1"]), ("", []), ("-1", [])):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert [card.index for card in machine.cards()] == seen


def test_a_card_without_memory_of_its_own_has_the_machines(fake: Path) -> None:
    two_cards(fake, free="[N/A]")
    assert min(card.free for card in machine.cards()) > 1 << 20


def test_the_service_for_a_shell(fake: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    log = a_service(fake)
    mps.main(["start"])
    exports = dict(line.removeprefix("export ").split("=") for line in capsys.readouterr().out.splitlines())
    assert set(exports) == {mps.PIPE, mps.LOG}
    for theirs in (None, str(fake)):  # nowhere, and somebody's own: none that `start` began
        if theirs is not None:
            monkeypatch.setenv(mps.PIPE, theirs)
        mps.main(["stop"])
        assert "quit" not in log.read_text()
        assert fake.exists()
    for name, value in exports.items():
        monkeypatch.setenv(name, value)
    mps.main(["stop"])
    assert "quit" in log.read_text()
    assert not Path(exports[mps.PIPE]).exists()
    with pytest.raises(UserError, match="start"):
        mps.main(["strat"])


DIES = """
import json, os, pathlib, signal, sys, time
words = sys.argv[1:]
folder = pathlib.Path(words[words.index("--out") + 1], "der", "Pong", "seed0")
again = (folder / "checkpoint.pt").exists()
folder.mkdir(parents=True, exist_ok=True)
(folder / "metrics.jsonl").write_text(json.dumps({"kind": "train", "env_step": 100}))
(folder / "checkpoint.pt").touch()
if not again:
    os.kill(os.getpid(), signal.SIGKILL)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
os.kill(os.getppid(), signal.SIGTERM)
time.sleep(60)
"""


def test_a_run_that_got_on_is_begun_again_and_a_signal_ends_all(
    fake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stand-in dies after its first checkpoint; its second process asks the sweep to stop."""
    here.TRAIN.write_text(DIES)
    with pytest.raises(UserError, match="stopped by SIGTERM; everything is saved") as error:
        here.main(["--agents", "der", "--games", "Pong", "Krull", "--at-once", "1", "--out", str(tmp_path / "runs")])
    assert error.value.code == 75
    said = capsys.readouterr().err
    assert "0/2 goes on from its checkpoint after exit status -9: der Pong seed 0: # start 1" in said
    assert "1/2 stopped: der Pong seed 0: # start 2" in said
    assert "Krull" not in said
