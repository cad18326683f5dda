"""envs/games.py against checksums of the published table, the emulator's list of ROMs, and the usual spellings."""

from pathlib import Path

import pytest
from ale_py import roms

from envs.atari import AtariLanes
from envs.games import GAMES, TOY, Game, find_game


def test_the_constants_are_the_published_ones() -> None:
    """Column sums of the table of bigger_better_faster, spr and iris; weighted by position too, so that no two may swap."""
    assert len(GAMES) == 26
    assert list(GAMES) == sorted(GAMES)
    assert all(name == game.name for name, game in GAMES.items())
    for column, total, weighted in (("random", 19_161.6, 213_534.7), ("human", 319_192.1, 5_332_819.0)):
        values = [getattr(game, column) for game in GAMES.values()]
        assert sum(values) == pytest.approx(total, abs=0.01)
        assert sum(place * value for place, value in enumerate(values, 1)) == pytest.approx(weighted, abs=0.01)


@pytest.mark.parametrize(
    ("name", "random", "human"),
    [("Alien", 227.8, 7127.7), ("Boxing", 0.1, 12.1), ("Freeway", 0, 29.6), ("Pong", -20.7, 14.6), ("UpNDown", 533.4, 11693.2)],
)
def test_spot_values(name: str, random: float, human: float) -> None:
    assert (GAMES[name].random, GAMES[name].human) == (random, human)


@pytest.mark.parametrize("game", [*GAMES.values(), TOY], ids=lambda game: game.name)
def test_normalised_is_0_at_random_and_1_at_human(game: Game) -> None:
    assert game.human > game.random
    assert game.normalised(game.random) == 0
    assert game.normalised(game.human) == 1
    assert game.normalised(game.random + 2.5 * (game.human - game.random)) == pytest.approx(2.5)


def test_the_emulator_knows_every_rom() -> None:
    assert {game.rom for game in GAMES.values()} <= set(roms.get_all_rom_ids())
    assert len({game.rom for game in GAMES.values()}) == 26


@pytest.mark.parametrize(
    ("source", "game"), [("no such ROM", "Nonesuch"), ("no file", "Pong"), ("damaged", "Pong"), ("no folder", "Pong")]
)
def test_a_missing_rom_is_one_line(source: str, game: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(GAMES, "Nonesuch", Game("Nonesuch", 0.0, 1.0))
    if source != "no such ROM":
        monkeypatch.setenv("ALE_ROMS_DIR", str(tmp_path / "gone" if source == "no folder" else tmp_path))
    if source == "damaged":
        (tmp_path / "pong.bin").write_bytes(b"not a game")
    with pytest.raises(ValueError, match=rf"no ROM for {game} \({game.lower()}\.bin\)") as caught:
        AtariLanes(game, 1, seed=0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Pong", "Pong"),
        ("pong", "Pong"),
        ("PONG", "Pong"),
        (" Pong\n", "Pong"),
        ("ms_pacman", "MsPacman"),
        ("ms-pacman", "MsPacman"),
        ("Ms Pacman", "MsPacman"),
        ("MsPacman-v0", "MsPacman"),
        ("MsPacmanNoFrameskip-v4", "MsPacman"),
        ("MsPacmanDeterministic-v4", "MsPacman"),
        ("ALE/MsPacman-v5", "MsPacman"),
        ("up_n_down", "UpNDown"),
        ("JamesBond", "Jamesbond"),
        ("Q*bert", "Qbert"),
        ("H.E.R.O.", "Hero"),
        ("catch", "Catch"),
    ],
)
def test_find_game_takes_any_usual_spelling(text: str, name: str) -> None:
    assert find_game(text).name == name


@pytest.mark.parametrize("game", [*GAMES.values(), TOY], ids=lambda game: game.name)
def test_find_game_finds_each_game_by_name_and_rom(game: Game) -> None:
    assert find_game(game.name) is find_game(game.rom) is find_game(f"ALE/{game.name}-v5") is game


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("Pnog", "Pong"),
        ("breakot", "Breakout"),
        ("MsPackman", "MsPacman"),
        ("ALE/Sequest-v5", "Seaquest"),
        ("Pong-ram-v5", "Pong"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(text: str, nearest: str) -> None:
    with pytest.raises(ValueError, match=f"unknown game '{text}': did you mean {nearest}( or |\\?)") as caught:
        find_game(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "42", "zzzz"])
def test_a_name_near_to_none_is_answered_with_all(text: str) -> None:
    with pytest.raises(ValueError, match=f"unknown game '{text}'") as caught:
        find_game(text)
    assert all(name in str(caught.value) for name in GAMES)
