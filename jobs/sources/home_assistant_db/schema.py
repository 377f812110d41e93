"""Tables of the recorder, and which versions of them can be read.

=========  ===============  ==================================================================================
schema     Home Assistant   what is different
=========  ===============  ==================================================================================
below 41   before 2023.4    times and entity ids as text: refused
41, 42     2023.4           migrated in the background: some rows may still have their time or entity as text
43 to 53   2024.4           the same columns; old rows that were never migrated may remain
=========  ===============  ==================================================================================

A newer version is read as long as it has the columns that are needed.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from jobs.activity.states import GAPS
from jobs.activity.window import SECOND, DayWindow, to_instant
from storage.errors import SourceMismatch

MIN_SCHEMA: Final = 41  # 2023.4: the first with states_meta and binary contexts
MAX_KNOWN_SCHEMA: Final = 53  # 2026.11

_NEEDED: Final = {
    "states": {
        "state_id",
        "metadata_id",
        "attributes_id",
        "old_state_id",
        "state",
        "last_updated_ts",
        "last_changed_ts",
        "context_id_bin",
        "context_user_id_bin",
        "context_parent_id_bin",
    },
    "states_meta": {"metadata_id", "entity_id"},
    "state_attributes": {"attributes_id", "shared_attrs"},
    "recorder_runs": {"start", "end", "closed_incorrect"},
}
_FORMER: Final = {"entity_id", "last_updated", "last_changed", "context_id", "context_user_id", "context_parent_id"}
_EVENTS: Final = {"event_type_id", "time_fired_ts", "context_id_bin"}
_FORMER_EVENTS: Final = {"context_id"}

STATES: Final = sa.table("states", *map(sa.column, sorted(_NEEDED["states"] | _FORMER)))
META: Final = sa.table("states_meta", sa.column("metadata_id"), sa.column("entity_id"))
ATTRIBUTES: Final = sa.table("state_attributes", sa.column("attributes_id"), sa.column("shared_attrs"))
RUNS: Final = sa.table("recorder_runs", sa.column("start"), sa.column("end"), sa.column("closed_incorrect"))
EVENTS: Final = sa.table("events", *map(sa.column, sorted(_EVENTS | _FORMER_EVENTS)))
EVENT_TYPES: Final = sa.table("event_types", sa.column("event_type_id"), sa.column("event_type"))
UPDATED: Final = STATES.c.last_updated_ts
# SQLite keeps texts of any length in these columns; one of 100 MB must not get into memory.
MAX_STATE_LENGTH: Final = 255
MAX_ATTRIBUTES_LENGTH: Final = 2**20  # Home Assistant leaves out more than 16 KB
TOO_LONG: Final = "\x1c"
STATE: Final = sa.case((sa.func.char_length(STATES.c.state) > MAX_STATE_LENGTH, TOO_LONG), else_=STATES.c.state).label(
    "state"
)
IS_KNOWN: Final = sa.and_(STATES.c.state.is_not(None), STATES.c.state.not_in(sorted(GAPS)))
SHARED_ATTRIBUTES: Final = sa.case(
    (sa.func.char_length(ATTRIBUTES.c.shared_attrs) <= MAX_ATTRIBUTES_LENGTH, ATTRIBUTES.c.shared_attrs)
).label("shared_attrs")

MYSQL: Final = ("mysql", "mariadb")  # how SQLAlchemy calls these two
POSTGRESQL: Final = "postgresql"
SQLITE: Final = "sqlite"
_CHANGES = sa.table("schema_changes", sa.column("change_id"), sa.column("schema_version"))


@dataclass(frozen=True, slots=True)
class Schema:
    """What a recorder database has in addition to the columns of every version.

    Attributes:
        version: Its newest ``schema_version``; None where none is recorded.
        former: The columns of ``states`` that older versions used and this database still has.
        has_events: Whether events can be read beside states.
        has_event_texts: Whether events may have their context as a text.
    """

    version: int | None
    former: frozenset[str]
    has_events: bool
    has_event_texts: bool


def read_schema(connection: sa.Connection, name: str) -> Schema:
    """Return the schema of a recorder database.

    Args:
        connection: To the database.
        name: Its name in messages.

    Raises:
        SourceMismatch: It is not a recorder database, or one of a version that cannot be read.
    """
    inspector = sa.inspect(connection)
    tables = set(inspector.get_table_names())
    columns = {
        table: {column["name"] for column in inspector.get_columns(table)} if table in tables else set()
        for table in (*_NEEDED, "schema_changes", "events", "event_types")
    }
    version = _version(connection) if {"schema_version", "change_id"} <= columns["schema_changes"] else None
    if version is not None and version < MIN_SCHEMA:
        raise SourceMismatch(
            f"source.url: {name} has the recorder's schema {version}, which is too old: "
            f"{MIN_SCHEMA} and later can be read",
            hint="Let Home Assistant 2023.4 or later open it once: that migrates the database.",
        )
    for table, needed in _NEEDED.items():
        if missing := needed - columns[table]:
            if "schema_changes" not in tables:
                hint = "This is not a recorder database of Home Assistant; correct source.url."
            elif version is not None and version > MAX_KNOWN_SCHEMA:
                hint = f"Its schema {version} is newer than {MAX_KNOWN_SCHEMA}: update this program."
            else:
                hint = f"Its schema is {version or 'not recorded'}: let a current Home Assistant open it once."
            raise SourceMismatch(f"source.url: {name} has no {table}.{min(missing)}", hint=hint)
    return Schema(
        version,
        frozenset(_FORMER & columns["states"]),
        columns["events"] >= _EVENTS and columns["event_types"] >= {"event_type_id", "event_type"},
        columns["events"] >= _FORMER_EVENTS,
    )


def _version(connection: sa.Connection) -> int | None:
    newest = sa.select(_CHANGES.c.schema_version).order_by(_CHANGES.c.change_id.desc()).limit(1)
    version = connection.execute(newest).scalar()
    return version if isinstance(version, int) else None  # SQLite keeps whatever was written


def instant_of(moment: object) -> int | None:
    """Return the instant in a ``DATETIME`` column: UTC, as text in SQLite; None if it is not a time."""
    if isinstance(moment, str):
        try:
            moment = dt.datetime.fromisoformat(moment)
        except ValueError:
            return None
    if not isinstance(moment, dt.datetime):
        return None
    return to_instant(moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment)


def within(window: DayWindow) -> sa.ColumnElement[bool]:
    """Return the condition that a row lies in a day."""
    return sa.and_(window.start / SECOND <= UPDATED, window.end / SECOND > UPDATED)
