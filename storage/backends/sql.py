"""Aggregates in a SQL database: an SQLite file by default, any database that SQLAlchemy knows by its URL.

One table per model, named for its measurement, made from the model's columns; the primary key is date and tags. A day
is replaced in one transaction, so a reader sees the old day or the new one. ``aggregate_measurement`` lists the tables
that are ours, which is what retention may touch.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage.batch import DayBatch
from storage.columns import Column, Kind, columns, decode, encode
from storage.dates import DateRange
from storage.drivers import sql
from storage.errors import SettingsError, StoreCorrupt, StoreError, StoreMissing, StoreUnavailable
from storage.models import AGGREGATES, TAG_LENGTH, DailyAggregate, DetectorRunDaily
from storage.store import NO_FILTER, Fields, Function, Summary, Where, as_values, check_query
from storage.summaries import Calculation, SummaryPlan

A = TypeVar("A", bound=DailyAggregate)

_ERRORS = sql.Errors(StoreUnavailable, StoreCorrupt, StoreError)
_BY_CODE_POINT = sa.String(TAG_LENGTH).with_variant(sa.String(TAG_LENGTH, collation="C"), "postgresql")
_TYPES: Mapping[Kind, Any] = {
    Kind.DATE: sa.String(10),
    Kind.TAG: _BY_CODE_POINT,
    Kind.INTEGER: sa.BigInteger(),
    Kind.FLOAT: sa.Double(),
    Kind.TEXT: sa.Text(),
    Kind.JSON: sa.Text(),
}
_FUNCTIONS: Mapping[Function, Any] = {
    "sum": sa.func.sum,
    "mean": sa.func.avg,
    "count": sa.func.count,
    "min": sa.func.min,
    "max": sa.func.max,
}
_BUILT_IN: tuple[type[DailyAggregate], ...] = (*AGGREGATES, DetectorRunDaily)
_OURS = sa.Table("aggregate_measurement", sa.MetaData(), sa.Column("measurement", sa.String(100), primary_key=True))


@cache
def _table(model: type[DailyAggregate]) -> sa.Table:
    identity = ("date", *model.tags())
    return sa.Table(
        model.measurement,
        sa.MetaData(),
        *(_column(column, primary_key=column.name in identity) for column in columns(model)),
        *(sa.Index(f"ix_{model.measurement}_{tag}", tag, "date") for tag in model.tags()),
        sqlite_with_rowid=False,
    )


def _column(column: Column, *, primary_key: bool) -> sa.Column[Any]:
    return sa.Column(column.name, _TYPES[column.kind], primary_key=primary_key, nullable=column.optional)


class SqlStore:
    """An ``AggregateStore`` in a SQL database.

    Args:
        url: An SQLAlchemy URL.
        read_only: Never create or change anything; a file that is not there is an error.

    Raises:
        SettingsError: The URL is none, or its file cannot be made.
        StoreMissing: ``read_only``, and there is no such file.
        SettingsError: The file is another program's database; it is left as it is.
    """

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        self._url = sql.parse_url(url, "store.url")
        self._name = f"store {self._url.set(query={}).render_as_string()}"
        file = sql.sqlite_file(self._url)
        if read_only and file is not None and not file.is_file():
            raise StoreMissing(
                f"there is no store at {file}",
                hint="Run `pattern-aggregates run` or `init` first, or correct store.url.",
            )
        if file is not None:
            _refuse_foreign(sql.tables_of(file))
        self._engine = sql.reader(self._url) if read_only else sql.writer(self._url, "store.url")
        self._ready: set[str] = set()
        self._seen: set[str] = set()

    def read(self, model: type[A], days: DateRange, where: Where = NO_FILTER) -> list[A]:
        """See ``AggregateReader.read``."""
        check_query(model, where=where)
        table = _table(model)
        query = sa.select(table).where(*_conditions(table, days, where)).order_by(table.c.date, *_tags(table, model))
        with self._transaction() as connection:
            if not self._has(connection, model):
                return []
            records = connection.execute(query).all()
        names = [column.name for column in table.columns]
        return decode(model, (dict(zip(names, record, strict=True)) for record in records))

    def summarize(
        self,
        model: type[DailyAggregate],
        days: DateRange,
        fields: Fields,
        by: Sequence[str] = (),
        where: Where = NO_FILTER,
    ) -> list[Summary]:
        """See ``AggregateReader.summarize``."""
        check_query(model, fields, by, where)
        plan, table = SummaryPlan(model, fields, by), _table(model)
        groups = [table.c[name] for name in plan.by]
        query = (
            sa.select(*groups, *(_calculated(table, one) for one in plan.calculations), sa.func.count())
            .where(*_conditions(table, days, where))
            .group_by(*groups)
            .order_by(*groups)
        )
        with self._transaction() as connection:
            if not self._has(connection, model):
                return []
            found = connection.execute(query).all()
        depth = len(groups)
        return plan.finish((row[:depth], row[depth:-1], row[-1]) for row in found)

    def prepare(self, *, update_retention: bool = False) -> list[str]:  # noqa: ARG002 - nothing here can differ
        """See ``AggregateWriter.prepare``."""
        with self._transaction() as connection:
            return [change for model in _BUILT_IN for change in self._ensure(connection, model)]

    def replace_day(self, batch: DayBatch) -> None:
        """See ``AggregateWriter.replace_day``: upsert, prune and run records in one transaction."""
        with self._transaction() as connection:
            for finding in batch.findings:
                self._ensure(connection, finding.model)
                table = _table(finding.model)
                self._upsert(connection, finding.model, finding.rows)
                tags = _tags(table, finding.model)
                stored = connection.execute(sa.select(*tags).where(table.c.date == batch.day.isoformat()))
                stale = {tuple(key) for key in stored} - {row.key() for row in finding.rows}
                _delete(connection, finding.model, batch.day, stale)
            self._ensure(connection, DetectorRunDaily)
            self._upsert(connection, DetectorRunDaily, [finding.run for finding in batch.findings])

    def expire(self, before: dt.date) -> int:
        """See ``AggregateWriter.expire``; it touches the tables listed as ours and no other."""
        with self._transaction() as connection:
            if not sa.inspect(connection).has_table(_OURS.name):
                return 0
            gone = 0
            for measurement in connection.execute(sa.select(_OURS.c.measurement)).scalars().all():
                table = sa.table(measurement, sa.column("date"))
                gone += connection.execute(sa.delete(table).where(table.c.date < before.isoformat())).rowcount
            return gone

    def check(self) -> list[str]:
        """See ``AggregateStore.check``."""
        try:
            with self._transaction() as connection:
                connection.execute(sa.select(1))
        except (StoreError, SettingsError) as error:
            return [f"{error} {error.hint}".strip()]
        return []

    def close(self) -> None:
        """See ``AggregateStore.close``."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        try:
            with sql.translated(_ERRORS, self._name), self._engine.begin() as connection:
                yield connection
        except BaseException:  # also an interrupt: the transaction is rolled back all the same
            self._ready.clear()  # a table made in a transaction that failed is not there
            self._seen.clear()
            raise

    def _has(self, connection: sa.Connection, model: type[DailyAggregate]) -> bool:
        """A measurement that was never written has no table: then there are no rows."""
        if model.measurement not in self._seen and sa.inspect(connection).has_table(model.measurement):
            self._seen.add(model.measurement)
        return model.measurement in self._seen

    def _ensure(self, connection: sa.Connection, model: type[DailyAggregate]) -> list[str]:
        """Make the table of a model, or the columns it has gained, and enter it in the list of ours."""
        if model.measurement in self._ready:
            return []
        _OURS.create(connection, checkfirst=True)
        table = _table(model)
        changes = []
        inspector = sa.inspect(connection)
        if not inspector.has_table(table.name):
            table.create(connection)
            connection.execute(sa.insert(_OURS).values(measurement=table.name))
            changes.append(f"made table {table.name}")
        else:
            there = {column["name"] for column in inspector.get_columns(table.name)}
            for column in table.columns:
                if column.name not in there:
                    declared = sa.schema.CreateColumn(column).compile(dialect=connection.dialect)
                    connection.execute(sa.text(f"ALTER TABLE {table.name} ADD COLUMN {declared}"))
                    changes.append(f"added column {table.name}.{column.name}")
        self._ready.add(model.measurement)
        return changes

    @staticmethod
    def _upsert(connection: sa.Connection, model: type[DailyAggregate], rows: Iterable[DailyAggregate]) -> None:
        records = [encode(row) for row in rows]
        if not records:
            return
        table = _table(model)
        dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
        insert = dialect.insert(table)
        values = {column.name: insert.excluded[column.name] for column in table.columns if not column.primary_key}
        connection.execute(insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=values), records)


