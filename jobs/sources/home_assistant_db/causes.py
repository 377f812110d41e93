"""Find the changes that automations, scripts and scenes made, where the row itself does not show it.

If a change of state triggers an automation, the rows that the automation causes have a parent context. If time or the
sun triggers it, they have none; but its own ``automation.*`` row and the ``automation_triggered`` event have the same
context as the rows that it causes. Scripts and scenes do likewise. So every row with the context of such a row or event
was caused by it, even where a person started the script: the person did one thing, and the rest followed.

A context is 16 bytes, or, in rows that Home Assistant never migrated, the same as text: a ULID or a UUID in hex.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from jobs.activity.events import AUTOMATION, DEVICE, USER
from jobs.activity.window import DAY, SECOND, DayWindow
from jobs.sources.home_assistant_db.schema import EVENT_TYPES, EVENTS, STATES, UPDATED, Schema

DOMAINS: Final = ("automation.", "scene.", "script.")
EVENT_NAMES: Final = ("automation_triggered", "script_started")
LOOKBACK: Final = DAY  # a script may wait; what it does later still has its context

UNRESOLVED: Final = 3  # in place of a cause: the context has to be compared, as it is a text

_T = TypeVar("_T")
_BATCH: Final = 500  # contexts in one statement
_NOTHING = sa.literal(b"")
_EMPTY = sa.literal("")
_ULID_LENGTH: Final = 26
_ULID_DIGITS: Final = {digit: value for value, digit in enumerate("0123456789ABCDEFGHJKMNPQRSTVWXYZ")}


def cause_of(schema: Schema) -> sa.ColumnElement[int]:
    """Return what caused a row, as far as its own context says: a parent, a user, or neither.

    An empty context is none: some tools that move databases write it for NULL. A context that Home Assistant has not
    migrated yet stands in the former columns, and is looked at only where the row has none as bytes.
    """
    conditions = [
        (STATES.c.context_parent_id_bin > _NOTHING, AUTOMATION),
        (STATES.c.context_user_id_bin > _NOTHING, USER),
        (STATES.c.context_id_bin > _NOTHING, DEVICE),
    ]
    if "context_parent_id" in schema.former:
        conditions.append((STATES.c.context_parent_id > _EMPTY, AUTOMATION))
    if "context_id" in schema.former:
        conditions.append((STATES.c.context_id > _EMPTY, UNRESOLVED))
    if "context_user_id" in schema.former:
        conditions.append((STATES.c.context_user_id > _EMPTY, USER))
    return sa.case(*conditions, else_=DEVICE)


def _user_conditions(schema: Schema) -> list[tuple[sa.ColumnElement[bool], int]]:
    conditions = [(STATES.c.context_user_id_bin > _NOTHING, USER)]
    if "context_user_id" in schema.former:
        conditions.append((STATES.c.context_user_id > _EMPTY, USER))
    return conditions


def read_causes(
    connection: sa.Connection,
    schema: Schema,
    window: DayWindow,
    machines: Collection[int],
    *,
    unresolved: Sequence[int],
    contexts: Collection[bytes] = (),
) -> dict[int, int]:
    """Return the causes, by state id, that the context of a row itself does not show.

    Args:
        connection: To the database.
        schema: What the database offers.
        window: The day.
        machines: The metadata ids of automations, scripts and scenes.
        unresolved: The state ids of rows whose cause is ``UNRESOLVED``.
        contexts: More contexts of automations, scripts and scenes.
    """
    contexts = {*contexts, *_machine_contexts(connection, schema, window, machines)}
    own = _context_columns(schema)
    causes: dict[int, int] = {}
    for some in batches(unresolved):
        query = sa.select(STATES.c.state_id, sa.case(*_user_conditions(schema), else_=DEVICE), *own)
        for state_id, cause, *context in connection.execute(query.where(STATES.c.state_id.in_(some))):
            causes[state_id] = AUTOMATION if _contexts([context]) & contexts else cause
    for some_contexts in batches(sorted(contexts)):
        query = sa.select(STATES.c.state_id).where(
            STATES.c.context_id_bin.in_(some_contexts), window.start / SECOND <= UPDATED, window.end / SECOND > UPDATED
        )
        causes |= dict.fromkeys(connection.execute(query).scalars(), AUTOMATION)
    return causes


def _machine_contexts(
    connection: sa.Connection, schema: Schema, window: DayWindow, machines: Collection[int]
) -> set[bytes]:
    """Return the contexts of automations, scripts and scenes that ran on the day or shortly before it."""
    since, end = (window.start - LOOKBACK) / SECOND, window.end / SECOND
    contexts: set[bytes] = set()
    for some in batches(sorted(machines)):
        query = sa.select(*_context_columns(schema)).where(
            STATES.c.metadata_id.in_(some), since <= UPDATED, end > UPDATED
        )
        contexts |= _contexts(connection.execute(query))
    if schema.has_events:
        fired = EVENTS.c.time_fired_ts
        query = (
            sa.select(EVENTS.c.context_id_bin, *([EVENTS.c.context_id] if schema.has_event_texts else []))
            .join(EVENT_TYPES, EVENT_TYPES.c.event_type_id == EVENTS.c.event_type_id)
            .where(EVENT_TYPES.c.event_type.in_(EVENT_NAMES), since <= fired, end > fired)
        )
        contexts |= _contexts(connection.execute(query))
    return contexts


def _context_columns(schema: Schema) -> list[sa.ColumnElement[Any]]:
    return [STATES.c.context_id_bin, *([STATES.c.context_id] if "context_id" in schema.former else [])]


def _contexts(rows: Iterable[Sequence[Any]]) -> set[bytes]:
    return {context_bytes(value) for row in rows for value in row if value}


def context_bytes(context: bytes | str) -> bytes:
    """Return a context as its 16 bytes; a text that is not a ULID or a UUID as its own bytes."""
    if not isinstance(context, str):
        return bytes(context)
    if len(context) == _ULID_LENGTH and all(digit in _ULID_DIGITS for digit in context.upper()):
        number = 0
        for digit in context.upper():
            number = number << 5 | _ULID_DIGITS[digit]
        return (number & (1 << 128) - 1).to_bytes(16)
    try:
        return uuid.UUID(hex=context).bytes
    except ValueError:
        return context.encode(errors="replace")


def batches(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Yield values in batches that fit into one statement."""
    for start in range(0, len(values), _BATCH):
        yield values[start : start + _BATCH]
