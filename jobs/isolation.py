"""Calls of code of other packages: whatever it raises is an error, and what it prints is not part of our output.

Loading such code is limited in time as well; ``jobs.time_limit`` limits what it does for a day.

It is still code that runs as this user. This guards against mistakes, not against a program that wants to do harm.
"""

from __future__ import annotations

import contextvars
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from functools import partial
from typing import Final, NoReturn, TypeVar

T = TypeVar("T")

MAX_LOADING_SECONDS: Final = 30.0  # importing a large library takes some seconds on a small machine
STDOUT: Final = 1
STDERR: Final = 2

_EXIT: Final = os._exit


class ExitAttempt(Exception):
    """A detector raised something that would have ended the program."""


def run_isolated(function: Callable[[], T]) -> T:
    """Call code of another package.

    What it writes to standard output, also by a program that it starts, goes to standard error, so that ``--json``
    stays JSON. What it sets in a context, such as numpy's handling of errors, ends with the call.

    Raises:
        ExitAttempt: It raised an exception that ends programs, such as ``SystemExit``, or called ``os._exit``.
        KeyboardInterrupt: The program is to stop.
        Exception: Whatever else it raised.
    """
    with _stdout_as_stderr(), _without_exit():
        try:
            return contextvars.copy_context().run(function)
        except (Exception, KeyboardInterrupt):
            raise
        except BaseException as error:  # whatever else would end the program becomes an error of the detector
            raise ExitAttempt(f"{describe(error)}, which would have ended the program") from error


def load_isolated(function: Callable[[], T], what: str, max_seconds: float = MAX_LOADING_SECONDS) -> T:
    """Call code of another package that is to be loaded, and interrupt it if it does not end.

    A loop that cannot be interrupted, in C for example, ends the program with the exit code for what took too long.

    Args:
        function: Imports, checks or makes something of the package.
        what: What it does, for messages.
        max_seconds: How long it may take.

    Raises:
        TimeLimitExceeded: It has not ended in time.
        Exception: As ``run_isolated``.
    """
    from jobs.time_limit import TimeLimit, end_process  # noqa: PLC0415 - only where there are other packages

    limit = TimeLimit(max_seconds, give_up=partial(end_process, hint="Uninstall that package, or mend it."))
    return limit.run(partial(run_isolated, function), what)


def describe(error: BaseException) -> str:
    """Return the type and the message of an error, even of one whose message cannot be made."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - an error's own code may raise anything
        return f"{type(error).__name__}: its message cannot be read"


@contextmanager
def _without_exit() -> Iterator[None]:
    """Let ``os._exit`` raise ``SystemExit``, except in a child process, which ends by it."""
    parent = os.getpid()

    def refuse(status: int) -> NoReturn:
        if os.getpid() != parent:
            _EXIT(status)
        raise SystemExit(status)

    os._exit = refuse
    try:
        yield
    finally:
        os._exit = _EXIT


@contextmanager
def _stdout_as_stderr() -> Iterator[None]:
    """Send to standard error what Python code and programs that it starts write to standard output."""
    _flush()
    try:
        saved = os.dup(STDOUT)
    except OSError:  # it is closed, so nothing written to it can go anywhere
        with redirect_stdout(sys.stderr):
            yield
        return
    try:
        with suppress(OSError):  # standard error is closed
            os.dup2(STDERR, STDOUT)
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _flush()
        os.dup2(saved, STDOUT)
        os.close(saved)


def _flush() -> None:
    """Write what is buffered for standard output; a failure is raised again when the program writes its own output."""
    for stream in (sys.stdout, sys.__stdout__):
        with suppress(OSError, ValueError, AttributeError):  # full, closed, or not there
            stream.flush()  # type: ignore[union-attr]  # None where there is no standard output
