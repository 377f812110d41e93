"""Sensors whose class changed within a day: what each of their rows was recorded as.

A sensor in watts that is added anew with a list of options has the attributes of its newest row. Its earlier rows have
their own, which say that they are readings. They are looked at only where an entity's rows hold words as well as
numbers, or where it was activity at one end of the day only, which is rare.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa

from jobs.activity.entities import Description, EntityRules, Kind
from jobs.activity.reclassified import prevailing
from jobs.activity.states import GAPS
from jobs.activity.window import SECOND, DayWindow
from jobs.sources.home_assistant_db.causes import batches
from jobs.sources.home_assistant_db.directory import Directory, attributes_of, last_attributes
from jobs.sources.home_assistant_db.earlier_rows import newest_state_ids
from jobs.sources.home_assistant_db.schema import (
    ATTRIBUTES,
    IS_KNOWN,
    SHARED_ATTRIBUTES,
    STATE,
    STATES,
    UPDATED,
    within,
)
from jobs.sources.home_assistant_registry import described


def read_reclassified(
    connection: sa.Connection,
    window: DayWindow,
    directory: Directory,
    registry: Mapping[str, Description],
    rules: EntityRules,
) -> dict[int, Description]:
    """Return the sensors that are activity in one part of a day only, each as it is described as activity, by code.

    What a sensor was when the day opened, or in its first row of the day, is compared with what it is at its end.

    Args:
        connection: To the database.
        window: The day.
        directory: What the entities are at the end of the day.
        registry: What the registries know of each entity.
        rules: How entities are classified.
    """
    is_sensor = [about.entity_id.startswith("sensor.") for about in directory.entities]
    sensors = {number for number, code in directory.code_of.items() if is_sensor[code]}
    if not sensors:
        return {}
    told = _attributes_at_opening(connection, window, directory, sensors)
    descriptions: defaultdict[int, list[Description]] = defaultdict(list)
    for number, attributes in told:
        code = directory.code_of[number]
        descriptions[code].append(described(directory.entities[code].entity_id, registry, attributes))
    return _activity_in_part(descriptions, directory, rules)


def read_activity_between(
    connection: sa.Connection,
    window: DayWindow,
    directory: Directory,
    registry: Mapping[str, Description],
    rules: EntityRules,
    *,
    codes: Collection[int],
) -> dict[int, Description]:
    """Return the sensors that are readings at both ends of a day and activity between, by code; ``read_reclassified``.

    Args:
        connection: To the database.
        window: The day.
        directory: What the entities are at the end of the day.
        registry: What the registries know of each entity.
        rules: How entities are classified.
        codes: The sensors to look at: readings that have words as states on this day.
    """
    code_of = {number: code for code, numbers in directory.metadata_ids(codes).items() for number in numbers}
    whose, which = STATES.c.metadata_id, STATES.c.attributes_id
    rows: list[tuple[int, int]] = []
    for some in batches(sorted(code_of)):
        # In order of their last rows: the newest description that makes an entity activity counts.
        query = sa.select(whose, which).where(within(window), whose.in_(some), IS_KNOWN, which.is_not(None))
        found = connection.execute(query.group_by(whose, which).order_by(sa.func.max(UPDATED)))
        rows += [(row.metadata_id, row.attributes_id) for row in found]
    texts = _texts(connection, {attributes_id for _, attributes_id in rows})
    descriptions: defaultdict[int, list[Description]] = defaultdict(list)
    for number, attributes_id in rows:
        entity_id = directory.entities[code_of[number]].entity_id
        attributes = attributes_of(texts.get(attributes_id)) or {}
        descriptions[code_of[number]].append(described(entity_id, registry, attributes))
    return _activity_in_part(descriptions, directory, rules)


def _activity_in_part(
    descriptions: Mapping[int, Sequence[Description]], directory: Directory, rules: EntityRules
) -> dict[int, Description]:
    """Return the entities that are activity by some of their descriptions only, each as activity, by code."""
    found = {}
    for code, earlier in descriptions.items():
        every = (*earlier, directory.entities[code])
        kinds = {rules.classify(one).kind for one in every}
        if Kind.ACTIVITY in kinds and len(kinds) > 1:
            found[code], _ = prevailing(every, rules)
    return found


def _attributes_at_opening(
    connection: sa.Connection, window: DayWindow, directory: Directory, sensors: Collection[int]
) -> list[tuple[int, dict[str, object]]]:
    """Return what each sensor was as the day opened, by metadata id, unless it is the same at the end of the day."""
    newest = newest_state_ids(connection.dialect.name, "start")
    opening = sa.select(newest.c.metadata_id, STATE, STATES.c.attributes_id).select_from(
        newest.join(STATES, STATES.c.state_id == newest.c.state_id)
    )
    start = window.start / SECOND
    attributes_ids: list[tuple[int, int]] = []
    unnamed: list[int] = []
    new = {number for number in directory.attributes_ids if number in sensors}
    for number, state, attributes_id in connection.execute(opening, {"start": start}):
        new.discard(number)
        if number not in sensors or attributes_id == directory.attributes_ids.get(number):
            continue
        if state is None or state in GAPS or attributes_id is None:
            unnamed.append(number)
        else:
            attributes_ids.append((number, attributes_id))
    whose, which = STATES.c.metadata_id, STATES.c.attributes_id
    for some in batches(sorted(new)):
        first = sa.select(whose, sa.func.min(UPDATED).label("at")).where(within(window), whose.in_(some))
        first_of_each = first.group_by(whose).subquery()
        is_first = sa.and_(first_of_each.c.metadata_id == whose, first_of_each.c.at == UPDATED)
        rows = sa.select(whose, which).select_from(first_of_each.join(STATES, is_first))
        found = connection.execute(rows.where(IS_KNOWN, which.is_not(None)))
        attributes_ids += [(row.metadata_id, row.attributes_id) for row in found]
    texts = _texts(connection, {attributes_id for _, attributes_id in attributes_ids})
    told = [(number, attributes_of(texts.get(attributes_id))) for number, attributes_id in attributes_ids]
    return [
        *last_attributes(connection, unnamed, start).items(),
        *((number, attributes) for number, attributes in told if attributes is not None),
    ]


def _texts(connection: sa.Connection, attributes_ids: Collection[int]) -> dict[int, str]:
    texts: dict[int, str] = {}
    for some in batches(sorted(attributes_ids)):
        columns = sa.select(ATTRIBUTES.c.attributes_id, SHARED_ATTRIBUTES)
        rows = connection.execute(columns.where(ATTRIBUTES.c.attributes_id.in_(some)))
        texts |= {row.attributes_id: row.shared_attrs for row in rows}
    return texts


def read_readings(
    connection: sa.Connection,
    state_ids: Mapping[int, Sequence[int]],
    entities: Sequence[Description],
    registry: Mapping[str, Description],
    rules: EntityRules,
) -> Collection[int]:
    """Return the numbers of rows that were recorded while their entity, which is activity, was a reading.

    Args:
        connection: To the database.
        state_ids: The numbers of the rows of each entity to look at, by its code.
        entities: What is known of each entity, as activity if it was that in a part of the day.
        registry: What the registries know of each entity.
        rules: How entities are classified.
    """
    readings: set[int] = set()
    for code, numbers in state_ids.items():
        entity_id = entities[code].entity_id
        attributes_ids: dict[int, int] = {}
        for some in batches(numbers):
            query = sa.select(STATES.c.state_id, STATES.c.attributes_id).where(
                STATES.c.state_id.in_(some), STATES.c.attributes_id.is_not(None)
            )
            attributes_ids |= {row.state_id: row.attributes_id for row in connection.execute(query)}
        texts = _texts(connection, set(attributes_ids.values()))
        about = {number: described(entity_id, registry, attributes_of(text) or {}) for number, text in texts.items()}
        different = [*dict.fromkeys((*about.values(), entities[code]))]
        if len(different) > 1:
            _, counted = prevailing(different, rules)
            left_out = {one for one, counts in zip(different, counted, strict=True) if not counts}
            readings |= {row for row, number in attributes_ids.items() if about.get(number) in left_out}
    return readings
