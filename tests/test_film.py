"""A film takes the place of another when it is whole, and not before."""

from pathlib import Path

import numpy as np
import pytest

from experiment.film import open_film

PICTURE = np.full((8, 8, 3), 99, np.uint8)


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
@pytest.mark.parametrize("there", [False, True])
def test_a_film_is_kept_until_another_is_whole(name: str, there: bool, tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    path = tmp_path / name
    if there:
        path.write_text("kept")
    with pytest.raises(KeyboardInterrupt), open_film(path, 15, 8, 8) as add:  # noqa: PT012
        add(PICTURE)
        raise KeyboardInterrupt
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == ({name: "kept"} if there else {})
    with open_film(path, 15, 8, 8) as add:
        for _ in range(3):
            add(PICTURE)
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_size > 100
