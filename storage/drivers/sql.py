"""SQLAlchemy engines as this project needs them, and their transactions.

SQLite gets explicit transactions (``BEGIN IMMEDIATE`` for writers, so that two of them queue instead of deadlock), WAL,
full synchronisation and a bounded wait for locks. A database that is only read is never created or changed.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import sqlalchemy as sa
from sqlalchemy import event, exc

from storage.drivers import mariadb, postgresql, time_limits
from storage.drivers.sql_errors import ErrorClasses, translated
from storage.drivers.sql_urls import sqlite_file
from storage.errors import SettingsError

MAX_LOCK_WAIT_SECONDS: Final = time_limits.MAX_LOCK_WAIT_SECONDS

_LOCK_TIMEOUTS: Final = ("lock timeout", "Lock wait timeout")  # of PostgreSQL, and of MariaDB and MySQL
_NAMES_QUERY: Final = "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"


def writing_engine(url: sa.URL, setting: str, timeout_seconds: float = time_limits.TIMEOUT_SECONDS) -> sa.Engine:
    """Return an engine that may create and change the database.

    An SQLite file that exists is opened as it is: the caller checks whether it is its own (``FileContents``), and calls
    ``use_write_ahead_log`` for one that it has filled.

    Raises:
        SettingsError: The file or its folder cannot be created or written to.
    """
    file = sqlite_file(url)
    if file is None:
        # Whoever waited for another writer's lock must see what that one has committed, whatever the server's default.
        idle = time_limits.MAX_IDLE_SECONDS
        return _server_engine(url, timeout_seconds, idle, isolation_level="READ COMMITTED")
    create_private_file(file, setting)

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(file, timeout=MAX_LOCK_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            # The ledger must never list as written what the store lost in a power cut.
            connection.execute("PRAGMA synchronous=FULL")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    engine = sa.create_engine("sqlite://", creator=connect, poolclass=sa.QueuePool)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def reading_engine(
    url: sa.URL, timeout_seconds: float = time_limits.TIMEOUT_SECONDS, *, setting: str = "url"
) -> sa.Engine:
    """Return an engine that only reads, each transaction from one snapshot. An SQLite file must exist.

    Raises:
        SettingsError: It is not a regular file.
    """
    file = sqlite_file(url)
    if file is None:
        # One snapshot for all statements of a read: otherwise a purge between two of them halves a day.
        return _server_engine(
            url,
            timeout_seconds,
            None,
            isolation_level="REPEATABLE READ",
            execution_options={"postgresql_readonly": True},
        )
    _require_regular(file, setting)
    address = file.resolve().as_uri()

    def connect() -> sqlite3.Connection:
        try:
            return _connect_read_only(f"{address}?mode=ro")
        except sqlite3.OperationalError as error:
            # In a folder without write permission, SQLite cannot create the files that WAL mode needs. If nobody has
            # the file locked and no log or journal is left over, the file is complete by itself.
            cannot_open = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
            left_over = any(
                log.exists() and log.stat().st_size
                for log in (file.with_name(f"{file.name}-{kind}") for kind in ("wal", "journal"))
            )
            if not cannot_open or left_over:
                raise
            return _connect_read_only(f"{address}?mode=ro&immutable=1")

    engine = sa.create_engine("sqlite://", creator=connect, poolclass=sa.QueuePool)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def _server_engine(
    url: sa.URL,
    timeout_seconds: float,
    max_idle_seconds: float | None,
    **options: Any,  # noqa: ANN401 - of SQLAlchemy
) -> sa.Engine:
    arguments = time_limits.connect_arguments(url, timeout_seconds)
    engine = sa.create_engine(url, pool_pre_ping=True, connect_args=arguments, **options)
    time_limits.limit_waits(engine, timeout_seconds, max_idle_seconds)
    return engine


def skip_invalid_text(engine: sa.Engine) -> None:
    """Let an SQLite engine read a text that is not valid UTF-8 as empty: all reading is a twelfth slower then."""

    def replace_decoder(connection: sqlite3.Connection, _record: object) -> None:
        connection.text_factory = _text_or_empty

    engine.dispose()
    event.listen(engine, "connect", replace_decoder)


def _text_or_empty(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return ""


def use_write_ahead_log(engine: sa.Engine) -> None:
    """Let readers of an SQLite file go on while it is written. Does nothing while another program has it locked.

    Only for a file that is known to be the caller's own: it changes the file, and no transaction can undo it.
    """
    raw = engine.raw_connection()
    try:
        with suppress(sqlite3.OperationalError), closing(raw.cursor()) as cursor:
            cursor.execute("PRAGMA journal_mode=WAL")
    finally:
        raw.close()


def _connect_read_only(address: str, max_wait_seconds: float | None = None) -> sqlite3.Connection:
    wait = MAX_LOCK_WAIT_SECONDS if max_wait_seconds is None else max_wait_seconds
    connection = sqlite3.connect(address, uri=True, timeout=wait, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()  # opens the file, which connect does not
    except sqlite3.Error:
        connection.close()
        raise
    return connection


class FileContents(NamedTuple):
    """What an SQLite file holds, to tell whose it is.

    Attributes:
        application_id: The number by which some programs mark their files; 0 if there is none.
        names: The tables, views, indexes and triggers.
    """

    application_id: int
    names: frozenset[str]

    @classmethod
    def of(cls, connection: sa.Connection) -> Self:
        """Return the contents as a transaction sees them: nobody can change them before it ends, if it writes."""
        application_id: int = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
        names = connection.exec_driver_sql(_NAMES_QUERY).scalars()
        return cls(application_id, frozenset(names))

    @classmethod
    def of_file(
        cls, file: Path, errors: ErrorClasses, name: str, *, max_wait_seconds: float | None = None
    ) -> Self | None:
        """Return the contents of a file, which is opened read-only.

        A program that opens another one's file for writing may change it without writing to it: the last one that
        closes a file also empties its write-ahead log into it. Hence this check before such a file is opened at all.

        Returns:
            None if the file is missing or empty, or only a writer can read it (after a crash, for example).

        Raises:
            PatternAggregatesError: As ``errors`` says: another program keeps the file locked.
        """
        if not file.is_file() or not file.stat().st_size:
            return None
        try:
            with closing(_connect_read_only(f"{file.resolve().as_uri()}?mode=ro", max_wait_seconds)) as connection:
                (application_id,) = connection.execute("PRAGMA application_id").fetchone()
                return cls(application_id, frozenset(one for (one,) in connection.execute(_NAMES_QUERY)))
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise translated(error, errors, name) from error
            return None  # whatever it is, the transaction that follows reports it and changes nothing


def _require_regular(file: Path, setting: str) -> None:
    """Refuse what could be read for ever: a pipe, a socket or a device.

    Raises:
        SettingsError: It exists and is not a regular file.
    """
    if file.exists() and not file.is_file():
        raise SettingsError(f"{setting}: {file} is not a regular file", hint="Name a file, not a folder or a device.")


def create_private_file(file: Path, setting: str) -> None:
    """Create a file that only its owner may read, and its folders, unless it exists.

    Raises:
        SettingsError: It or its folder cannot be created or written to, or it is not a regular file.
    """
    _require_regular(file, setting)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
        if not os.access(file.parent, os.W_OK):  # SQLite creates files beside it
            raise PermissionError(errno.EACCES, f"its folder: {os.strerror(errno.EACCES)}")
    except OSError as error:
        raise SettingsError(
            f"{setting}: {file} cannot be written: {error.strerror}", hint=permission_hint(file.parent)
        ) from error


def permission_hint(folder: Path) -> str:
    """Return what to do about a folder that cannot be written to."""
    return f"Give the folder {folder}, and what is in it, to the user this runs as, or name another place."


@contextmanager
def transaction(engine: sa.Engine, errors: ErrorClasses, name: str) -> Iterator[sa.Connection]:
    """Open a transaction, which is committed when the block ends and rolled back when it raises.

    Every error of SQLAlchemy or of the engine's driver, also one that a raw cursor raises, becomes one of ours with
    the original as its cause.

    Args:
        engine: The database.
        errors: The classes to raise.
        name: What to call the database in messages.

    Raises:
        SettingsError: The server refuses user or password.
    """
    driver = engine.dialect.loaded_dbapi
    try:
        with engine.begin() as connection:
            yield connection
    except (exc.SQLAlchemyError, exc.EmulatedDBAPIException, driver.Error, driver.Warning) as error:
        ours = translated(error, errors, name)
        if any(sign in str(error) for sign in _LOCK_TIMEOUTS):
            ours.hint = _holders(engine) or ours.hint
        raise ours from error


def _holders(engine: sa.Engine) -> str:
    """Return who holds the locks of a server, as a hint; empty if that cannot be found out."""
    lock_holders = {
        "postgresql": postgresql.lock_holders,
        "mysql": mariadb.lock_holders,
        "mariadb": mariadb.lock_holders,
    }.get(engine.dialect.name)
    if lock_holders is None:
        return ""
    with suppress(exc.SQLAlchemyError), engine.connect() as connection:
        if holders := lock_holders(connection):
            return f"Another program is using it: {holders}. Run again when that one has finished."
    return ""
