"""What a viewer shows of a run is a copy of its metrics: whatever fails there is one line and no reason for a run to fail."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from experiment.command import UserError, first_line, say


class Mirror:
    """Rows of metrics and, at the end, a score, shown by a viewer; nothing more once something failed."""

    name: str
    films = False  # whether it shows films

    def __init__(self) -> None:
        self.on = True

    def log(self, kind: str, time: int, values: dict[str, Any], row: int) -> None:
        """Show a row of `kind` at `time` of the run's clock; it is number `row` of the run, counted over all its processes."""
        self._attempt(self._log, kind, time, values, row)

    def conclude(self, score: dict[str, float], film: Path | None) -> None:
        """Show what the run came to, and perhaps a film of a game."""
        self._attempt(self._conclude, score, film)

    def finish(self) -> None:
        """Send what is left."""
        self._attempt(self._finish)

    def _log(self, kind: str, time: int, values: dict[str, Any], row: int) -> None:
        raise NotImplementedError

    def _conclude(self, score: dict[str, float], film: Path | None) -> None:
        """By default the rows have told it."""

    def _finish(self) -> None:
        raise NotImplementedError

    def _attempt(self, call: Callable[..., object], *arguments: Any) -> None:
        """Call, or end the mirror with one line."""
        if self.on and (why := failure(call, *arguments)) is not None:
            say(f"{self.name} is off for this run: {why}")
            self.on = False


def failure(call: Callable[..., object], *arguments: Any) -> str | None:
    """Call; why that failed, None if it did not. UserError if a signal ends the program."""
    try:
        call(*arguments)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        return first_line(error, type(error).__name__)
    return None


def flat(kind: str, values: dict[str, Any]) -> dict[str, Any]:
    """`values` by the names that viewers sort into panels: train/loss, and plasticity_layers/encoder.0/weight_norm."""
    named: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            named |= {f"{kind}_{key}/{name}": leaf for name, leaf in _leaves(value)}
        else:
            named[f"{kind}/{key}"] = value
    return named


def _leaves(values: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What nested dicts hold, each by its path."""
    for key, value in values.items():
        inner = _leaves(value) if isinstance(value, dict) else [("", value)]
        yield from ((f"{key}/{name}" if name else key, leaf) for name, leaf in inner)
