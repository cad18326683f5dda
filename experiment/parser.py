"""Flags of the programs that are started as modules."""

import argparse
from pathlib import Path
from typing import NoReturn

from experiment.command import UserError


class Parser(argparse.ArgumentParser):
    """A parser for `python -m MODULE`: its errors are one line, as all others are."""

    def __init__(self, module: str, description: str | None) -> None:
        super().__init__(f"python -m {module}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter)

    def error(self, message: str) -> NoReturn:
        """Raise UserError instead of printing the usage."""
        raise UserError(f"{' '.join(message.split())}; see --help")


def user_path(text: str) -> Path:
    """A path of the command line; the shell leaves the `~` of `--out=~/runs` as it is."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # ~somebody
        raise argparse.ArgumentTypeError(f"{text}: {error}") from error
