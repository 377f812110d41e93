"""No error of SQLAlchemy or a driver gets past ``transaction`` untranslated, and each becomes the right kind."""

from __future__ import annotations

import inspect
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from storage.drivers import sql, sql_errors
from storage.errors import (
    PatternAggregatesError,
    SettingsError,
    StoreCorrupt,
    StoreError,
    StoreUnavailable,
)

ERRORS = sql_errors.ErrorClasses(StoreUnavailable, StoreCorrupt, StoreError)
PARAMETERS: dict[str, tuple[Any, ...]] = {  # of SQLAlchemy's classes that need some
    "StatementError": ("refused", "SELECT 1", (), None),
    "CircularDependencyError": ("refused", (), ()),
    "NoReferencedTableError": ("refused", "table"),
    "NoReferencedColumnError": ("refused", "table", "column"),
    "DontWrapMixin": (),
    "NoSuchColumnError": ("refused",),
    "UnsupportedCompilationError": (sa.engine.default.DefaultDialect().statement_compiler, sa.String),
}


class ServerEngine:
    """An engine over a server's driver that connects to nothing: no server is needed to raise an error."""

    def __init__(self, url: str) -> None:
        self.dialect = sa.create_engine(url).dialect

    def begin(self) -> Any:
        return closing(_Nothing())


class _Nothing:
    def close(self) -> None:
        pass


POSTGRESQL = ServerEngine("postgresql+psycopg://tester@127.0.0.1/postgres")
MARIADB = ServerEngine("mysql+pymysql://tester@127.0.0.1/home")
PYMYSQL = MARIADB.dialect.loaded_dbapi


def subclasses(cls: type[Exception]) -> Iterator[type[Exception]]:
    yield cls
    for child in cls.__subclasses__():
        yield from subclasses(child)


def made(cls: type[Exception]) -> Exception:
    if issubclass(cls, exc.DBAPIError):
        return cls("SELECT 1", (), Exception("refused"))
    return cls(*PARAMETERS.get(cls.__name__, ("refused",)))


def sqlalchemy_classes() -> list[type[Exception]]:
    """Every exception of SQLAlchemy; what it warns of are Python's warnings, not errors."""
    found = {cls for _, cls in inspect.getmembers(exc, inspect.isclass) if issubclass(cls, Exception)}
    found |= set(subclasses(exc.SQLAlchemyError))
    return sorted((cls for cls in found if not issubclass(cls, Warning)), key=lambda cls: cls.__name__)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    made = sql.writing_engine(sa.make_url(f"sqlite:///{tmp_path / 'some.db'}"), "store.url")
    yield made
    made.dispose()


def raised(engine: Any, error: Exception) -> PatternAggregatesError:
    with pytest.raises(PatternAggregatesError) as caught, sql.transaction(engine, ERRORS, "store x"):
        raise error
    assert caught.value.__cause__ is error
    assert "store x" in str(caught.value)
    return caught.value


@pytest.mark.parametrize("cls", sqlalchemy_classes(), ids=lambda cls: cls.__name__)
def test_every_error_of_sqlalchemy_comes_out_as_ours(engine: sa.Engine, cls: type[Exception]) -> None:
    raised(engine, made(cls))


@pytest.mark.parametrize("cls", [*subclasses(sqlite3.Error), sqlite3.Warning], ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("message", ["refused", ""])
def test_every_error_of_sqlite_comes_out_as_ours(engine: sa.Engine, cls: type[Exception], message: str) -> None:
    raised(engine, cls(message))


def test_every_error_of_psycopg_comes_out_as_ours() -> None:
    classes = [*subclasses(psycopg.Error), psycopg.Warning]
    assert len(classes) > 200  # one for each SQLSTATE
    for cls in classes:
        raised(POSTGRESQL, cls("refused"))


@pytest.mark.parametrize("cls", [*subclasses(PYMYSQL.Error), PYMYSQL.Warning], ids=lambda cls: cls.__name__)
def test_every_error_of_pymysql_comes_out_as_ours(cls: type[Exception]) -> None:
    raised(MARIADB, cls(1064, "refused"))


def test_an_error_of_a_raw_cursor_comes_out_as_ours(engine: sa.Engine) -> None:
    def read() -> None:
        with sql.transaction(engine, ERRORS, "store x") as connection:
            connection.connection.cursor().execute("SELECT 1 FROM nowhere")

    with pytest.raises(StoreError, match="no such table"):
        read()


def test_what_is_not_an_error_of_a_database_passes_as_it_is(engine: sa.Engine) -> None:
    with pytest.raises(ZeroDivisionError), sql.transaction(engine, ERRORS, "store x"):
        raise ZeroDivisionError
    own = StoreError("refused")
    with pytest.raises(StoreError) as caught, sql.transaction(engine, ERRORS, "store x"):
        raise own
    assert caught.value is own


@pytest.mark.parametrize(
    ("error", "kind", "hint"),
    [
        (sqlite3.OperationalError("database is locked"), StoreUnavailable, "Another program"),
        (sqlite3.OperationalError("attempt to write a readonly database"), StoreUnavailable, "permissions"),
        (sqlite3.OperationalError("database or disk is full"), StoreUnavailable, "disk space"),
        (sqlite3.DatabaseError("database disk image is malformed"), StoreCorrupt, "Restore"),
        (sqlite3.IntegrityError("UNIQUE constraint failed"), StoreError, ""),
        (exc.TimeoutError("QueuePool limit"), StoreUnavailable, "answers"),
        (exc.ProgrammingError("SELECT", (), Exception("syntax")), StoreError, ""),
        (exc.InternalError("SELECT", (), Exception("gone"), connection_invalidated=True), StoreUnavailable, "answers"),
    ],
)
def test_each_kind_of_error_gets_its_class_and_hint(
    engine: sa.Engine, error: Exception, kind: type[PatternAggregatesError], hint: str
) -> None:
    found = raised(engine, error)
    assert type(found) is kind
    assert hint in found.hint


@pytest.mark.parametrize(
    "message",
    [
        'connection failed: FATAL:  password authentication failed for user "tester"',
        "connection failed: fe_sendauth: no password supplied",
        "(1045, \"Access denied for user 'tester'@'localhost' (using password: YES)\")",
        'connection failed: FATAL:  role "nobody" does not exist',
    ],
)
def test_an_account_that_the_server_refuses_is_a_matter_of_settings(message: str) -> None:
    assert type(raised(POSTGRESQL, psycopg.OperationalError(message))) is SettingsError


def test_a_server_that_refuses_connections_is_only_unavailable() -> None:
    for message in ("connection failed: Connection refused", 'FATAL:  database "x" does not exist'):
        assert type(raised(POSTGRESQL, psycopg.OperationalError(message))) is StoreUnavailable


def test_a_table_or_column_that_does_not_exist_is_not_worth_a_retry(engine: sa.Engine) -> None:
    with pytest.raises(StoreError, match="no such table") as caught, sql.transaction(engine, ERRORS, "store x") as one:
        one.exec_driver_sql("SELECT 1 FROM nowhere")
    assert not caught.value.retryable
    assert "another version" in caught.value.hint
