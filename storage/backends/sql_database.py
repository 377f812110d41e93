"""The database of a SQL store: opened, checked to be a store's, brought up to date, and its transactions.

All homes of a store share it, with its connections and what is known of its tables.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

import sqlalchemy as sa

from storage.backends import sql_partitions
from storage.backends.sql_homes import HOMES, create_homes
from storage.backends.sql_tables import (
    OWN_TABLES,
    create_table,
    is_own_table,
    present_columns,
    table_of,
    try_statements,
    update_other_tables,
    update_table,
)
from storage.dates import month_name
from storage.drivers import postgresql, sql, sql_errors, sql_urls
from storage.errors import SettingsError, StoreCorrupt, StoreError, StoreMissing, StoreUnavailable
from storage.models import AGGREGATES, DailyAggregate, DetectorRunDaily
from storage.rollup_models import ROLLUPS

Expressions = Mapping[str, sa.ColumnElement[Any]]

BUILT_IN: Final[tuple[type[DailyAggregate], ...]] = (*AGGREGATES, *ROLLUPS, DetectorRunDaily)

_ERRORS: Final = sql_errors.ErrorClasses(StoreUnavailable, StoreCorrupt, StoreError)
_SUPPORTED: Final = ("sqlite", "postgresql")


class SqlDatabase:
    """A database with the tables of a store.

    Args:
        url: An SQLAlchemy URL.
        read_only: Never create or change anything; a file that is not there is an error.
        timeout_seconds: How long a server may take to answer one statement.

    Attributes:
        is_read_only: As above.
        url: Which database of a server it is, by which account; empty for a file.

    Raises:
        SettingsError: The URL is not valid, its file cannot be created, or the file is another program's database
            (which is left as it is).
        StoreMissing: ``read_only``, and there is no such file.
    """

    def __init__(self, url: str, *, read_only: bool, timeout_seconds: float) -> None:
        self._url = sql_urls.parse_url(url, "store.url")
        self.url = sql_urls.database_of(self._url)
        self._name = f"store {self._url.set(query={}).render_as_string()}"
        if self._url.get_backend_name() not in _SUPPORTED:
            raise SettingsError(
                f"store.url: {self._url.get_backend_name()} is not supported as a store",
                hint="Use SQLite or PostgreSQL; MariaDB and MySQL can be a source.",
            )
        file = sql_urls.sqlite_file(self._url)
        if read_only and file is not None and not file.exists():
            raise StoreMissing(
                f"store {file} does not exist",
                hint="Run `pattern-aggregates run` or `init` first, or correct store.url.",
            )
        self._unchecked_file = file  # until it is known to be a store's
        if file is not None:
            with suppress(StoreUnavailable):  # then the first transaction checks it
                self._check_file(max_wait_seconds=0.0)
        if read_only:
            self._engine = sql.reading_engine(self._url, timeout_seconds, setting="store.url")
        else:
            self._engine = sql.writing_engine(self._url, "store.url", timeout_seconds)
        self.is_read_only = read_only
        self._timeout_seconds = timeout_seconds
        self._is_updated = read_only  # whether tables of an earlier version have been brought up to date
        self._changes: list[str] = []  # made since the store was opened
        self._created: set[str] = set()  # measurements whose table is there and up to date, for writing
        self._months: set[tuple[str, str]] = set()  # measurements and months whose partition is there
        self._readable: dict[str, Expressions] = {}  # the same for reading
        self._is_postgresql = self._url.get_backend_name() == "postgresql"
        self._fillings = sql_partitions.Fillings()

    def take_changes(self) -> list[str]:
        """Return a sentence for each change of the tables since the last call."""
        changes, self._changes = self._changes, []
        return changes

    def check(self) -> list[str]:
        """Return what prevents reading or writing; on a server, all that the job does is tried and rolled back."""
        try:
            if sql_urls.sqlite_file(self._url) is None:
                self._try_writing()
            else:  # who has the right to write it shows without writing
                with self.transaction() as connection:
                    connection.execute(sa.select(1))
        except (StoreError, SettingsError) as error:
            return [f"{error} {error.hint}".strip()]
        return []

    def _try_writing(self) -> None:
        """Create, read, write and delete as the job does, for no row, in a transaction that is rolled back."""
        engine = sql.writing_engine(self._url, "store.url", self._timeout_seconds)
        try:
            with sql.transaction(engine, _ERRORS, self._name) as connection:
                postgresql.lock_tables(connection)
                for model in BUILT_IN:
                    create_table(connection, model)
                    try_statements(connection, table_of(model))
                    if not sql_partitions.is_in_one_piece(connection, model.measurement):
                        sql_partitions.make_partition(connection, model.measurement, dt.date.min)
                create_homes(connection)
                try_statements(connection, HOMES)
                connection.rollback()
        finally:
            engine.dispose()

    def close(self) -> None:
        """Close all connections. Safe to repeat."""
        self._engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Open a transaction on tables that are up to date, unless the database is only read."""
        if not self._is_updated:
            self._update_tables()
        with self.plain_transaction() as connection:
            yield connection

    @contextmanager
    def plain_transaction(self) -> Iterator[sa.Connection]:
        """Open a transaction on the tables as they are."""
        before = list(self._changes)
        try:
            if self._unchecked_file is not None:
                self._check_file()
            with sql.transaction(self._engine, _ERRORS, self._name) as connection:
                if self._unchecked_file is not None:  # only now nobody else can fill it
                    self._accept(sql.FileContents.of(connection))
                yield connection
        except BaseException:  # also an interrupt: the transaction is rolled back all the same
            self._is_updated, self._changes = self.is_read_only, before
            self._created.clear()  # a table created in a transaction that failed is not there
            self._months.clear()
            self._readable.clear()
            raise

    def _update_tables(self) -> None:
        """Bring tables of an earlier version up to date, once and all together."""
        with self.plain_transaction() as connection:
            postgresql.lock_tables(connection)
            for model in BUILT_IN:
                is_there = sa.inspect(connection).has_table(model.measurement) and is_own_table(connection, model)
                if model.former_names() and is_there:
                    self._changes += update_table(connection, model)
            self._changes += update_other_tables(connection)
        self._is_updated = True

    def make_tables(self, models: Collection[type[DailyAggregate]]) -> None:
        """Create the tables of models, or bring them up to date, unless that has been done here.

        In a transaction of its own: writers of different days would otherwise wait for each other.
        """
        missing = [model for model in models if model.measurement not in self._created]
        if not missing:
            return
        with self.transaction() as connection:
            postgresql.lock_tables(connection)
            for model in missing:
                self._changes += create_table(connection, model)
            create_homes(connection)  # by whoever may create tables; others may only fill it
        self._created.update(model.measurement for model in missing)
        self.use_log_in_new_file()

    def make_months(self, models: Collection[type[DailyAggregate]], day: dt.date) -> None:
        """Make the partitions for the month of a day in PostgreSQL, unless that has been done here.

        Args:
            models: Models whose tables are there.
            day: The day.
        """
        month = month_name(day)
        missing = [model.measurement for model in models if (model.measurement, month) not in self._months]
        if not self._is_postgresql or not missing:
            return
        with self.transaction() as connection:
            postgresql.lock_months(connection)
            for measurement in missing:
                sql_partitions.make_partition(connection, measurement, day)
        self._months.update((measurement, month) for measurement in missing)

    def forget_months(self) -> None:
        """Look again at which months there are, as some may have been dropped."""
        self._months.clear()

    def count_written(self, day: dt.date, rows: Mapping[str, int]) -> None:
        """Count rows that have been written, and let the planner of PostgreSQL know when they are many.

        Args:
            day: The day of the rows.
            rows: The number of rows, by measurement.
        """
        if not self._is_postgresql:
            return
        due = [measurement for measurement, count in rows.items() if self._fillings.add(measurement, day, count)]
        # The rows are committed: the day must not fail because statistics cannot be brought up to date now.
        with suppress(StoreError, SettingsError):
            for measurement in due:
                with self.plain_transaction() as connection:
                    sql_partitions.analyze(connection, measurement, day)

    def use_log_in_new_file(self) -> None:
        """Switch a file that this store has just filled to a write-ahead log."""
        if self._unchecked_file is not None:  # it was empty
            self._unchecked_file = None
            sql.use_write_ahead_log(self._engine)

    def stored(self, connection: sa.Connection, model: type[DailyAggregate]) -> Expressions | None:
        """Return how to read each column of a model; None for a measurement that was never written."""
        if (known := self._readable.get(model.measurement)) is not None:
            return known
        found = present_columns(connection, model)
        if found is None:
            return None
        expressions, is_present = found
        if is_present:  # else a writer may bring the table up to date at any time
            self._readable[model.measurement] = expressions
        return expressions

    def _check_file(self, max_wait_seconds: float | None = None) -> None:
        file = self._unchecked_file
        if file is None:
            return
        found = sql.FileContents.of_file(file, _ERRORS, self._name, max_wait_seconds=max_wait_seconds)
        if found is not None:
            self._accept(found)

    def _accept(self, found: sql.FileContents) -> None:
        _refuse_foreign(found)
        if found.names:
            self._unchecked_file = None


def _refuse_foreign(found: sql.FileContents) -> None:
    """Refuse an SQLite file that has something in it, but not our list of tables: it is another program's."""
    if found.application_id or (found.names and OWN_TABLES.name not in found.names):
        what = f"it has {', '.join(sorted(found.names)[:3])} ..." if found.names else "it is marked as such"
        raise SettingsError(
            f"store.url names a database of another program ({what})", hint="Name a file of its own for the aggregates."
        )
