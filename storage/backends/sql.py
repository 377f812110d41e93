"""Aggregates in a SQL database: an SQLite file by default, or PostgreSQL.

A day is replaced in one transaction, so a reader sees the old day or the new one, and two writers of the same day wait
for each other: SQLite locks the file, in PostgreSQL ``storage.drivers.postgresql`` locks the day of the home. Tables of
an earlier version are brought up to date, in one transaction, when a writer first uses the store;
``storage.backends.sql_tables`` says how.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Self, TypeVar

import sqlalchemy as sa

from storage.backends import sql_partitions
from storage.backends.sql_database import BUILT_IN, SqlDatabase
from storage.backends.sql_homes import homes_with_rows, known_homes, read_home, write_home
from storage.backends.sql_retention import (
    Retention,
    delete_of_all,
    delete_of_home,
    drop_past_months,
    has_past_rows,
    stored_tables,
)
from storage.backends.sql_rows import replace_rows, upsert
from storage.backends.sql_summaries import summary_query
from storage.backends.sql_tables import OWN_TABLES, tables_with_homes
from storage.batch import DayBatch
from storage.column_reader import Columns, decode_columns
from storage.columns import HOME, decode
from storage.dates import DateRange
from storage.drivers import postgresql
from storage.drivers.time_limits import TIMEOUT_SECONDS
from storage.errors import StoreCorrupt, StoreError
from storage.garbage_collection import paused_garbage_collection
from storage.identity import HomeIdentity
from storage.models import DailyAggregate, DetectorRunDaily
from storage.store import (
    NO_FIELDS,
    NO_FILTER,
    Fields,
    Summary,
    Where,
    as_values,
    check_batch,
    check_query,
    named_home,
    single_home,
)
from storage.summaries import SummaryPlan

A = TypeVar("A", bound=DailyAggregate)


class SqlStore:
    """An ``AggregateStore`` in a SQL database.

    Args:
        database: An SQLAlchemy URL; or the database of another store, which that one closes.
        home: See ``AggregateStore.home``.
        read_only: Never create or change anything; a file that is not there is an error.
        timeout_seconds: How long a server may take to answer one statement.

    Raises:
        SettingsError: The URL is not valid, its file cannot be created, or the file is another program's database
            (which is left as it is).
        StoreMissing: ``read_only``, and there is no such file.
    """

    def __init__(
        self,
        database: str | SqlDatabase,
        *,
        home: str | None = "",
        read_only: bool = False,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._is_view = isinstance(database, SqlDatabase)
        if isinstance(database, str):
            database = SqlDatabase(database, read_only=read_only, timeout_seconds=timeout_seconds)
        self._database = database
        self._home = home

    @property
    def home(self) -> str | None:
        """See ``AggregateStore.home``."""
        return self._home

    def for_home(self, home: str | None) -> Self:
        """See ``AggregateStore.for_home``."""
        return type(self)(self._database, home=home)

    def homes(self) -> list[str]:
        """See ``AggregateStore.homes``; every home with rows has the record of a run."""
        with self._database.transaction() as connection:
            return sorted(known_homes(connection) | homes_with_rows(connection, DetectorRunDaily.measurement))

    def read(self, model: type[A], days: DateRange, where: Where = NO_FILTER) -> list[A]:
        """See ``AggregateReader.read``."""
        check_query(model, where=where)
        with self._database.transaction() as connection:
            stored = self._database.stored(connection, model)
            if stored is None:
                return []
            constant = {HOME: self._home} if self._home else {}
            names = [name for name in stored if name != HOME or self._home is None]
            records = connection.execute(self._select(model, stored, names, days, where))
            return decode(model, (dict(zip(names, record, strict=True), **constant) for record in records))

    def read_columns(
        self, model: type[DailyAggregate], names: Sequence[str], days: DateRange, where: Where = NO_FILTER
    ) -> Columns:
        """See ``ColumnReader.read_columns``."""
        check_query(model, where=where)
        with paused_garbage_collection():
            with self._database.transaction() as connection:
                stored = self._database.stored(connection, model)
                if stored is None:
                    return {name: [] for name in names}
                records = connection.execute(self._select(model, stored, names, days, where)).all()
            return decode_columns(model, names, records, partial(self.read, model, days, where))

    def summarize(
        self,
        model: type[DailyAggregate],
        days: DateRange,
        fields: Fields,
        by: Sequence[str] = (),
        where: Where = NO_FILTER,
    ) -> list[Summary]:
        """See ``AggregateReader.summarize``; computed by the database."""
        check_query(model, fields, by, where)
        plan = SummaryPlan(model, fields, by)
        with self._database.transaction() as connection:
            stored = self._database.stored(connection, model)
            if stored is None:
                return []
            found = connection.execute(summary_query(stored, plan, self._conditions(stored, days, where))).all()
        depth = len(plan.by)
        return plan.finish((plan.with_periods(row[:depth]), row[depth:-1], row[-1]) for row in found)

    def count_by_day(self, model: type[DailyAggregate], days: DateRange) -> dict[dt.date, int]:
        """See ``AggregateStore.count_by_day``."""
        found = self.summarize(model, days, NO_FIELDS, by=["date"])
        return {dt.date.fromisoformat(str(one["date"])): one.rows for one in found}

    def prepare(self, *, update_retention: bool = False) -> list[str]:  # noqa: ARG002 - the job deletes old days
        """See ``AggregateWriter.prepare``."""
        self._database.make_tables(BUILT_IN)
        return self._database.take_changes()

    @property
    def database(self) -> str:
        """See ``TransactionalStore.database``."""
        return self._database.url

    def replace_day(self, batch: DayBatch, *, beside: Callable[[sa.Connection], None] | None = None) -> None:
        """See ``TransactionalStore.replace_day``: rows and run records in one transaction."""
        home = check_batch(self._home, batch)
        try:
            self._replace_day(batch, home, beside)
        except StoreError as error:
            if not sql_partitions.is_missing(error):
                raise
            self._replace_day(batch, home, beside)  # somebody has dropped the month since it was made; it is made again

    def _replace_day(self, batch: DayBatch, home: str, beside: Callable[[sa.Connection], None] | None) -> None:
        models: list[type[DailyAggregate]] = [*(finding.model for finding in batch.findings), DetectorRunDaily]
        self._database.make_tables(models)
        self._database.make_months(models, batch.day)
        with self._database.transaction() as connection:
            postgresql.lock_day(connection, batch.day, home)
            for finding in batch.findings:
                replace_rows(connection, finding.model, home, batch.day, finding.rows)
            upsert(connection, DetectorRunDaily, home, [finding.run for finding in batch.findings])
            if beside is not None:
                beside(connection)
        written = {finding.model.measurement: len(finding.rows) for finding in batch.findings}
        self._database.count_written(batch.day, {**written, DetectorRunDaily.measurement: len(batch.findings)})

    def expire(self, before: dt.date, rollups_before: dt.date = dt.date.min) -> int:
        """See ``AggregateWriter.expire``."""
        home, retention = single_home(self._home), Retention(before, rollups_before)
        with self._database.transaction() as connection:
            if not has_past_rows(connection, home, retention):
                return 0
        with self._database.transaction() as connection:  # another one, as the locks of tables come before all reading
            postgresql.lock_tables(connection)
            deleted = delete_of_home(connection, home, retention)
        self._database.forget_months()
        return deleted

    def expire_all(self, before: dt.date, rollups_before: dt.date = dt.date.min) -> list[str]:
        """See ``AggregateWriter.expire_all``.

        In PostgreSQL, months that are wholly past are dropped, which takes no longer for many homes than for one. Each
        table has transactions of its own, so that writers never wait long.
        """
        retention, changes = Retention(before, rollups_before), []
        with self._database.transaction() as connection:
            tables = stored_tables(connection)
        for table in tables:
            with self._database.transaction() as connection:
                postgresql.lock_tables(connection)
                changes += drop_past_months(connection, table.name, retention)
            with self._database.transaction() as connection:
                changes += delete_of_all(connection, table, retention)
        self._database.forget_months()
        return changes

    def read_home(self) -> HomeIdentity | None:
        """See ``AggregateStore.read_home``."""
        home = single_home(self._home)
        with self._database.plain_transaction() as connection:
            return read_home(connection, home)

    def write_home(self, home: HomeIdentity, *, replace: bool = False) -> HomeIdentity:
        """See ``AggregateStore.write_home``."""
        name = single_home(self._home)
        with self._database.plain_transaction() as connection:
            postgresql.lock_tables(connection)
            try:
                present = read_home(connection, name)
            except StoreCorrupt:
                if not replace:
                    raise
                present = None
            if present is not None and not replace:
                return present
            OWN_TABLES.create(connection, checkfirst=True)
            write_home(connection, name, home)
        self._database.use_log_in_new_file()
        return home

    def count_rows(self) -> int:
        """See ``AggregateStore.count_rows``."""
        home = single_home(self._home)
        with self._database.transaction() as connection:
            return sum(
                connection.execute(
                    sa.select(sa.func.count()).select_from(table).where(table.c[HOME] == home)
                ).scalar_one()
                for table in tables_with_homes(connection)
            )

    def forget(self) -> None:
        """See ``AggregateStore.forget``; in one transaction."""
        home = named_home(self._home)
        with self._database.transaction() as connection:
            postgresql.lock_tables(connection)
            for table in tables_with_homes(connection):
                connection.execute(sa.delete(table).where(table.c[HOME] == home))

    def check(self) -> list[str]:
        """See ``AggregateStore.check``; on a server, everything that the job does is tried and rolled back."""
        return self._database.check()

    def close(self) -> None:
        """See ``AggregateStore.close``."""
        if not self._is_view:
            self._database.close()

    def _conditions(
        self, stored: Mapping[str, sa.ColumnElement[Any]], days: DateRange, where: Where
    ) -> list[sa.ColumnElement[bool]]:
        conditions = [] if self._home is None else [stored[HOME] == self._home]
        conditions.append(stored["date"].between(days.first.isoformat(), days.last.isoformat()))
        return conditions + [stored[tag].in_(as_values(values)) for tag, values in where.items()]

    def _select(
        self,
        model: type[DailyAggregate],
        stored: Mapping[str, sa.ColumnElement[Any]],
        names: Sequence[str],
        days: DateRange,
        where: Where,
    ) -> sa.Select[Any]:
        """Return the query for some columns of the rows of some days, in the order in which rows are read."""
        identity = [stored[name] for name in ("date", HOME, *model.tags())]
        conditions = self._conditions(stored, days, where)
        return sa.select(*(stored[name] for name in names)).where(*conditions).order_by(*identity)
