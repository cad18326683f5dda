"""Modules of the user's that add entries to tables: imported by name, and which of them a run is made with. No torch here."""

import argparse
import hashlib
import re
import sys
import traceback
from collections.abc import Callable, Collection, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import tyro

from experiment.command import UserError, first_line, peek
from experiment.files import read_bytes, read_json

FLAG = "import"
ABOUT = "a module of yours that adds to METHODS or BASES, as in docs/add_a_method.md; may be given several times"
Imports = Annotated[tuple[str, ...], tyro.conf.arg(name=FLAG, metavar="MODULE", help=ABOUT), tyro.conf.UseAppendAction]
Table = dict[str, Any]


class Module(NamedTuple):
    """What was imported: its file, the file's SHA-256, and the names that it added."""

    file: Path
    sha256: str
    added: frozenset[str]


IMPORTED: dict[str, Module] = {}  # by name, in the order of their import


def add_flag(parser: argparse.ArgumentParser) -> None:
    """Let `parser` know the flag, as `imports`."""
    parser.add_argument(f"--{FLAG}", dest="imports", action="append", default=[], metavar="MODULE", help=ABOUT)


def asked_for(argv: Sequence[str]) -> list[str]:
    """The modules that `argv` names, whatever other flags there are. UserError."""
    named: list[str] = peek(argv, **{FLAG: []})[FLAG]
    return named


def flags(names: Sequence[str]) -> list[str]:
    """The command line that names the modules `names`."""
    return [word for name in names for word in (f"--{FLAG}", name)]


def bring_in(names: Sequence[str], tables: Sequence[Table], fill: Callable[[], None]) -> None:
    """Import the modules `names`, which add entries to `tables`; `fill` then makes what is made of these, or refuses them.

    They are found as Python finds modules, and at last in the current folder. One that was imported before is left. UserError,
    one line with the module's file, for one that is not there, fails, adds nothing, or changes an entry that there was; the
    tables are then as before.
    """
    here = str(Path.cwd())
    if names and here not in sys.path:
        sys.path.append(here)
    for name in dict.fromkeys(names):
        if name in IMPORTED:
            continue
        before, known = [table.copy() for table in tables], name in sys.modules
        try:
            IMPORTED[name] = _import(name, tables, fill)
        except UserError:
            for table, old in zip(tables, before, strict=True):
                table.clear()
                table.update(old)
            fill()
            if not known:
                sys.modules.pop(name, None)
            raise


def _import(name: str, tables: Sequence[Table], fill: Callable[[], None]) -> Module:
    """Import one module and see what it added. UserError, as `bring_in` has it."""
    if not re.fullmatch(r"\w+(\.\w+)*", name):
        raise UserError(f"--import takes the name of a module, as my_methods for the file my_methods.py, not {name}")
    before = [table.copy() for table in tables]
    try:
        module = import_module(name)
        file = Path(module.__file__ or "")
        for table, old in zip(tables, before, strict=True):
            changed = [word for word in old if table.get(word) is not old[word]]
            if changed:
                raise ValueError(f"there is a {changed[0]!r} already; give yours another name")
        fill()
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise UserError(f"--import {name}: there is no such module, in {Path.cwd()} or elsewhere") from error
        raise UserError(f"--import {name}: {_place(name, error)}: {error}") from error
    except (Exception, SystemExit) as error:
        said = first_line(error, type(error).__name__)
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise UserError(f"--import {name}: {_place(name, error)}: {kind}{said}") from error
    added = [word for table, old in zip(tables, before, strict=True) for word in table if word not in old]
    if not added:
        raise UserError(f"--import {name}: {file} adds nothing to METHODS or BASES")
    return Module(file, hashlib.sha256(read_bytes(file)).hexdigest(), frozenset(added))


def _place(name: str, error: BaseException) -> str:
    """Where in the module's file `error` came from, if it did."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}"
    file = getattr(sys.modules.get(name), "__file__", None) or f"{name.replace('.', '/')}.py"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(file)]
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else file


def used(words: Collection[str]) -> dict[str, str]:
    """The imported modules that added one of `words`, each with its SHA-256: with these a run is made."""
    return {name: module.sha256 for name, module in IMPORTED.items() if module.added & set(words)}


def require(recorded: Any, where: str | Path) -> None:
    """UserError, beginning with `where`, unless what it was made with, as `used` had that, is imported and has not changed."""
    if not isinstance(recorded, dict):
        raise UserError(f"{where}: imports are no table of modules; is it damaged?")
    for name, sha256 in recorded.items():
        if name not in IMPORTED:
            raise UserError(f"{where} was made with a module of its user's: say {' '.join(flags(list(recorded)))}")
        now = IMPORTED[name]
        if now.sha256 != sha256:
            was = f"SHA-256 {str(sha256)[:12]}, now {now.sha256[:12]}"
            raise UserError(f"{where} was made with another {now.file.name} ({was}): bring it back, or give the new one a name")


def hint(out: Path, name: str) -> str:
    """To be put behind the news that there is no `name`: what to import, as a run of it below `out` tells; "" if none does."""
    places = [*out.rglob(f"{name}/**/config.json"), *out.rglob(f"{name}+*/**/config.json")] if name.isidentifier() else []
    for config in sorted(places):
        try:
            imports = read_json(config)["settings"]["imports"]
        except (UserError, KeyError, TypeError):
            continue
        return f"; {config.parent} was made with {' '.join(flags(list(imports)))}"
    return ""
