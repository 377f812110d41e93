"""Sensors whose class changed within a day: what each of their rows was recorded as.

A sensor in watts that is added anew with a list of options has the attributes of its newest row. Its earlier rows have
their own, which say that they are readings. They are looked at only where an entity's rows hold words as well as
numbers, which is rare.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa

from jobs.activity.entities import Description, EntityRules
from jobs.activity.reclassified import prevailing
from jobs.sources.home_assistant_db.causes import batches
from jobs.sources.home_assistant_db.directory import attributes_of
from jobs.sources.home_assistant_db.schema import ATTRIBUTES, SHARED_ATTRIBUTES, STATES
from jobs.sources.home_assistant_registry import described


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
        entities: What is known of each entity.
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
        texts: dict[int, str] = {}
        for some in batches(sorted(set(attributes_ids.values()))):
            columns = sa.select(ATTRIBUTES.c.attributes_id, SHARED_ATTRIBUTES)
            rows = connection.execute(columns.where(ATTRIBUTES.c.attributes_id.in_(some)))
            texts |= {row.attributes_id: row.shared_attrs for row in rows}
        about = {number: described(entity_id, registry, attributes_of(text) or {}) for number, text in texts.items()}
        different = [*dict.fromkeys(about.values())]
        if len(different) > 1:
            _, counted = prevailing(different, rules)
            left_out = {one for one, counts in zip(different, counted, strict=True) if not counts}
            readings |= {row for row, number in attributes_ids.items() if about.get(number) in left_out}
    return readings
