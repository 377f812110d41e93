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

LOCK_SECONDS: Final = 10.0

_DAMAGED = ("file is not a database", "malformed", "database corruption", "file is encrypted")
_FULL = ("disk is full", "no space left")
_REFUSED = (  # what servers answer to an account, password or right that is not valid
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


class Errors(NamedTuple):
    """Which error of ours stands for which trouble of a driver's."""

    unavailable: type[PatternAggregatesError]
    corrupt: type[PatternAggregatesError]
    other: type[PatternAggregatesError]
    when_damaged: str = "Restore it from a backup; for SQLite, `sqlite3 FILE .recover` saves what can be saved."


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
        raise SettingsError(f"{setting}: the server's name holds an @", hint="Write an @ in a password as %40.")
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise SettingsError(f"{setting}: an SQLite URL must name a file", hint="Write sqlite:///folder/file.db")
    return parsed


def sqlite_file(url: sa.URL) -> Path | None:
    """The file behind an SQLite URL; None for a database server."""
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def writer(url: sa.URL, setting: str) -> sa.Engine:
    """An engine that may create and change the database.

    Raises:
        SettingsError: The folder cannot be made or written to.
    """
    file = sqlite_file(url)
    if file is None:
        return sa.create_engine(url, pool_pre_ping=True)
    create_private(file, setting)

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(file, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            if not file.stat().st_size:  # a new file; one that is there keeps its mode, it may be another program's
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


def reader(url: sa.URL) -> sa.Engine:
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
            # In a folder that cannot be written to, SQLite cannot make the files that WAL mode wants. Where nobody has
            # the file locked and no log or journal is left over, it is complete as it is.
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
    connection = sqlite3.connect(address, uri=True, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()  # opens the file, which connect does not
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def tables_of(file: Path) -> list[str]:
    """The tables of an SQLite file, looked at without changing it; none if it is not there or cannot be read now."""
    if not file.is_file() or not file.stat().st_size:
        return []
    try:
        with closing(_connect_read_only(f"{file.resolve().as_uri()}?mode=ro")) as connection:
            return [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    except sqlite3.Error:
        return []  # whatever it is, it will be told where the file is used


def create_private(file: Path, setting: str) -> None:
    """Make a file that only its owner may read, with its folders, if it is not there.

    Raises:
        SettingsError: It or its folder cannot be made or written to.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
        if not os.access(file.parent, os.W_OK):  # SQLite makes files beside it
            raise PermissionError(errno.EACCES, f"its folder: {os.strerror(errno.EACCES)}")
    except OSError as error:
        raise SettingsError(f"{setting}: {file} cannot be written: {error.strerror}", hint=give(file.parent)) from error


def give(folder: Path) -> str:
    """What to do about a folder that cannot be written to."""
    return f"Give the folder {folder}, and what is in it, to the user this runs as, or name another place."


@contextmanager
def translated(errors: Errors, what: str) -> Iterator[None]:
    """Turn any error of SQLAlchemy or a driver into one of ours, which keeps it as its cause."""
    try:
        yield
    except (exc.SQLAlchemyError, sqlite3.Error) as error:
        told = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        lower = told.lower()
        if any(words in lower for words in _DAMAGED):
            raise errors.corrupt(f"{what} is damaged: {told}", hint=errors.when_damaged) from error
        if any(words in lower for words in _REFUSED):
            raise SettingsError(
                f"{what}: the server refuses this account: {told}",
                hint="Correct user and password in the URL; reading needs the right to SELECT.",
            ) from error
        if any(words in lower for words in _FULL):
            raise errors.unavailable(f"{what}: {told}", hint="Free some disk space and run again.") from error
        if isinstance(error, exc.OperationalError | exc.InterfaceError | exc.TimeoutError | sqlite3.OperationalError):
            raise errors.unavailable(f"{what} cannot be used now: {told}", hint=_hint(lower)) from error
        raise errors.other(f"{what}: {told}") from error


def _hint(told: str) -> str:
    if "locked" in told or "busy" in told:
        return "Another program holds it; run again when that one is done."
    if "readonly" in told or "unable to open" in told:
        return "Look at the permissions of the file and its folder."
    return "See that the database answers, then run again."
