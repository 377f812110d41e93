"""SQLAlchemy engines as this project needs them, and the one place where their errors are translated.

SQLite gets explicit transactions (``BEGIN IMMEDIATE`` for writers, so that two of them queue instead of deadlock), WAL,
full synchronisation and a bounded wait for locks. A database that is only read is never created or changed.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy import event, exc

from storage.errors import PatternAggregatesError, SettingsError

MAX_LOCK_WAIT_SECONDS: Final = 10.0

_CORRUPT = ("file is not a database", "malformed", "database corruption", "file is encrypted")
_DISK_FULL = ("disk is full", "no space left")
_LOGIN_REFUSED = (  # what servers answer to an account, password or right that is not valid
    "password authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "permission denied for",
    "access denied for user",
    "command denied to user",
)
_DRIVERS: Final = {  # the driver of this project's extra, for URLs that name none
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
}
_EXTRAS: Final = {
    ("mysql", "pymysql"): "mysql",
    ("mariadb", "pymysql"): "mysql",
    ("postgresql", "psycopg"): "postgresql",
}
_EXAMPLES: Final = {
    "sqlite": "sqlite:///folder/file.db",
    "mysql": "mysql+pymysql://user:password@host/name",
    "mariadb": "mysql+pymysql://user:password@host/name",
    "postgresql": "postgresql+psycopg://user:password@host/name",
}
_URL_HINT: Final = f"Write it like {_EXAMPLES['sqlite']}, {_EXAMPLES['mysql']} or {_EXAMPLES['postgresql']}."


class ErrorClasses(NamedTuple):
    """The error classes of whoever uses a database, for the kinds of errors that it may have."""

    unavailable: type[PatternAggregatesError]
    corrupt: type[PatternAggregatesError]
    other: type[PatternAggregatesError]
    hint_when_corrupt: str = "Restore it from a backup; for SQLite, `sqlite3 FILE .recover` saves what can be saved."


def parse_url(url: str, setting: str) -> sa.URL:
    """Return a database URL with a driver that is installed; an SQLite URL must name a file.

    ``mysql://``, ``mariadb://``, ``postgres://`` and ``postgresql://`` get the driver of this project's extra.

    Raises:
        SettingsError: The text is not a valid database URL, or its driver is not installed.
    """
    try:
        parsed = sa.make_url(url)
    except (exc.ArgumentError, ValueError) as error:
        raise SettingsError(f"{setting}: not a valid database URL", hint=_URL_HINT) from error
    parsed = parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))
    try:
        parsed.get_dialect().import_dbapi()
    except exc.NoSuchModuleError as error:
        raise SettingsError(f"{setting}: not a supported database: {parsed.drivername}", hint=_URL_HINT) from error
    except ImportError as error:
        backend, driver = parsed.get_backend_name(), parsed.get_driver_name()
        extra = _EXTRAS.get((backend, driver))
        raise SettingsError(
            f"{setting}: the database driver {driver} is not installed",
            hint=f'Install the extra: pip install "pattern-aggregates[{extra}]".'
            if extra
            else f"Install {driver}, or write the URL like {_EXAMPLES.get(backend, _EXAMPLES['sqlite'])}.",
        ) from error
    if "@" in (parsed.host or ""):
        raise SettingsError(f"{setting}: the server's name contains an @", hint="Write an @ in a password as %40.")
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise SettingsError(f"{setting}: an SQLite URL must name a file", hint="Write sqlite:///folder/file.db")
    return parsed


def sqlite_file(url: sa.URL) -> Path | None:
    """Return the file of an SQLite URL; None for a database server."""
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def writing_engine(url: sa.URL, setting: str) -> sa.Engine:
    """Return an engine that may create and change the database.

    Raises:
        SettingsError: The file or its folder cannot be created or written to.
    """
    file = sqlite_file(url)
    if file is None:
        # Whoever waited for another writer's lock must see what that one has committed, whatever the server's default.
        return sa.create_engine(url, pool_pre_ping=True, isolation_level="READ COMMITTED")
    create_private_file(file, setting)

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(file, timeout=MAX_LOCK_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            if not file.stat().st_size:  # a new file; an existing one keeps its mode, it may be another program's
                connection.execute("PRAGMA journal_mode=WAL")
            # The ledger must never claim what a power cut took from the store.
            connection.execute("PRAGMA synchronous=FULL")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    engine = sa.create_engine("sqlite://", creator=connect, poolclass=sa.QueuePool)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def reading_engine(url: sa.URL) -> sa.Engine:
    """Return an engine that only reads, each transaction from one snapshot. An SQLite file must exist."""
    file = sqlite_file(url)
    if file is None:
        # One snapshot for all statements of a read: otherwise a purge between two of them halves a day.
        return sa.create_engine(
            url,
            pool_pre_ping=True,
            isolation_level="REPEATABLE READ",
            execution_options={"postgresql_readonly": True},
        )
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
            return _connect_read_only(f"{address}?immutable=1")

    engine = sa.create_engine("sqlite://", creator=connect, poolclass=sa.QueuePool)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def _connect_read_only(address: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        address, uri=True, timeout=MAX_LOCK_WAIT_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()  # opens the file, which connect does not
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def table_names(file: Path) -> list[str]:
    """Return the tables of an SQLite file without changing it; none if it does not exist or cannot be read now."""
    if not file.is_file() or not file.stat().st_size:
        return []
    try:
        with closing(_connect_read_only(f"{file.resolve().as_uri()}?mode=ro")) as connection:
            return [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    except sqlite3.Error:
        return []  # the error is reported where the file is used


def create_private_file(file: Path, setting: str) -> None:
    """Create a file that only its owner may read, and its folders, unless it exists.

    Raises:
        SettingsError: It or its folder cannot be created or written to.
    """
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
        raise _translated(error, errors, name) from error


def _translated(error: Exception, errors: ErrorClasses, name: str) -> PatternAggregatesError:
    original = getattr(error, "orig", None) or error
    text = (str(original).strip() or type(original).__name__).splitlines()[0]
    lower = text.lower()
    if any(words in lower for words in _CORRUPT):
        return errors.corrupt(f"{name} is damaged: {text}", hint=errors.hint_when_corrupt)
    if any(words in lower for words in _DISK_FULL):
        return errors.unavailable(f"{name}: {text}", hint="Free some disk space and run again.")
    if any(words in lower for words in _LOGIN_REFUSED):
        return SettingsError(
            f"{name}: the server refuses this account: {text}",
            hint="Correct user and password in the URL; reading needs the right to SELECT.",
        )
    if getattr(original, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:  # such as a column that does not exist
        return errors.other(f"{name}: {text}", hint="Its tables may be of another version of the program.")
    if _is_temporary(error):
        return errors.unavailable(f"{name} cannot be used now: {text}", hint=_hint_when_unavailable(lower))
    return errors.other(f"{name}: {text}")


def _is_temporary(error: Exception) -> bool:
    """Whether an error is of the connection or the server, by the names that all drivers give their classes."""
    if isinstance(error, exc.TimeoutError | exc.DisconnectionError) or getattr(error, "connection_invalidated", False):
        return True
    return any(cls.__name__ in ("OperationalError", "InterfaceError") for cls in type(error).__mro__)


def _hint_when_unavailable(text: str) -> str:
    if "locked" in text or "busy" in text:
        return "Another program is using it; run again when that one has finished."
    if "readonly" in text or "unable to open" in text:
        return "Check the permissions of the file and its folder."
    return "Check that the database answers, then run again."
