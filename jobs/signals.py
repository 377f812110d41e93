"""How the program stops: SIGTERM works like Ctrl-C, within seconds even inside a driver, and a second signal at once.

Python handles a signal only between two of its own instructions, and a database driver may not return for minutes. So a
thread receives each signal too, and ends the process if the program has not stopped in time. The ledger loses nothing
by that, whatever the program was doing.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from typing import Final

EXIT_CODE: Final = 130
_EXIT: Final = os._exit  # the real one, also while ``run_isolated`` keeps other code from it
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
MAX_STOP_SECONDS: Final = 9.0  # ending in the middle of a day costs only the time spent on that day


def watch() -> None:
    """Start the thread, in the main thread; handlers of signals may be set before or later."""
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=_end_in_time, args=(readable,), name="signals", daemon=True).start()


def _end_in_time(readable: int) -> None:
    """Wait for a signal, then for the end of the time or another signal, and end the process."""
    _wait(readable, None)
    _wait(readable, MAX_STOP_SECONDS)
    _EXIT(EXIT_CODE)


def _wait(readable: int, max_seconds: float | None) -> None:
    """Wait for a signal that asks the program to stop, or for the end of the time."""
    until = None if max_seconds is None else time.monotonic() + max_seconds
    while select.select([readable], [], [], None if until is None else max(0.0, until - time.monotonic()))[0]:
        if os.read(readable, 1)[0] in STOP_SIGNALS:  # a time limit (``jobs.time_limit``) has signals of its own
            return
