"""A limit to how long a day may take, whatever takes so long: a server that sends a byte a minute, an endless loop.

Each wait for a server has a limit of its own (``storage.drivers.time_limits``); this one is around all of them. When
the time is over, ``TimeOver`` is raised in the middle of what is running, and again every second until it has ended.
Code that goes on regardless can only be ended together with its process, which happens half a minute later: the ledger
loses nothing by that, and its lock is released.

Code in C that keeps the interpreter's lock, such as a regular expression, keeps the thread that watches the time from
running. In the main thread a timer of the operating system interrupts what looks for signals now and then; what does
not is ended with the process by ``faulthandler``, whose watching thread needs no lock, with exit code 1.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from storage.errors import PatternAggregatesError, TimeLimitExceeded

T = TypeVar("T")

MAX_DAY_SECONDS: Final = 3600.0
MAX_DETECTOR_SHARE: Final = 0.25  # of the day's time, so that one that loops leaves time for the others
GRACE_SECONDS: Final = 30.0
LAST_RESORT_SECONDS: Final = 60.0  # after the limit, as the grace
REPEAT_SECONDS: Final = 1.0
_SOME_LOOPS: Final = 10  # each looks for an exception
TIMER_SECONDS: Final = 0.25  # of processor time, which passes slowly on a busy machine
MINUTE_SECONDS: Final = 60
WAKE_SIGNAL: Final = signal.SIGURG  # ends waits in C of the main thread; ignored where nobody handles it
EXIT_CODE: Final = os.EX_TEMPFAIL
_EXIT: Final = os._exit  # the real one, also while ``run_isolated`` keeps other code from it
STDERR: Final = 2  # by number: the stream may be closed or replaced

LIMIT_HINT: Final = "What is staged is kept, and the next run goes on; schedule.max_day_minutes sets the limit."

GiveUp = Callable[[str], object]


class TimeOver(KeyboardInterrupt):
    """The time is over. It is an interrupt, for which drivers know how to leave a call."""


def end_process(message: str, *, hint: str = LIMIT_HINT) -> None:
    """End the process at once, with the exit code for what could not be reached."""
    os.write(STDERR, f"error: {message}; the program ends here. {hint}\n".encode())
    _EXIT(EXIT_CODE)


class TimeLimit:
    """The time that a day has. It begins when the object is made.

    Args:
        seconds: How long everything together may take.
        give_up: Ends the process; called with what would not end.
    """

    def __init__(self, seconds: float, *, give_up: GiveUp = end_process) -> None:
        self._seconds = seconds
        self._ends_at = time.monotonic() + seconds
        self._give_up = give_up

    @property
    def is_over(self) -> bool:
        """Whether no time is left."""
        return time.monotonic() >= self._ends_at

    def run(
        self,
        function: Callable[[], T],
        what: str,
        *,
        share: float = 1.0,
        error: type[PatternAggregatesError] = TimeLimitExceeded,
    ) -> T:
        """Call a function and return its result, if it ends in time.

        Args:
            function: What to call, in this thread.
            what: What it does, for messages.
            share: How much of the whole time it may take at most.
            error: The class of the error to raise; a temporary one.

        Raises:
            PatternAggregatesError: Of the class ``error``: it was interrupted, or no time was left to begin.
        """
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise error(f"{what}: not begun, as the day has taken its {_in_words(self._seconds)}", hint=LIMIT_HINT)
        seconds = min(left, share * self._seconds)
        try:
            return _run(function, seconds, lambda: self._give_up(f"{what} has not ended within {_in_words(seconds)}"))
        except TimeOver:
            raise error(
                f"{what} has not ended within {_in_words(seconds)} and was interrupted", hint=LIMIT_HINT
            ) from None


def _in_words(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= MINUTE_SECONDS else f"{seconds:.3g} s"


def _run(function: Callable[[], T], seconds: float, give_up: Callable[[], object]) -> T:
    """Call a function; raise ``TimeOver`` from it when the time is over."""
    thread = _Interrupter(seconds, give_up)
    # All in one frame and its handlers: an exception raised by another thread may come between any two instructions.
    try:
        try:
            thread.start()
            return function()
        finally:
            thread.end()
    except TimeOver:
        thread.end()
        raise


class _Interrupter:
    """Interrupts the thread that made it when the time is over, until ``end`` is called."""

    def __init__(self, seconds: float, give_up: Callable[[], object]) -> None:
        self._seconds = seconds
        self.ends_at = time.monotonic() + seconds
        self._give_up = give_up
        self._target = threading.get_ident()
        self._is_main = threading.current_thread() is threading.main_thread()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="time limit", daemon=True)
        self._is_watching = True

    def start(self) -> None:
        """Begin to count."""
        if self._is_main:
            _install_handlers()
            _of_main_thread.append(self)
            if signal.getsignal(signal.SIGPROF) is _on_timer:  # else somebody measures this program
                signal.setitimer(signal.ITIMER_PROF, TIMER_SECONDS, TIMER_SECONDS)
        faulthandler.dump_traceback_later(self._seconds + LAST_RESORT_SECONDS, exit=True, file=STDERR)
        self._thread.start()

    def end(self) -> None:
        """Interrupt no more; wait for an interruption that has not arrived yet."""
        while True:
            try:
                self._ended.set()
                faulthandler.cancel_dump_traceback_later()
                if self._is_main:
                    _of_main_thread.clear()
                    if signal.getsignal(signal.SIGPROF) is _on_timer:
                        signal.setitimer(signal.ITIMER_PROF, 0)
                while self._thread.ident is not None and self._is_watching:
                    time.sleep(0)
                for _ in range(_SOME_LOOPS):  # an interruption that is on its way arrives here
                    pass
            except TimeOver:
                continue
            return

    def _watch(self) -> None:
        try:
            if self._ended.wait(self._seconds):
                return
            until = time.monotonic() + GRACE_SECONDS
            while time.monotonic() < until:
                _set_exception(self._target, TimeOver)
                if self._is_main:
                    signal.pthread_kill(self._target, WAKE_SIGNAL)
                if self._ended.wait(REPEAT_SECONDS):
                    return
            self._give_up()
        finally:
            self._is_watching = False


def _set_exception(thread: int, error: type[BaseException]) -> None:
    """Let an exception be raised in a thread before its next instruction in Python.

    It is never taken back with NULL: CPython 3.11 then looks for it for ever, and hangs where calls are traced.
    """
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))


_of_main_thread: Final[list[_Interrupter]] = []  # at most one


def _install_handlers() -> None:
    """Handle the two signals, unless somebody else does. They stay handled: one may arrive a little late."""
    for number, handler in ((WAKE_SIGNAL, on_wake), (signal.SIGPROF, _on_timer)):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, handler)


def on_wake(_number: int, _frame: object) -> None:
    """Do nothing: the interpreter looks for other signals and for exceptions of other threads when it calls this."""


def _on_timer(_number: int, _frame: object) -> None:
    """Raise, if the time is over; the timer comes again and again, as it counts processor time."""
    if _of_main_thread and time.monotonic() >= _of_main_thread[0].ends_at:
        raise TimeOver
