"""Limits to how long a database server may take, so that no call waits for ever.

The server ends a statement that takes too long or that waits too long for a lock. That is not enough: a server process
that is stopped, or a machine that hangs, keeps its connections and answers nothing, no time-out either. Hence every
wait for an answer is bounded on this side too, a little later, and a connection that has been silent is closed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy import event

if TYPE_CHECKING:
    import psycopg

TIMEOUT_SECONDS: Final = 60.0
MAX_CONNECT_SECONDS: Final = 10.0
MAX_LOCK_WAIT_SECONDS: Final = 10.0
MAX_IDLE_SECONDS: Final = 60.0  # of a transaction that writes: that of a stopped process must not block others for ever
SILENCE_MARGIN_SECONDS: Final = 5.0  # after the server should have answered that its own limit is reached

_TCP: Final = {  # of libpq; a machine that vanished is noticed within 30 s
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,  # milliseconds
}


def connect_arguments(url: sa.URL, timeout_seconds: float) -> dict[str, Any]:
    """Return what the driver is to be given when it connects; what the URL sets itself is left to it.

    Args:
        url: A database server.
        timeout_seconds: How long the server may take to answer one statement.
    """
    connect_seconds = max(1, round(min(MAX_CONNECT_SECONDS, timeout_seconds)))
    lock_seconds = max(1, round(_lock_seconds(timeout_seconds)))
    silence_seconds = timeout_seconds + SILENCE_MARGIN_SECONDS
    arguments: dict[str, Any] = {}
    if url.get_backend_name() == "postgresql":
        arguments = {"connect_timeout": connect_seconds, **_TCP}
    elif url.get_driver_name() == "pymysql":
        arguments = {
            "connect_timeout": connect_seconds,
            "read_timeout": silence_seconds,
            "write_timeout": silence_seconds,
            # The first is for tables, where the server would wait a day or a year; the second is for rows.
            "init_command": f"SET lock_wait_timeout = {lock_seconds}, innodb_lock_wait_timeout = {lock_seconds}",
        }
    return {name: value for name, value in arguments.items() if name not in url.query}


def limit_waits(engine: sa.Engine, timeout_seconds: float, max_idle_seconds: float | None = None) -> None:
    """Bound every statement and every wait for a lock or an answer of a PostgreSQL server.

    Args:
        engine: The server.
        timeout_seconds: How long it may take to answer one statement.
        max_idle_seconds: How long it keeps a transaction open in which nothing happens.
    """
    if engine.dialect.name != "postgresql":
        return
    limits = sa.select(
        sa.func.set_config("statement_timeout", _milliseconds(timeout_seconds), True),
        sa.func.set_config("lock_timeout", _milliseconds(_lock_seconds(timeout_seconds)), True),
        *_idle_limit(max_idle_seconds),
    )
    # For one transaction: a pooler in between may give the connection to another program afterwards.
    event.listen(engine, "begin", lambda connection: connection.execute(limits))
    close_when_silent(engine, timeout_seconds + SILENCE_MARGIN_SECONDS)


def close_when_silent(engine: sa.Engine, silence_seconds: float) -> None:
    """Close a connection on which the server does not answer for a time, if the driver lets that be done."""
    if engine.dialect.driver == "psycopg":
        connect = _impatient_connect(silence_seconds)
        event.listen(engine, "do_connect", lambda _dialect, _record, words, named: connect(*words, **named))


def _idle_limit(seconds: float | None) -> list[sa.ColumnElement[str]]:
    if seconds is None:
        return []
    return [sa.func.set_config("idle_in_transaction_session_timeout", _milliseconds(seconds), True)]


def _lock_seconds(timeout_seconds: float) -> float:
    return min(MAX_LOCK_WAIT_SECONDS, timeout_seconds / 2)  # before the statement ends, to say what it waited for


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))


def _impatient_connect(silence_seconds: float) -> Callable[..., psycopg.Connection[Any]]:
    """Return a way to connect with psycopg that closes a connection on which the server stays silent."""
    import psycopg  # noqa: PLC0415 - an extra, installed where it is used

    class ImpatientConnection(psycopg.Connection[Any]):
        def wait(
            self, gen: Generator[Any, Any, Any], interval: float = 0.1, timeout: float | None = silence_seconds
        ) -> Any:  # noqa: ANN401 - whatever the operation returns
            began = time.monotonic()
            try:
                return super().wait(gen, interval, timeout)
            except psycopg.OperationalError as error:
                if timeout is None or time.monotonic() - began < timeout:
                    raise
                self.close()  # also a rollback would wait for the server
                raise psycopg.OperationalError(f"the server has not answered for {timeout:.0f} s") from error

    return ImpatientConnection.connect
