"""What a SQL store needs of PostgreSQL beyond SQLAlchemy: locks that make writers wait, and who holds others."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Final

import sqlalchemy as sa

_CLASS: Final = 0x70616C31  # "pal1": keeps these locks apart from those of other programs in the same database
_CLASS_OF_HOMES: Final = 0x70616C32  # of the days of homes that have a name
_TABLES: Final = 0  # ordinals of days begin at 1
_MONTHS: Final = -1


def lock_tables(connection: sa.Connection) -> None:
    """Wait until no other writer is at work, and keep others out until the transaction ends.

    Needed to create or change tables: two writers that create the same table at once both find that it is missing.
    """
    if connection.dialect.name == "postgresql":  # an SQLite writer has locked the whole file already
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CLASS, _TABLES)))


def lock_months(connection: sa.Connection) -> None:
    """Wait until no other writer changes tables or adds months, and keep others from it until the transaction ends.

    Writers of rows need not wait.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(_CLASS, _TABLES)))
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CLASS, _MONTHS)))


def lock_day(connection: sa.Connection, day: dt.date, home: str = "") -> None:
    """Wait until no other writer replaces this day of a home, and keep others out of it until the transaction ends.

    Must come before the first statement that reads the day: READ COMMITTED then shows what the other writer has
    committed. Writers of different days or homes do not wait for each other, except by chance where their locks have
    the same number. A transaction locks one day. The tables are locked first, so that no two
    writers can wait for each other in a circle.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(_CLASS, _TABLES)))
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(*_day_lock(day, home))))


def _day_lock(day: dt.date, home: str) -> tuple[int, int]:
    if not home:
        return _CLASS, day.toordinal()
    digest = hashlib.blake2b(f"{day} {home}".encode(), digest_size=4).digest()
    return _CLASS_OF_HOMES, int.from_bytes(digest, signed=True)


_HOLDERS: Final = sa.text(
    """
    SELECT activity.pid, activity.usename, activity.application_name, min(activity.xact_start) AS since
    FROM pg_locks AS held JOIN pg_stat_activity AS activity USING (pid)
    WHERE held.granted AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND ((held.locktype = 'advisory' AND held.classid IN (:class, :class_of_homes))
        OR held.mode IN ('AccessExclusiveLock', 'ExclusiveLock'))
      AND activity.pid <> pg_backend_pid()
    GROUP BY 1, 2, 3 ORDER BY since LIMIT 3
    """
)


def lock_holders(connection: sa.Connection) -> str:
    """Return which sessions hold locks that writers and readers wait for, as far as this account may see it.

    Args:
        connection: Another one than that which has waited, as that one's transaction has failed.
    """
    return "; ".join(
        f"process {pid} of the server"
        + (f" (user {user}{', ' + program if program else ''})" if user else "")
        + (f", in a transaction since {since:%Y-%m-%d %H:%M:%S%z}" if since else "")
        for pid, user, program, since in connection.execute(
            _HOLDERS, {"class": _CLASS, "class_of_homes": _CLASS_OF_HOMES}
        )
    )
