"""The home that a ledger belongs to: its identity, where its store is, and the entities that it has had.

The entities tell when a source suddenly holds the events of another home although the settings are the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from storage.errors import LedgerCorrupt
from storage.identity import HomeIdentity, Place

_METADATA: Final = sa.MetaData()
HOME: Final = sa.Table(
    "home",
    _METADATA,
    sa.Column("row", sa.Integer, primary_key=True, autoincrement=False),  # always 1: a ledger has one home
    sa.Column("home", sa.Text, nullable=False),
    sa.Column("store", sa.Text, nullable=False),
    sa.Column("store_from_ledger", sa.Text, nullable=False),
)
ENTITIES: Final = sa.Table(
    "known_entity",
    _METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sqlite_with_rowid=False,
)


class LedgerHome(NamedTuple):
    """What a ledger knows of its home."""

    identity: HomeIdentity
    store: Place


def create_tables(connection: sa.Connection) -> None:
    """Create the tables of the home."""
    _METADATA.create_all(connection)


def read(connection: sa.Connection) -> LedgerHome | None:
    """Return the home; None if none is noted.

    Raises:
        LedgerCorrupt: What is noted cannot be read.
    """
    row = connection.execute(sa.select(HOME.c.home, HOME.c.store, HOME.c.store_from_ledger)).first()
    if row is None:
        return None
    try:
        return LedgerHome(HomeIdentity.from_json(row.home), Place(row.store, row.store_from_ledger))
    except ValueError as error:
        raise LedgerCorrupt(
            f"the ledger's home cannot be read: {error}",
            hint="Restore the ledger from a backup, or run `pattern-aggregates init --adopt ledger`.",
        ) from error


def write(connection: sa.Connection, identity: HomeIdentity, store: Place) -> None:
    """Note a home in place of any other."""
    connection.execute(sa.delete(HOME))
    connection.execute(
        sa.insert(HOME).values(row=1, home=identity.to_json(), store=store.text, store_from_ledger=store.from_ledger)
    )


def read_entities(connection: sa.Connection) -> frozenset[str]:
    """Return the ids and keys of the entities that the home has had."""
    return frozenset(connection.execute(sa.select(ENTITIES.c.name)).scalars())


def add_entities(connection: sa.Connection, names: Iterable[str]) -> None:
    """Add ids and keys of entities; those that are known stay."""
    rows = [{"name": name} for name in names]
    if rows:
        connection.execute(sqlite.insert(ENTITIES).on_conflict_do_nothing(), rows)


def forget_entities(connection: sa.Connection) -> None:
    """Forget all entities."""
    connection.execute(sa.delete(ENTITIES))
