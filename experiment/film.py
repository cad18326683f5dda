"""Pictures become a film that a browser plays: H.264 in .mp4, or an animated .gif for a page of text."""

import contextlib
import re
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import NoReturn

import numpy as np

from experiment.command import UserError

ENLARGED = {".mp4": 4, ".gif": 2}  # pixels for each of the console's
# A .gif has 256 colours: all of a console's few, found over the whole film, and only what changed is stored.
PALETTE = "split[a][b];[a]palettegen=stats_mode=full[p];[b][p]paletteuse=dither=none:diff_mode=rectangle"
ENCODERS = {
    ".mp4": ["-vcodec", "libx264", "-pix_fmt", "yuv420p", "-crf", "25"],
    ".gif": ["-vcodec", "gif", "-pix_fmt", "pal8", "-filter_complex", PALETTE],
}


class Film:
    """A file that takes pictures, uint8 [H, W] or [H, W, 3], all of one size, and shows them enlarged.

    UserError if it cannot be written or the encoder is not there. A .gif is in memory until its end: 0.6 MB a picture.
    """

    def __init__(self, path: Path, frames_per_second: float) -> None:
        try:
            import imageio_ffmpeg
        except ModuleNotFoundError:
            raise UserError("--video needs imageio-ffmpeg: pip install -e '.[video]'") from None
        if not path.absolute().parent.is_dir():
            raise UserError(f"--video: there is no folder {path.absolute().parent}")
        self._path, self._fps = path, frames_per_second
        try:
            path.open("ab").close()
        except OSError as error:
            self._refuse(error.strerror)
        self._program = imageio_ffmpeg.get_ffmpeg_exe()
        self._encoder: subprocess.Popen[bytes] | None = None
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  a pipe could fill up

    def __enter__(self) -> "Film":
        return self

    def add(self, picture: np.ndarray) -> None:
        """Append one picture."""
        if picture.ndim == 2:
            picture = np.stack([picture] * 3, axis=-1)
        times = ENLARGED[self._path.suffix]
        large = picture.repeat(times, axis=0).repeat(times, axis=1)
        if self._encoder is None:
            self._encoder = self._start(f"{large.shape[1]}x{large.shape[0]}")
        try:
            self._encoder.stdin.write(np.ascontiguousarray(large))
        except OSError:
            self._finish()
            self._refuse("its encoder ended early")

    def _start(self, size: str) -> subprocess.Popen[bytes]:
        raw = ["-f", "rawvideo", "-vcodec", "rawvideo", "-s", size, "-pix_fmt", "rgb24", "-r", str(self._fps), "-i", "-", "-an"]
        # With a path that begins with a dash it would take it for an option.
        command = [self._program, "-y", *raw, *ENCODERS[self._path.suffix], "-v", "error", str(self._path.absolute())]
        # In a session of its own it does not hear Ctrl-C.
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": self._said}
        return subprocess.Popen(command, start_new_session=True, **pipes)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if self._encoder is not None and error is None:
                self._finish()
        finally:
            if self._encoder is not None:
                self._encoder.kill()  # if it has not ended
                with contextlib.suppress(OSError):
                    self._encoder.stdin.close()
                self._encoder.wait()
            self._said.close()

    def _finish(self) -> None:
        """Let the encoder write what it has. UserError, with its own reason, if it failed, whenever that is noticed."""
        with contextlib.suppress(OSError):
            self._encoder.stdin.close()
        if self._encoder.wait():
            self._said.seek(0)
            said = self._said.read().decode("utf-8", errors="replace").splitlines()
            line = next((line for line in said if line.strip()), f"its encoder ended with {self._encoder.returncode}")
            self._refuse(re.sub(r"^\[[^]]*\] *", "", line))

    def _refuse(self, why: str | None) -> NoReturn:
        raise UserError(f"--video: cannot write {self._path}: {why}", code=1) from None
