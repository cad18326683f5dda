"""Which values a setting may have: written once, as the annotation of its field, and checked by one function. No torch here."""

from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Range:
    """An interval of numbers, as in `Annotated[float, Range("[0, 1)")]`: a round bracket leaves its end out."""

    text: str

    def __contains__(self, value: Any) -> bool:
        """Whether a number lies in it, or each of a tuple; what is None always does."""
        if value is None or isinstance(value, tuple):
            return all(each in self for each in value or ())
        least, most = (float(end) for end in self.text[1:-1].split(","))
        return (least < value or (value == least and self.text[0] == "[")) and (
            value < most or (value == most and self.text[-1] == "]")
        )


Count = Annotated[int, Range("[1, 1_000_000_000]")]
Share = Annotated[float, Range("[0, 1]")]
BelowOne = Annotated[float, Range("[0, 1)")]
Factor = Annotated[float, Range("[0, 1_000_000]")]
Seed = Annotated[int, Range("[0, 9_223_372_036_854_775_808)")]  # 2^63


def require(holds: bool, message: str) -> None:
    """ValueError with `message` unless `holds`."""
    if not holds:
        raise ValueError(message)


def check(settings: Any, flag: str = "--") -> None:
    """ValueError, naming the flag, if a value of these settings, or of those in them, is of another type or out of its range.

    `flag` is how the flags of these begin. Settings whose values can contradict each other have a method `rules(flag)`.
    """
    for name, hint in _types(type(settings)).items():
        value = getattr(settings, name)
        kind = hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
        require(fits(value, hint), f"{flag}{name.replace('_', '-')} must be {kind}, not {value!r}")
    for name, span in _ranges(type(settings)):
        value = getattr(settings, name)
        require(value in span, f"{flag}{name.replace('_', '-')} must lie in {span.text}, not {value}")
    for field in fields(settings):
        piece = getattr(settings, field.name)
        if is_dataclass(piece):
            check(piece, f"{flag}{field.name}.")
    if hasattr(settings, "rules"):
        settings.rules(flag)


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of the type that its field is annotated with; a whole number is a float, too, and a bool is none."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is UnionType:
        return any(fits(value, each) for each in args)
    if origin is Literal:
        return value in args
    if origin is tuple and args[1:] == (...,):
        return isinstance(value, tuple) and all(fits(each, args[0]) for each in value)
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    return not isinstance(hint, type) or isinstance(value, hint)


@cache
def _types(kind: type) -> dict[str, Any]:
    """The fields of a dataclass, and their types."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


@cache
def _ranges(kind: type) -> list[tuple[str, Range]]:
    """The fields of a dataclass that have a range, and the range."""
    hints = get_type_hints(kind, include_extras=True)
    parts = [(name, part) for name, hint in hints.items() for part in (hint, *get_args(hint))]  # of int | None, say
    return [(name, note) for name, part in parts for note in getattr(part, "__metadata__", ()) if isinstance(note, Range)]
