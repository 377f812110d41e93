"""Recorder databases on MariaDB and PostgreSQL: an SQLite one copied into tables as Home Assistant makes them."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

_TYPES: Final = {  # what Home Assistant's models become in each database
    "mysql": {"big": "BIGINT", "float": "DOUBLE", "time": "DATETIME(6)", "blob": "TINYBLOB", "long": "LONGTEXT"},
    "postgresql": {
        "big": "BIGINT",
        "float": "DOUBLE PRECISION",
        "time": "TIMESTAMP WITH TIME ZONE",
        "blob": "BYTEA",
        "long": "TEXT",
    },
}
_TABLES: Final = {
    "schema_changes": "change_id BIGINT PRIMARY KEY, schema_version INTEGER, changed {time}",
    "recorder_runs": "run_id BIGINT PRIMARY KEY, start {time}, {end} {time}, closed_incorrect BOOLEAN, created {time}",
    "event_types": "event_type_id BIGINT PRIMARY KEY, event_type VARCHAR(64)",
    "events": "event_id BIGINT PRIMARY KEY, time_fired_ts {float}, context_id_bin {blob}, event_type_id BIGINT",
    "states_meta": "metadata_id BIGINT PRIMARY KEY, entity_id VARCHAR(255)",
    "state_attributes": "attributes_id BIGINT PRIMARY KEY, hash BIGINT, shared_attrs {long}",
    "states": """state_id BIGINT PRIMARY KEY, state VARCHAR(255), last_changed_ts {float}, last_reported_ts {float},
        last_updated_ts {float}, old_state_id BIGINT, attributes_id BIGINT, context_id_bin {blob},
        context_user_id_bin {blob}, context_parent_id_bin {blob}, metadata_id BIGINT""",
}
_INDEXES: Final = (
    "CREATE INDEX ix_states_metadata_id_last_updated_ts ON states (metadata_id, last_updated_ts)",
    "CREATE INDEX ix_states_last_updated_ts ON states (last_updated_ts)",
    "CREATE INDEX ix_states_context_id_bin ON states (context_id_bin{prefix})",
    "CREATE INDEX ix_events_event_type_id_time_fired_ts ON events (event_type_id, time_fired_ts)",
)
_BATCH: Final = 5_000


def copy_recorder(path: Path, url: sa.URL) -> sa.URL:
    """Copy a recorder database from an SQLite file into an empty database of a server; returns its URL."""
    engine = sa.create_engine(url)
    is_mysql = engine.dialect.name == "mysql"
    types = {**_TYPES[engine.dialect.name], "end": "`end`" if is_mysql else '"end"'}
    with engine.begin() as connection:
        for name, columns in _TABLES.items():
            connection.exec_driver_sql(f"CREATE TABLE {name} ({columns.format(**types)})")
    metadata = sa.MetaData()
    metadata.reflect(engine)
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as source:
        for name in _TABLES:
            _copy_table(source, engine, metadata.tables[name])
    with engine.begin() as connection:
        for statement in _INDEXES:
            connection.exec_driver_sql(statement.format(prefix="(16)" if is_mysql else ""))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE TABLE states, states_meta" if is_mysql else "ANALYZE")
    engine.dispose()
    return url


def _copy_table(source: sqlite3.Connection, engine: sa.Engine, table: sa.Table) -> None:
    known = {row[1] for row in source.execute(f'PRAGMA table_info("{table.name}")')}
    names = [column.name for column in table.columns if column.name in known]
    if not names:
        return
    columns = ", ".join(f'"{name}"' for name in names)
    cursor = source.execute(f"SELECT {columns} FROM {table.name}")  # noqa: S608 - names of the tables above
    convert = [_converter(table.columns[name]) for name in names]
    while rows := cursor.fetchmany(_BATCH):
        with engine.begin() as connection:
            connection.execute(table.insert(), _records(names, convert, rows))


def _records(
    names: list[str], convert: list[Callable[[Any], Any]], rows: Iterable[tuple[Any, ...]]
) -> list[dict[str, Any]]:
    return [{name: change(value) for name, change, value in zip(names, convert, row, strict=True)} for row in rows]


def _converter(column: sa.Column[Any]) -> Callable[[Any], Any]:
    if isinstance(column.type, sa.DateTime):
        zone = dt.UTC if column.type.timezone else None
        return lambda text: text and dt.datetime.fromisoformat(text).replace(tzinfo=zone)
    return bool if column.name == "closed_incorrect" else lambda value: value
