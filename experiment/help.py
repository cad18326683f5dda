"""What --help prints, the flags of every day in one screen, and --help-all, every flag in groups. No torch here."""

import ast
import inspect
from argparse import ArgumentParser, HelpFormatter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from itertools import pairwise
from operator import itemgetter
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from experiment.command import SWITCH, program

ALL = "--help-all"
LEFT = 36  # columns of a flag and its value; what it means stands behind them


@dataclass(frozen=True)
class Guide:
    """What a program says of its flags: those of `every_day`, lines with `examples`, and `groups`: title -> fields of its run.

    `others` ends the sentence on pieces that this run has not; `more` is a line about further help.
    """

    every_day: tuple[str, ...]
    examples: tuple[str, ...]
    groups: dict[str, tuple[str, ...]]
    others: str
    more: str


class Flag(NamedTuple):
    """A flag as it is typed, what it takes (None: nothing) and does; its field of the run, and its piece with what that is."""

    names: tuple[str, ...]
    metavar: str | None
    text: str
    field: str
    piece: str
    about: str


def answer(argv: Sequence[str], run: Any, guide: Guide) -> None:
    """Print the help that `argv` asks for, with the values of the dataclass `run` as defaults, and exit; else do nothing."""
    asked = {word.replace("_", "-") for word in argv}
    if not asked & {"-h", "--help", ALL}:
        return
    print(everything(run, guide) if ALL in asked else one_screen(run, guide))
    raise SystemExit(0)


def one_screen(run: Any, guide: Guide) -> str:
    """The flags of every day."""
    known = {flag.names[0]: flag for flag in described(run)}
    parser = _parser(run)
    group = parser.add_argument_group("flags of every day")
    for name in guide.every_day:
        _add(group, known[name]._replace(names=(name,)))
    return "\n".join([parser.format_help(), "examples:", *(f"  {line}" for line in guide.examples), guide.more])


def everything(run: Any, guide: Guide) -> str:
    """Every flag, in groups by what it changes."""
    known, parser = list(described(run)), _parser(run)
    sections: dict[str, Any] = {}
    for title, names in guide.groups.items():
        chosen = [(flag.piece != "", names.index(flag.field), flag.piece, flag) for flag in known if flag.field in names]
        for *_, flag in sorted(chosen, key=itemgetter(0, 1, 2)):
            whole = f"{title}, {flag.piece}" if flag.piece else title
            if whole not in sections:
                sections[whole] = parser.add_argument_group(whole, flag.about.replace("%", "%%") or None)
            _add(sections[whole], flag)
    if none := ", ".join(absent(run)):
        parser.epilog = f"Not here: {none}; {guide.others}."
    return parser.format_help()


def described(value: Any, piece: str = "", about: str = "", field: str = "") -> Iterator[Flag]:
    """Every flag of the dataclass `value`, which is the `piece` of a run in its `field`, "" for the run itself."""
    kinds, notes, texts = get_type_hints(type(value)), get_type_hints(type(value), include_extras=True), documented(type(value))
    for part in fields(value):
        inner, top = getattr(value, part.name), field or part.name
        said = [note for note in getattr(notes[part.name], "__metadata__", ()) if hasattr(note, "metavar")]  # by tyro.conf.arg
        name = next((note.name for note in said if note.name is not None), part.name.replace("_", "-"))
        text = next((note.help for note in said if note.help), texts.get(part.name, ""))
        path = f"{piece}.{name}".strip(".")
        if is_dataclass(inner):
            yield from described(inner, path, _first(inner, text) if path else "", top if path else "")
        elif not any(is_dataclass(kind) for kind in get_args(kinds[part.name])):
            metavar = next((note.metavar for note in said if note.metavar), taken(kinds[part.name]))
            names = (f"--{path}",) if metavar else (f"--{path}", f"--{f'{piece}.'.lstrip('.')}no-{name}")
            yield Flag(names, metavar, f"{text}{_default(inner)}".strip(), top, piece, about)


def absent(value: Any, path: str = "") -> Iterator[str]:
    """The pieces that the dataclass `value` could have and has not."""
    kinds = get_type_hints(type(value))
    for part in fields(value):
        inner, name = getattr(value, part.name), f"{path}{part.name}".removeprefix("config.")
        if is_dataclass(inner):
            yield from absent(inner, f"{name}.")
        elif inner is None and any(is_dataclass(kind) for kind in get_args(kinds[part.name])):
            yield name


@cache
def documented(kind: type) -> dict[str, str]:
    """What stands below each field of a dataclass, its bases' too, in its source."""
    texts: dict[str, str] = {}
    for base in reversed([base for base in kind.__mro__ if is_dataclass(base)]):
        (tree,) = ast.parse(inspect.cleandoc(f"\n{inspect.getsource(base)}")).body
        for node, below in pairwise(getattr(tree, "body", ())):
            match node, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    texts[name] = " ".join(text.split())
    return texts


def taken(kind: Any) -> str | None:
    """What a flag of the type `kind` takes, as usage lines have it; None for a yes or no."""
    words, origin = get_args(kind), get_origin(kind)
    if kind is bool:
        return None
    if kind == bool | Literal["auto"]:
        return SWITCH
    if origin is Literal:
        return f"{{{','.join(map(str, words))}}}"
    if origin is tuple:
        return f"[{taken(words[0])} ...]"
    if origin in (Union, UnionType):
        return "|".join("None" if word is NoneType else str(taken(word)) for word in words)
    return str(kind.__name__).upper()


def _first(value: Any, text: str) -> str:
    """The first paragraph of what a dataclass says of itself, and what its field says."""
    paragraph = (inspect.getdoc(value) or "").split("\n\n")[0]
    return "; ".join([" ".join(paragraph.split()).rstrip("."), *([text] if text else [])]) + "."


def _default(value: Any) -> str:
    """What a flag is if it is not given, in brackets; nothing for an empty one."""
    shown = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return f" (default: {shown})" if shown else ""


def _parser(run: Any) -> ArgumentParser:
    """A parser that only prints."""
    usage = f"{program()} [--FLAG VALUE ...]"
    return ArgumentParser(usage=usage, description=_first(run, ""), add_help=False, formatter_class=_Lines)


def _add(group: Any, flag: Flag) -> None:
    takes = {"action": "store_true"} if flag.metavar is None else {"metavar": flag.metavar}
    group.add_argument(*flag.names, help=flag.text.replace("%", "%%"), **takes)


class _Lines(HelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=LEFT)
