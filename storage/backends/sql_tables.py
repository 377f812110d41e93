"""The tables of a SQL store: derived from the models, and changed in place where a model has changed since.

One table per model, named for its measurement; the primary key is date and tags. A table that an earlier version made
may lack columns, or have them under a former name and with former values (``FormerlyNamed``). A writer changes it with
``update_table``. A reader changes nothing and reads it through ``present_columns``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import sqlalchemy as sa

from storage.columns import Column, Kind, columns
from storage.errors import SettingsError, StoreCorrupt
from storage.identity import HomeIdentity
from storage.models import TAG_LENGTH, DailyAggregate, FormerlyNamed

_BY_CODE_POINT = sa.String(TAG_LENGTH).with_variant(sa.String(TAG_LENGTH, collation="C"), "postgresql")
_TYPES: Final[Mapping[Kind, Any]] = {
    Kind.DATE: sa.String(10),
    Kind.TAG: _BY_CODE_POINT,
    Kind.INTEGER: sa.BigInteger(),
    Kind.FLOAT: sa.Double(),
    Kind.TEXT: sa.Text(),
    Kind.JSON: sa.Text(),
}

OWN_TABLES: Final = sa.Table(
    "aggregate_measurement", sa.MetaData(), sa.Column("measurement", sa.String(100), primary_key=True)
)
"""Lists the tables of this store; no other table is ever changed."""

HOME: Final = sa.Table(
    "aggregate_home",
    sa.MetaData(),
    sa.Column("row", sa.Integer, primary_key=True, autoincrement=False),  # always 1: a store has one home
    sa.Column("home", sa.Text, nullable=False),
)
"""Which home the rows belong to, as JSON; empty until that is known."""


@cache
def table_of(model: type[DailyAggregate]) -> sa.Table:
    """Return the table of a model as a new store has it."""
    identity = ("date", *model.tags())
    return sa.Table(
        model.measurement,
        sa.MetaData(),
        *(_column(column, primary_key=column.name in identity) for column in columns(model)),
        *(sa.Index(f"ix_{model.measurement}_{tag}", tag, "date") for tag in model.tags()),
        sqlite_with_rowid=False,
    )


def _column(column: Column, *, primary_key: bool) -> sa.Column[Any]:
    return sa.Column(column.name, _TYPES[column.kind], primary_key=primary_key, nullable=column.optional)


def create_table(connection: sa.Connection, model: type[DailyAggregate]) -> list[str]:
    """Create the table of a model, or bring it up to date. Returns a sentence for each change.

    Raises:
        SettingsError: Another program has a table of that name, which is left as it is.
    """
    OWN_TABLES.create(connection, checkfirst=True)
    if sa.inspect(connection).has_table(model.measurement):
        if not is_own_table(connection, model):
            raise SettingsError(
                f"store.url: the database has a table {model.measurement} of another program",
                hint="Name a database, or a search_path, of its own for the aggregates.",
            )
        return update_table(connection, model)
    table_of(model).create(connection)
    if not is_own_table(connection, model):  # else somebody has dropped it
        connection.execute(sa.insert(OWN_TABLES).values(measurement=model.measurement))
    return [f"made table {model.measurement}"]


def try_statements(connection: sa.Connection, table: sa.Table) -> None:
    """Read, insert, update and delete no row at all: enough for the server to check the rights to do so."""
    nothing = sa.select(table).where(sa.false())
    values = {column: column for column in table.columns if not column.primary_key}
    connection.execute(nothing)
    connection.execute(sa.insert(table).from_select(list(table.columns), nothing))
    connection.execute(sa.update(table).values(values).where(sa.false()))
    connection.execute(sa.delete(table).where(sa.false()))


def read_home(connection: sa.Connection) -> HomeIdentity | None:
    """Return the home of the store; None if none is stored.

    Raises:
        StoreCorrupt: What is stored cannot be read.
    """
    if not sa.inspect(connection).has_table(HOME.name):
        return None
    text = connection.execute(sa.select(HOME.c.home)).scalar()
    try:
        return None if text is None else HomeIdentity.from_json(text)
    except ValueError as error:
        raise StoreCorrupt(
            f"the table {HOME.name} of the store cannot be read: {error}",
            hint="Run `pattern-aggregates init --adopt store` to store the ledger's home there.",
        ) from error


def write_home(connection: sa.Connection, home: HomeIdentity) -> None:
    """Store a home in place of any other. The caller keeps other writers out."""
    OWN_TABLES.create(connection, checkfirst=True)
    HOME.create(connection, checkfirst=True)
    connection.execute(sa.delete(HOME))
    connection.execute(sa.insert(HOME).values(row=1, home=home.to_json()))


def is_own_table(connection: sa.Connection, model: type[DailyAggregate]) -> bool:
    """Return whether a table of that name would be this store's own; another program may have one."""
    if not sa.inspect(connection).has_table(OWN_TABLES.name):
        return False
    listed = sa.select(OWN_TABLES.c.measurement).where(OWN_TABLES.c.measurement == model.measurement)
    return connection.execute(listed).first() is not None


