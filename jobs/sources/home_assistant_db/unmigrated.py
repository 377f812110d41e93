"""Rows that Home Assistant never migrated: their time, or their entity, is a text, as in older schemas.

Since schema 41 Home Assistant migrates in the background and may be stopped at it; databases kept for years hold such
rows up to today's schema. A comparison with NULL is never true, so no other query sees them.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import sqlalchemy as sa

from jobs.activity.events import AUTOMATION, DEVICE, USER
from jobs.activity.window import DAY, SECOND, DayWindow, Instants
from jobs.sources.home_assistant_db.causes import UNRESOLVED, context_bytes
from jobs.sources.home_assistant_db.earlier_rows import StateRow
from jobs.sources.home_assistant_db.schema import SQLITE, STATES, UPDATED, Schema, instant_of

LOOKBACK: Final = 10 * DAY  # how far back a state before the day is looked for

_NO_TIME = UPDATED.is_(None)
_NOT_A_NUMBER = sa.or_(_NO_TIME, sa.literal("") <= UPDATED)  # SQLite orders texts and bytes after all numbers


class Unmigrated(NamedTuple):
    """Rows in the form of older schemas.

    Attributes:
        rows: The rows by the entity they name; rows with a metadata id are under "".
        in_day: How many of them lie within the day.
        nameless_in_day: How many of these the query of the day counts as rows of no entity.
        timeless: How many rows of the whole database have no time that can be read.
        contexts: (entity or "", metadata id, context) of these rows.
    """

    rows: dict[str, list[StateRow]]
    in_day: int
    nameless_in_day: int
    timeless: int
    contexts: list[tuple[str, int | None, bytes]]


def read_unmigrated(connection: sa.Connection, schema: Schema, window: DayWindow) -> Unmigrated:
    """Return the unmigrated rows of a day and of the days before it: two looks into an index where there are none."""
    rows: dict[str, list[StateRow]] = {}
    contexts: list[tuple[str, int | None, bytes]] = []
    in_day = nameless = timeless = 0
    start, end = (window.start - LOOKBACK) / SECOND, window.end / SECOND
    dated: list[tuple[Any, float]] = []
    without_time = _without_time(connection)
    if connection.execute(_count(without_time)).scalar_one():
        for row in connection.execute(_query(schema).where(without_time)):
            seconds = _seconds(row.last_updated_ts or getattr(row, "last_updated", None))
            if seconds is None:
                timeless += 1
            elif start <= seconds < end:
                dated.append((row, seconds))
    if "entity_id" in schema.former:
        named = sa.and_(STATES.c.metadata_id.is_(None), start <= UPDATED, end > UPDATED)
        for row in connection.execute(_query(schema).where(named)):
            if row.entity_id:
                dated.append((row, row.last_updated_ts))
                nameless += row.last_updated_ts * SECOND >= window.start
    for row, seconds in dated:
        name = "" if row.metadata_id is not None else getattr(row, "entity_id", None)
        if name is None or not (name or row.metadata_id is not None):
            continue
        in_day += not isinstance(row.last_updated_ts, float | int) and seconds * SECOND >= window.start
        context = row.context_id_bin or getattr(row, "context_id", None)
        contexts += [(name, row.metadata_id, context_bytes(context))] if context else []
        rows.setdefault(name, []).append(StateRow(row.state_id, row.metadata_id, row.state, seconds, _cause(row)))
    return Unmigrated(rows, in_day, nameless, timeless, contexts)


def read_unmigrated_times(connection: sa.Connection, schema: Schema) -> Instants:
    """Return the ascending instants of all rows whose time only a former column holds."""
    without_time = _without_time(connection)
    if not connection.execute(_count(without_time)).scalar_one():
        return np.empty(0, np.int64)
    columns = (UPDATED, *([STATES.c.last_updated] if "last_updated" in schema.former else []))
    found = connection.execute(sa.select(*columns).where(without_time))
    instants = [instant_of(next(filter(None, row), None)) for row in found]
    return np.sort(np.array([at for at in instants if at is not None], np.int64))


def _without_time(connection: sa.Connection) -> sa.ColumnElement[bool]:
    return _NOT_A_NUMBER if connection.dialect.name == SQLITE else _NO_TIME


def _count(condition: sa.ColumnElement[bool]) -> sa.Select[int]:
    return sa.select(sa.func.count()).where(condition)


def _query(schema: Schema) -> sa.Select[Any]:
    columns = ["state_id", "metadata_id", "state", "last_updated_ts"]
    contexts = ["context_id_bin", "context_user_id_bin", "context_parent_id_bin"]
    return sa.select(*(STATES.c[name] for name in (*columns, *contexts, *sorted(schema.former))))


def _cause(row: Any) -> int:  # noqa: ANN401 - a database row
    if row.context_parent_id_bin or getattr(row, "context_parent_id", None):
        return AUTOMATION
    if row.context_id_bin or getattr(row, "context_id", None):
        return UNRESOLVED  # the query that finds what an automation did does not find this row
    return USER if row.context_user_id_bin or getattr(row, "context_user_id", None) else DEVICE


def _seconds(moment: object) -> float | None:
    """Return the time of a ``DATETIME`` column in seconds since 1970; None if it is not a time."""
    instant = instant_of(moment)
    return None if instant is None else instant / SECOND
