"""Aggregates in a SQL database: an SQLite file by default, or PostgreSQL.

A day is replaced in one transaction, so a reader sees the old day or the new one, and two writers of the same day wait
for each other: SQLite locks the file, in PostgreSQL ``storage.drivers.postgresql`` locks the day. Tables of an earlier
version are brought up to date, in one transaction, when a writer first uses the store; ``storage.backends.sql_tables``
says how.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as postgresql_dialect
from sqlalchemy.dialects import sqlite as sqlite_dialect

from storage.backends.sql_summaries import summary_query
from storage.backends.sql_tables import (
    HOME,
    OWN_TABLES,
    create_table,
    is_own_table,
    present_columns,
    read_home,
    table_of,
    try_statements,
    update_table,
    write_home,
)
from storage.batch import DayBatch
from storage.column_reader import Columns, decode_columns
from storage.columns import decode, encode
from storage.dates import DateRange
from storage.drivers import postgresql, sql, sql_errors, sql_urls
from storage.drivers.time_limits import TIMEOUT_SECONDS
from storage.errors import SettingsError, StoreCorrupt, StoreError, StoreMissing, StoreUnavailable
from storage.identity import HomeIdentity
from storage.models import AGGREGATES, DailyAggregate, DetectorRunDaily
from storage.periods import SUFFIXES, cadence_of
from storage.rollup_models import ROLLUPS
from storage.store import NO_FIELDS, NO_FILTER, Fields, Summary, Where, as_values, check_query
from storage.summaries import SummaryPlan

A = TypeVar("A", bound=DailyAggregate)
Expressions = Mapping[str, sa.ColumnElement[Any]]

_ERRORS: Final = sql_errors.ErrorClasses(StoreUnavailable, StoreCorrupt, StoreError)
_SUPPORTED: Final = ("sqlite", "postgresql")
_BUILT_IN: Final[tuple[type[DailyAggregate], ...]] = (*AGGREGATES, *ROLLUPS, DetectorRunDaily)


class SqlStore:
    """An ``AggregateStore`` in a SQL database.

    Args:
        url: An SQLAlchemy URL.
        read_only: Never create or change anything; a file that is not there is an error.
        timeout_seconds: How long a server may take to answer one statement.

    Raises:
        SettingsError: The URL is not valid, its file cannot be created, or the file is another program's database
            (which is left as it is).
        StoreMissing: ``read_only``, and there is no such file.
    """

    def __init__(self, url: str, *, read_only: bool = False, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._url = sql_urls.parse_url(url, "store.url")
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
        self._read_only = read_only
        self._timeout_seconds = timeout_seconds
        self._is_updated = read_only  # whether tables of an earlier version have been brought up to date
        self._changes: list[str] = []  # made since the store was opened, for ``prepare`` to report
        self._created: set[str] = set()  # measurements whose table is there and up to date, for writing
        self._readable: dict[str, Expressions] = {}  # the same for reading

    def read(self, model: type[A], days: DateRange, where: Where = NO_FILTER) -> list[A]:
        """See ``AggregateReader.read``."""
        check_query(model, where=where)
        with self._transaction() as connection:
            stored = self._stored(connection, model)
            if stored is None:
                return []
            identity = [stored[name] for name in ("date", *model.tags())]
            query = sa.select(*stored.values()).where(*_conditions(stored, days, where)).order_by(*identity)
            names = list(stored)
            return decode(model, (dict(zip(names, record, strict=True)) for record in connection.execute(query)))

    def read_columns(
        self, model: type[DailyAggregate], names: Sequence[str], days: DateRange, where: Where = NO_FILTER
    ) -> Columns:
        """See ``ColumnReader.read_columns``."""
        check_query(model, where=where)
        with self._transaction() as connection:
            stored = self._stored(connection, model)
            if stored is None:
                return {name: [] for name in names}
            identity = [stored[name] for name in ("date", *model.tags())]
            wanted = [stored[name] for name in names]
            query = sa.select(*wanted).where(*_conditions(stored, days, where)).order_by(*identity)
            records = connection.execute(query).all()
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
        with self._transaction() as connection:
            stored = self._stored(connection, model)
            if stored is None:
                return []
            found = connection.execute(summary_query(stored, plan, _conditions(stored, days, where))).all()
        depth = len(plan.by)
        return plan.finish((plan.with_periods(row[:depth]), row[depth:-1], row[-1]) for row in found)

    def count_by_day(self, model: type[DailyAggregate], days: DateRange) -> dict[dt.date, int]:
        """See ``AggregateStore.count_by_day``."""
        found = self.summarize(model, days, NO_FIELDS, by=["date"])
        return {dt.date.fromisoformat(str(one["date"])): one.rows for one in found}

    def prepare(self, *, update_retention: bool = False) -> list[str]:  # noqa: ARG002 - the job deletes old days
        """See ``AggregateWriter.prepare``."""
        self._make_tables(_BUILT_IN)
        changes, self._changes = self._changes, []
        return changes

    def replace_day(self, batch: DayBatch) -> None:
        """See ``AggregateWriter.replace_day``: upsert, prune and run records in one transaction."""
        self._make_tables([*(finding.model for finding in batch.findings), DetectorRunDaily])
        with self._transaction() as connection:
            postgresql.lock_day(connection, batch.day)
            for finding in batch.findings:
                _upsert(connection, finding.model, finding.rows)
                _prune(connection, finding.model, batch.day, {row.key() for row in finding.rows})
            _upsert(connection, DetectorRunDaily, [finding.run for finding in batch.findings])

    def expire(self, before: dt.date, rollups_before: dt.date = dt.date.min) -> int:
        """See ``AggregateWriter.expire``; only the store's own tables are touched."""
        with self._transaction() as connection:
            postgresql.lock_tables(connection)
            if not sa.inspect(connection).has_table(OWN_TABLES.name):
                return 0
            deleted = 0
            present = set(sa.inspect(connection).get_table_names())  # somebody may have dropped one
            for measurement in connection.execute(sa.select(OWN_TABLES.c.measurement)).scalars().all():
                if measurement not in present:
                    continue
                table = sa.table(measurement, sa.column("date"), sa.column("detector"))
                old, old_rollups = table.c.date < before.isoformat(), table.c.date < rollups_before.isoformat()
                if measurement == DetectorRunDaily.measurement:
                    of_rollup = sa.or_(*(table.c.detector.endswith(end, autoescape=True) for end in SUFFIXES))
                    is_past = sa.or_(sa.and_(of_rollup, old_rollups), sa.and_(sa.not_(of_rollup), old))
                else:
                    is_past = old_rollups if cadence_of(measurement) else old
                deleted += connection.execute(sa.delete(table).where(is_past)).rowcount
            return deleted

    def read_home(self) -> HomeIdentity | None:
        """See ``AggregateStore.read_home``."""
        with self._plain_transaction() as connection:
            return read_home(connection)

    def write_home(self, home: HomeIdentity, *, replace: bool = False) -> HomeIdentity:
        """See ``AggregateStore.write_home``."""
        with self._plain_transaction() as connection:
            postgresql.lock_tables(connection)
            try:
                present = read_home(connection)
            except StoreCorrupt:
                if not replace:
                    raise
                present = None
            if present is not None and not replace:
                return present
            write_home(connection, home)
        self._use_log_in_new_file()
        return home

    def check(self) -> list[str]:
        """See ``AggregateStore.check``; on a server, everything that the job does is tried and rolled back."""
        try:
            if sql_urls.sqlite_file(self._url) is None:
                self._try_writing()
            else:  # who has the right to write it shows without writing
                with self._transaction() as connection:
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
                for model in _BUILT_IN:
                    create_table(connection, model)
                    try_statements(connection, table_of(model))
                HOME.create(connection, checkfirst=True)
                try_statements(connection, HOME)
                connection.rollback()
        finally:
            engine.dispose()

    def close(self) -> None:
        """See ``AggregateStore.close``."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        if not self._is_updated:
            self._update_tables()
        with self._plain_transaction() as connection:
            yield connection

    @contextmanager
    def _plain_transaction(self) -> Iterator[sa.Connection]:
        before = list(self._changes)
        try:
            if self._unchecked_file is not None:
                self._check_file()
            with sql.transaction(self._engine, _ERRORS, self._name) as connection:
                if self._unchecked_file is not None:  # only now nobody else can fill it
                    self._accept(sql.FileContents.of(connection))
                yield connection
        except BaseException:  # also an interrupt: the transaction is rolled back all the same
            self._is_updated, self._changes = self._read_only, before
            self._created.clear()  # a table created in a transaction that failed is not there
            self._readable.clear()
            raise

    def _update_tables(self) -> None:
        """Bring tables of an earlier version up to date, once."""
        with self._plain_transaction() as connection:
            postgresql.lock_tables(connection)
            for model in _BUILT_IN:
                is_there = sa.inspect(connection).has_table(model.measurement) and is_own_table(connection, model)
                if model.former_names() and is_there:
                    self._changes += update_table(connection, model)
        self._is_updated = True

    def _make_tables(self, models: Collection[type[DailyAggregate]]) -> None:
        """Create the tables of models, or bring them up to date, unless this store has already done so.

        In a transaction of its own: writers of different days would otherwise wait for each other.
        """
        missing = [model for model in models if model.measurement not in self._created]
        if not missing:
            return
        with self._transaction() as connection:
            postgresql.lock_tables(connection)
            for model in missing:
                self._changes += create_table(connection, model)
            HOME.create(connection, checkfirst=True)  # by whoever may create tables; others may only fill it
        self._created.update(model.measurement for model in missing)
        self._use_log_in_new_file()

    def _use_log_in_new_file(self) -> None:
        """Switch a file that this store has just filled to a write-ahead log."""
        if self._unchecked_file is not None:  # it was empty
            self._unchecked_file = None
            sql.use_write_ahead_log(self._engine)

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

    def _stored(self, connection: sa.Connection, model: type[DailyAggregate]) -> Expressions | None:
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


def _refuse_foreign(found: sql.FileContents) -> None:
    """Refuse an SQLite file that has something in it, but not our list of tables: it is another program's."""
    if found.application_id or (found.names and OWN_TABLES.name not in found.names):
        what = f"it has {', '.join(sorted(found.names)[:3])} ..." if found.names else "it is marked as such"
        raise SettingsError(
            f"store.url names a database of another program ({what})", hint="Name a file of its own for the aggregates."
        )


