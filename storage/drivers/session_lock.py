"""Locks between processes that a PostgreSQL server keeps: granted in turn, released when the holder's connection ends.

A lock belongs to a connection of its own, so it outlives no process: the server closes the connection of one that was
killed at once, and within ``_KEEPALIVE`` that of one whose machine or network has gone. A process that is only stopped
keeps its locks, as it would keep a file's.

Not usable behind a pooler that gives each transaction to another connection (PgBouncer's mode ``transaction``).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import event, exc

from storage.drivers import time_limits

MAX_WAIT_AT_ONCE_SECONDS: Final = 20.0  # then the server is asked again, which shows whether it still answers

_KEEPALIVE: Final = {  # the server's own, in seconds: without them it believes for two hours in a machine that vanished
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "idle_session_timeout": "0",  # a lock is held by a connection that has nothing to do
}
_NOT_AVAILABLE: Final = "55P03"  # the state that the server reports when lock_timeout is over
_HOLDER: Final = sa.text(
    """
    SELECT activity.pid, activity.application_name, activity.client_addr, activity.client_hostname,
           activity.query_start AS since
    FROM pg_locks AS held JOIN pg_stat_activity AS activity USING (pid)
    WHERE held.granted AND held.locktype = 'advisory' AND held.objsubid = 1
      AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (held.classid::bigint << 32 | held.objid::bigint) = :key
    """
)


class LockTimeout(Exception):
    """Another session has held a lock for all of the time; the text says which."""


class SessionLocks:
    """The locks of one server's database.

    Args:
        url: The database.
        timeout_seconds: How long the server may take to answer.
    """

    def __init__(self, url: sa.URL, timeout_seconds: float) -> None:
        arguments = time_limits.connect_arguments(url, timeout_seconds)
        self._engine = sa.create_engine(
            url, isolation_level="AUTOCOMMIT", pool_pre_ping=True, pool_size=1, max_overflow=-1, connect_args=arguments
        )
        silence = max(timeout_seconds, MAX_WAIT_AT_ONCE_SECONDS) + time_limits.SILENCE_MARGIN_SECONDS
        time_limits.close_when_silent(self._engine, silence)
        event.listen(self._engine, "connect", _prepare)

    @contextmanager
    def acquire(self, key: int, max_wait_seconds: float) -> Iterator[sa.Connection]:
        """Hold a lock until the block ends; yields the connection that holds it, outside of any transaction.

        Raises:
            LockTimeout: Another session has held it for all of ``max_wait_seconds``.
            SQLAlchemyError: The server cannot be used.
        """
        with self._engine.connect() as connection:
            try:
                _wait_for(connection, key, max_wait_seconds)
                yield connection
            finally:
                _release(connection)

    def close(self) -> None:
        """Close all connections; locks that are held are released."""
        self._engine.dispose()


def key_of(*parts: str) -> int:
    """Return the number of a lock. Two names may share one, which only makes them wait for each other."""
    digest = hashlib.blake2b("\0".join(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


def _prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 - of the driver
    with connection.cursor() as cursor:
        for name, value in _KEEPALIVE.items():
            cursor.execute(
                "SELECT set_config(name, %s, false) FROM pg_settings WHERE name = %s AND context = 'user'",
                (value, name),
            )
    connection.commit()


def _wait_for(connection: sa.Connection, key: int, max_wait_seconds: float) -> None:
    deadline = time.monotonic() + max_wait_seconds
    while True:
        seconds = min(max(deadline - time.monotonic(), 0.001), MAX_WAIT_AT_ONCE_SECONDS)
        limits = sa.select(
            sa.func.set_config("lock_timeout", str(max(1, round(seconds * 1000))), False),
            sa.func.set_config("statement_timeout", "0", False),
        )
        connection.execute(limits)
        try:
            connection.execute(sa.select(sa.func.pg_advisory_lock(key)))
        except exc.DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _NOT_AVAILABLE:
                raise
            if time.monotonic() >= deadline:
                raise LockTimeout(_holder(connection, key)) from error
        else:
            return


def _holder(connection: sa.Connection, key: int) -> str:
    """Return which session holds a lock, as far as this account may see it; empty if nobody does by now."""
    found = connection.execute(_HOLDER, {"key": key}).first()
    if found is None:
        return ""
    address = found.client_hostname or found.client_addr
    return (
        f"process {found.pid} of the server"
        + (f" ({found.application_name})" if found.application_name else "")
        + (f", connected from {address}" if address else "")
        + (f", since {found.since:%Y-%m-%dT%H:%M:%SZ}" if found.since else "")
    )


def _release(connection: sa.Connection) -> None:
    """Give a lock back; a connection that cannot is closed, which gives it back too."""
    try:
        connection.execute(sa.select(sa.func.pg_advisory_unlock_all()))
    except exc.SQLAlchemyError:
        connection.invalidate()
