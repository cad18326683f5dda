"""The command line of eval.py as a frozen value. No torch here, so help and mistakes are answered at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Literal

import tyro

from agents.catalogue import TABLES, fill
from experiment.command import parse
from experiment.outside import Imports, bring_in
from hare_tortoise.ranges import Range, Seed, check, require
from options import fix_workspaces

FILMS = (".mp4", ".gif")  # kinds of films that experiment/film.py writes
LONGEST_GIF = 900  # env steps, a minute; its encoder holds all pictures, 0.6 MB each


@dataclass(frozen=True)
class Evaluation:
    """Play a trained agent and print its score; with --video also film one game, with --export give the agent away."""

    folder: Annotated[Path, tyro.conf.Positional]
    """the run folder, OUT/AGENT/GAME/seedN, or what was exported"""
    episodes: Annotated[int | None, Range("[0, 100_000_000]")] = None
    """whole games to play, by default as many as the run's own evaluation, none with --export; 0 with --video only films"""
    seed: Seed | None = None
    """decides no-ops and random actions; by default the run's own, which repeats the run's score"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where to compute"""
    imports: Imports = ()
    video: Path | None = None
    """film one game to this .mp4 file (H.264, for browsers), or --video-steps of it to this .gif file"""
    video_steps: Annotated[int | None, Range("[1, 100_000_000]")] = None
    """end the film after this many env steps, 15 of which are a second; by default with the game"""
    export: Path | None = None
    """write weights, configuration and record to this .safetensors file; or to this folder, with a model card"""
    half: bool = False
    """round the weights to half precision first, half as large in an export; with --episodes its record has their score"""

    def __post_init__(self) -> None:
        """ValueError, naming the flag, if a value is out of its range."""
        kind = None if self.video is None else self.video.suffix
        check(self)
        require(kind is None or kind in FILMS, f"--video must name an {' or '.join(FILMS)} file, not {self.video}")
        short = self.video_steps is not None and self.video_steps <= LONGEST_GIF
        require(kind != ".gif" or short, f"a .gif needs --video-steps of at most {LONGEST_GIF}; a whole game goes to an .mp4")
        require(self.video is not None or self.video_steps is None, "--video-steps needs --video")
        idle = self.episodes == 0 and self.video is None and self.export is None
        require(not idle, "--episodes 0 leaves nothing to do without --video or --export")
        ending = "" if self.export is None or self.export.is_dir() else self.export.suffix
        require(ending in ("", ".safetensors"), f"--export must name a .safetensors file or a folder, not {self.export}")


def main(argv: Sequence[str]) -> None:
    """Evaluate as the command line `argv` asks for: python eval.py."""
    asked = parse(Evaluation, argv)
    bring_in(asked.imports, TABLES, fill)
    fix_workspaces()
    import_module("eval").play(asked)
