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
from typing import Final

EXIT_CODE: Final = 130
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
    os.read(readable, 1)
    select.select([readable], [], [], MAX_STOP_SECONDS)
    os._exit(EXIT_CODE)
