"""Leaving when told to: SIGTERM as Ctrl-C does, soon even where a driver waits, and on the second signal at once.

Python hears a signal only between two of its own instructions, and a database driver may be gone for minutes. So a
thread is told of each signal as well, and ends the process if the first is not obeyed in time. Whatever line that
happens at, the ledger loses nothing.
"""

from __future__ import annotations

import os
import select
import signal
import threading
from typing import Final

EXIT_CODE: Final = 130
STOP_SECONDS: Final = 9.0  # dying in the middle of a day costs no more than this day's time


def watch() -> None:
    """Begin to listen, in the main thread; what a signal does otherwise may be set before or later."""
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=_insist, args=(heard,), name="interrupts", daemon=True).start()


def _insist(heard: int) -> None:
    os.read(heard, 1)
    select.select([heard], [], [], STOP_SECONDS)  # until the second signal
    os._exit(EXIT_CODE)
