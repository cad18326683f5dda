"""Pictures become a film that a browser plays: H.264 in .mp4, or an animated .gif for a page of text."""

import contextlib
import os
import re
import secrets
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np

from experiment.command import UserError
from experiment.interrupt import cleaning_up

ENLARGED = {".mp4": 4, ".gif": 2}  # pixels for each of the console's
# A .gif has 256 colours: all of a console's few, found over the whole film, and only what changed is stored.
PALETTE = "split[a][b];[a]palettegen=stats_mode=full[p];[b][p]paletteuse=dither=none:diff_mode=rectangle"
ENCODERS = {
    ".mp4": ["-vcodec", "libx264", "-pix_fmt", "yuv420p", "-crf", "25"],
    ".gif": ["-vcodec", "gif", "-pix_fmt", "pal8", "-filter_complex", PALETTE],
}


@contextlib.contextmanager
def open_film(path: Path, frames_per_second: float, height: int, width: int) -> Iterator[Callable[[np.ndarray], None]]:
    """Within, what appends a picture, uint8 [height, width] or [height, width, 3], enlarged, to the film at `path`.

    A film that was there is kept until this one is whole. UserError if it cannot be written or the encoder is not there. A .gif
    is in memory until its end: 0.6 MB a picture.
    """
    times = ENLARGED[path.suffix]
    size = ["-s", f"{times * width}x{times * height}", "-pix_fmt", "rgb24", "-r", str(frames_per_second)]
    command = [_program(path), "-y", "-f", "rawvideo", "-vcodec", "rawvideo", *size, "-i", "-", "-an"]
    # With a path that begins with a dash it would take it for an option.
    place = _beside(path)
    command += [*ENCODERS[path.suffix], "-v", "error", str(place.absolute())]
    with cleaning_up(), tempfile.TemporaryFile() as said:  # a pipe could fill up
        # In a session of its own it does not hear Ctrl-C.
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": said}
        encoder = subprocess.Popen(command, start_new_session=True, **pipes)

        def add(picture: np.ndarray) -> None:
            if picture.ndim == 2:
                picture = np.stack([picture] * 3, axis=-1)
            encoder.stdin.write(np.ascontiguousarray(picture.repeat(times, axis=0).repeat(times, axis=1)))

        try:
            try:
                yield add
                encoder.stdin.close()
                whole = True
            except BrokenPipeError:  # the encoder ended early
                whole = False
            if encoder.wait() or not whole:
                said.seek(0)
                lines = said.read().decode("utf-8", errors="replace").splitlines()
                line = next((line for line in lines if line.strip()), f"its encoder ended with {encoder.returncode}")
                _refuse(path, re.sub(r"^\[[^]]*\] *", "", line))
            try:
                place.replace(path)
            except OSError as error:
                _refuse(path, error.strerror)
        finally:
            encoder.kill()  # if it has not ended
            with contextlib.suppress(OSError):
                encoder.stdin.close()
            encoder.wait()
            if place != path:
                place.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    """Where the film is written that becomes `path`: in the same folder if that takes files. A link, a device is written to."""
    if path.is_symlink() or (path.exists() and not path.is_file()) or not os.access(path.absolute().parent, os.W_OK):
        return path
    return path.with_name(f".{os.getpid()}-{secrets.token_hex(4)}{path.suffix}")


def _program(path: Path) -> str:
    """The encoder. UserError if it is not there, or if `path` cannot be written."""
    try:
        import imageio_ffmpeg
    except ModuleNotFoundError:
        raise UserError("a film needs imageio-ffmpeg: pip install -e '.[video]'") from None
    if not path.absolute().parent.is_dir():
        raise UserError(f"--video: there is no folder {path.absolute().parent}")
    there = path.exists() or path.is_symlink()
    try:
        path.open("ab").close()
        if not there:
            path.unlink()
    except OSError as error:
        _refuse(path, error.strerror)
    return imageio_ffmpeg.get_ffmpeg_exe()


def _refuse(path: Path, why: str | None) -> NoReturn:
    raise UserError(f"--video: cannot write {path}: {why}", code=1) from None
