"""The homes that a ledger is of, by name: their identity, where their store is, and the entities they have had.

The entities tell when a source suddenly holds the events of another home although the settings are the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import sqlalchemy as sa

from storage.drivers.upserts import insert_missing, insert_or_replace
from storage.errors import LedgerCorrupt
from storage.identity import HomeIdentity, Place

_METADATA: Final = sa.MetaData()
HOME: Final = sa.Table(
    "home",
    _METADATA,
    sa.Column("home", sa.Text, primary_key=True),
    sa.Column("identity", sa.Text, nullable=False),
    sa.Column("store", sa.Text, nullable=False),
    sa.Column("store_from_ledger", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)
ENTITIES: Final = sa.Table(
    "known_entity",
    _METADATA,
    sa.Column("home", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sqlite_with_rowid=False,
)
TABLES: Final = (HOME, ENTITIES)


class LedgerHome(NamedTuple):
    """What a ledger knows of a home."""

    identity: HomeIdentity
    store: Place


def read(connection: sa.Connection, home: str) -> LedgerHome | None:
    """Return what is noted of a home; None if nothing is.

    Raises:
        LedgerCorrupt: What is noted cannot be read.
    """
    query = sa.select(HOME.c.identity, HOME.c.store, HOME.c.store_from_ledger).where(HOME.c.home == home)
    row = connection.execute(query).first()
    if row is None:
        return None
    try:
        return LedgerHome(HomeIdentity.from_json(row.identity), Place(row.store, row.store_from_ledger))
    except ValueError as error:
        raise LedgerCorrupt(
            f"the ledger's home cannot be read: {error}",
            hint="Restore the ledger from a backup, or run `pattern-aggregates init --adopt ledger`.",
        ) from error


def write(connection: sa.Connection, home: str, identity: HomeIdentity, store: Place) -> None:
    """Note which home has a name, in place of any other."""
    insert_or_replace(connection, HOME, [_row(home, identity, store)])


def write_missing(connection: sa.Connection, home: str, identity: HomeIdentity, store: Place) -> None:
    """Note which home has a name, unless one is noted, also by a transaction that has not ended yet."""
    insert_missing(connection, HOME, [_row(home, identity, store)])


def _row(home: str, identity: HomeIdentity, store: Place) -> dict[str, str]:
    return {
        "home": home,
        "identity": identity.to_json(),
        "store": store.text,
        "store_from_ledger": store.from_ledger,
    }


def read_entities(connection: sa.Connection, home: str) -> frozenset[str]:
    """Return the ids and keys of the entities that a home has had."""
    return frozenset(connection.execute(sa.select(ENTITIES.c.name).where(ENTITIES.c.home == home)).scalars())


def add_entities(connection: sa.Connection, home: str, names: Iterable[str]) -> None:
    """Add ids and keys of entities of a home; those that are known stay."""
    insert_missing(connection, ENTITIES, [{"home": home, "name": name} for name in names])


def forget_entities(connection: sa.Connection, home: str) -> None:
    """Forget all entities of a home."""
    connection.execute(sa.delete(ENTITIES).where(ENTITIES.c.home == home))
