"""A progress bar, or lines where there is no terminal. A stream that is closed or full never ends the job."""

import contextlib
import sys
import time

from tqdm import tqdm

from experiment.command import say

PLAIN = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"  # a bar without the time that is left


class Progress:
    """A bar on a terminal, a line at each `note` elsewhere."""

    def __init__(self, label: str, total: int, unit: str, done: int = 0, paced: bool = True) -> None:
        """`paced` False: no remaining time is shown until `restart_clock`, as what comes before goes at another pace."""
        self._label, self._total, self._unit = label, total, unit
        self._done, self._paced = done, paced
        self._bar: tqdm | None = None
        with contextlib.suppress(OSError, ValueError, AttributeError):  # a stream that is gone, closed, or never was
            if sys.stderr.isatty():
                shape = None if paced else PLAIN
                self._bar = tqdm(total=total, initial=done, desc=label, unit=f" {unit}", smoothing=0.1, bar_format=shape)
        self._pace = (time.monotonic(), done)  # since when, and from which count on, the speed is taken

    def restart_clock(self) -> None:
        """Measure the speed from here on, and show the remaining time."""
        self._pace, self._paced = (time.monotonic(), self._done), True
        if self._bar is not None:
            self._bar.bar_format = None

    def advance(self, count: int) -> None:
        """`count` more units are done."""
        self._done += count
        if self._bar is not None:
            with contextlib.suppress(OSError, ValueError):
                self._bar.update(count)

    @property
    def speed(self) -> float:
        """Units a second."""
        since, start = self._pace
        return (self._done - start) / max(time.monotonic() - since, 1e-9)

    def note(self, values: dict[str, float]) -> None:
        """Show `values` beside the count."""
        shown = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        if self._bar is not None:
            self._bar.set_postfix_str(shown, refresh=False)
            return
        speed, share = self.speed, self._done / max(self._total, 1)
        pace = f"{speed:.1f}/s" if speed else "a new pace"
        if speed and self._paced:
            pace += f"  left {tqdm.format_interval((self._total - self._done) / speed)}"
        say(f"{self._label}  {self._done:,}/{self._total:,} {self._unit}  {share:.0%}  {shown}  {pace}")

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            with contextlib.suppress(OSError, ValueError):
                self._bar.close()
