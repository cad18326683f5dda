"""What is printed is never a reason to stop: streams that are closed, full or gone, a lost terminal, Ctrl-C at any time."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from experiment import command
from experiment.command import say
from experiment.signals import Signals
from tests.killed import program, start, wait_for

ROOT = Path(__file__).parent.parent
TRAIN = f"{sys.executable} train.py --game Catch --agent random --env-steps 60 --log-every 1 --eval-episodes 2 --device cpu"


def heard() -> None:
    """In a child: signals are heard, though these tests may have been started where they are ignored, as behind nohup."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    how = {"cwd": ROOT, "env": os.environ | environment, "preexec_fn": heard}
    return subprocess.run(["bash", "-c", line], **how, capture_output=True, text=True, timeout=60)


GONE = [
    "0<&- >&- 2>&-",
    "2> /dev/full",
    "> >(true)",
    "2> >(exec cat <&-)",
    "2> >(head -2 > /dev/null)",
    "2>&-",
    "> /dev/null 2>&1 0<&- >&-",
]


@pytest.mark.slow
@pytest.mark.parametrize("where", GONE)
def test_a_log_that_goes_away_ends_no_run(where: str, tmp_path: Path) -> None:
    found = shell(f"{TRAIN} --out {tmp_path} {where}")
    assert found.returncode == 0, found.stderr
    check_whole(tmp_path / "random/Catch/seed0")


def check_whole(folder: Path) -> None:
    assert (folder / "score.json").exists()
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoint.pt",
        "config.json",
        "lock",
        "metrics.jsonl",
        "score.json",
    ]
    assert (folder / "lock").read_bytes() == b""  # no stream has taken a file's number


SHORT = TRAIN.split()[2:]


def test_closed_streams_end_no_run(tmp_path: Path) -> None:
    """As `0<&- >&- 2>&-` above, in a process that has torch already."""
    assert program(f"train.py {' '.join(SHORT)} --out {tmp_path}", None, None) == 0
    check_whole(tmp_path / "random/Catch/seed0")


def test_a_full_log_ends_no_run(tmp_path: Path) -> None:
    """As `2> /dev/full` above."""
    assert program(f"train.py {' '.join(SHORT)} --out {tmp_path}", tmp_path / "out", Path("/dev/full")) == 0
    assert (tmp_path / "random/Catch/seed0/score.json").exists()


def test_a_log_whose_reader_leaves_ends_no_run(tmp_path: Path) -> None:
    """As `2> >(head -2 > /dev/null)` above."""
    os.mkfifo(tmp_path / "log")
    with subprocess.Popen(["head", "-2", tmp_path / "log"], stdout=subprocess.PIPE, text=True) as reader:
        assert program(f"train.py {' '.join(SHORT)} --out {tmp_path}", tmp_path / "out", tmp_path / "log") == 0
        assert reader.stdout is not None
        assert reader.stdout.read().count("\n") == 2
    assert (tmp_path / "random/Catch/seed0/score.json").exists()


def test_an_output_that_does_not_fit_is_no_success(tmp_path: Path) -> None:
    assert program("-m sweep.grid --agents der --games Pong --commands", Path("/dev/full"), tmp_path / "err") == 1
    told = (tmp_path / "err").read_text()
    assert told.endswith("python -m sweep.grid: cannot write its output: No space left on device\n")


@pytest.mark.parametrize("flags", ["--help", "--agent help"])
def test_a_full_output_is_one_line(flags: str) -> None:
    found = shell(f"{sys.executable} train.py {flags} > /dev/full")
    assert found.returncode == 1
    assert found.stderr == "train.py: cannot write its output: No space left on device\n"


def test_a_listing_that_does_not_fit_keeps_no_command_back(tmp_path: Path) -> None:
    line = f"-m sweep.grid --agents der --games Pong --out {tmp_path} --commands"
    assert program(line, tmp_path / "out", Path("/dev/full")) == 0
    assert (tmp_path / "out").read_text().startswith("python train.py --agent der --game Pong --seed 0")


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 8 bytes")]
)
def test_memory_that_does_not_suffice_is_one_line(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    def main(_argv: list[str]) -> None:
        raise error

    with pytest.raises(SystemExit) as end:
        command.run(main)
    assert end.value.code == 1
    assert "there is not enough memory for this run" in capsys.readouterr().err


def test_an_error_is_told_by_its_code_where_nobody_reads(tmp_path: Path) -> None:
    assert shell(f"{TRAIN} --out {tmp_path} --game Pnog 2>&-").returncode == 2
    assert program(f"train.py {' '.join(SHORT)} --out {tmp_path} --game Pnog", tmp_path / "out", Path("/dev/full")) == 2


def test_a_line_that_nobody_can_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("stderr", "stdout"):
        with (tmp_path / "closed").open("w") as closed:
            monkeypatch.setattr(sys, name, closed)
    say("to a closed file")
    say("to another one", sys.stdout)
    monkeypatch.setattr(sys, "stderr", None)
    say("to none")
    assert (tmp_path / "closed").read_text() == ""


@pytest.mark.parametrize("program", ["train.py", "eval.py", "-m supervised.train", "-m supervised.sweep", "-m sweep.grid"])
def test_ctrl_c_within_the_imports_is_one_line(program: str, tmp_path: Path) -> None:
    (tmp_path / "tyro.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    found = shell(f"exec {sys.executable} {program} --help", PYTHONPATH=str(tmp_path))
    assert found.returncode == 130
    assert found.stderr.endswith(": interrupted\n")
    assert found.stderr.count("\n") == 1


@pytest.mark.parametrize("ignored", [False, True])
def test_a_lost_terminal_saves_and_ends_unless_it_is_ignored(ignored: bool, tmp_path: Path) -> None:
    log = tmp_path / "log"
    long = [*SHORT, "--env-steps", "100000", "--checkpoint-every", "100000", "--out", str(tmp_path)]
    process = start(long, log, "behind nohup" if ignored else "at a terminal")
    wait_for("/100,000", log)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGHUP)
    if ignored:
        process.join(0.3)
        assert process.is_alive()
        process.terminate()
    process.join(30)
    assert process.exitcode == 75
    name = "SIGTERM" if ignored else "SIGHUP"
    assert f"stopped by {name}; everything is saved" in log.read_text()


def test_signals_that_are_heard() -> None:
    before = signal.getsignal(signal.SIGHUP)
    try:
        for handler, heard in ((signal.SIG_IGN, False), (signal.SIG_DFL, True)):
            signal.signal(signal.SIGHUP, handler)
            with Signals():
                assert (signal.getsignal(signal.SIGHUP) == handler) != heard
            assert signal.getsignal(signal.SIGHUP) == handler
    finally:
        signal.signal(signal.SIGHUP, before)
