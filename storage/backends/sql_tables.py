"""The tables of a SQL store: derived from the models, and changed in place where a model has changed since.

One table per model, named for its measurement; the primary key is home, date and tags, and every index begins with the
home, so that one home's rows lie together. A table that an earlier version made may lack columns, or have them under a
former name and with former values (``FormerlyNamed``). A writer changes it with ``update_table``. A reader changes
nothing and reads it through ``present_columns``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import sqlalchemy as sa

from storage.backends import sql_partitions
from storage.backends.sql_homes import BY_CODE_POINT, HOMES, NO_NAME, add_home, create_homes, home_column
from storage.columns import HOME, Column, Kind, columns
from storage.errors import SettingsError
from storage.models import DailyAggregate, FormerlyNamed

_TYPES: Final[Mapping[Kind, Any]] = {
    Kind.DATE: sa.String(10).with_variant(sa.String(10, collation="C"), "postgresql"),
    Kind.TAG: BY_CODE_POINT,
    Kind.INTEGER: sa.BigInteger(),
    Kind.FLOAT: sa.Double(),
    Kind.TEXT: sa.Text(),
    Kind.JSON: sa.Text(),
}

_SQLITE_TABLES_WITHOUT_HOME: Final = """
    SELECT name FROM sqlite_master WHERE type = 'table' AND name IN (SELECT measurement FROM aggregate_measurement)
    AND NOT EXISTS (SELECT 1 FROM pragma_table_info(sqlite_master.name) AS info WHERE info.name = 'home')
"""

OWN_TABLES: Final = sa.Table(
    "aggregate_measurement", sa.MetaData(), sa.Column("measurement", sa.String(100), primary_key=True)
)
"""Lists the tables of this store; no other table is ever changed."""


@cache
def table_of(model: type[DailyAggregate]) -> sa.Table:
    """Return the table of a model as a new store has it."""
    return sa.Table(
        model.measurement,
        sa.MetaData(),
        *(home_column() if column.name == HOME else _column(column) for column in columns(model)),
        sa.PrimaryKeyConstraint(HOME, "date", *model.tags()),
        *(sa.Index(f"ix_{model.measurement}_{tag}", HOME, tag, "date") for tag in model.tags()),
        sqlite_with_rowid=False,
    )


def _column(column: Column) -> sa.Column[Any]:
    return sa.Column(column.name, _TYPES[column.kind], nullable=column.optional)


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
    table = table_of(model)
    if connection.dialect.name == "postgresql":  # not above: it would load that dialect for SQLite too
        table.kwargs["postgresql_partition_by"] = sql_partitions.PARTITIONED_BY
    table.create(connection)
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
        if column.name not in stored and column.name != HOME:
            declared = sa.schema.CreateColumn(column).compile(dialect=connection.dialect)
            _alter(connection, table, f"ADD COLUMN {declared}")
            changes.append(f"added column {table.name}.{column.name}")
    if HOME not in stored:
        changes.append(add_home(connection, table.name))
    return changes


def update_other_tables(connection: sa.Connection) -> list[str]:
    """Add the homes to tables of models that are not known here, and to the list of homes; divide tables by month.

    The caller keeps other writers out. Returns a sentence for each change.
    """
    inspector = sa.inspect(connection)
    if not inspector.has_table(OWN_TABLES.name):
        return []
    if inspector.has_table(HOMES.name):
        create_homes(connection)
    changes = [add_home(connection, name) for name in sorted(_tables_without_home(connection))]
    if connection.dialect.name == "postgresql":
        in_one_piece = [name for name in _listed(connection) if sql_partitions.is_in_one_piece(connection, name)]
        changes += [sql_partitions.divide(connection, name) for name in sorted(in_one_piece)]
    return changes


def _tables_without_home(connection: sa.Connection) -> list[str]:
    """Return the tables of this store that were made before homes had names; quickly, as every writer asks."""
    if connection.dialect.name == "sqlite":
        return list(connection.exec_driver_sql(_SQLITE_TABLES_WITHOUT_HOME).scalars())
    present = sa.inspect(connection).get_multi_columns(filter_names=_listed(connection))
    return [name for (_, name), found in present.items() if HOME not in {column["name"] for column in found}]


def _listed(connection: sa.Connection) -> list[str]:
    return list(connection.execute(sa.select(OWN_TABLES.c.measurement)).scalars())


def tables_with_homes(connection: sa.Connection) -> list[sa.TableClause]:
    """Return every table of this store that has rows of homes, also of models that are not known here.

    The tables are up to date.
    """
    present = set(sa.inspect(connection).get_table_names())
    own = connection.execute(sa.select(OWN_TABLES.c.measurement)).scalars() if OWN_TABLES.name in present else ()
    return [sa.table(name, sa.column(HOME, sa.String())) for name in sorted({HOMES.name, *own} & present)]


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
        elif name not in stored and name == HOME:
            found[name] = NO_NAME
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
