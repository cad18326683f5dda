"""Flags of the programs that are started as modules."""

import argparse
from pathlib import Path
from typing import NoReturn

from experiment.command import UserError, expanded


class Parser(argparse.ArgumentParser):
    """A parser for `python -m MODULE`: its errors are one line, as all others are, and flags cannot be shortened."""

    def __init__(self, module: str, description: str | None) -> None:
        shape = argparse.RawDescriptionHelpFormatter
        super().__init__(f"python -m {module}", description=description, formatter_class=shape, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raise UserError instead of printing the usage."""
        raise UserError(f"{' '.join(message.split())}; see --help")


def user_path(text: str) -> Path:
    """A path of the command line, as argparse's `type`; the shell leaves the `~` of `--out=~/runs` as it is."""
    if not text:  # it would be the current folder
        raise argparse.ArgumentTypeError("a path is empty")
    try:
        return expanded(Path(text))
    except UserError as error:  # ~somebody
        raise argparse.ArgumentTypeError(str(error)) from error
