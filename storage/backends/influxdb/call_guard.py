"""Calls of a server that end in an answer, whatever happens: the error is logged and kept instead of raised."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from pydantic import ValidationError

from storage.drivers.influxdb.connection import TRIES, Connection
from storage.errors import PatternAggregatesError, StoreUnavailable, UsageError

DEGRADED_AFTER: Final = 3  # calls in a row that found no server
PROBE_SECONDS: Final = 1.0  # what a call costs from then on, until the server answers again

T = TypeVar("T")


class Outcomes:
    """What became of calls, and so whether the server is worth waiting for. Safe to use from many threads.

    Args:
        logger: Where failures are told.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._lock = threading.Lock()
        self._failures = 0
        self._here = threading.local()

    @property
    def last_error(self) -> PatternAggregatesError | None:
        """Why this thread's newest call failed; None if it did not."""
        error: PatternAggregatesError | None = getattr(self._here, "error", None)
        return error

    @property
    def degraded(self) -> bool:
        """Whether the server has not answered for some calls."""
        return self._failures >= DEGRADED_AFTER

    def tries(self) -> int:
        """How often a call is tried."""
        return 1 if self.degraded else TRIES

    def of(self, connection: Connection, deed: Callable[[], str], call: Callable[[], T], *, failed: T) -> T:
        """Make a call.

        Args:
            connection: What the call uses.
            deed: Says what it does, for the log.
            call: The call.
            failed: The answer where it raises.
        """
        self._here.error = None
        connection.forget_attempts()
        error: PatternAggregatesError | None = None
        answer = failed
        try:
            if self.degraded:
                connection.request("GET", "/ping", tries=1, timeout_seconds=PROBE_SECONDS)
            answer = call()
        except (PatternAggregatesError, ValidationError) as caught:
            error = _as_ours(caught)
            told = f"{error} {error.hint}".strip()
            self._logger.error(  # noqa: TRY400 - it says enough
                "%s failed after %d attempts: %s", _said(deed), connection.attempts, told
            )
        except Exception as caught:  # the story's promise: a call ends in an answer, whatever happens
            error = UsageError(f"{_said(deed)}: {type(caught).__name__}: {_said(caught.__str__)}")
            error.__cause__ = caught
            self._logger.exception("%s failed", _said(deed))
        if connection.attempts:  # else nothing was asked, and nothing is learnt of the server
            self._note(found_server=not isinstance(error, StoreUnavailable))
        self._here.error = error
        return answer

    def _note(self, *, found_server: bool) -> None:
        with self._lock:
            self._failures = 0 if found_server else self._failures + 1


def _said(words: Callable[[], str]) -> str:
    """Words made of arguments, which may be anything, also what cannot be shown."""
    try:
        return words()
    except Exception as caught:  # noqa: BLE001 - the promise holds for them, too
        return f"something that cannot be shown ({type(caught).__name__})"


def _as_ours(error: PatternAggregatesError | ValidationError) -> PatternAggregatesError:
    if isinstance(error, PatternAggregatesError):
        return error
    found = "; ".join(f"{'.'.join(map(str, part['loc'])) or 'row'}: {part['msg']}" for part in error.errors())
    ours = UsageError(f"no valid {error.title}: {found}")
    ours.__cause__ = error
    return ours
