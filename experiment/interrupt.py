"""Each program imports this before all else: Ctrl-C within the imports that follow is one line, as it is later."""

import contextlib
import os
import sys
from types import TracebackType

INTERRUPTED = 130  # exit status after Ctrl-C


def _end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """End with a line after Ctrl-C; show any other error as Python does."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    with contextlib.suppress(OSError):
        os.write(2, f"{sys.argv[0]}: interrupted\n".encode())
    os._exit(INTERRUPTED)


sys.excepthook = _end
