"""Files are whole or absent, a lock dies with its process, checkpoints run no code, progress says what is left."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from experiment import device
from experiment.command import UserError
from experiment.device import choose_device
from experiment.files import atomic
from experiment.folder import RunFolder
from experiment.metrics import Metrics
from experiment.progress import Progress
from experiment.provenance import commit, provenance
from experiment.signals import Signals
from options import PACKAGES


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail() -> None:
        with atomic(path) as file:
            file.write(b"half of the n")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_bytes() == b"old"
    with atomic(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"  # until the very end
    assert path.read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from experiment.folder import RunFolder; "
        "RunFolder(Path(sys.argv[1])).__enter__(); print('held', flush=True); time.sleep(60)"
    )
    root = Path(__file__).parent.parent
    with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True, cwd=root) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match="another process"):
            RunFolder(tmp_path).__enter__()
        os.kill(holder.pid, signal.SIGKILL)
    with RunFolder(tmp_path) as free:
        assert free.path == tmp_path


def test_a_reader_that_leaves_is_one_line() -> None:
    root = Path(__file__).parent.parent
    command = [sys.executable, "train.py", "--agent", "help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root) as writer:
        assert writer.stdout is not None
        assert writer.stderr is not None
        writer.stdout.close()
        assert writer.stderr.read() == "train.py: nothing reads its output any more\n"
    assert writer.returncode == 1


def test_metrics_are_lines_of_json(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path / "metrics.jsonl")
    metrics.log("train", 10, {"loss": 0.5})
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"kind": "train", "env_step": 10, "loss": 0.5}
    metrics.log("episode", 20, {"return": 3.0})  # each row is on the disk at once
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2
    metrics.close()


def test_metrics_are_cut_back(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    metrics = Metrics(path)
    metrics.log("train", 10, {"loss": 0.5})
    kept = metrics.mark()
    metrics.log("train", 20, {"loss": 0.25})
    metrics.close()
    again = Metrics(path, kept=kept)
    assert again.mark() == kept
    assert kept["bytes"] == path.stat().st_size
    again.log("train", 20, {"loss": 0.125})
    again.close()
    assert [json.loads(line)["loss"] for line in path.read_text().splitlines()] == [0.5, 0.125]
    with pytest.raises(UserError, match="rows are lost"):
        Metrics(path, kept=10_000)


def test_a_full_disk_is_one_line_to_the_end(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path / "metrics.jsonl")
    metrics._file.close()
    metrics._file = open("/dev/full", "a", buffering=1)  # noqa: SIM115, `close` is what is tried
    told = "cannot write /dev/full: No space left on device; there is no checkpoint yet"
    with pytest.raises(UserError, match=told):
        metrics.log("train", 10, {"loss": 0.5})
    with pytest.raises(UserError, match=told):
        metrics.mark()
    (tmp_path / "checkpoint.pt").touch()
    with pytest.raises(UserError, match="device; the last checkpoint is kept at"):  # and not the file's own error
        metrics.close()


def test_a_signal_that_a_library_swallows_is_not_lost() -> None:
    with Signals() as signals:
        with contextlib.suppress(Exception):  # as around the start of wandb
            os.kill(os.getpid(), signal.SIGUSR1)
            pytest.fail("no error")
        with pytest.raises(UserError, match=r"stopped by SIGUSR1; the same command .* goes on") as end, signals.patient():
            pytest.fail("it went on")
    assert end.value.code == 75


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (1 << 30, [(-3, 1 << 28), (-1, 2**31 - 1)]),
        (1 << 25, [(-3, 1 << 28), (-3, 1 << 25), (-1, 2**31 - 1)]),  # as glibc was
        (0, [(-3, 1 << 28), (-3, 1 << 25)]),  # the second option alone would do harm
    ],
)
def test_freed_memory_is_kept_only_if_large_blocks_are(
    most: int, expected: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    class Library:
        @staticmethod
        def mallopt(option: int, value: int) -> int:
            asked.append((option, value))
            return int(option != -3 or value <= most)

    monkeypatch.setattr(device.ctypes, "CDLL", lambda _: Library)
    device.keep_freed_memory()
    assert asked == expected


@pytest.mark.parametrize(("given", "expected"), [({}, "1000"), ({"GOMP_SPINCOUNT": "77"}, "77")])
def test_threads_wait_briefly_unless_told_otherwise(given: dict[str, str], expected: str) -> None:
    """Torch's OpenMP alone is loaded, which takes a tenth of torch's time."""
    loaded = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "libgomp" in line}
    if not loaded:
        pytest.skip("this torch is built with another OpenMP")
    program = "import ctypes, sys\nfrom experiment.command import run\nrun(lambda paths: [*map(ctypes.CDLL, paths)])"
    told = subprocess.run(
        [sys.executable, "-c", program, *loaded],
        env={**{k: v for k, v in os.environ.items() if k != "GOMP_SPINCOUNT"}, "OMP_DISPLAY_ENV": "verbose", **given},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"GOMP_SPINCOUNT = '{expected}'" in told.stderr


def test_progress_off_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    progress = Progress("der Pong", 1000, "env steps")
    progress.advance(100)  # fast, and at another pace than the rest
    progress.restart_clock()
    now += 10
    progress.advance(200)
    assert progress.speed == pytest.approx(20)
    progress.note({"loss": 1.25})
    progress.close()
    line = capsys.readouterr().err
    assert line == "der Pong  300/1,000 env steps  30%  loss 1.25  20.0/s  left 00:35\n"


def test_no_time_is_told_before_the_pace_of_the_rest_is_known(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The warm-up is a hundred times as fast as the updates that follow."""
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    progress = Progress("der Pong", 1000, "env steps", paced=False)
    now += 1
    progress.advance(100)
    progress.note({})
    assert capsys.readouterr().err == "der Pong  100/1,000 env steps  10%    100.0/s\n"
    progress.restart_clock()
    now += 100
    progress.advance(100)
    progress.note({})
    assert capsys.readouterr().err.endswith("1.0/s  left 13:20\n")


def test_progress_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    progress = Progress("der Pong", 10, "env steps", paced=False)
    progress.advance(1)
    assert "<" not in screen.getvalue()  # as tqdm writes the time that is left
    progress.restart_clock()
    progress.note({"return": -20.0, "loss": 1.25})
    progress.advance(9)
    progress.close()
    assert "<" in screen.getvalue()
    assert "der Pong" in screen.getvalue()
    assert "10/10" in screen.getvalue()
    assert "return -20  loss 1.25" in screen.getvalue()


def test_a_run_says_how_it_was_made() -> None:
    made = provenance(PACKAGES)
    assert made["versions"]["torch"] in (torch.__version__, torch.__version__.split("+")[0])  # a wheel's, or with the build
    assert set(made["versions"]) >= {"torch", "ale-py"}
    assert made["commit"] == commit()
    assert choose_device("cpu").type == "cpu"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells")
def test_the_most_memory_that_a_process_held() -> None:
    """As the kernel tells it elsewhere."""
    kilobytes = int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])  # type: ignore[index]
    assert device.peak_memory(torch.device("cpu")) == pytest.approx(kilobytes * 1024 / 1e9, abs=0.003)
