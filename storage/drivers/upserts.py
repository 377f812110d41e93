"""Insert rows in place of those of the same key: one statement in SQLite and PostgreSQL, two in SQLAlchemy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import sqlalchemy as sa


def insert_or_replace(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; one of the same key gets the new values, and a value that is not given stays.

    Args:
        connection: The transaction.
        table: The table, which has columns outside its key.
        rows: The values by column, of all rows the same columns.
    """
    if not rows:
        return
    insert = _insert(connection, table)
    given = [name for name in rows[0] if not table.c[name].primary_key]
    values = {name: insert.excluded[name] for name in given}
    # PostgreSQL keeps the former version of each row that is written until it is vacuumed: do not write what is equal.
    is_changed = sa.or_(*(table.c[name].is_distinct_from(value) for name, value in values.items()))
    where = is_changed if connection.dialect.name == "postgresql" else None
    connection.execute(
        insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=values, where=where), list(rows)
    )


def insert_missing(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; one whose key is there already stays as it is."""
    if rows:
        connection.execute(_insert(connection, table).on_conflict_do_nothing(), list(rows))


def _insert(connection: sa.Connection, table: sa.Table) -> Any:  # noqa: ANN401 - of either dialect
    return import_module(f"sqlalchemy.dialects.{connection.dialect.name}").insert(table)  # that of PostgreSQL is large
