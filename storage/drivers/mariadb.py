"""Who holds the locks of a MariaDB or MySQL server, as far as it says so."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import sqlalchemy as sa
from sqlalchemy import exc

_MAX_SHOWN: Final = 3
# MySQL lists locks by itself. MariaDB does with performance_schema and its instrument for metadata locks, which are off
# by default, or with the plugin metadata_lock_info.
_HOLDERS: Final = tuple(
    map(
        sa.text,
        (
            """
            SELECT DISTINCT threads.PROCESSLIST_ID, threads.PROCESSLIST_USER, held.OBJECT_NAME, threads.PROCESSLIST_TIME
            FROM performance_schema.metadata_locks AS held
              JOIN performance_schema.threads AS threads ON threads.THREAD_ID = held.OWNER_THREAD_ID
            WHERE held.LOCK_STATUS = 'GRANTED' AND held.OBJECT_TYPE = 'TABLE' AND held.OBJECT_SCHEMA = DATABASE()
              AND (held.LOCK_TYPE = 'EXCLUSIVE' OR held.LOCK_TYPE LIKE 'SHARED_NO_%')
              AND threads.PROCESSLIST_ID <> CONNECTION_ID()
            """,
            """
            SELECT DISTINCT held.THREAD_ID, list.USER, held.TABLE_NAME, list.TIME
            FROM information_schema.METADATA_LOCK_INFO AS held
              JOIN information_schema.PROCESSLIST AS list ON list.ID = held.THREAD_ID
            WHERE held.LOCK_TYPE = 'Table metadata lock' AND held.TABLE_SCHEMA = DATABASE()
              AND (held.LOCK_MODE = 'MDL_EXCLUSIVE' OR held.LOCK_MODE LIKE 'MDL\\_SHARED\\_NO\\_%')
              AND held.THREAD_ID <> CONNECTION_ID()
            """,
        ),
    )
)
_CONNECTED: Final = sa.text(
    """
    SELECT ID, USER, TIME FROM information_schema.PROCESSLIST
    WHERE DB = DATABASE() AND ID <> CONNECTION_ID() ORDER BY TIME DESC
    """
)


def lock_holders(connection: sa.Connection) -> str:
    """Return who may hold the lock that a statement has waited for, in words; empty if that cannot be found out.

    Where the server lists no locks, these are all others that are connected to the database, and the words say so.

    Args:
        connection: Another one than that which has waited.
    """
    for query in _HOLDERS:
        with suppress(exc.SQLAlchemyError):  # the server has no such table, or this account may not read it
            if found := connection.execute(query).all():
                return "; ".join(
                    f"process {number} of the server (user {user}) holds a lock of the table {table}, idle or at work "
                    f"for {seconds} s"
                    for number, user, table, seconds in found[:_MAX_SHOWN]
                )
    found = connection.execute(_CONNECTED).all()
    listed = ", ".join(f"process {number} (user {user}, {seconds} s)" for number, user, seconds in found[:_MAX_SHOWN])
    more = f" and {len(found) - _MAX_SHOWN} more" if len(found) > _MAX_SHOWN else ""
    return f"one of those connected to the database: {listed}{more}" if found else ""
