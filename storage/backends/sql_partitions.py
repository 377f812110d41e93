"""Tables of a store in PostgreSQL, divided by month, so that what is past the retention is dropped and not deleted.

The table of a model is partitioned by ``date``; each partition holds one calendar month of all homes. A partition is
made before the first row of its month is written. A table that an earlier version made in one piece is divided once.
Every function here is for PostgreSQL, within a transaction of the caller, who has called ``lock_months`` of
``storage.drivers.postgresql`` where a partition is made, and ``lock_tables`` where something is divided or dropped.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

import sqlalchemy as sa

from storage.columns import HOME
from storage.dates import ONE_DAY, DateRange, month_name
from storage.errors import SettingsError, StoreCorrupt

PARTITIONED_BY: Final = "RANGE (date)"
MIN_ROWS_TO_ANALYZE: Final = 1_000

_CHECK_VIOLATION: Final = "23514"
_MAX_NAME_BYTES: Final = 63  # of PostgreSQL; it cuts a longer name
_UNDIVIDED: Final = "aggregate_undivided"  # a table while its rows are moved into partitions
_BOUNDS: Final = re.compile(r"FOR VALUES FROM \('(\d{4}-\d\d-\d\d)'\) TO \('(\d{4}-\d\d-\d\d)'\)")

# A month of many homes is large: the defaults of 10 and 20 % of its rows would let a week of dead ones lie. Pages are
# filled wholly, as the rows of a home's day lie together: room for rewriting them all would double the table.
_STORAGE: Final = "autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02"

_KIND = sa.text("SELECT relkind::text FROM pg_class WHERE oid = to_regclass(quote_ident(:table))")
_PARTITIONS = sa.text(
    """
    SELECT part.oid::regclass::text, pg_get_expr(part.relpartbound, part.oid)
    FROM pg_inherits JOIN pg_class AS part ON part.oid = inhrelid WHERE inhparent = to_regclass(quote_ident(:table))
    """
)
_PLACE = sa.text(
    """
    SELECT quote_ident(nspname) AS schema, pg_get_userbyid(relowner) AS owner, current_user AS account
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE pg_class.oid = to_regclass(quote_ident(:table))
    """
)
_RIGHTS = sa.text(
    """
    SELECT privilege_type, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END
    FROM pg_class, aclexplode(relacl)
    WHERE pg_class.oid = to_regclass(quote_ident(:table)) AND grantee <> relowner
    """
)
_VIEWS = sa.text(
    """
    SELECT DISTINCT ev_class::regclass::text FROM pg_depend JOIN pg_rewrite ON pg_rewrite.oid = objid
    WHERE classid = 'pg_rewrite'::regclass AND refobjid = to_regclass(quote_ident(:table)) ORDER BY 1
    """
)


class Partition(NamedTuple):
    """A part of a table.

    Attributes:
        name: Its name as SQL text.
        days: The days whose rows it holds.
    """

    name: str
    days: DateRange


def is_in_one_piece(connection: sa.Connection, table: str) -> bool:
    """Return whether there is such a table and it is not divided."""
    return connection.execute(_KIND, {"table": table}).scalar() == "r"


def partitions(connection: sa.Connection, table: str) -> list[Partition]:
    """Return the partitions of a table, the oldest first, without those that somebody has made for other bounds."""
    found = []
    for name, bounds in connection.execute(_PARTITIONS, {"table": table}):
        if (match := _BOUNDS.fullmatch(bounds)) is not None:
            first, end = map(dt.date.fromisoformat, match.groups())
            found.append(Partition(name, DateRange(first, end - ONE_DAY)))
    return sorted(found, key=lambda partition: partition.days.first)


def make_partition(connection: sa.Connection, table: str, day: dt.date) -> None:
    """Make the partition of a table for the month of a day, unless there is one.

    Raises:
        SettingsError: Another program has a table of its name, which is left as it is.
    """
    if any(day in partition.days for partition in partitions(connection, table)):
        return
    schema, owner, account = connection.execute(_PLACE, {"table": table}).one()
    quoted = connection.dialect.identifier_preparer.quote
    bare = partition_name(table, day)
    parent, name = f"{schema}.{quoted(table)}", f"{schema}.{quoted(bare)}"
    if connection.execute(sa.select(sa.func.to_regclass(name))).scalar() is not None:
        raise SettingsError(
            f"store.url: the database has a table {bare} of another program, where rows of {month_name(day)} belong",
            hint="Rename that table, or name a database, or a search_path, of its own for the aggregates.",
        )
    # Made by itself and attached then: unlike CREATE TABLE ... PARTITION OF, this lets readers go on.
    connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE {parent} INCLUDING ALL EXCLUDING INDEXES) WITH ({_STORAGE})")
    month = DateRange.month_of(day)
    connection.exec_driver_sql(
        f"ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES FROM ('{month.first}') TO ('{month.last + ONE_DAY}')"
    )
    connection.exec_driver_sql(
        f"CREATE INDEX ON {name} USING brin (date) WITH (autosummarize = on)"
    )  # a day of all homes
    if owner != account:
        connection.exec_driver_sql(f"ALTER TABLE {name} OWNER TO {quoted(owner)}")


def partition_name(table: str, day: dt.date) -> str:
    """Return the name of the partition for the month of a day.

    >>> partition_name("time_based_daily", dt.date(2026, 11, 29))
    'time_based_daily_2026_11'
    """
    month = f"_{month_name(day).replace('-', '_')}"
    room = _MAX_NAME_BYTES - len(month)
    if len(table) > room:
        digest = hashlib.blake2b(table.encode(), digest_size=4).hexdigest()
        table = f"{table[: room - len(digest) - 1]}_{digest}"
    return table + month


def is_missing(error: Exception) -> bool:
    """Return whether a row could not be written because there is no partition for its month.

    Args:
        error: An error of ours, with that of the driver as its cause.
    """
    cause = error.__cause__
    return getattr(getattr(cause, "orig", cause), "sqlstate", "") == _CHECK_VIOLATION


def divide(connection: sa.Connection, table: str) -> str:
    """Move a table in one piece into partitions. Returns a sentence for the change.

    Columns, keys, indexes, owner and rights stay as they are. Readers wait until the transaction ends.

    Raises:
        SettingsError: Views read the table.
        StoreCorrupt: A row has no valid date.
    """
    quoted = connection.dialect.identifier_preparer.quote
    connection.exec_driver_sql(f"LOCK TABLE {quoted(table)} IN ACCESS EXCLUSIVE MODE")
    if views := connection.execute(_VIEWS, {"table": table}).scalars().all():
        raise SettingsError(
            f"store.url: the table {table} has to be divided by month, but views read it: {', '.join(views)}",
            hint="Drop these views, run `pattern-aggregates init`, and create them again.",
        )
    rights = connection.execute(_RIGHTS, {"table": table}).all()
    schema, owner, account = connection.execute(_PLACE, {"table": table}).one()
    inspector = sa.inspect(connection)
    key, indexes = inspector.get_pk_constraint(table), inspector.get_indexes(table)
    new, old = f"{schema}.{quoted(table)}", f"{schema}.{_UNDIVIDED}"
    for index in indexes:
        connection.exec_driver_sql(f"DROP INDEX {schema}.{quoted(str(index['name']))}")
    connection.exec_driver_sql(f"ALTER TABLE {new} DROP CONSTRAINT {quoted(str(key['name']))}")
    connection.exec_driver_sql(f"ALTER TABLE {new} RENAME TO {_UNDIVIDED}")
    connection.exec_driver_sql(
        f"CREATE TABLE {new} (LIKE {old} INCLUDING ALL EXCLUDING INDEXES) PARTITION BY {PARTITIONED_BY}"
    )
    connection.exec_driver_sql(f"ALTER TABLE {new} ADD PRIMARY KEY ({_listed(connection, key['constrained_columns'])})")
    for index in indexes:
        columns = _listed(connection, [str(name) for name in index["column_names"]])
        connection.exec_driver_sql(f"CREATE INDEX {quoted(str(index['name']))} ON {new} ({columns})")
    for month in _months_of(connection, old, table):
        make_partition(connection, table, month.first)
        between = sa.text(f"INSERT INTO {new} SELECT * FROM {old} WHERE date BETWEEN :first AND :last")  # noqa: S608 - quoted names
        connection.execute(between, {"first": month.first.isoformat(), "last": month.last.isoformat()})
    connection.exec_driver_sql(f"DROP TABLE {old}")
    for right, grantee in rights:
        connection.exec_driver_sql(f"GRANT {right} ON {new} TO {grantee}")
    if owner != account:
        connection.exec_driver_sql(f"ALTER TABLE {new} OWNER TO {quoted(owner)}")
    connection.exec_driver_sql(f"ANALYZE {new}")
    return f"divided table {table} by month"


def _months_of(connection: sa.Connection, stored: str, table: str) -> list[DateRange]:
    """Return the months of which a table has rows.

    Args:
        connection: The transaction.
        stored: The table as SQL text.
        table: Its name in messages.
    """
    dates = connection.exec_driver_sql(f"SELECT DISTINCT date FROM {stored}").scalars().all()  # noqa: S608 - a quoted name
    months = set()
    for date in dates:
        try:
            day = dt.date.fromisoformat(date)
        except ValueError:
            day = None
        if day is None or day.isoformat() != date:
            raise StoreCorrupt(
                f"the table {table} cannot be divided by month: {date!r} is not a valid date",
                hint="Correct or delete the rows with that date, and run again.",
            )
        months.add(DateRange.month_of(day))
    return sorted(months, key=lambda month: month.first)


def holds_only(connection: sa.Connection, partition: Partition, home: str) -> bool:
    """Return whether a partition holds no row of another home."""
    column: sa.ColumnElement[str] = sa.column(HOME, sa.String())
    found = sa.select(sa.func.min(column), sa.func.max(column)).select_from(sa.text(partition.name))  # by its index
    return set(connection.execute(found).one()) <= {home, None}


def drop(connection: sa.Connection, partition: Partition) -> None:
    """Drop a partition with its rows. Readers of the table wait until the transaction ends."""
    connection.exec_driver_sql(f"DROP TABLE {partition.name}")


def analyze(connection: sa.Connection, table: str, day: dt.date) -> None:
    """Let the planner know what the partition for a day holds by now, unless another session is doing that.

    Without it, the planner takes a month that has just been filled for an empty one until autovacuum comes by.
    """
    for name, days in partitions(connection, table):
        if day in days:
            connection.exec_driver_sql(f"ANALYZE (SKIP_LOCKED) {name}")


class Fillings:
    """Counts the rows that a process writes to each partition, to know when ``analyze`` is due."""

    def __init__(self) -> None:
        self._rows: Counter[tuple[str, str]] = Counter()
        self._due_at: dict[tuple[str, str], int] = {}

    def add(self, table: str, day: dt.date, rows: int) -> bool:
        """Count rows. Returns whether ``analyze`` is due: after 1,000 rows, then whenever there are ten times more."""
        key = table, month_name(day)
        self._rows[key] += rows
        if self._rows[key] < self._due_at.setdefault(key, MIN_ROWS_TO_ANALYZE):
            return False
        self._due_at[key] = 10 * self._rows[key]
        return True


def _listed(connection: sa.Connection, names: Iterable[str]) -> str:
    return ", ".join(map(connection.dialect.identifier_preparer.quote, names))
