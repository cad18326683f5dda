"""Pictures become a film that a browser plays: H.264 in .mp4, or an animated .gif for a page of text."""

from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

import numpy as np

from experiment.command import UserError

ENDINGS = (".mp4", ".gif")
ENLARGED = {".mp4": 4, ".gif": 2}  # pixels for each of the console's
# A .gif has 256 colours: all of a console's few, found over the whole film, and only what changed is stored.
PALETTE = "split[a][b];[a]palettegen=stats_mode=full[p];[b][p]paletteuse=dither=none:diff_mode=rectangle"
ENCODERS: dict[str, dict[str, Any]] = {
    ".mp4": {"codec": "libx264"},
    ".gif": {"codec": "gif", "pix_fmt_out": "pal8", "output_params": ["-filter_complex", PALETTE], "quality": None},
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
        self._encoder, self._open = imageio_ffmpeg.write_frames, None

    def __enter__(self) -> "Film":
        return self

    def add(self, picture: np.ndarray) -> None:
        """Append one picture."""
        import cv2  # takes a while

        if picture.ndim == 2:
            picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)
        kind = self._path.suffix
        large = cv2.resize(picture, None, fx=ENLARGED[kind], fy=ENLARGED[kind], interpolation=cv2.INTER_NEAREST)
        if self._open is None:
            size = (large.shape[1], large.shape[0])
            self._open = self._encoder(str(self._path), size, fps=self._fps, macro_block_size=2, **ENCODERS[kind])
            self._open.send(None)
        try:
            self._open.send(np.ascontiguousarray(large))
        except OSError:
            self._refuse("its encoder ended, and says why above")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._open is not None:
            self._open.close()
            if error is None and not self._path.stat().st_size:
                self._refuse("its encoder wrote nothing, and says why above")

    def _refuse(self, why: str | None) -> NoReturn:
        raise UserError(f"--video: cannot write {self._path}: {why}", code=1) from None
