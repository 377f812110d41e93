"""Read rows of many entities with one statement: the newest or first of each, or those before a place.

A statement for each entity would cost a database server most of the time in which a day is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from jobs.activity.events import DEVICE
from jobs.activity.window import SECOND
from jobs.sources.home_assistant_db.row_times import MAX_SECONDS, MIN_INSTANT
from jobs.sources.home_assistant_db.schema import META, MYSQL, POSTGRESQL, SQLITE, STATE, STATES, UPDATED

MIN_SECONDS: Final = -MAX_SECONDS  # an earlier instant does not fit into 64 bits of microseconds

_COLUMNS: Final = (STATES.c.state_id, STATES.c.metadata_id, STATE, UPDATED, STATES.c.last_changed_ts)
_BRANCHES: Final = 16  # entities in one union: more make it no faster
_ARRAY_LENGTH: Final = 500  # entities in one statement that takes arrays
_MAX_ROWS: Final = 8_192  # of one statement, to bound the memory


class StateRow(NamedTuple):
    """One row of ``states``, as it is read.

    Attributes:
        state_id: Its number; rows are numbered in the order in which they were written.
        metadata_id: The number of its entity.
        state: The text; None for a removed entity.
        seconds: When the state began, seconds since 1970.
        cause: ``DEVICE``, ``USER`` or ``AUTOMATION``.
    """

    state_id: int
    metadata_id: int | None
    state: str | None
    seconds: float
    cause: int = DEVICE


class Place(NamedTuple):
    """A place among the rows of an entity: the rows before an instant, and at it those with lower numbers."""

    metadata_id: int
    seconds: float
    state_id: int


def changed_seconds(updated: float, changed: object) -> float:
    """Return when the state of a row began: updates of attributes only keep the instant of the change.

    Args:
        updated: ``last_updated_ts``.
        changed: ``last_changed_ts``; SQLite may hold a text in a column of numbers.
    """
    if isinstance(changed, float | int) and MIN_INSTANT / SECOND <= changed <= updated:
        return changed
    return updated


@cache
def newest_state_ids(dialect: str, before: str) -> sa.FromClause:
    """Return a subquery (metadata_id, state_id): the newest row of each entity before a bound instant in seconds.

    MariaDB and MySQL jump from entity to entity in the index when they group, but evaluate a correlated subquery badly;
    SQLite and PostgreSQL the other way round.

    Args:
        dialect: SQLAlchemy's name of it.
        before: The name of the parameter.
    """
    if dialect in MYSQL:
        last = (
            sa.select(STATES.c.metadata_id, sa.func.max(UPDATED).label("at"))
            .where(sa.bindparam(before) > UPDATED, UPDATED >= MIN_SECONDS)
            .group_by(STATES.c.metadata_id)
            .subquery()
        )
        return (
            sa.select(STATES.c.metadata_id, sa.func.max(STATES.c.state_id).label("state_id"))
            .select_from(last.join(STATES, sa.and_(STATES.c.metadata_id == last.c.metadata_id, last.c.at == UPDATED)))
            .group_by(STATES.c.metadata_id)
            .subquery()
        )
    inner = STATES.alias()
    newest = (
        sa.select(inner.c.state_id)
        .where(
            inner.c.metadata_id == META.c.metadata_id,
            sa.bindparam(before) > inner.c.last_updated_ts,
            inner.c.last_updated_ts >= MIN_SECONDS,
        )
        .order_by(inner.c.last_updated_ts.desc(), inner.c.state_id.desc())
        .limit(1)
        .correlate(META)
        .scalar_subquery()
    )
    return sa.select(META.c.metadata_id, newest.label("state_id")).subquery()


def read_newest(connection: sa.Connection, before: float) -> list[StateRow]:
    """Return the newest row of each entity before an instant, in seconds."""
    rows = connection.execute(_newest_query(connection.dialect.name), {"before": before})
    return [_state_row(row) for row in rows]


def read_earlier(
    connection: sa.Connection, places: Sequence[Place], limit: int
) -> Iterator[tuple[Place, list[StateRow]]]:
    """Yield the last rows before each place, at most ``limit``, the newest first.

    Args:
        connection: To the database.
        places: At most one for each metadata id.
        limit: How many rows of each entity, at most.
    """
    is_postgresql = connection.dialect.name == POSTGRESQL
    count = max(1, min(_ARRAY_LENGTH if is_postgresql else _BRANCHES, _MAX_ROWS // limit))
    for start in range(0, len(places), count):
        some = places[start : start + count]
        found: dict[int, list[Any]] = {place.metadata_id: [] for place in some}
        for row in _execute(connection, some, limit):
            found[row[1]].append(row)
        for place in some:
            rows = found[place.metadata_id]
            rows.sort(key=_by_time, reverse=True)
            yield place, [_state_row(row) for row in rows]


def _execute(connection: sa.Connection, places: Sequence[Place], limit: int) -> Sequence[Any]:
    values: dict[str, Any] = {"limit": limit}
    if connection.dialect.name == POSTGRESQL:
        values |= zip(Place._fields, map(list, zip(*places, strict=True)), strict=True)
        return connection.execute(_LATERAL, values).all()
    nowhere = [_NOWHERE] * (_BRANCHES - len(places))
    values |= zip(_NAMES, chain(*places, *nowhere), strict=True)
    return connection.execute(_SQLITE_UNION if connection.dialect.name == SQLITE else _UNION, values).all()


def _state_row(row: Any) -> StateRow:  # noqa: ANN401 - a database row
    state_id, metadata_id, state, updated, changed = row
    return StateRow(state_id, metadata_id, state, changed_seconds(updated, changed))


def _by_time(row: Any) -> tuple[float, int]:  # noqa: ANN401 - a database row
    return row[3], row[0]


@cache
def _newest_query(dialect: str) -> sa.Select[Any]:
    newest = newest_state_ids(dialect, "before")
    return sa.select(*_COLUMNS).select_from(newest.join(STATES, STATES.c.state_id == newest.c.state_id))


def _earlier_query(metadata_id: Any, seconds: Any, state_id: Any) -> sa.Select[Any]:  # noqa: ANN401 - any expressions
    return (
        sa.select(*_COLUMNS)
        .where(
            STATES.c.metadata_id == metadata_id,
            seconds >= UPDATED,
            UPDATED >= MIN_SECONDS,
            sa.or_(seconds > UPDATED, state_id > STATES.c.state_id),
        )
        .order_by(UPDATED.desc(), STATES.c.state_id.desc())
        .limit(sa.bindparam("limit"))
    )


def _branches() -> Iterator[sa.Select[Any]]:
    for number in range(_BRANCHES):
        yield _earlier_query(*(sa.bindparam(f"{name}_{number}") for name in Place._fields))


def _lateral() -> sa.Select[Any]:
    types: tuple[type[sa.types.TypeEngine[Any]], ...] = (sa.BigInteger, sa.Double, sa.BigInteger)
    arrays = [sa.bindparam(name, type_=sa.ARRAY[Any](kind)) for name, kind in zip(Place._fields, types, strict=True)]
    places = sa.func.unnest(*arrays).table_valued(*Place._fields).render_derived("places")
    rows = _earlier_query(places.c.metadata_id, places.c.seconds, places.c.state_id).lateral()
    return sa.select(rows).select_from(places.join(rows, sa.true()))


_NOWHERE: Final = Place(-1, 0.0, 0)  # fills a union up
_NAMES: Final = [f"{name}_{number}" for number in range(_BRANCHES) for name in Place._fields]
_UNION: Final = sa.union_all(*_branches())
_SQLITE_UNION: Final = sa.union_all(*(sa.select(one.subquery()) for one in _branches()))  # it takes no parentheses
_LATERAL: Final = _lateral()
