"""Command lines: typed flags from a frozen dataclass, and every error that a user can mend as one line."""

import contextlib
import dataclasses
import difflib
import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar, get_args, get_type_hints

import tyro

T = TypeVar("T")


class UserError(Exception):
    """Something that the user can mend: shown as one line, without a traceback."""

    def __init__(self, message: str, code: int = 2) -> None:
        """`code` is the exit status: 2 before anything was done, 1 when a run had to stop."""
        super().__init__(message)
        self.code = code


class DivergenceError(UserError):
    """A loss was not finite: the same run again would end in the same way."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=1)


def parse(kind: type[T], argv: Sequence[str], default: T | None = None) -> T:
    """The value of the dataclass `kind` that `argv` asks for, `default` where it says nothing.

    Raises UserError for an unknown flag (the nearest one is named), for a value of the wrong type, and for one that the
    dataclass refuses with ValueError. `--help` prints and exits.
    """
    said = io.StringIO()
    given = {} if default is None else {"default": default}
    try:
        with contextlib.redirect_stderr(said):
            value, unknown = tyro.cli(
                kind, args=list(argv), return_unknown_args=True, config=(tyro.conf.AvoidSubcommands,), **given
            )
    except ValueError as error:
        raise UserError(str(error)) from error
    except SystemExit as end:
        if not end.code:  # --help
            raise
        raise UserError(_first_line(said.getvalue())) from end
    if unknown:
        raise UserError(_unknown(unknown[0], flags(value)))
    return value


def flags(value: Any, path: str = "--") -> list[str]:
    """Every flag of a dataclass value by its path, as tyro spells them; the field `config` adds no level of its own.

    A piece that is None has none.
    """
    names: list[str] = []
    hints = get_type_hints(type(value))
    for field in dataclasses.fields(value):
        inner, name = getattr(value, field.name), field.name.replace("_", "-")
        if dataclasses.is_dataclass(inner):
            names += flags(inner, path if field.name == "config" else f"{path}{name}.")
        elif not any(dataclasses.is_dataclass(kind) for kind in get_args(hints[field.name])):
            names.append(path + name)
    return names


def nearest(word: str, words: Sequence[str]) -> str:
    """`did you mean A or B?` for the words nearest to `word`, or all of them if none is near."""
    near = difflib.get_close_matches(word, words, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(words)}"


def _unknown(word: str, known: list[str]) -> str:
    if not word.startswith("-"):
        return f"unexpected argument {word!r}; see --help"
    near = difflib.get_close_matches(word.split("=")[0].replace("_", "-"), known, n=3, cutoff=0.6)
    return f"unknown flag {word}: " + (f"did you mean {' or '.join(near)}?" if near else "none here is like it; see --help")


def _first_line(box: str) -> str:
    """What tyro says above the first rule of its box, in one line."""
    lines = [re.sub(r"[│╭╰╮╯]", "", line).strip() for line in box.splitlines()]
    told: list[str] = []
    for line in lines[1:]:
        if line.startswith("─"):
            break
        told.append(line)
    return " ".join(told) or "the command line cannot be read; see --help"


def run(main: Callable[[list[str]], None]) -> NoReturn:
    """Call `main` with the command line and exit: 0, or with a UserError's one line and code, or 130 after Ctrl-C.

    Where nobody reads its output any more (`| head`), it ends with one line, too.

    Threads of an update wait for each other in a loop. Where other programs use the cores too, theirs is the time that is
    waited away, so the loop is kept short; torch reads this when it is loaded (docs/log.md has what it saves).
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    try:
        main(sys.argv[1:])
    except UserError as error:
        print(f"{sys.argv[0]}: {error}", file=sys.stderr)
        raise SystemExit(error.code) from None
    except KeyboardInterrupt:
        print(f"{sys.argv[0]}: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what the interpreter still writes at its end
        print(f"{sys.argv[0]}: nothing reads its output any more", file=sys.stderr)
        raise SystemExit(1) from None
    raise SystemExit(0)
