"""The 26 games of Atari-100k, and the constants that normalise their scores."""

import difflib
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Game:
    """A game and its reference scores (raw returns of one whole game).

    `random` and `human` are the constants of Mnih et al. (2015) and Wang et al. (2016) as used by every Atari-100k
    paper; the values equal those of google-research/bigger_better_faster, mila-iqia/spr and eloialonso/iris.
    """

    name: str
    random: float
    human: float

    @property
    def rom(self) -> str:
        """The emulator's name of the game: `MsPacman` -> `ms_pacman`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", self.name).lower()

    def normalised(self, score: float) -> float:
        """Human-normalised score: 0 for the published random policy, 1 for the published human."""
        return (score - self.random) / (self.human - self.random)


GAMES: dict[str, Game] = {
    game.name: game
    for game in (
        Game("Alien", 227.8, 7127.7),
        Game("Amidar", 5.8, 1719.5),
        Game("Assault", 222.4, 742.0),
        Game("Asterix", 210.0, 8503.3),
        Game("BankHeist", 14.2, 753.1),
        Game("BattleZone", 2360.0, 37187.5),
        Game("Boxing", 0.1, 12.1),
        Game("Breakout", 1.7, 30.5),
        Game("ChopperCommand", 811.0, 7387.8),
        Game("CrazyClimber", 10780.5, 35829.4),
        Game("DemonAttack", 152.1, 1971.0),
        Game("Freeway", 0.0, 29.6),
        Game("Frostbite", 65.2, 4334.7),
        Game("Gopher", 257.6, 2412.5),
        Game("Hero", 1027.0, 30826.4),
        Game("Jamesbond", 29.0, 302.8),
        Game("Kangaroo", 52.0, 3035.0),
        Game("Krull", 1598.0, 2665.5),
        Game("KungFuMaster", 258.5, 22736.3),
        Game("MsPacman", 307.3, 6951.6),
        Game("Pong", -20.7, 14.6),
        Game("PrivateEye", 24.9, 69571.3),
        Game("Qbert", 163.9, 13455.0),
        Game("RoadRunner", 11.5, 7845.0),
        Game("Seaquest", 68.4, 42054.7),
        Game("UpNDown", 533.4, 11693.2),
    )
}

# The small pixel game of envs/toy.py: -5/7 is the exact value of the random policy (derived there), 1 that of the best.
TOY = Game("Catch", -5 / 7, 1.0)

_BY_KEY = {game.name.lower(): game for game in (*GAMES.values(), TOY)}


def find_game(text: str) -> Game:
    """The game meant by `text`, in any usual spelling: Pong, pong, ms_pacman, MsPacmanNoFrameskip-v4, ALE/MsPacman-v5.

    Raises ValueError, naming the nearest games, if there is none.
    """
    plain = re.sub(r"^ale/|(noframeskip|deterministic)?-v\d+$", "", text.strip().lower())
    key = re.sub(r"[^a-z0-9]", "", plain)
    if key in _BY_KEY:
        return _BY_KEY[key]
    near = [_BY_KEY[match].name for match in difflib.get_close_matches(key, _BY_KEY, n=3, cutoff=0.5)]
    hint = f"did you mean {' or '.join(near)}?" if near else f"the games are {', '.join(GAMES)}"
    raise ValueError(f"unknown game {text!r}: {hint}")
