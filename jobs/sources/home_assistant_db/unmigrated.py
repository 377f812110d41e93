"""Rows that Home Assistant never migrated: their time, or their entity, is in a text column of older schemas.

Since schema 41 Home Assistant migrates in the background and may be stopped at it; databases kept for years hold such
rows up to today's schema. A comparison with NULL is never true, so no other query sees them.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import sqlalchemy as sa

from jobs.activity.events import AUTOMATION, DEVICE, USER
from jobs.activity.window import DAY, SECOND, DayWindow, Instants
from jobs.sources.home_assistant_db.earlier_rows import StateRow
from jobs.sources.home_assistant_db.schema import STATES, UPDATED, Schema, instant_of

LOOKBACK: Final = 10 * DAY  # how far back a state before the day is looked for

_NO_TIME = UPDATED.is_(None)
_COUNT = sa.select(sa.func.count()).where(_NO_TIME)


class Unmigrated(NamedTuple):
    """Rows in the form of older schemas.

    Attributes:
        rows: The rows by the entity they name; rows with a metadata id are under "".
        in_day: How many of them lie within the day.
        nameless_in_day: How many of these the query of the day counts as rows of no entity.
        timeless: How many rows of the whole database have no time that can be read.
    """

    rows: dict[str, list[StateRow]]
    in_day: int
    nameless_in_day: int
    timeless: int


def read_unmigrated(connection: sa.Connection, schema: Schema, window: DayWindow) -> Unmigrated:
    """Return the unmigrated rows of a day and of the days before it: two looks into an index where there are none."""
    rows: dict[str, list[StateRow]] = {}
    in_day = nameless = timeless = 0
    start, end = (window.start - LOOKBACK) / SECOND, window.end / SECOND
    dated: list[tuple[Any, float]] = []
    if connection.execute(_COUNT).scalar_one():
        for row in connection.execute(_query(schema).where(_NO_TIME)):
            seconds = _seconds(getattr(row, "last_updated", None))
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
        in_day += row.last_updated_ts is None and seconds * SECOND >= window.start
        rows.setdefault(name, []).append(StateRow(row.state_id, row.metadata_id, row.state, seconds, _cause(row)))
    return Unmigrated(rows, in_day, nameless, timeless)


def read_unmigrated_times(connection: sa.Connection, schema: Schema) -> Instants:
    """Return the ascending instants of all rows whose time only a former column holds."""
    if "last_updated" not in schema.former or not connection.execute(_COUNT).scalar_one():
        return np.empty(0, np.int64)
    found = connection.execute(sa.select(STATES.c.last_updated).where(_NO_TIME)).scalars()
    return np.sort(np.array([at for moment in found if (at := instant_of(moment)) is not None], np.int64))


def _query(schema: Schema) -> sa.Select[Any]:
    columns = ["state_id", "metadata_id", "state", "last_updated_ts", "context_user_id_bin", "context_parent_id_bin"]
    return sa.select(*(STATES.c[name] for name in (*columns, *sorted(schema.former))))


def _cause(row: Any) -> int:  # noqa: ANN401 - a database row
    if row.context_parent_id_bin or getattr(row, "context_parent_id", None):
        return AUTOMATION
    return USER if row.context_user_id_bin or getattr(row, "context_user_id", None) else DEVICE


def _seconds(moment: object) -> float | None:
    """Return the time of a ``DATETIME`` column in seconds since 1970; None if it is not a time."""
    instant = instant_of(moment)
    return None if instant is None else instant / SECOND
