"""Which values a setting may have: written once, as the annotation of its field, and checked by one function. No torch here."""

from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_type_hints


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
    """ValueError, naming the flag, if a value of these settings, or of those in them, is out of its range.

    `flag` is how the flags of these begin. Settings whose values can contradict each other have a method `rules(flag)`.
    """
    for name, span in _ranges(type(settings)):
        value = getattr(settings, name)
        require(value in span, f"{flag}{name.replace('_', '-')} must lie in {span.text}, not {value}")
    for field in fields(settings):
        piece = getattr(settings, field.name)
        if is_dataclass(piece):
            check(piece, f"{flag}{field.name}.")
    if hasattr(settings, "rules"):
        settings.rules(flag)


@cache
def _ranges(kind: type) -> list[tuple[str, Range]]:
    """The fields of a dataclass that have a range, and the range."""
    hints = get_type_hints(kind, include_extras=True)
    parts = [(name, part) for name, hint in hints.items() for part in (hint, *get_args(hint))]  # of int | None, say
    return [(name, note) for name, part in parts for note in getattr(part, "__metadata__", ()) if isinstance(note, Range)]
