"""Points of InfluxDB as columns: where things are in a point, and how a state is found in it.

A field has one type in each measurement, and may have another in the next: where some measurement holds a numeric
``state``, a query for ``state`` finds no text anywhere. So each field is read by type: text, else number, else
true or false. A text comes first, and of numbers that of the last field: ``value`` is Home Assistant's own, and a
numeric ``state`` is an attribute of that name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from jobs.activity.entities import Description
from jobs.activity.events import GAP
from jobs.activity.states import GAPS, words_of
from jobs.activity.window import Instants
from jobs.sources.recorder_uptime import Reports
from storage.drivers.influxdb.influxql import Series, quote_name


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are in a point; an empty name is a thing that is not there.

    Attributes:
        measurement: The measurement; empty for all there are.
        entity_tag: The tag with the entity id, with or without its domain.
        domain_tag: The tag with the domain.
        area_tag: The tag with the area.
        device_tag: The tag with the device.
        event_tag: The tag with the type of event.
        event: The type of event that is a change of state; points without the tag are read too.
        fields: The fields that may hold the state.
        attributes: Whether attributes are fields beside the state: ``device_class_str`` and the like.
    """

    measurement: str = ""
    entity_tag: str = "entity_id"
    domain_tag: str = ""
    area_tag: str = ""
    device_tag: str = ""
    event_tag: str = ""
    event: str = ""
    fields: tuple[str, ...] = ("state",)
    attributes: bool = False


LAYOUTS: Final[Mapping[str, Layout]] = {
    "home_assistant": Layout(domain_tag="domain", fields=("state", "value"), attributes=True),
    "home_assistant_events": Layout(
        measurement="home_assistant_events",
        area_tag="area_id",
        device_tag="device_id",
        event_tag="event_type",
        event="state_changed",
    ),
}


_ADJUSTABLE: Final = frozenset({"climate", "cover", "fan", "humidifier", "light", "media_player", "water_heater"})
_NUMERIC: Final = frozenset("+-.0123456789")
_SINCE_START: Final = ("uptime", "last_boot")  # sensors that say since when the system runs
_BACKUP_MANAGER: Final = "sensor.backup_backup_manager_state"  # blocked while Home Assistant starts


def typed_fields(layout: Layout) -> list[str]:
    """Return what to select to find the state of a point: each field by type, in the order in which they count."""
    texts = [f"{quote_name(name)}::string" for name in layout.fields]
    others = [f"{quote_name(name)}::{kind}" for kind in ("float", "boolean") for name in reversed(layout.fields)]
    return [*texts, *others]


def times_of(parts: Iterable[Series]) -> Instants:
    """Return the time of each row, shape (n,)."""
    found = [np.array([values[0] for values in part.values], np.int64) for part in parts]  # small
    return np.concatenate(found) if found else np.empty(0, np.int64)


def entity_id_of(tags: Mapping[str, str], layout: Layout) -> str:
    """Return the full id of a series' entity; empty if it has none."""
    entity_id = tags.get(layout.entity_tag, "")
    domain = tags.get(layout.domain_tag, "") if layout.domain_tag else ""
    return f"{domain}.{entity_id}" if domain and entity_id and "." not in entity_id else entity_id


@dataclass(frozen=True, slots=True)
class Points:
    """Points in columns, in order of time.

    Attributes:
        at: Instants, microseconds since 1970, shape (n,).
        entity: Index into ``about``, shape (n,).
        state: Index into ``states``, or ``GAP``, shape (n,).
        about: What the points show about each entity.
        states: The text of each state code.
        nameless: How many points belong to no entity; of joined points, those of the later ones.
    """

    at: Instants
    entity: NDArray[np.int32]
    state: NDArray[np.int32]
    about: list[Description]
    states: list[str]
    nameless: int

    @classmethod
    def of(cls, parts: Iterable[Series], layout: Layout) -> Points:
        """Collect points while they arrive, a part of a series at a time."""
        builder = _PointBuilder(layout)
        for part in parts:
            builder.add(part)
        return builder.build()

    def only(self, entity_ids: Collection[str]) -> Points:
        """Return the points of some entities."""
        chosen = np.array([about.entity_id in entity_ids for about in self.about], np.bool_)[self.entity]
        return replace(self, at=self.at[chosen], entity=self.entity[chosen], state=self.state[chosen])

    def followed_by(self, later: Points) -> Points:
        """Return these and others, in order of time; of one instant, these first."""
        entities = {about.entity_id: code for code, about in enumerate(self.about)}
        states = {text: code for code, text in enumerate(self.states)}
        described_by = {about.entity_id: about for about in (*self.about, *later.about)}
        entity_codes = [entities.setdefault(about.entity_id, len(entities)) for about in later.about]
        state_codes = [states.setdefault(text, len(states)) for text in later.states] + [GAP]  # GAP is the last one
        at = np.concatenate((self.at, later.at))
        order = np.argsort(at, kind="stable")
        return Points(
            at=at[order],
            entity=np.concatenate((self.entity, np.array(entity_codes, np.int32)[later.entity]))[order],
            state=np.concatenate((self.state, np.array(state_codes, np.int32)[later.state]))[order],
            about=[described_by[entity_id] for entity_id in entities],
            states=list(states),
            nameless=later.nameless,
        )


