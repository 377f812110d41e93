"""Find the changes that automations, scripts and scenes made, where the row itself does not show it.

If a change of state triggers an automation, the rows that the automation causes have a parent context. If time or the
sun triggers it, they have none; but its own ``automation.*`` row and the ``automation_triggered`` event have the same
context as the rows that it causes. Scripts and scenes do likewise. So every row with the context of such a row or event
was caused by it, even where a person started the script: the person did one thing, and the rest followed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, TypeVar

import sqlalchemy as sa

from jobs.activity.events import AUTOMATION, DEVICE, USER
from jobs.activity.window import DAY, SECOND, DayWindow
from jobs.sources.home_assistant_db.schema import EVENT_TYPES, EVENTS, STATES, UPDATED, Schema

DOMAINS: Final = ("automation.", "scene.", "script.")
EVENT_NAMES: Final = ("automation_triggered", "script_started")
LOOKBACK: Final = DAY  # a script may wait; what it does later still has its context

_T = TypeVar("_T")
_BATCH: Final = 500  # contexts in one statement
_NOTHING = sa.literal(b"")
_EMPTY = sa.literal("")


def cause_of(schema: Schema) -> sa.ColumnElement[int]:
    """Return what caused a row, as far as its own context says: a parent, a user, or neither.

    An empty context is none: some tools that move databases write it for NULL. A context that Home Assistant has not
    migrated yet stands in the former columns.
    """
    conditions = [(STATES.c.context_parent_id_bin > _NOTHING, AUTOMATION)]
    if "context_parent_id" in schema.former:
        conditions.append((STATES.c.context_parent_id > _EMPTY, AUTOMATION))
    conditions.append((STATES.c.context_user_id_bin > _NOTHING, USER))
    if "context_user_id" in schema.former:
        conditions.append((STATES.c.context_user_id > _EMPTY, USER))
    return sa.case(*conditions, else_=DEVICE)


def read_caused_state_ids(
    connection: sa.Connection, schema: Schema, window: DayWindow, machines: Collection[int]
) -> set[int]:
    """Return the state ids of a day's rows that share their context with an automation, a script or a scene.

    Args:
        connection: To the database.
        schema: What the database offers.
        window: The day.
        machines: The metadata ids of automations, scripts and scenes.
    """
    since, end = (window.start - LOOKBACK) / SECOND, window.end / SECOND
    context = STATES.c.context_id_bin
    contexts: set[bytes] = set()
    for some in batches(sorted(machines)):
        query = sa.select(context).where(STATES.c.metadata_id.in_(some), since <= UPDATED, end > UPDATED)
        contexts |= _contexts(connection.execute(query).scalars())
    if schema.has_events:
        fired = EVENTS.c.time_fired_ts
        query = (
            sa.select(EVENTS.c.context_id_bin)
            .join(EVENT_TYPES, EVENT_TYPES.c.event_type_id == EVENTS.c.event_type_id)
            .where(EVENT_TYPES.c.event_type.in_(EVENT_NAMES), since <= fired, end > fired)
        )
        contexts |= _contexts(connection.execute(query).scalars())
    caused: set[int] = set()
    for some_contexts in batches(sorted(contexts)):
        query = sa.select(STATES.c.state_id).where(
            context.in_(some_contexts), window.start / SECOND <= UPDATED, end > UPDATED
        )
        caused.update(connection.execute(query).scalars())
    return caused


def _contexts(values: Iterable[bytes | None]) -> set[bytes]:
    return {bytes(value) for value in values if value}


def batches(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Yield values in batches that fit into one statement."""
    for start in range(0, len(values), _BATCH):
        yield values[start : start + _BATCH]
