"""Being asked to stop: SIGTERM, SIGUSR1 (a scheduler's warning before the time limit), SIGHUP (a lost terminal) and Ctrl-C."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from experiment.command import UserError
from experiment.interrupt import INTERRUPTED

AGAIN = 75  # exit status: start the same command again (EX_TEMPFAIL of sysexits.h)
AT_ONCE = "the same command (without --fresh) goes on from the last checkpoint"
SAVED = "everything is saved, the same command (without --fresh) goes on from there"
NUMBERS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP, signal.SIGINT)


class Signals:
    """A context in which these signals end the program with one line and its exit status; SIGHUP not if nohup has it ignored.

    At once; but within `patient` a signal is only noted in `asked`, and ends the program at the end of that. A second Ctrl-C
    never waits.
    """

    def __init__(self) -> None:
        self.asked: signal.Signals | None = None
        self._patient = False

    def __enter__(self) -> "Signals":
        heard = [n for n in NUMBERS if n != signal.SIGHUP or signal.getsignal(n) != signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._handle) for number in heard}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        again = self.asked is not None
        if self._patient and not (again and number == signal.SIGINT):
            self.asked = self.asked or signal.Signals(number)
            return
        self.asked = signal.Signals(number)  # a library may swallow the error
        raise self._stopped(AT_ONCE)

    def _stopped(self, how: str) -> UserError:
        """The error that ends the program; `how` tells how to go on."""
        return UserError(f"stopped by {self.asked.name}; {how}", INTERRUPTED if self.asked == signal.SIGINT else AGAIN)

    @contextmanager
    def patient(self) -> Iterator[None]:
        """Within, a signal is only noted: `asked` tells. At its end, where all must be saved, it ends the program."""
        if self.asked is not None:
            raise self._stopped(AT_ONCE)
        self._patient = True
        try:
            yield
        finally:
            self._patient = False
        if self.asked is not None:
            raise self._stopped(SAVED)
