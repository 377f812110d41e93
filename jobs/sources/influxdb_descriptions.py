"""What entities in InfluxDB are: from the registries, else from the names and fields of their points.

Attributes are fields beside the state, and a unit is the name of the measurement or a field. A sensor that was added
anew as another kind of thing has points of both kinds; each of them shows what it was at the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from jobs.activity.entities import Description, EntityRules
from jobs.activity.events import GAP
from jobs.activity.reclassified import prevailing
from jobs.activity.states import is_measured, words_of
from jobs.activity.window import Instants
from jobs.sources.home_assistant_registry import described
from jobs.sources.influxdb_points import Layout, Points, about_part, entity_id_of
from storage.drivers.influxdb.influxql import Series

ATTRIBUTES: Final = {
    "device_class_str": "device_class",
    "state_class_str": "state_class",
    "unit_of_measurement_str": "unit",
}


class Described(NamedTuple):
    """Points of one entity, in order of time: instants, and what it was at each."""

    at: Instants
    descriptions: list[Description]


def describe(about: Description, attributes: Mapping[str, object], registry: Mapping[str, Description]) -> Description:
    """Return what is known of an entity: from the registries, else from its points."""
    fallback = {
        "device_class": attributes.get("device_class") or about.device_class,
        "state_class": attributes.get("state_class"),
        "unit_of_measurement": attributes.get("unit") or about.unit,
    }
    known = described(about.entity_id, registry, fallback)
    return replace(known, area_id=known.area_id or about.area_id, device_id=known.device_id or about.device_id)


def newest_attributes(parts: Iterable[Series], layout: Layout) -> dict[str, dict[str, object]]:
    """Return the attributes of each entity from an answer with one row for each series."""
    found: dict[str, dict[str, object]] = {}
    for part in parts:
        values = dict(zip(part.columns, part.values[0], strict=True))
        about = found.setdefault(entity_id_of(part.tags, layout), {})
        about.update((name, value) for name, value in values.items() if value is not None)
    return found


def mixed_entities(points: Points) -> list[int]:
    """Return the codes of sensors whose states are words as well as numbers or times."""
    measured = np.array([*(is_measured(text) for text in points.states), False], np.bool_)  # a gap is the last
    found = []
    for code, about in enumerate(points.about):
        if about.entity_id.startswith("sensor."):
            states = np.unique(points.state[points.entity == code])
            words = [points.states[state] for state in states[~measured[states]].tolist() if state != GAP]
            if measured[states].any() and any(words_of("sensor").read(word) is not None for word in words):
                found.append(code)
    return found


def described_rows(
    parts: Iterable[Series], layout: Layout, registry: Mapping[str, Description]
) -> dict[str, Described]:
    """Return what each entity was at each of its points, from an answer with ``ATTRIBUTES`` before the states."""
    rows: dict[str, list[tuple[int, Description]]] = {}
    width = len(ATTRIBUTES) if layout.attributes else 0
    for part in parts:
        entity_id = entity_id_of(part.tags, layout)
        about = about_part(entity_id, part, layout, width)
        known: dict[tuple[object, ...], Description] = {}
        for at, *values in part.values:
            attributes = tuple(values[:width])
            if attributes not in known:
                known[attributes] = describe(about, dict(zip(ATTRIBUTES.values(), attributes, strict=False)), registry)
            rows.setdefault(entity_id, []).append((at, known[attributes]))
    found = {}
    for entity_id, some in rows.items():
        some.sort(key=lambda row: row[0])
        found[entity_id] = Described(np.array([at for at, _ in some], np.int64), [about for _, about in some])
    return found


def with_classes(
    points: Points, descriptions: Sequence[Description], rows: Mapping[str, Described], rules: EntityRules
) -> tuple[Points, list[Description]]:
    """Return points and descriptions in which only that counts of an entity what it was recorded as activity.

    Args:
        points: All points.
        descriptions: What each of their entities is by its newest attributes.
        rows: What some entities were at each of their points.
        rules: How entities are classified.
    """
    state, found = points.state.copy(), list(descriptions)
    for code, about in enumerate(points.about):
        one = rows.get(about.entity_id)
        if one is None:
            continue
        different = list(dict.fromkeys(reversed(one.descriptions)))[::-1]  # each where it comes last
        found[code], counted = prevailing(different, rules)
        left_out = {given for given, counts in zip(different, counted, strict=True) if not counts}
        instants = one.at[[given in left_out for given in one.descriptions]]
        state[(points.entity == code) & np.isin(points.at, instants)] = GAP
    return replace(points, state=state), found
