"""What a SQL store needs of PostgreSQL beyond SQLAlchemy: locks that make writers wait for each other."""

from __future__ import annotations

import datetime as dt
from typing import Final

import sqlalchemy as sa

_CLASS: Final = 0x70616C31  # "pal1": keeps these locks apart from those of other programs in the same database
_TABLES: Final = 0  # ordinals of days begin at 1


def lock_tables(connection: sa.Connection) -> None:
    """Wait until no other writer is at work, and keep others out until the transaction ends.

    Needed to create or change tables: two writers that create the same table at once both find that it is missing.
    """
    if connection.dialect.name == "postgresql":  # an SQLite writer has locked the whole file already
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CLASS, _TABLES)))


def lock_day(connection: sa.Connection, day: dt.date) -> None:
    """Wait until no other writer replaces this day, and keep others out of it until the transaction ends.

    Must come before the first statement that reads the day: READ COMMITTED then shows what the other writer has
    committed. Writers of different days do not wait for each other. The tables are locked first, so that no two
    writers can wait for each other in a circle.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(_CLASS, _TABLES)))
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CLASS, day.toordinal())))
