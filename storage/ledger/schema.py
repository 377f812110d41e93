"""The ledger's tables, their schema version, and the migrations that bring a ledger of an earlier version up to date.

A writer creates or migrates what it opens, in one transaction. A reader changes nothing and refuses another version.
To change or add a table: change it in ``METADATA``, raise ``SCHEMA_VERSION`` and add a migration. A migration is never
changed afterwards, so it names its columns and words itself instead of using those of the present program.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Final

import sqlalchemy as sa

from storage.drivers.sql import FileContents
from storage.errors import LedgerMismatch, LedgerVersionMismatch
from storage.ledger import announcements, names
from storage.ledger import home as noted_home

SCHEMA_VERSION: Final = 6
APPLICATION_ID: Final = 0x70616C31  # "pal1": it marks SQLite files of this program

METADATA: Final = sa.MetaData()
ENTRIES: Final = sa.Table(
    "entry",
    METADATA,
    sa.Column("home", sa.Text, primary_key=True),
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("detector", sa.String(255), primary_key=True),
    sa.Column("status", sa.String(10), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("events", sa.Integer, nullable=False),
    sa.Column("samples", sa.Integer, nullable=False),
    sa.Column("known_seconds", sa.Float, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("redo", sa.Boolean, nullable=False),
    sa.Column("updated_at", sa.String(32), nullable=False),
    sa.Column("written_version", sa.Integer),
    sa.Column("written_samples", sa.Integer, nullable=False),
    sa.Column("written_known_seconds", sa.Float, nullable=False),
    sa.Column("payload", sa.Text),  # the staged rows, until the store has them
    sa.Column("kept_version", sa.Integer),
    sa.Column("kept_fingerprint", sa.Text),
    sa.Index("ix_entry_day", "day").ddl_if(dialect="postgresql"),  # what a server is asked of all homes
    sqlite_with_rowid=False,
)
TABLES: Final = (ENTRIES, *names.TABLES, *noted_home.TABLES, *announcements.TABLES)
"""Every table; the key of each begins with ``home``."""


def upgrade(connection: sa.Connection, name: str) -> str:
    """Create the ledger, or migrate one of an earlier version. Returns what was changed, in words; empty if nothing.

    Raises:
        LedgerMismatch: The database belongs to another program; it is left as it is.
        LedgerVersionMismatch: It is of a newer version; it is left as it is.
    """
    stored = _stored_version(connection, name)
    if stored is None:
        for table in TABLES:
            table.create(connection)
        _store_version(connection)
        return f"made {name}"
    if stored > SCHEMA_VERSION:
        raise _version_mismatch(name, stored)
    if stored == SCHEMA_VERSION:
        return ""
    for version in range(stored + 1, SCHEMA_VERSION + 1):
        MIGRATIONS[version](connection)
    _store_version(connection)
    return f"upgraded {name} from schema version {stored} to {SCHEMA_VERSION}"


def check(connection: sa.Connection, name: str) -> bool:
    """Return whether there is a ledger that this program can read; False if the database is still empty.

    Raises:
        LedgerMismatch: The database belongs to another program.
        LedgerVersionMismatch: It is of an earlier or a newer version.
    """
    stored = _stored_version(connection, name)
    if stored is not None and stored != SCHEMA_VERSION:
        raise _version_mismatch(name, stored)
    return stored is not None


def _version_mismatch(name: str, stored: int) -> LedgerVersionMismatch:
    return LedgerVersionMismatch(
        f"{name} has schema version {stored}, this program uses version {SCHEMA_VERSION}",
        hint="Run `pattern-aggregates init` once: it upgrades the ledger and keeps what is in it."
        if stored < SCHEMA_VERSION
        else "Upgrade pattern-aggregates, or name another file in ledger.path.",
    )


def _stored_version(connection: sa.Connection, name: str) -> int | None:
    """Return the schema version of a ledger; None for an empty database."""
    found = FileContents.of(connection)
    refuse_foreign(found, name)
    version: int = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    return version if found.application_id == APPLICATION_ID else None


def refuse_foreign(found: FileContents, name: str) -> None:
    """Refuse an SQLite file that has something in it and is not marked as a ledger.

    Raises:
        LedgerMismatch: It is another program's.
    """
    if found.application_id != APPLICATION_ID and (found.application_id or found.names):
        what = f"it has {', '.join(sorted(found.names)[:3])} ..." if found.names else "it is marked as such"
        raise LedgerMismatch(
            f"ledger.path names a database of another program, {name} ({what})",
            hint="Name a file of its own for the ledger.",
        )


def _store_version(connection: sa.Connection) -> None:
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _migrate_to_2(connection: sa.Connection) -> None:
    """Split ``kept`` ("VERSION FINGERPRINT") into two columns; ``wired`` becomes ``linked_by`` in staged rows."""
    connection.exec_driver_sql("ALTER TABLE entry ADD COLUMN kept_version INTEGER")
    connection.exec_driver_sql("ALTER TABLE entry ADD COLUMN kept_fingerprint TEXT")
    names = ("day", "detector", "payload", "kept", "kept_version", "kept_fingerprint")
    entry = sa.table("entry", *map(sa.column, names))
    affected = sa.or_(entry.c.kept != "", entry.c.payload.is_not(None))
    for day, detector in connection.execute(sa.select(entry.c.day, entry.c.detector).where(affected)).all():
        here = (entry.c.day == day, entry.c.detector == detector)
        kept, payload = connection.execute(sa.select(entry.c.kept, entry.c.payload).where(*here)).one()
        version, _, fingerprint = kept.partition(" ")
        values = {"payload": payload and _with_linked_by(payload)}
        if version.isdecimal():
            values |= {"kept_version": int(version), "kept_fingerprint": fingerprint}
        connection.execute(sa.update(entry).where(*here).values(values))
    connection.exec_driver_sql("ALTER TABLE entry DROP COLUMN kept")


def _with_linked_by(payload: str) -> str:
    """Return a staged payload with the column and the words of version 2; one that cannot be read stays as it is."""
    words = {"device": "same_device", "in_step": "simultaneous"}
    try:
        packed = json.loads(payload)
        if packed["measurement"] not in ("co_occurrence_daily", "sequence_daily"):
            return payload
        for row in packed["rows"]:
            if "wired" in row:
                wired = row.pop("wired")
                row["linked_by"] = words.get(wired, wired)
    except (ValueError, TypeError, KeyError, AttributeError):
        return payload  # it is reported when it is to be written
    return json.dumps(packed, ensure_ascii=False, separators=(",", ":"))


def _migrate_to_3(connection: sa.Connection) -> None:
    """Add the names of entities."""
    for table, key, value in (("entity_key", "key", "entity_id"), ("entity_rename", "former", "present")):
        connection.exec_driver_sql(
            f"CREATE TABLE {table} ({key} TEXT NOT NULL PRIMARY KEY, {value} TEXT NOT NULL) WITHOUT ROWID"
        )


def _migrate_to_4(connection: sa.Connection) -> None:
    """Add the home that the ledger belongs to, and its entities."""
    connection.exec_driver_sql(
        'CREATE TABLE home ("row" INTEGER NOT NULL PRIMARY KEY, home TEXT NOT NULL, store TEXT NOT NULL, '
        "store_from_ledger TEXT NOT NULL)"
    )
    connection.exec_driver_sql("CREATE TABLE known_entity (name TEXT NOT NULL PRIMARY KEY) WITHOUT ROWID")


def _migrate_to_5(connection: sa.Connection) -> None:
    """Add what was announced over each channel."""
    connection.exec_driver_sql(
        "CREATE TABLE announced_day (channel TEXT NOT NULL, day VARCHAR(10) NOT NULL, judged TEXT NOT NULL, "
        "PRIMARY KEY (channel, day)) WITHOUT ROWID"
    )
    connection.exec_driver_sql(
        "CREATE TABLE announcement (channel TEXT NOT NULL, day VARCHAR(10) NOT NULL, entity_id TEXT NOT NULL, "
        "anomaly_type TEXT NOT NULL, status VARCHAR(10) NOT NULL, "
        "PRIMARY KEY (channel, day, entity_id, anomaly_type)) WITHOUT ROWID"
    )
    connection.exec_driver_sql(
        "CREATE TABLE announcement_channel (channel TEXT NOT NULL PRIMARY KEY, delivered_at VARCHAR(32), "
        "sent_on VARCHAR(10), error TEXT NOT NULL) WITHOUT ROWID"
    )


_TABLES_OF_6: Final = {
    "entry": """
        day VARCHAR(10) NOT NULL, detector VARCHAR(255) NOT NULL, status VARCHAR(10) NOT NULL, version INTEGER NOT NULL,
        fingerprint TEXT NOT NULL, rows INTEGER NOT NULL, events INTEGER NOT NULL, samples INTEGER NOT NULL,
        known_seconds FLOAT NOT NULL, reason TEXT NOT NULL, error TEXT NOT NULL, attempts INTEGER NOT NULL,
        redo BOOLEAN NOT NULL, updated_at VARCHAR(32) NOT NULL, written_version INTEGER,
        written_samples INTEGER NOT NULL, written_known_seconds FLOAT NOT NULL, payload TEXT, kept_version INTEGER,
        kept_fingerprint TEXT, PRIMARY KEY (home, day, detector)""",
    "entity_key": "key TEXT NOT NULL, entity_id TEXT NOT NULL, PRIMARY KEY (home, key)",
    "entity_rename": "former TEXT NOT NULL, present TEXT NOT NULL, PRIMARY KEY (home, former)",
    "known_entity": "name TEXT NOT NULL, PRIMARY KEY (home, name)",
    "announced_day": """
        channel TEXT NOT NULL, day VARCHAR(10) NOT NULL, judged TEXT NOT NULL, PRIMARY KEY (home, channel, day)""",
    "announcement": """
        channel TEXT NOT NULL, day VARCHAR(10) NOT NULL, entity_id TEXT NOT NULL, anomaly_type TEXT NOT NULL,
        status VARCHAR(10) NOT NULL, PRIMARY KEY (home, channel, day, entity_id, anomaly_type)""",
    "announcement_channel": """
        channel TEXT NOT NULL, delivered_at VARCHAR(32), sent_on VARCHAR(10), error TEXT NOT NULL,
        PRIMARY KEY (home, channel)""",
}


def _migrate_to_6(connection: sa.Connection) -> None:
    """Put the name of the home before every key; what is there is of the home without a name."""
    connection.exec_driver_sql("DROP INDEX ix_entry_status")
    for table, columns in _TABLES_OF_6.items():
        names = ", ".join(
            row[0] for row in connection.exec_driver_sql("SELECT name FROM pragma_table_info(?)", (table,))
        )
        connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO {table}_5")
        connection.exec_driver_sql(f"CREATE TABLE {table} (home TEXT NOT NULL, {columns}) WITHOUT ROWID")
        connection.exec_driver_sql(f"INSERT INTO {table} (home, {names}) SELECT '', {names} FROM {table}_5")  # noqa: S608 - own names
        connection.exec_driver_sql(f"DROP TABLE {table}_5")
    connection.exec_driver_sql("ALTER TABLE home RENAME TO home_5")
    connection.exec_driver_sql(
        "CREATE TABLE home (home TEXT NOT NULL, identity TEXT NOT NULL, store TEXT NOT NULL, "
        "store_from_ledger TEXT NOT NULL, PRIMARY KEY (home)) WITHOUT ROWID"
    )
    connection.exec_driver_sql("INSERT INTO home SELECT '', home, store, store_from_ledger FROM home_5")
    connection.exec_driver_sql("DROP TABLE home_5")


MIGRATIONS: Final[Mapping[int, Callable[[sa.Connection], None]]] = {
    2: _migrate_to_2,
    3: _migrate_to_3,
    4: _migrate_to_4,
    5: _migrate_to_5,
    6: _migrate_to_6,
}
"""How a ledger of the version before becomes one of each version."""
