"""The ledger's tables on a PostgreSQL server: in a schema of their own, beside which the rows of the store may lie."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from storage.drivers.session_lock import key_of
from storage.errors import LedgerVersionMismatch, SettingsError
from storage.ledger.schema import SCHEMA_VERSION, TABLES

SCHEMA: Final = "pattern_aggregates_ledger"
IN_SCHEMA: Final[dict[str, Any]] = {"schema_translate_map": {None: SCHEMA}}
"""Options of an engine, or of a connection, under which the ledger's tables are found."""

_METADATA: Final = sa.MetaData()
VERSION: Final = sa.Table("ledger_version", _METADATA, sa.Column("version", sa.Integer, nullable=False))
HOLDS: Final = sa.Table(
    "hold",
    _METADATA,
    sa.Column("home", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),  # of the process that got the lock of the home last
)
HOLD_NUMBERS: Final = sa.Sequence("hold_number", metadata=_METADATA)
"""No number is given twice, also after a home was forgotten."""
DOCUMENTS: Final = sa.Table(
    "document",
    _METADATA,
    sa.Column("home", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
)
SERVER_TABLES: Final = (*TABLES, HOLDS, DOCUMENTS)
"""Every table with rows of homes."""

# Each entry is changed a few times within seconds (staged, written): with room beside it, it stays in its page, and no
# index changes. Dead rows are cleared early, as their number is what makes a busy table slow.
_STORAGE: Final = "SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02)"
_CREATING: Final = key_of(SCHEMA, "create")


def upgrade(connection: sa.Connection, name: str) -> str:
    """Create the ledger unless it is there. Returns what was changed, in words; empty if nothing.

    Raises:
        LedgerVersionMismatch: It is of another version; it is left as it is.
    """
    if check(connection, name):
        return ""
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CREATING)))
    if check(connection, name):  # another process has created it meanwhile
        return ""
    if not _has_schema(connection):
        connection.exec_driver_sql(f"CREATE SCHEMA {SCHEMA}")
    HOLD_NUMBERS.create(connection)
    VERSION.create(connection)
    for table in SERVER_TABLES:
        table.create(connection)
        for column in table.primary_key:  # byte by byte, so that no change of the server's locales damages an index
            connection.exec_driver_sql(f'ALTER TABLE {SCHEMA}.{table.name} ALTER {column.name} TYPE text COLLATE "C"')
    for busy in ("entry", HOLDS.name):
        connection.exec_driver_sql(f"ALTER TABLE {SCHEMA}.{busy} {_STORAGE}")
    connection.execute(sa.insert(VERSION).values(version=SCHEMA_VERSION))
    return f"made {name}"


def check(connection: sa.Connection, name: str) -> bool:
    """Return whether there is a ledger that this program can read; False if there is none yet.

    Raises:
        LedgerVersionMismatch: It is of another version.
    """
    query = sa.text("SELECT 1 FROM pg_tables WHERE schemaname = :schema AND tablename = :table")
    # A query, as functions such as to_regclass may answer from what the session knew when the transaction began.
    if connection.execute(query, {"schema": SCHEMA, "table": VERSION.name}).first() is None:
        return False
    stored = connection.execute(sa.select(VERSION.c.version)).scalar_one()
    if stored != SCHEMA_VERSION:
        raise LedgerVersionMismatch(
            f"{name} has schema version {stored}, this program uses version {SCHEMA_VERSION}",
            hint="Upgrade pattern-aggregates, or name another database in ledger.url.",
        )
    return True


def read_document(connection: sa.Connection, home: str, name: str) -> str | None:
    """Return a text that is kept for a home; None if there is none."""
    query = sa.select(DOCUMENTS.c.text).where(DOCUMENTS.c.home == home, DOCUMENTS.c.name == name)
    text: str | None = connection.execute(query).scalar()
    return text


def creation_refused(error: SettingsError) -> SettingsError:
    """Return the error of an account that may not create the ledger, with what an administrator can do."""
    return SettingsError(
        str(error),
        hint=f"Give the account CREATE on the database, or create the schema for it once: "
        f"CREATE SCHEMA {SCHEMA} AUTHORIZATION account.",
    )


def _has_schema(connection: sa.Connection) -> bool:
    query = sa.text("SELECT 1 FROM pg_namespace WHERE nspname = :name")
    return connection.execute(query, {"name": SCHEMA}).first() is not None
