"""Each program imports this before all else: Ctrl-C within the imports that follow is one line, as it is later."""

import contextlib
import os
import signal
import sys
from types import FrameType, TracebackType

INTERRUPTED = 130  # exit status after Ctrl-C


class Terminated(KeyboardInterrupt):
    """SIGTERM, which by itself would end the program without any cleaning up."""


def terminate(number: int, _frame: FrameType | None) -> None:
    """As the handler of SIGTERM: raise `Terminated`."""
    raise Terminated


def status(error: KeyboardInterrupt) -> tuple[int, str]:
    """The exit status after `error`, and what is said of it."""
    return (128 + signal.SIGTERM, "terminated") if isinstance(error, Terminated) else (INTERRUPTED, "interrupted")


def _end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """End with a line after Ctrl-C; show any other error as Python does."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    with contextlib.suppress(OSError):
        os.write(2, f"{sys.argv[0]}: interrupted\n".encode())
    os._exit(INTERRUPTED)


sys.excepthook = _end