class _PointBuilder:
    """Collects points, giving each entity and state its code."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._entities: dict[str, Description] = {}
        self._codes: dict[str, int] = {}
        self._states: dict[str, int] = {}
        self._parts: list[tuple[Instants, NDArray[np.int32], NDArray[np.int32]]] = []
        self._nameless = 0

    def add(self, part: Series) -> None:
        entity_id = entity_id_of(part.tags, self._layout)
        if not entity_id:
            self._nameless += len(part.values)
            return
        code = self._codes.setdefault(entity_id, len(self._codes))
        texts = list(_texts(part.values))
        states = [GAP if text in GAPS else self._states.setdefault(text, len(self._states)) for text in texts]
        at = np.array([values[0] for values in part.values], np.int64)
        self._parts.append((at, np.full(len(at), code, np.int32), np.array(states, np.int32)))
        about = about_part(entity_id, part, self._layout)
        known = self._entities.get(entity_id)
        if known is None or (known.unit and not about.unit):  # states in words count more than numbers with a unit
            self._entities[entity_id] = about

    def build(self) -> Points:
        empty = (np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.int32))
        at, entity, state = map(np.concatenate, zip(*self._parts or [empty], strict=True))
        order = np.argsort(at, kind="stable")
        about = [self._entities[entity_id] for entity_id in self._codes]
        return Points(at[order], entity[order], state[order], about, list(self._states), self._nameless)


def about_part(entity_id: str, part: Series, layout: Layout, skipped: int = 0) -> Description:
    """Return what tags and the measurement's name show about an entity.

    Args:
        entity_id: The entity.
        part: A part of its points, with the time and, behind ``skipped`` others, the typed fields of the state.
        layout: Where things are in a point.
        skipped: The number of other columns.
    """
    found = Description(
        entity_id,
        area_id=part.tags.get(layout.area_tag) or None if layout.area_tag else None,
        device_id=part.tags.get(layout.device_tag) or None if layout.device_tag else None,
    )
    domain, _, object_id = entity_id.partition(".")
    if layout.measurement or part.name in (entity_id, object_id, domain):
        return found
    if part.name.startswith(f"{domain}__"):
        return replace(found, device_class=part.name.removeprefix(f"{domain}__"))
    texts = slice(1 + skipped, 1 + skipped + len(layout.fields))
    has_text = len(layout.fields) > 1 and any(value is not None for row in part.values for value in row[texts])
    return found if has_text else replace(found, unit=part.name)  # an entity with a unit has numbers for states


def _texts(values: Sequence[Sequence[Any]]) -> Iterator[str]:
    """Yield the state of each point as text: the first of its typed fields that is there."""
    for _, *fields in values:
        state = next((field for field in fields if field is not None), "")
        yield state if isinstance(state, str) else f"{state}"


def evidence_of(points: Points, domains: Sequence[str]) -> Reports:
    """Return points as evidence of restarts.

    Numbers and times are not evidence: counters report the same value again. Nor are active states of domains whose
    attributes people change, such as the ``on`` of a light that is dimmed.

    Args:
        points: The points.
        domains: The domain of each of their entities.
    """
    adjustable = np.array([domain in _ADJUSTABLE for domain in domains], np.bool_)
    active = frozenset().union(*(words_of(domain).active for domain in _ADJUSTABLE))
    is_word = np.array([*(text[:1] not in _NUMERIC for text in points.states), False], np.bool_)  # a gap is the last
    is_active = np.array([*(text.lower() in active for text in points.states), False], np.bool_)
    is_date = np.array([*(text[:4].isdigit() and "-" in text for text in points.states), False], np.bool_)
    system = np.array([any(word in about.entity_id for word in _SINCE_START) for about in points.about], np.bool_)
    backup = np.array([about.entity_id == _BACKUP_MANAGER for about in points.about], np.bool_)
    is_blocked = np.array([*(text == "blocked" for text in points.states), False], np.bool_)
    codes = {domain: code for code, domain in enumerate(sorted(set(domains)))}
    return Reports(
        at=points.at,
        entity=points.entity,
        state=points.state,
        domain=np.array([codes[domain] for domain in domains], np.int64),
        is_evidence=is_word[points.state] & ~(adjustable[points.entity] & is_active[points.state]),
        is_uptime=(system[points.entity] & is_date[points.state]) | (backup[points.entity] & is_blocked[points.state]),
    )
