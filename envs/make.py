"""Lanes by the name of their game."""

from envs.atari import AtariLanes
from envs.games import TOY
from envs.lanes import Lanes
from envs.toy import CatchLanes


def make_lanes(game: str, num_lanes: int, seed: int) -> Lanes:
    """The lanes of a game named as in envs.games, its own toy game included."""
    if game == TOY.name:
        return CatchLanes(num_lanes, seed)
    return AtariLanes(game, num_lanes, seed)
