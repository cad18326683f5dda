"""A film takes the place of another when it is whole, and not before."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from experiment import film
from experiment.command import UserError
from experiment.film import open_film

PICTURE = np.full((8, 8, 3), 99, np.uint8)


def sizes(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_size for file in folder.iterdir()}


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
@pytest.mark.parametrize("there", [False, True])
def test_a_film_is_kept_until_another_is_whole(name: str, there: bool, tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    path = tmp_path / name
    if there:
        path.write_text("kept")
    before, until = sizes(tmp_path), time.monotonic() + 10
    with pytest.raises(KeyboardInterrupt), open_film(path, 15, 8, 8) as add:  # noqa: PT012
        while sizes(tmp_path) == before:  # until the encoder has begun to write
            add(PICTURE)
            assert time.monotonic() < until
        raise KeyboardInterrupt
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == ({name: "kept"} if there else {})
    with open_film(path, 15, 8, 8) as add:
        for _ in range(3):
            add(PICTURE)
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_size > 100


ENDLESS = """
import sys
from pathlib import Path
import numpy as np
from experiment.command import run
from experiment.film import open_film

def main(argv):
    with open_film(Path(argv[0]), 15, 8, 8) as add:
        while True:
            add(np.full((8, 8, 3), 99, np.uint8))

run(main)
"""


def test_a_film_that_is_terminated_leaves_nothing_behind(tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    path = tmp_path / "a.mp4"
    path.write_text("kept")
    before, until = sizes(tmp_path), time.monotonic() + 30
    with subprocess.Popen([sys.executable, "-c", ENDLESS, path], stderr=subprocess.PIPE, text=True) as filming:
        while sizes(tmp_path) == before:
            assert time.monotonic() < until
            time.sleep(0.01)
        filming.terminate()
        _, said = filming.communicate(timeout=30)
    assert (filming.returncode, said) == (143, "-c: terminated\n")
    assert sizes(tmp_path) == before


def test_any_name_that_a_file_can_have(tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    path = tmp_path / f"{'a' * 251}.mp4"
    with open_film(path, 15, 8, 8) as add:
        add(PICTURE)
    assert list(tmp_path.iterdir()) == [path]


def test_a_film_is_written_in_its_place_where_the_folder_takes_no_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("imageio_ffmpeg")
    path = tmp_path / "a.mp4"
    path.touch()
    os.link(path, tmp_path / "same")
    monkeypatch.setattr(film.os, "access", lambda place, mode: (place, mode) != (tmp_path, os.W_OK))
    with open_film(path, 15, 8, 8) as add:
        add(PICTURE)
    assert path.samefile(tmp_path / "same")
    assert path.stat().st_size > 100


def test_a_film_that_cannot_take_its_place_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    path = tmp_path / "a.mp4"
    said = r"^--video: cannot write .*a\.mp4: Is a directory$"
    with pytest.raises(UserError, match=said), open_film(path, 15, 8, 8) as add:  # noqa: PT012
        add(PICTURE)
        path.mkdir()
    assert list(tmp_path.iterdir()) == [path]