def _conditions(stored: Expressions, days: DateRange, where: Where) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = [stored["date"].between(days.first.isoformat(), days.last.isoformat())]
    conditions += [stored[tag].in_(as_values(values)) for tag, values in where.items()]
    return conditions


def _upsert(connection: sa.Connection, model: type[DailyAggregate], rows: Iterable[DailyAggregate]) -> None:
    records = [encode(row) for row in rows]
    if not records:
        return
    table = table_of(model)
    dialect: Any = postgresql_dialect if connection.dialect.name == "postgresql" else sqlite_dialect
    insert = dialect.insert(table)
    values = {column.name: insert.excluded[column.name] for column in table.columns if not column.primary_key}
    connection.execute(insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=values), records)


def _prune(
    connection: sa.Connection, model: type[DailyAggregate], day: dt.date, present: Collection[tuple[str, ...]]
) -> None:
    """Delete the rows of a day whose keys are not among those present.

    Raises:
        StoreError: Some of those present are not there although the database accepted them.
    """
    table, tags = table_of(model), model.tags()
    is_of_day = table.c.date == day.isoformat()
    stored = connection.execute(sa.select(*(table.c[tag] for tag in tags)).where(is_of_day))
    keys_of_day = {tuple(key) for key in stored}
    if lost := set(present) - keys_of_day:
        raise StoreError(
            f"the database does not keep {len(lost)} of the {len(present)} rows of {model.measurement} for {day}",
            hint="Look for a trigger, a rule or row-level security of that table that discards rows.",
        )
    stale = sorted(keys_of_day - set(present))
    if stale:
        matches = [table.c[tag] == sa.bindparam(f"key_{tag}") for tag in tags]
        keys = [{f"key_{tag}": value for tag, value in zip(tags, key, strict=True)} for key in stale]
        connection.execute(sa.delete(table).where(is_of_day, *matches), keys)
