"""Calls that always return: an error is logged and stored instead of raised, and a dead server costs little time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from pydantic import ValidationError

from storage.drivers.influxdb.connection import MAX_TRIES, Connection
from storage.errors import PatternAggregatesError, StoreUnavailable, UsageError

DEGRADED_AFTER: Final = 3  # calls in a row that did not reach the server
PROBE_SECONDS: Final = 1.0  # the time limit of the probe that precedes each call from then on

T = TypeVar("T")


class CallGuard:
    """Runs calls, records their errors, and counts how many in a row did not reach the server. Thread-safe.

    Args:
        connection: What the calls use. Once the server is out of reach, its requests are tried only once.
        logger: Where failures are logged.
    """

    def __init__(self, connection: Connection, logger: logging.Logger) -> None:
        self._connection = connection
        self._logger = logger
        self._lock = threading.Lock()
        self._failures = 0
        self._here = threading.local()

    @property
    def last_error(self) -> PatternAggregatesError | None:
        """The error of this thread's last call; None if it succeeded."""
        error: PatternAggregatesError | None = getattr(self._here, "error", None)
        return error

    @property
    def degraded(self) -> bool:
        """Whether the last calls did not reach the server."""
        return self._failures >= DEGRADED_AFTER

    def run(self, describe: Callable[[], str], call: Callable[[], T], *, fallback: T) -> T:
        """Return what a call returns, or the fallback if it raises.

        Args:
            describe: Returns what the call does, for the log.
            call: The call.
            fallback: What to return if it raises.
        """
        self._here.error = None
        self._connection.reset_attempts()
        error: PatternAggregatesError | None = None
        result = fallback
        try:
            if self.degraded:
                self._connection.get("/ping", timeout_seconds=PROBE_SECONDS)
            result = call()
        except (PatternAggregatesError, ValidationError) as caught:
            error = _as_ours(caught)
            self._logger.error(  # noqa: TRY400 - the message is enough
                "%s failed after %d attempts: %s",
                _text(describe),
                self._connection.attempts,
                f"{error} {error.hint}".strip(),
            )
        except Exception as caught:  # the client's promise: a call always returns
            error = UsageError(f"{_text(describe)}: {type(caught).__name__}: {_text(caught.__str__)}")
            error.__cause__ = caught
            self._logger.exception("%s failed", _text(describe))
        if self._connection.attempts:  # without a request nothing is known about the server
            self._count(reached=not isinstance(error, StoreUnavailable))
        self._here.error = error
        return result

    def _count(self, *, reached: bool) -> None:
        with self._lock:
            self._failures = 0 if reached else self._failures + 1
            self._connection.max_tries = 1 if self.degraded else MAX_TRIES


def _text(render: Callable[[], str]) -> str:
    """Return a text that is made from arguments of any type, including ones that cannot be printed."""
    try:
        return render()
    except Exception as caught:  # noqa: BLE001 - a call always returns, whatever its arguments are
        return f"something that cannot be shown ({type(caught).__name__})"


def _as_ours(error: PatternAggregatesError | ValidationError) -> PatternAggregatesError:
    if isinstance(error, PatternAggregatesError):
        return error
    problems = "; ".join(f"{'.'.join(map(str, part['loc'])) or 'row'}: {part['msg']}" for part in error.errors())
    ours = UsageError(f"not a valid {error.title}: {problems}")
    ours.__cause__ = error
    return ours