def _refuse_foreign(tables: Collection[str]) -> None:
    """An SQLite file with tables but without our list is another program's, Home Assistant's perhaps."""
    if tables and _OURS.name not in tables:
        raise SettingsError(
            f"store.url names a database of another program (it has {', '.join(sorted(tables)[:3])} ...)",
            hint="Name a file of its own for the aggregates.",
        )


def _tags(table: sa.Table, model: type[DailyAggregate]) -> list[sa.Column[Any]]:
    return [table.c[tag] for tag in model.tags()]


def _conditions(table: sa.Table, days: DateRange, where: Where) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = [table.c.date.between(days.first.isoformat(), days.last.isoformat())]
    conditions += [table.c[tag].in_(as_values(value)) for tag, value in where.items()]
    return conditions


def _calculated(table: sa.Table, calculation: Calculation) -> sa.ColumnElement[Any]:
    value = table.c[calculation.field]
    if calculation.weight is None:
        return cast("sa.ColumnElement[Any]", _FUNCTIONS[calculation.function](value))
    weight = table.c[calculation.weight]
    total: sa.ColumnElement[Any] = sa.func.sum(
        sa.cast(value, sa.Double()) * weight
    )  # a product with NULL is NULL, which sum() leaves out
    weights = sa.func.sum(sa.case((value.is_not(None), weight)))
    return total / sa.func.nullif(sa.cast(weights, sa.Double()), 0)


def _delete(
    connection: sa.Connection, model: type[DailyAggregate], day: dt.date, keys: Iterable[tuple[str, ...]]
) -> None:
    table = _table(model)
    bound = [{f"key_{tag}": value for tag, value in zip(model.tags(), key, strict=True)} for key in sorted(keys)]
    if bound:
        matches = [table.c[tag] == sa.bindparam(f"key_{tag}") for tag in model.tags()]
        connection.execute(sa.delete(table).where(table.c.date == day.isoformat(), *matches), bound)
