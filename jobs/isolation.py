"""Calls of code of other packages: whatever it raises is an error, and what it prints is not part of our output.

Loading such code is limited in time as well; ``jobs.time_limit`` limits what it does for a day.

It is still code that runs as this user. This guards against mistakes, not against a program that wants to do harm.
"""

from __future__ import annotations

import contextvars
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from functools import partial
from typing import Final, NoReturn, TypeVar

T = TypeVar("T")

MAX_LOADING_SECONDS: Final = 30.0  # importing a large library takes some seconds on a small machine
MAX_MESSAGE_LENGTH: Final = 10_000
MAX_TRACEBACK_CALLS: Final = 20
STDOUT: Final = 1
STDERR: Final = 2

_EXIT: Final = os._exit
_foreign_code: Final[list[bool]] = []


class ForeignError(Exception):
    """Code of another package raised an error.

    Only its text is kept. The error itself is code of that package as well: making its message can loop, or end the
    program, so that is done within the limits of the call.

    Attributes:
        place: Where it was raised: the last lines of its traceback.
    """

    place: str = ""


class ExitAttempt(ForeignError):
    """A detector raised something that would have ended the program."""


def run_isolated(function: Callable[[], T], passing: tuple[type[Exception], ...] = ()) -> T:
    """Call code of another package.

    What it writes to standard output, also by a program that it starts, goes to standard error, so that ``--json``
    stays JSON. What it sets in a context, such as numpy's handling of errors, ends with the call.

    Args:
        function: What to call.
        passing: Errors that are raised as they are: those of our own code that it calls.

    Raises:
        ExitAttempt: It raised an exception that ends programs, such as ``SystemExit``, or called ``os._exit``.
        KeyboardInterrupt: The program is to stop.
        ForeignError: It raised anything else.
    """
    passed: tuple[type[BaseException], ...] = (KeyboardInterrupt, *passing)
    with _stdout_as_stderr(), _without_exit(), _only_in_this_process():
        try:
            return contextvars.copy_context().run(function)
        except passed:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever else would end the program becomes an error of the detector
            foreign = _foreign(error)
    raise foreign  # out here, so that it does not refer to the error itself


def load_isolated(
    function: Callable[[], T],
    what: str,
    max_seconds: float = MAX_LOADING_SECONDS,
    *,
    passing: tuple[type[Exception], ...] = (),
) -> T:
    """Call code of another package that is to be loaded, and interrupt it if it does not end.

    A loop that cannot be interrupted, in C for example, ends the program with the exit code for what took too long.

    Args:
        function: Imports, checks or makes something of the package.
        what: What it does, for messages.
        max_seconds: How long it may take.
        passing: As for ``run_isolated``.

    Raises:
        TimeLimitExceeded: It has not ended in time.
        ForeignError: As ``run_isolated``.
    """
    from jobs.time_limit import TimeLimit, end_process  # noqa: PLC0415 - only where there are other packages

    limit = TimeLimit(max_seconds, give_up=partial(end_process, hint="Uninstall that package, or mend it."))
    return limit.run(partial(run_isolated, function, passing), what)


def note_foreign_code() -> None:
    """Note that code of another package was loaded. It may leave threads and exit handlers behind."""
    _foreign_code.append(True)


def end_process(code: int) -> None:
    """End the process at once if code of another package was loaded: nothing that it left behind can hold it up.

    Raises:
        OSError: What is buffered for standard output cannot be written.
    """
    if not _foreign_code:
        return
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(ValueError, AttributeError):  # closed, or not there
            stream.flush()
    _EXIT(code)


def describe(error: BaseException) -> str:
    """Return the type and the message of an error, shortened, even of one whose message cannot be made."""
    if type(error) is ForeignError:  # its message names the type of the original
        return str(error)
    try:
        text = f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - an error's own code may raise anything
        return f"{type(error).__name__}: its message cannot be read"
    return text if len(text) <= MAX_MESSAGE_LENGTH else text[: MAX_MESSAGE_LENGTH - 1] + "…"


def _foreign(error: BaseException) -> ForeignError:
    """Return an error as one of ours, without any code of its own."""
    try:
        text = describe(error)
    except BaseException as other:  # making the message runs the other package's code, which may raise anything
        if isinstance(other, KeyboardInterrupt):
            raise
        text = f"{type(error).__name__}: its message cannot be read"
    if isinstance(error, Exception):
        foreign = ForeignError(text)
    else:
        foreign = ExitAttempt(f"{text}, which would have ended the program")
    foreign.place = "".join(traceback.format_tb(error.__traceback__, limit=-MAX_TRACEBACK_CALLS))
    return foreign


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
def _only_in_this_process() -> Iterator[None]:
    """End a child process that the called code has forked and not ended: it would go on as a second program."""
    parent = os.getpid()
    try:
        yield
    finally:
        if os.getpid() != parent:
            _EXIT(1)


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
