"""Command lines: typed flags from a frozen dataclass, and every error that a user can mend as one line."""

import argparse
import contextlib
import dataclasses
import difflib
import errno
import io
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, TextIO, TypeVar, get_args, get_type_hints

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from experiment.interrupt import status
from experiment.paths import refuse_empty

T = TypeVar("T")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)  # that a disk failed is no mistake of the command line's
USUAL = {"lr": "learning-rate"}  # names of flags that other programs have, and ours

SWITCHES = ConstructorRegistry()
ON = {"on": True, "off": False, "auto": "auto"}
SWITCH = "[{on,off,auto}]"  # what such a flag takes


@SWITCHES.primitive_rule
def _switch(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """How a flag is read that may be left to the program: `--flag`, `--flag off`, `--flag auto`."""
    if info.type != bool | Literal["auto"]:
        return None

    def read(words: list[str]) -> bool | str:
        if len(words) > 1 or not ON.keys() >= set(words):
            raise ValueError(f"it is on, off or auto, not {' '.join(words)}")
        return ON[words[0]] if words else True

    return PrimitiveConstructorSpec(
        nargs="*",
        metavar=SWITCH,
        instance_from_str=read,
        is_instance=lambda value: value in ON.values(),
        str_from_instance=lambda value: [next(word for word, meant in ON.items() if meant == value)],
    )


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


@contextlib.contextmanager
def user_errors(where: str = "") -> Iterator[None]:
    """Within, a ValueError becomes a UserError of the same message, after `where`."""
    try:
        yield
    except ValueError as error:
        raise UserError(f"{where}: {error}" if where else str(error)) from error


def program() -> str:
    """How this program is started: `python -m sweep.grid`, or its file's name."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return f"python -m {spec.name}" if spec is not None and spec.origin == sys.argv[0] else sys.argv[0]


def parse(
    kind: type[T], argv: Sequence[str], default: T | None = None, hint: Callable[[str], str | None] = lambda flag: None
) -> T:
    """The value of the dataclass `kind` that `argv` asks for, `default` where it says nothing; `~` in a path is expanded.

    Raises UserError for an unknown flag (with `hint` of it, or the nearest one), for a value of the wrong type, and for one
    that the dataclass refuses with ValueError. `--help` prints and exits.
    """
    said = io.StringIO()
    given = {"prog": program()} | ({} if default is None else {"default": default})
    try:
        with user_errors(), contextlib.redirect_stderr(said), SWITCHES:
            refuse_empty(kind, argv)
            value, unknown = tyro.cli(
                kind, args=list(argv), return_unknown_args=True, config=(tyro.conf.AvoidSubcommands,), **given
            )
    except SystemExit as end:
        if not end.code:  # --help
            raise
        raise UserError(_message(said.getvalue())) from end
    if unknown:
        raise UserError(_unknown(unknown[0], flags(value), hint(unknown[0])))
    paths = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return dataclasses.replace(value, **{name: expanded(path) for name, path in paths.items() if isinstance(path, Path)})


def peek(argv: Sequence[str], **defaults: Any) -> dict[str, Any]:
    """The values of some flags, `defaults` where `argv` has them not, before it is known which others there are. UserError.

    One whose default is a list may be given several times.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", default=default, action="append" if isinstance(default, list) else "store")
    try:
        return vars(parser.parse_known_args(argv)[0])
    except argparse.ArgumentError as error:
        raise UserError(str(error)) from error


def first_line(text: object, otherwise: str) -> str:
    """The first line of what `text`, an error say, prints, `otherwise` if that is nothing."""
    return next(iter(str(text).splitlines()), otherwise)


def expanded(path: Path) -> Path:
    """`path` with a home folder in place of `~`, which the shell leaves as it is in `--out=~/runs`. UserError if it is none."""
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise UserError(f"{path}: {error}") from error


def flags(value: Any, path: str = "--") -> list[str]:
    """Every flag of a dataclass value by its path, as tyro spells them; a field that is to be called "" adds no level.

    A piece that is None has none.
    """
    names: list[str] = []
    hints, notes = get_type_hints(type(value)), get_type_hints(type(value), include_extras=True)
    for field in dataclasses.fields(value):
        called = [getattr(note, "name", None) for note in getattr(notes[field.name], "__metadata__", ())]  # by tyro.conf.arg
        inner, name = getattr(value, field.name), next((n for n in called if n is not None), field.name.replace("_", "-"))
        if dataclasses.is_dataclass(inner):
            names += flags(inner, f"{path}{name}." if name else path)
        elif not any(dataclasses.is_dataclass(kind) for kind in get_args(hints[field.name])):
            names.append(path + name)
    return names


def nearest(word: str, words: Sequence[str]) -> str:
    """`did you mean A or B?` for the words nearest to `word`, or all of them if none is near."""
    near = difflib.get_close_matches(word, words, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(words)}"


def _unknown(word: str, known: list[str], hint: str | None) -> str:
    """The error message for `word`, which is none of the flags `known`."""
    if not word.startswith("-"):
        return f"unexpected argument {word!r}; see --help"
    flag = word.split("=")[0].replace("_", "-")
    last = flag.lstrip("-").split(".")[-1]
    ends = [name for name in known if name.lstrip("-").split(".")[-1] == USUAL.get(last, last)]
    near = ends[:3] or difflib.get_close_matches(flag, known, n=3, cutoff=0.6)
    advice = hint or (f"did you mean {' or '.join(near)}?" if near else "none here is like it; see --help")
    return f"unknown flag {word.split('=')[0]}: {advice}"


def _message(box: str) -> str:
    """tyro's error message in one line: the first part of its box, or, where it draws none, what stands between two rules."""
    lines = [re.sub(r"[│╭╰╮╯]", "", line).strip() for line in box.splitlines()]
    part: list[str] = []
    for line in lines[1:]:
        if not line.startswith(("─", "----")):
            part.append(line)
        elif part:
            break
    return re.sub(r"^Error parsing \w+: ", "", " ".join(part)) or "the command line cannot be read; see --help"


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a line to `stream`, by default the standard error; where that is gone, full or closed, do nothing."""
    stream = sys.stderr if stream is None else stream
    with contextlib.suppress(OSError, ValueError, AttributeError):  # AttributeError: there is none
        stream.write(f"{text}\n")
        stream.flush()


def run(main: Callable[[list[str]], None]) -> NoReturn:
    """Call `main` with the command line and exit: with 0, or one line and the code of a UserError, 130 after Ctrl-C, 1 where
    nobody reads its output any more (`| head`).

    OpenMP's threads wait for each other by spinning, which takes time from other programs on the same cores. GOMP_SPINCOUNT
    keeps that short; torch reads it when it is loaded (docs/log.md has what it saves).
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    _open_streams()
    code, line = 0, ""
    try:
        main(sys.argv[1:])
        sys.stdout.flush()
    except UserError as error:
        code, line = error.code, str(error)
    except KeyboardInterrupt as error:
        code, line = status(error)
    except BrokenPipeError:
        code, line = 1, "nothing reads its output any more"
        _drop(sys.stdout)
    except OSError as error:
        if error.errno not in FULL or error.filename is not None:
            raise
        code, line = 1, f"cannot write its output: {error.strerror}"
        _drop(sys.stdout)
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "allocate" not in str(error):  # as torch says it
            raise
        code, line = 1, f"there is not enough memory for this run ({first_line(error, 'none is left')})"
    if code:
        say(f"{program()}: {line}")
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        _drop(sys.stderr)
    raise SystemExit(code)


def _open_streams() -> None:
    """Put the null device where a standard stream is closed: else the next file that is opened would get its lines.

    What is printed is UTF-8, whatever the locale, and a letter that it has not is no reason to stop.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it gets the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r+", encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _drop(stream: TextIO) -> None:
    """Send to the null device what the interpreter still writes to `stream` at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
