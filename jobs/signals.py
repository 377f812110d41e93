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
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final

from jobs.time_limit import WAKE_SIGNAL, on_wake

EXIT_CODE: Final = 130
_EXIT: Final = os._exit  # the real one, also while ``run_isolated`` keeps other code from it
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
MAX_STOP_SECONDS: Final = 9.0  # ending in the middle of a day costs only the time spent on that day
_STEP_SECONDS: Final = 0.25


class StopRequest:
    """A request to stop between two days, which a signal handler may make whatever it has interrupted.

    ``threading.Event`` is not made for that: a handler that sets it waits for ever for the lock of the very ``wait``
    that it has interrupted.
    """

    def __init__(self) -> None:
        self._is_made = False
        self._wakes: SimpleQueue[None] = SimpleQueue()

    def is_made(self) -> bool:
        """Return whether the request was made."""
        return self._is_made

    def make(self) -> None:
        """Make the request; may be called from any thread or signal handler."""
        self._is_made = True
        self._wakes.put(None)

    def wait(self, seconds: float) -> None:
        """Wait for that many seconds, or until the request is made; for one thread."""
        if not self._is_made:
            with suppress(Empty):
                self._wakes.get(timeout=seconds)


def watch() -> None:
    """Start the thread, in the main thread; handlers of signals may be set before or later."""
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(WAKE_SIGNAL) is signal.SIG_DFL:
        signal.signal(WAKE_SIGNAL, on_wake)
    threading.Thread(target=_end_in_time, args=(readable, threading.get_ident()), name="signals", daemon=True).start()


def stop_on_signals(stop: Callable[[], object]) -> None:
    """Make SIGTERM and SIGINT call a function, which lets the day at work end, instead of interrupting it."""

    def on_signal(_number: int, _frame: object) -> None:
        stop()

    for number in STOP_SIGNALS:
        signal.signal(number, on_signal)


def _end_in_time(readable: int, main_thread: int) -> None:
    """Wait for a signal, then for the end of the time or another signal, and end the process.

    The time is counted in steps, so that a machine that stood still for a while is not taken for a program that does.
    After each the main thread is woken. Only it runs handlers, and it goes on waiting where another thread has received
    the signal: on a busy machine, one that was just starting a thread.
    """
    _is_signalled(readable, None)
    for _ in range(round(MAX_STOP_SECONDS / _STEP_SECONDS)):
        if _is_signalled(readable, _STEP_SECONDS):
            break
        signal.pthread_kill(main_thread, WAKE_SIGNAL)
    _EXIT(EXIT_CODE)


def _is_signalled(readable: int, max_seconds: float | None) -> bool:
    """Wait for a signal that asks the program to stop, and return whether it came in time."""
    until = None if max_seconds is None else time.monotonic() + max_seconds
    while select.select([readable], [], [], None if until is None else max(0.0, until - time.monotonic()))[0]:
        if os.read(readable, 1)[0] in STOP_SIGNALS:  # a time limit (``jobs.time_limit``) has signals of its own
            return True
    return False
