"""What a SQL store deletes because it is past the retention; only the store's own tables are touched."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import NamedTuple

import sqlalchemy as sa

from storage.backends import sql_partitions
from storage.backends.sql_tables import OWN_TABLES
from storage.columns import HOME
from storage.models import DetectorRunDaily
from storage.periods import SUFFIXES, cadence_of


class Retention(NamedTuple):
    """The days to keep.

    Attributes:
        before: Rows of days before this one are past it, except those of rollups.
        rollups_before: The same for rows of rollups, and for the records of their runs.
    """

    before: dt.date
    rollups_before: dt.date

    def oldest(self, measurement: str) -> dt.date:
        """Return the oldest day of which a table may hold a row that is kept."""
        if measurement == DetectorRunDaily.measurement:
            return min(self)
        return self.rollups_before if cadence_of(measurement) else self.before

    def is_past(self, table: sa.TableClause) -> sa.ColumnElement[bool]:
        """Return the condition for the rows of a table that are past it."""
        if table.name != DetectorRunDaily.measurement:
            return table.c.date < self.oldest(table.name).isoformat()
        of_rollup = sa.or_(*(table.c.detector.endswith(end, autoescape=True) for end in SUFFIXES))
        return sa.or_(
            sa.and_(of_rollup, table.c.date < self.rollups_before.isoformat()),
            sa.and_(sa.not_(of_rollup), table.c.date < self.before.isoformat()),
        )


def stored_tables(connection: sa.Connection) -> list[sa.TableClause]:
    """Return the store's own tables that are there; somebody may have dropped one."""
    inspector = sa.inspect(connection)
    if not inspector.has_table(OWN_TABLES.name):
        return []
    present = set(inspector.get_table_names())
    listed = connection.execute(sa.select(OWN_TABLES.c.measurement).order_by(OWN_TABLES.c.measurement)).scalars()
    return [
        sa.table(name, sa.column("date"), sa.column("detector"), sa.column(HOME)) for name in listed if name in present
    ]


def has_past_rows(connection: sa.Connection, home: str, retention: Retention) -> bool:
    """Return whether a home has rows that are past the retention. Needs no lock."""
    return any(
        connection.execute(
            sa.select(sa.literal(1)).select_from(table).where(table.c[HOME] == home, retention.is_past(table)).limit(1)
        ).first()
        for table in stored_tables(connection)
    )


def delete_of_home(connection: sa.Connection, home: str, retention: Retention) -> int:
    """Delete what a home has past the retention. Returns how many rows.

    The caller keeps other writers out. In PostgreSQL, a month that holds rows of this home alone is dropped as a whole.
    """
    deleted = 0
    for table in stored_tables(connection):
        for partition in _past_partitions(connection, table.name, retention):
            if sql_partitions.holds_only(connection, partition, home):
                deleted += connection.execute(
                    sa.select(sa.func.count()).select_from(sa.text(partition.name))
                ).scalar_one()
                sql_partitions.drop(connection, partition)
        deleted += connection.execute(sa.delete(table).where(table.c[HOME] == home, retention.is_past(table))).rowcount
    return deleted


def drop_past_months(connection: sa.Connection, table: str, retention: Retention) -> list[str]:
    """Drop the months of a table that are wholly past the retention, of every home. Returns a sentence for each.

    The caller keeps other writers out.
    """
    past = list(_past_partitions(connection, table, retention))
    for partition in past:
        sql_partitions.drop(connection, partition)
    return [f"dropped {partition.name}" for partition in past]


def delete_of_all(connection: sa.Connection, table: sa.TableClause, retention: Retention) -> list[str]:
    """Delete what is past the retention in the months that are kept. Returns a sentence if there was anything.

    Writers need not wait, as none of them replaces a day that is past the retention.
    """
    deleted = connection.execute(sa.delete(table).where(retention.is_past(table))).rowcount
    return [f"deleted {deleted:,} rows of {table.name}"] if deleted else []


def _past_partitions(connection: sa.Connection, table: str, retention: Retention) -> Iterator[sql_partitions.Partition]:
    if connection.dialect.name == "postgresql":
        for partition in sql_partitions.partitions(connection, table):
            if partition.days.last < retention.oldest(table):
                yield partition
