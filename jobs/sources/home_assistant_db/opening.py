"""The states in which a day opens: each entity's rows, followed back until it is certain when its state began."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import sqlalchemy as sa

from jobs.activity.entities import Entity
from jobs.activity.events import DEVICE
from jobs.activity.settling import SETTLING_LIMIT
from jobs.activity.states import TRANSITIONAL, Transitional
from jobs.activity.tracing import SHORT_GAP
from jobs.activity.window import SECOND, Instants
from jobs.sources.home_assistant_db.runs import MIN_INSTANT
from jobs.sources.home_assistant_db.schema import META, MYSQL, STATES, UPDATED

MAX_LOOKBACK_ROWS: Final = 20_000  # how many rows of one entity are followed back

_COLUMNS = (STATES.c.state_id, STATES.c.metadata_id, STATES.c.state, UPDATED, STATES.c.last_changed_ts)
_EARLIER = (
    sa.select(*_COLUMNS)
    .where(
        STATES.c.metadata_id == sa.bindparam("metadata_id"),
        sa.bindparam("before") >= UPDATED,
        sa.or_(sa.bindparam("before") > UPDATED, sa.bindparam("state_id") > STATES.c.state_id),
    )
    .order_by(UPDATED.desc(), STATES.c.state_id.desc())
    .limit(sa.bindparam("limit"))
)


class StateRow(NamedTuple):
    """One row of ``states``, as it is read.

    Attributes:
        state_id: Its number; rows are numbered in the order in which they were written.
        metadata_id: The number of its entity.
        state: The text; None for a removed entity.
        seconds: When the state was seen, seconds since 1970.
        cause: ``DEVICE``, ``USER`` or ``AUTOMATION``.
    """

    state_id: int
    metadata_id: int | None
    state: str | None
    seconds: float
    cause: int = DEVICE


class Chain(NamedTuple):
    """An entity's rows up to the one that opens the day, ascending.

    Attributes:
        rows: The rows.
        complete: Whether the first of them is the first row of the entity in the database.
    """

    rows: list[StateRow]
    complete: bool


def newest_state_ids(connection: sa.Connection, before: str) -> sa.FromClause:
    """Return a subquery (metadata_id, state_id): the newest row of each entity before a bound instant in seconds.

    MariaDB and MySQL jump from entity to entity in the index when they group, but evaluate a correlated subquery badly;
    SQLite and PostgreSQL the other way round.
    """
    if connection.dialect.name in MYSQL:
        last = (
            sa.select(STATES.c.metadata_id, sa.func.max(UPDATED).label("at"))
            .where(sa.bindparam(before) > UPDATED)
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
        .where(inner.c.metadata_id == META.c.metadata_id, sa.bindparam(before) > inner.c.last_updated_ts)
        .order_by(inner.c.last_updated_ts.desc(), inner.c.state_id.desc())
        .limit(1)
        .correlate(META)
        .scalar_subquery()
    )
    return sa.select(META.c.metadata_id, newest.label("state_id")).subquery()


def read_openings(
    connection: sa.Connection, start: int, entity_of: Callable[[int], Entity | None], starts: Instants
) -> Iterator[Chain]:
    """Yield the rows in which each followed entity's day opens.

    Args:
        connection: To the database.
        start: The first instant of the day.
        entity_of: Returns the entity of a metadata id; None if it is not followed.
        starts: Ascending instants at which the recorder started.
    """
    newest = newest_state_ids(connection, "start")
    query = sa.select(*_COLUMNS).select_from(newest.join(STATES, STATES.c.state_id == newest.c.state_id))
    for row in connection.execute(query, {"start": start / SECOND}).all():
        entity = entity_of(row.metadata_id)
        if entity is not None:
            yield _follow_back(connection, row, start, entity, starts)


def changed_seconds(row: Any) -> float:  # noqa: ANN401 - a database row
    """Return when the state of a row began: updates of attributes only keep the instant of the change."""
    updated: float = row.last_updated_ts
    changed: object = row.last_changed_ts  # SQLite keeps a text in a column of numbers
    return (
        updated if not isinstance(changed, float | int) or not MIN_INSTANT / SECOND <= changed <= updated else changed
    )


def _follow_back(
    connection: sa.Connection,
    opening: Any,  # noqa: ANN401 - a database row
    start: int,
    entity: Entity,
    starts: Instants,
) -> Chain:
    chain = [opening]
    bound = start / SECOND  # the known value, or the day, that the gap being followed leads up to
    state = None if (word := _word(entity, opening)) is TRANSITIONAL else word  # of the oldest row that has one
    since = opening  # that row
    limit = 2
    while True:
        cursor = chain[-1]
        earlier = connection.execute(
            _EARLIER,
            {
                "metadata_id": cursor.metadata_id,
                "before": changed_seconds(cursor),
                "state_id": cursor.state_id,
                "limit": limit,
            },
        ).all()
        for row in earlier:
            settles = _is_settling(changed_seconds(since), starts)
            if state is not None:
                bound = changed_seconds(since)
            elif bound - changed_seconds(chain[-1]) > SHORT_GAP / SECOND and not settles:
                return _chain(chain, complete=False)  # whatever was known before, it has been forgotten
            chain.append(row)
            older = _word(entity, row)
            if older is TRANSITIONAL:
                continue
            is_change = state is not None and older is not None and older != state
            if is_change and not settles and not (_is_use(state, entity) and _is_use(older, entity)):
                return _chain(chain, complete=False)
            state, since = older, row
        if len(earlier) < limit or len(chain) > MAX_LOOKBACK_ROWS:
            return _chain(chain, complete=len(earlier) < limit)
        limit *= 4


def _word(entity: Entity, row: Any) -> str | Transitional | None:  # noqa: ANN401 - a database row
    return entity.words.read(row.state if isinstance(row.state, str) else None)


def _is_settling(seconds: float, starts: Instants) -> bool:
    """Return whether an instant comes so soon after a start that the state seen then may be wrong."""
    instant = round(seconds * SECOND)
    place = int(np.searchsorted(starts, instant, side="right")) - 1
    return place >= 0 and instant - int(starts[place]) < SETTLING_LIMIT


def _is_use(state: str | None, entity: Entity) -> bool:
    """Return whether a state is part of an episode that may have begun with an earlier state."""
    return state is not None and (entity.is_active(state) or state.lower() in entity.words.pause)


def _chain(rows: list[Any], *, complete: bool) -> Chain:
    return Chain(
        [StateRow(row.state_id, row.metadata_id, row.state, changed_seconds(row)) for row in reversed(rows)], complete
    )