def update_table(connection: sa.Connection, model: type[DailyAggregate]) -> list[str]:
    """Rename and add the columns that a table of an earlier version lacks. Returns a sentence for each change.

    Safe to repeat. The caller keeps other writers out; the table is locked because readers of it come without a lock.
    """
    if _is_present(connection, model):
        return []
    if connection.dialect.name == "postgresql":  # an SQLite writer has locked the whole file already
        connection.exec_driver_sql(f"LOCK TABLE {_quoted(connection, model.measurement)} IN ACCESS EXCLUSIVE MODE")
    table, changes = table_of(model), []
    stored = _stored_columns(connection, model)
    for name, former in model.former_names().items():
        if former.name in stored:
            changes.append(_rename(connection, table, name, former, both=name in stored))
            stored.add(name)
    for column in table.columns:
        if column.name not in stored:
            declared = sa.schema.CreateColumn(column).compile(dialect=connection.dialect)
            _alter(connection, table, f"ADD COLUMN {declared}")
            changes.append(f"added column {table.name}.{column.name}")
    return changes


def _rename(connection: sa.Connection, table: sa.Table, name: str, former: FormerlyNamed, *, both: bool) -> str:
    old = sa.column(former.name, sa.Text())
    if both:
        values = {name: _with_present_values(old, former)}
        connection.execute(sa.update(table).where(table.c[name].is_(None), old.is_not(None)).values(values))
        _alter(connection, table, f"DROP COLUMN {_quoted(connection, former.name)}")
    else:
        _alter(connection, table, f"RENAME COLUMN {_quoted(connection, former.name)} TO {_quoted(connection, name)}")
        values = {name: _with_present_values(table.c[name], former)}
        connection.execute(sa.update(table).where(table.c[name].in_(former.values)).values(values))
    return f"renamed column {table.name}.{former.name} to {name}"


def present_columns(
    connection: sa.Connection, model: type[DailyAggregate]
) -> tuple[Mapping[str, sa.ColumnElement[Any]], bool] | None:
    """Return how to read each column of a model from its present table; None if the table does not exist.

    Returns:
        An expression for each column, in the order of the model's fields; and whether the table is up to date, so that
        this holds from now on.
    """
    if not sa.inspect(connection).has_table(model.measurement):
        return None
    table = table_of(model)
    found: dict[str, sa.ColumnElement[Any]] = dict(table.columns)
    stored, formers = _stored_columns(connection, model), model.former_names()
    for name, column in table.columns.items():
        former = formers.get(name)
        if former is not None and former.name in stored:
            old = _with_present_values(sa.column(former.name, sa.Text()), former)
            found[name] = (sa.func.coalesce(column, old) if name in stored else old).label(name)
        elif name not in stored and column.nullable:
            found[name] = sa.null().label(name)
    return found, _is_present(connection, model)


def _with_present_values(old: sa.ColumnElement[Any], former: FormerlyNamed) -> sa.ColumnElement[Any]:
    return sa.case(*((old == before, now) for before, now in former.values.items()), else_=old)


def _is_present(connection: sa.Connection, model: type[DailyAggregate]) -> bool:
    stored = _stored_columns(connection, model)
    formers = {former.name for former in model.former_names().values()}
    return stored.issuperset(table_of(model).columns.keys()) and stored.isdisjoint(formers)


def _stored_columns(connection: sa.Connection, model: type[DailyAggregate]) -> set[str]:
    return {column["name"] for column in sa.inspect(connection).get_columns(model.measurement)}


def _alter(connection: sa.Connection, table: sa.Table, change: str) -> None:
    connection.exec_driver_sql(f"ALTER TABLE {_quoted(connection, table.name)} {change}")


def _quoted(connection: sa.Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote(name)
