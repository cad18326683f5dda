"""Lanes by the name of their game."""

from envs.lanes import Lanes


def make_lanes(game: str, num_lanes: int, seed: int) -> Lanes:
    """The lanes of a game named as in envs.games, its own toy game included."""
    from envs.games import TOY  # the emulator is imported only when it is used

    if game == TOY.name:
        from envs.toy import CatchLanes

        return CatchLanes(num_lanes, seed)
    from envs.atari import AtariLanes

    return AtariLanes(game, num_lanes, seed)
