"""Which rows belong to which entity, and what is known about each entity.

``states_meta`` gives entities their number. A database that was moved by hand may number one entity twice (its rows are
read together) or give two entities one number (whose the rows are is not known: both are left out). What an entity is
comes from the registries, else from the attributes of its newest row with a known state: a row that removes an entity,
or makes it unavailable, does not have them. Nor does a row whose attributes were lost; then an earlier one counts.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa

from jobs.activity.entities import Description
from jobs.activity.states import GAPS
from jobs.activity.window import SECOND
from jobs.sources.home_assistant_db.causes import batches
from jobs.sources.home_assistant_db.earlier_rows import Place, newest_state_ids, read_earlier
from jobs.sources.home_assistant_db.schema import ATTRIBUTES, META, SHARED_ATTRIBUTES, STATE, STATES, UPDATED
from jobs.sources.home_assistant_registry import Registry, described
from storage.models import tag_fault

_MAX_SHOWN: Final = 3  # names that a notice lists
_MAX_UNREADABLE: Final = 5  # rows that are looked at until one has attributes that can be read
_MAX_LOST: Final = 5  # rows that are looked at until one has attributes at all

_END_OF_TIME: Final = 2.0**53  # seconds; wrongly dated rows hold names too

# Domains without device classes and units: no attribute decides what such an entity is.
_WITHOUT_CLASSES: Final = (
    "alarm_control_panel.",
    "climate.",
    "device_tracker.",
    "fan.",
    "input_boolean.",
    "lawn_mower.",
    "light.",
    "lock.",
    "person.",
    "remote.",
    "siren.",
    "vacuum.",
    "water_heater.",
)

_KNOWN_ATTRIBUTES = (
    sa.select(SHARED_ATTRIBUTES)
    .select_from(STATES.join(ATTRIBUTES, ATTRIBUTES.c.attributes_id == STATES.c.attributes_id))
    .where(
        STATES.c.metadata_id == sa.bindparam("metadata_id"),
        sa.bindparam("end") > UPDATED,
        STATES.c.state.is_not(None),
        STATES.c.state.not_in(sorted(GAPS)),
    )
    .order_by(UPDATED.desc(), STATES.c.state_id.desc())
    .limit(_MAX_UNREADABLE)
)


@dataclass(frozen=True, slots=True)
class Directory:
    """The entities of a recorder database.

    Attributes:
        entities: What is known about each; the index is its code.
        code_of: The code of each metadata id.
        keys: What stays the same of an entity when it is renamed, by entity id.
        numbers: The newest metadata id of each entity that has one, in words, by entity id.
        notices: What cannot be read of them.
        attributes_ids: The number of the attributes of the newest row of each metadata id; None if they are lost.
    """

    entities: list[Description]
    code_of: Mapping[int, int]
    keys: Mapping[str, str]
    numbers: Mapping[str, str]
    notices: tuple[str, ...]
    attributes_ids: Mapping[int, int | None]

    def redescribed(self, descriptions: Mapping[int, Description]) -> Directory:
        """Return this with other descriptions of some entities, by their codes."""
        entities = [descriptions.get(code, about) for code, about in enumerate(self.entities)]
        return replace(self, entities=entities)

    def metadata_ids(self, codes: Collection[int]) -> dict[int, list[int]]:
        """Return the metadata ids of some entities, by their codes."""
        numbers: dict[int, list[int]] = {}
        for number, code in self.code_of.items():
            if code in codes:
                numbers.setdefault(code, []).append(number)
        return numbers


def read_directory(
    connection: sa.Connection, end: int, registry: Registry, unmigrated: Iterable[str] = ()
) -> Directory:
    """Return the entities of a database, as they were known at an instant.

    Args:
        connection: To the database.
        end: The instant, microseconds since 1970: later rows are not looked at.
        registry: The registries.
        unmigrated: Entities whose rows name them by text; see ``unmigrated_id``.
    """
    names, not_texts = _names(connection)
    shared = {number: held for number, held in names.items() if len(held) > 1}
    classless = {number for number, held in names.items() if held[0].startswith(_WITHOUT_CLASSES)}
    attributes, attributes_ids = _newest_attributes(connection, end / SECOND, classless)
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for number, held in names.items():
        if number not in shared:
            numbers[held[0]].append(number)
    for entity_id in unmigrated:
        numbers.setdefault(entity_id, [])
    entities, code_of, keys = [], {}, {}
    metadata_ids = {entity_id: f"metadata_id {max(held_by)}" for entity_id, held_by in numbers.items() if held_by}
    for code, (entity_id, held_by) in enumerate(numbers.items()):
        told: dict[str, object] = {}
        for number in sorted(held_by):
            told |= attributes.get(number, {})
            code_of[number] = code
        entities.append(described(entity_id, registry.descriptions, told))
        keys[entity_id] = registry.keys.get(entity_id) or metadata_ids.get(entity_id, "")
    notices = [
        *registry.notices,
        *[f"{not_texts} entities left out, whose ids are not texts"] * (not_texts > 0),
        *_notice(
            "entities have several metadata ids and are read together", [e for e, n in numbers.items() if len(n) > 1]
        ),
        *_notice(
            "entities share a metadata id with another and are left out", [e for held in shared.values() for e in held]
        ),
        *_notice("entities left out, whose ids cannot be kept", [repr(e[:40]) for e in numbers if tag_fault(e)]),
    ]
    return Directory(entities, code_of, keys, metadata_ids, tuple(notices), attributes_ids)


def read_friendly_names(connection: sa.Connection) -> dict[str, object]:
    """Return what Home Assistant calls each entity: an attribute of its newest row."""
    attributes, _ = _newest_attributes(connection, _END_OF_TIME)
    return {
        held[0]: attributes.get(number, {}).get("friendly_name")
        for number, held in _names(connection)[0].items()
        if len(held) == 1
    }


def _names(connection: sa.Connection) -> tuple[dict[int, list[str]], int]:
    """Return the names of each metadata id, and how many names are not texts, as SQLite may hold anything there."""
    names: defaultdict[int, list[str]] = defaultdict(list)
    not_texts = 0
    rows = connection.execute(sa.select(META.c.metadata_id, META.c.entity_id).order_by(META.c.metadata_id))
    for number, entity_id in rows:
        if not isinstance(entity_id, str | None):
            not_texts += 1
        elif entity_id is not None and number is not None and entity_id not in names[number]:
            names[number].append(entity_id)
    return {number: held for number, held in names.items() if held}, not_texts


def _newest_attributes(
    connection: sa.Connection, end: float, classless: Collection[int] = ()
) -> tuple[dict[int, dict[str, object]], dict[int, int | None]]:
    """Return the attributes by metadata id, and the number of those of the newest row.

    Where that row has none, earlier ones are looked at, except for ``classless`` entities.
    """
    newest = newest_state_ids(connection.dialect.name, "end")
    query = sa.select(newest.c.metadata_id, STATE, STATES.c.attributes_id, SHARED_ATTRIBUTES).select_from(
        newest.join(STATES, STATES.c.state_id == newest.c.state_id).outerjoin(
            ATTRIBUTES, ATTRIBUTES.c.attributes_id == STATES.c.attributes_id
        )
    )
    found: dict[int, dict[str, object]] = {}
    attributes_ids: dict[int, int | None] = {}
    lost: list[int] = []
    for number, state, attributes_id, text in connection.execute(query, {"end": end}).all():
        attributes_ids[number] = attributes_id
        attributes = attributes_of(text)
        if (state is None or state in GAPS) and number not in classless:
            earlier = connection.execute(_KNOWN_ATTRIBUTES, {"metadata_id": number, "end": end}).scalars()
            readable = (known for one in earlier if (known := attributes_of(one)) is not None)
            attributes = (attributes or {}) | next(readable, {})
        elif attributes is None and number not in classless:
            lost.append(number)
        found[number] = attributes or {}
    return found | last_attributes(connection, lost, end), attributes_ids


def last_attributes(connection: sa.Connection, numbers: list[int], end: float) -> dict[int, dict[str, object]]:
    """Return the attributes of entities whose newest row has none: those of one of the known rows before it."""
    places = [Place(number, end, 0) for number in numbers]
    found_rows = (row for _, earlier in read_earlier(connection, places, _MAX_LOST) for row in earlier)
    rows = [row for row in found_rows if row.state is not None and row.state not in GAPS]
    texts: dict[int, str] = {}
    for some in batches(sorted(row.state_id for row in rows)):
        query = (
            sa.select(STATES.c.state_id, SHARED_ATTRIBUTES)
            .select_from(STATES.join(ATTRIBUTES, ATTRIBUTES.c.attributes_id == STATES.c.attributes_id))
            .where(STATES.c.state_id.in_(some))
        )
        texts |= dict(map(tuple, connection.execute(query)))
    found: dict[int, dict[str, object]] = {}
    for row in reversed(rows):  # the newest of an entity comes last, and counts
        attributes = attributes_of(texts.get(row.state_id))
        if row.metadata_id is not None and attributes is not None:
            found[row.metadata_id] = attributes
    return found


def attributes_of(text: Any) -> dict[str, object] | None:  # noqa: ANN401 - whatever the column holds
    """Return the attributes that a text holds; None if it cannot be read, or is missing."""
    try:
        attributes = json.loads(text)
    except (ValueError, TypeError):
        return None
    return attributes if isinstance(attributes, dict) else None


def _notice(what: str, names: list[str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - _MAX_SHOWN} more" if len(names) > _MAX_SHOWN else ""
    return [f"{len(names)} {what}: {', '.join(sorted(names)[:_MAX_SHOWN])}{more}"]
