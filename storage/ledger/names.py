"""The names of entities over time: a rename must not look like a device that died and a new one.

A source may give each entity a key that a rename does not change (``DayLog.keys``). A rename is a known key with
another name, where the former name is gone and the new one was not known before. Anything else means that the database
was created anew, so that its keys belong to other entities; so does a change of more than half of all names at once.

Home Assistant does not always move the history along ("cannot migrate history"): then the new name has a number of its
own, and the former name stays in the recorder's table with the number that it had. It counts as gone if it is no longer
in the registry. If its number is another one, something else now has that name, so it is not gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import sqlalchemy as sa

from storage.drivers.upserts import insert_or_replace

NO_NUMBERS: Final[Mapping[str, str]] = MappingProxyType({})
MIN_RENAMED_AT_ONCE: Final = 4  # fewer are never taken for a database that was made anew

_METADATA: Final = sa.MetaData()
KEYS: Final = sa.Table(
    "entity_key",
    _METADATA,
    sa.Column("home", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("entity_id", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)
RENAMES: Final = sa.Table(
    "entity_rename",
    _METADATA,
    sa.Column("home", sa.Text, primary_key=True),
    sa.Column("former", sa.Text, primary_key=True),
    sa.Column("present", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)
TABLES: Final = (KEYS, RENAMES)


def record(
    connection: sa.Connection, home: str, keys: Mapping[str, str], numbers: Mapping[str, str] = NO_NUMBERS
) -> dict[str, str]:
    """Record the present names of entities.

    Args:
        connection: To the ledger, in a transaction.
        home: The name of the home.
        keys: The key of each entity, by its present name; empty where it has none.
        numbers: The recorder's number of each entity, by its present name: remembered beside a better key.

    Returns:
        The present name of each entity that was renamed since the last call, by its former name.
    """
    present = {key: entity_id for entity_id, key in keys.items() if key}
    query = sa.select(KEYS.c.key, KEYS.c.entity_id).where(KEYS.c.home == home)
    stored: dict[str, str] = {row.key: row.entity_id for row in connection.execute(query)}
    remembered = {number: entity_id for entity_id, number in numbers.items()} | present
    changed = {key: name for key, name in remembered.items() if stored.get(key) != name}
    if not changed:
        return {}
    known = set(stored.values())
    others = {key: name for key, name in changed.items() if key in stored and present.get(key) == name}
    left_behind = {name for name, number in numbers.items() if keys.get(name) == number and stored.get(number) == name}
    earlier = read_renames(connection, home)
    renamed = {
        stored[key]: name
        for key, name in others.items()
        if (stored[key] not in keys or (key != numbers.get(name) and stored[key] in left_behind))
        and (name not in known or earlier.get(name) == stored[key])  # or it has its earlier name again
    }
    if len(others) >= MIN_RENAMED_AT_ONCE and 2 * len(others) > len(present):
        renamed = {}
    rows = [{"home": home, "key": key, "entity_id": name} for key, name in changed.items()]
    insert_or_replace(connection, KEYS, rows)
    of_home = RENAMES.c.home == home
    connection.execute(sa.delete(RENAMES).where(of_home, RENAMES.c.former.in_(list(changed.values()))))  # in use again
    for former, name in renamed.items():
        connection.execute(sa.update(RENAMES).where(of_home, RENAMES.c.present == former).values(present=name))
        connection.execute(sa.insert(RENAMES).values(home=home, former=former, present=name))
    return renamed


def read_renames(connection: sa.Connection, home: str) -> dict[str, str]:
    """Return the present name of each entity of a home that had another one, by its former names."""
    query = sa.select(RENAMES.c.former, RENAMES.c.present).where(RENAMES.c.home == home)
    return {row.former: row.present for row in connection.execute(query)}
