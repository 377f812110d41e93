"""The homes of a SQL store: what is known of each, and their names in tables that were made before homes had names.

An earlier version kept one home in a store: its tables have no column ``home``, and ``aggregate_home`` has one row with
the number 1. ``add_home`` changes such a table in place: its rows are those of the home without a name. A key cannot be
changed in SQLite, so there the table is copied.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from storage.columns import HOME
from storage.daily_aggregate import TAG_LENGTH
from storage.errors import StoreCorrupt
from storage.identity import HomeIdentity

BY_CODE_POINT: Final = sa.String(TAG_LENGTH).with_variant(sa.String(TAG_LENGTH, collation="C"), "postgresql")
"""The type of a text that identifies a row."""

NO_NAME: Final = sa.cast(sa.literal_column("''"), sa.String)
"""The name of the home in a table that has no column for it."""

_IDENTITY: Final = "identity"
HOMES: Final = sa.Table(
    "aggregate_home",
    sa.MetaData(),
    sa.Column(HOME, BY_CODE_POINT, primary_key=True),
    sa.Column(_IDENTITY, sa.Text, nullable=False),
)
"""What is known of each home, by its name, as JSON; a home has no row until that is known."""

_SUFFIX: Final = "_without_home"  # of the table that is copied


def home_column() -> sa.Column[str]:
    """Return the column with the name of the home, as every table of rows has it."""
    return sa.Column(HOME, BY_CODE_POINT, nullable=False, server_default=sa.text("''"))


def read_home(connection: sa.Connection, home: str) -> HomeIdentity | None:
    """Return what is known of a home; None if nothing is.

    Raises:
        StoreCorrupt: What is stored cannot be read.
    """
    if not sa.inspect(connection).has_table(HOMES.name):
        return None
    if is_of_one_home(connection, HOMES.name):
        text = (
            None if home else connection.execute(sa.select(sa.column(HOME)).select_from(sa.table(HOMES.name))).scalar()
        )
    else:
        text = connection.execute(sa.select(HOMES.c[_IDENTITY]).where(HOMES.c[HOME] == home)).scalar()
    try:
        return None if text is None else HomeIdentity.from_json(text)
    except ValueError as error:
        raise StoreCorrupt(
            f"the table {HOMES.name} of the store cannot be read: {error}",
            hint="Run `pattern-aggregates init --adopt store` to store the ledger's home there.",
        ) from error


def write_home(connection: sa.Connection, home: str, identity: HomeIdentity) -> None:
    """Store what is known of a home in place of what was. The caller keeps other writers out."""
    create_homes(connection)
    connection.execute(sa.delete(HOMES).where(HOMES.c[HOME] == home))
    connection.execute(sa.insert(HOMES).values({HOME: home, _IDENTITY: identity.to_json()}))


def create_homes(connection: sa.Connection) -> None:
    """Create the table of homes, or bring that of an earlier version up to date."""
    if not sa.inspect(connection).has_table(HOMES.name):
        HOMES.create(connection)
    elif is_of_one_home(connection, HOMES.name):
        stored: sa.Select[str] = sa.select(sa.column(HOME, sa.Text())).select_from(sa.table(HOMES.name))
        found = connection.execute(stored).scalars().all()
        connection.execute(sa.schema.DropTable(HOMES))
        HOMES.create(connection)
        for identity in found[:1]:
            connection.execute(sa.insert(HOMES).values({HOME: "", _IDENTITY: identity}))


def known_homes(connection: sa.Connection) -> set[str]:
    """Return the names of the homes of which something is known."""
    if not sa.inspect(connection).has_table(HOMES.name):
        return set()
    if is_of_one_home(connection, HOMES.name):
        return {""} if read_home(connection, "") else set()
    return set(connection.execute(sa.select(HOMES.c[HOME])).scalars())


def homes_with_rows(connection: sa.Connection, table: str) -> set[str]:
    """Return the names of the homes that have rows in a table; the number of their rows does not matter."""
    if not sa.inspect(connection).has_table(table):
        return set()
    if is_of_one_home(connection, table):
        return (
            {""}
            if connection.execute(sa.select(sa.literal(1)).select_from(sa.table(table)).limit(1)).first()
            else set()
        )
    column = sa.table(table, sa.column(HOME, sa.String())).c[HOME]
    found = sa.select(sa.func.min(column).label(HOME)).cte("found", recursive=True)
    after = sa.select(sa.func.min(column)).where(column > found.c[HOME]).scalar_subquery()
    found = found.union_all(sa.select(after).where(found.c[HOME].is_not(None)))
    return set(connection.execute(sa.select(found.c[HOME]).where(found.c[HOME].is_not(None))).scalars())


def is_of_one_home(connection: sa.Connection, table: str) -> bool:
    """Return whether a table was made before homes had names."""
    names = {column["name"] for column in sa.inspect(connection).get_columns(table)}
    return _IDENTITY not in names if table == HOMES.name else HOME not in names


def add_home(connection: sa.Connection, table: str) -> str:
    """Add the column ``home`` to a table of rows, and to its keys. Returns a sentence for the change.

    The caller keeps other writers out, and the transaction makes it one change for readers.
    """
    inspector = sa.inspect(connection)
    key, indexes = inspector.get_pk_constraint(table), inspector.get_indexes(table)
    quoted = connection.dialect.identifier_preparer.quote
    for index in indexes:
        connection.exec_driver_sql(f"DROP INDEX {quoted(str(index['name']))}")
    if connection.dialect.name == "sqlite":
        _copy_with_home(connection, table, key["constrained_columns"])
    else:
        declared = sa.schema.CreateColumn(home_column()).compile(dialect=connection.dialect)
        identity = ", ".join(map(quoted, (HOME, *key["constrained_columns"])))
        connection.exec_driver_sql(
            f"ALTER TABLE {quoted(table)} ADD COLUMN {declared}, "
            f"DROP CONSTRAINT {quoted(str(key['name']))}, ADD PRIMARY KEY ({identity})"
        )
    for index in indexes:
        names = ", ".join(quoted(str(name)) for name in (HOME, *index["column_names"]))
        connection.exec_driver_sql(f"CREATE INDEX {quoted(str(index['name']))} ON {quoted(table)} ({names})")
    return f"added column {table}.{HOME}"


def _copy_with_home(connection: sa.Connection, table: str, key: list[str]) -> None:
    quoted = connection.dialect.identifier_preparer.quote
    stored = sa.Table(table, sa.MetaData(), autoload_with=connection, resolve_fks=False)
    columns = [sa.Column(column.name, column.type, nullable=column.nullable) for column in stored.columns]
    before = quoted(f"{table}{_SUFFIX}")
    connection.exec_driver_sql(f"ALTER TABLE {quoted(table)} RENAME TO {before}")
    sa.Table(
        table,
        sa.MetaData(),
        columns[0],
        home_column(),
        *columns[1:],
        sa.PrimaryKeyConstraint(HOME, *key),
        sqlite_with_rowid=False,
    ).create(connection)
    names = ", ".join(quoted(column.name) for column in columns)
    connection.exec_driver_sql(f"INSERT INTO {quoted(table)} ({names}) SELECT {names} FROM {before}")  # noqa: S608 - quoted names of the table itself
    connection.exec_driver_sql(f"DROP TABLE {before}")
