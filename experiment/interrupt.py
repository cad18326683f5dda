"""Each program imports this before all else: Ctrl-C within the imports that follow is one line, as it is later."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType

INTERRUPTED = 130  # exit status after Ctrl-C


class Terminated(KeyboardInterrupt):
    """SIGTERM, which by itself would end the program without any cleaning up."""


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise Terminated


@contextlib.contextmanager
def cleaning_up() -> Iterator[None]:
    """Within, SIGTERM raises `Terminated`, unless something else hears it or this is not the main thread.

    Not for longer than need be: processes that are forked within inherit it, and would not end as a pool's have to.
    """
    hears = threading.current_thread() is threading.main_thread()  # no other thread may
    if not hears or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


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
