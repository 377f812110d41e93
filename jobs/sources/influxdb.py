"""Raw events from InfluxDB 1.x or 2.x, as Home Assistant's integration writes them or as one measurement with full ids.

=========================  ======================================  ======================================
layout                     ``home_assistant``                      ``home_assistant_events``
=========================  ======================================  ======================================
measurement                any: a unit, an entity id, a fixed one  ``home_assistant_events``
entity                     tags ``domain`` and ``entity_id``       tag ``entity_id``, with its domain
state                      field ``state``, else ``value``         field ``state``
area and device            not there: from the registries          tags ``area_id``, ``device_id``
event type                 not there                               tag ``event_type``: ``state_changed``
=========================  ======================================  ======================================

``unknown`` and ``unavailable`` are never sent, equal values repeat, and a restart sends everything anew: what
``activity.tracing`` makes of repeats, and ``recorder_uptime`` of silences and bursts, takes care of that. For the
states in which a day opens, the newest samples of each entity are read, within a bound. What caused a change is never
sent either: what automations do counts here as done by hand.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from jobs.activity.building import Recording
from jobs.activity.entities import Description, EntityRules, Kind
from jobs.activity.events import DEVICE, GAP, DayLog, Samples
from jobs.activity.states import GAPS
from jobs.activity.window import DAY, HOUR, MINUTE, DayWindow, Instants, from_instant, midnight
from jobs.sources.home_assistant_registry import described, read_registry
from jobs.sources.recorder_uptime import BURST, known_time, restarts
from storage.dates import ONE_DAY, DateRange
from storage.drivers.influxdb.connection import Connection, ErrorTypes
from storage.drivers.influxdb.influxql import Query, Series, quote_field, quote_name
from storage.drivers.influxdb.organisation import verify_organisation
from storage.drivers.influxdb.server import Server
from storage.errors import SourceError, SourceMismatch, SourceUnavailable

NEWEST: Final = 64  # samples of one entity before a day that are read at once
PULSE: Final = 10 * MINUTE  # how finely life before the day is looked at

_ERRORS = ErrorTypes(
    SourceUnavailable,
    SourceMismatch,
    SourceError,
    missing_hint="Correct source.url, source.org and source.bucket.",
    unauthorized_hint="Set a token that may read this bucket as source.token.",
)
_ATTRIBUTES = {"device_class_str": "device_class", "state_class_str": "state_class", "unit_of_measurement_str": "unit"}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things stand in the points; an empty name is a thing that does not stand there.

    Attributes:
        measurement: The measurement; empty for all there are.
        entity_tag: The tag with the entity id, with or without its domain.
        domain_tag: The tag with the domain.
        area_tag: The tag with the area.
        device_tag: The tag with the device.
        event_tag: The tag with the type of event.
        event: The type of event that is a change of state; points without the tag pass too.
        fields: The fields that may hold the state; of several the first that is there counts.
        attributes: Whether attributes stand beside the state, as ``device_class_str`` and the like.
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


class InfluxSource:
    """An ``EventSource`` over raw events in InfluxDB.

    Args:
        server: Where it is.
        bucket: The bucket; ``database`` or ``database/policy`` on 1.x.
        zone: The home's zone.
        rules: How entities are classed.
        layout: Where things stand in the points.
        registry_dir: Home Assistant's ``.storage`` folder, for areas and devices; None if it is not at hand.
        lookback_days: How far back the states in which a day opens are looked for.
        max_silence_hours: For how long nothing at all may come in with the time still known.

    Raises:
        SettingsError: The registries or the certificate authority cannot be read.
    """

    def __init__(
        self,
        server: Server,
        bucket: str,
        zone: ZoneInfo,
        rules: EntityRules,
        *,
        layout: Layout = LAYOUTS["home_assistant"],
        registry_dir: Path | None = None,
        lookback_days: int = 7,
        max_silence_hours: float = 6.0,
    ) -> None:
        self._connection = Connection(server, _ERRORS, f"raw events {bucket!r}")
        self._bucket = bucket
        self._zone = zone
        self._rules = rules
        self._layout = layout
        self._registry = read_registry(registry_dir).descriptions if registry_dir is not None else {}
        self._lookback = lookback_days * DAY
        self._silence = round(max_silence_hours * HOUR)
        self._proven = False

    def close(self) -> None:
        """See ``EventSource.close``."""
        self._connection.close()

    def read(self, window: DayWindow) -> DayLog:
        """See ``EventSource.read``."""
        self._verify_organisation()
        earliest = window.start - self._lookback
        before = self._rows(earliest, window.start, f"ORDER BY time DESC LIMIT {NEWEST}")
        farther = self._followed_back(before, earliest)
        rows = farther.followed_by(before).followed_by(self._rows(window.start, window.end))
        starts = restarts(rows.at, rows.entity, rows.state)
        alive = np.concatenate((self._pulses(earliest, window.start), rows.at))
        for start in starts[starts < window.start]:
            alive = self._without_pulses_between_runs(alive, int(start))
        after = self._edge(window.end, window.end + self._silence)
        samples = Samples(
            at=rows.at,
            entity=rows.entity,
            state=rows.state,
            cause=np.full(len(rows.at), DEVICE, np.int8),
            entities=self._describe(rows, earliest, window.end),
            states=rows.states,
            known=known_time(np.concatenate((alive, after)), self._silence, starts),
            starts=starts,
        )
        notices = [f"{rows.nameless} points belong to no entity"] if rows.nameless else []
        return Recording.of(samples, self._rules).day(window, notices)

    def fingerprint(self, window: DayWindow) -> str:
        """See ``EventSource.fingerprint``: points by measurement within the day, and the samples around its ends."""
        counts = ", ".join(f"COUNT({quote_field(name)})" for name in self._layout.fields)
        query = self._query(counts, window.start, window.end)
        found = self._connection.execute(query, lambda parts: sorted((part.name, part.values[0][1:]) for part in parts))
        edges = [
            self._edge(window.start - self._silence, window.start, "DESC").tolist()[:1],
            self._edge(window.end, window.end + self._silence).tolist()[:1],
        ]
        return hashlib.blake2b(repr((found, edges)).encode(), digest_size=8).hexdigest()

    def span(self) -> DateRange | None:
        """See ``EventSource.span``.

        A first day counts if its samples begin within 15 minutes of its midnight, or with a recorder's start. A last
        day counts if its samples reach to within the longest silence of its end.
        """
        self._verify_organisation()
        firsts, lasts = self._edge(0, None), self._edge(0, None, "DESC")
        if not len(firsts) or not len(lasts):
            return None
        first, last = int(firsts[0]), int(lasts[0])
        day = self._day_of(first)
        if first - midnight(day, self._zone) > 15 * MINUTE:
            opening = self._rows(first, first + HOUR)
            began = restarts(opening.at, opening.entity, opening.state)
            if not len(began) or began[0] > first + BURST:
                day += ONE_DAY  # its earlier hours are purged
        newest = self._day_of(last)
        if midnight(newest + ONE_DAY, self._zone) - last > self._silence:
            newest -= ONE_DAY  # it is not over yet
        return DateRange(day, newest) if day <= newest else None

    def _verify_organisation(self) -> None:
        if not self._proven:
            verify_organisation(self._connection, self._bucket, self._layout.measurement)
            self._proven = True

    def _day_of(self, instant: int) -> dt.date:
        return from_instant(instant).astimezone(self._zone).date()

    def _rows(
        self,
        start: int,
        end: int,
        suffix: str = "",
        *,
        about: Description | None = None,
        state: tuple[Literal["=", "!="], str] | None = None,
    ) -> _Rows:
        query = self._query(", ".join(map(quote_field, self._layout.fields)), start, end)
        if about is not None:
            query.text += f" AND {self._is(query, about.entity_id)}"
        if state is not None:
            query.text += f" AND {quote_field(self._layout.fields[0])} {state[0]} {query.bind(state[1])}"
        query.text += f" GROUP BY {', '.join(map(quote_name, self._entity_tags()))} {suffix}"
        return self._connection.execute(query, lambda parts: _Rows.of(parts, self._layout))

    def _followed_back(self, before: _Rows, earliest: int) -> _Rows:
        """For entities that only repeated themselves, the sample that began it and the one before, if in reach."""
        found = _Rows.of((), self._layout)
        for code in np.flatnonzero(np.bincount(before.entity, minlength=len(before.about)) >= NEWEST).tolist():
            states = np.unique(before.state[before.entity == code])
            about = before.about[code]
            if len(states) > 1 or states[0] == GAP or self._rules.classify(about).kind is not Kind.ACTIVITY:
                continue
            oldest = int(before.at[before.entity == code][0])
            state = before.states[int(states[0])]
            other = self._rows(earliest, oldest, "ORDER BY time DESC LIMIT 1", about=about, state=("!=", state))
            if len(other.at):
                began = self._rows(
                    int(other.at[-1]) + 1, oldest, "ORDER BY time LIMIT 1", about=about, state=("=", state)
                )
                found = found.followed_by(other).followed_by(began)
        return found

    def _pulses(self, start: int, end: int) -> Instants:
        """Both ends of every stretch of ten minutes in which anything was recorded."""
        counts = ", ".join(f"COUNT({quote_field(name)})" for name in self._layout.fields)
        query = self._query(counts, start, end)
        query.text += f" GROUP BY time({PULSE // MINUTE}m) FILL(none)"
        times = self._connection.execute(query, _times)
        pulses: Instants = np.minimum(np.concatenate((np.maximum(times, start), times + PULSE)), end - 1)
        return pulses

    def _without_pulses_between_runs(self, alive: Instants, start: int) -> Instants:
        """Instants of life with the last one before a recorder's start told exactly, not to ten minutes."""
        last = self._edge(start - self._silence, start, "DESC")[:1]
        apart = (alive <= last.max(initial=start - self._silence)) | (alive >= start)
        return np.concatenate((alive[apart], last))

    def _edge(self, start: int, end: int | None, order: str = "ASC") -> Instants:
        """The first instant of each measurement within a span, ascending; with DESC the last, descending.

        Without an end the span ends now, by the server's clock: a point from the future tells nothing of what is held.
        """
        query = self._query(", ".join(map(quote_field, self._layout.fields)), start, end)
        query.text += f" ORDER BY time {order} LIMIT 1"
        times = np.sort(self._connection.execute(query, _times))
        return times if order == "ASC" else times[::-1]

    def _describe(self, rows: _Rows, start: int, end: int) -> list[Description]:
        """What is known of each entity: from the registries, else from its points."""
        told: dict[str, dict[str, object]] = {}
        if self._layout.attributes:
            names = ", ".join(
                f"LAST({quote_field(field)}) AS {quote_name(name)}" for field, name in _ATTRIBUTES.items()
            )
            query = self._query(names, start, end)
            query.text += f" GROUP BY {', '.join(map(quote_name, self._entity_tags()))}"
            told = self._connection.execute(query, self._attributes)
        return [self._described(about, told.get(about.entity_id, {})) for about in rows.about]

    def _described(self, about: Description, told: Mapping[str, object]) -> Description:
        attributes = {
            "device_class": told.get("device_class") or about.device_class,
            "state_class": told.get("state_class"),
            "unit_of_measurement": told.get("unit") or about.unit,
        }
        known = described(about.entity_id, self._registry, attributes)
        return replace(known, area_id=known.area_id or about.area_id, device_id=known.device_id or about.device_id)

    def _attributes(self, parts: Iterable[Series]) -> dict[str, dict[str, object]]:
        found: dict[str, dict[str, object]] = {}
        for part in parts:
            values = dict(zip(part.columns, part.values[0], strict=True))
            about = found.setdefault(_entity_id(part.tags, self._layout), {})
            about.update((name, value) for name, value in values.items() if value is not None)
        return found

    def _entity_tags(self) -> list[str]:
        layout = self._layout
        return [tag for tag in (layout.domain_tag, layout.entity_tag, layout.area_tag, layout.device_tag) if tag]

    def _is(self, query: Query, entity_id: str) -> str:
        """The condition that a point is of one entity."""
        layout = self._layout
        domain, _, object_id = entity_id.partition(".")
        if not layout.domain_tag:
            return query.tag_in(layout.entity_tag, [entity_id])
        return query.tags_in([layout.domain_tag, layout.entity_tag], [(domain, object_id)])

    def _query(self, selected: str, start: int, end: int | None) -> Query:
        source = quote_name(self._layout.measurement) if self._layout.measurement else "/.*/"
        text = f"SELECT {selected} FROM {source} WHERE time >= {start}u"  # noqa: S608 - quoted names and integers
        query = Query(self._bucket, text, precision="u")
        query.text += f" AND time < {end}u" if end is not None else " AND time <= now()"
        if self._layout.event_tag and self._layout.event:
            query.text += f" AND {query.tag_in(self._layout.event_tag, [self._layout.event, ''])}"
        return query


def _times(parts: Iterable[Series]) -> Instants:
    return np.array([values[0] for part in parts for values in part.values], np.int64)


def _entity_id(tags: Mapping[str, str], layout: Layout) -> str:
    """The full id of the entity that a series is of; empty where it is of none."""
    entity_id = tags.get(layout.entity_tag, "")
    domain = tags.get(layout.domain_tag, "") if layout.domain_tag else ""
    return f"{domain}.{entity_id}" if domain and entity_id and "." not in entity_id else entity_id


@dataclass(frozen=True, slots=True)
class _Rows:
    """Points in columns, in order of time."""

    at: Instants
    entity: NDArray[np.int32]
    state: NDArray[np.int32]
    about: list[Description]
    states: list[str]
    nameless: int

    @classmethod
    def of(cls, parts: Iterable[Series], layout: Layout) -> _Rows:
        """Points as they stream in, a part of a series at a time."""
        builder = _Builder(layout)
        for part in parts:
            builder.add(part)
        return builder.build()

    def followed_by(self, later: _Rows) -> _Rows:
        """These and later ones."""
        entities = {about.entity_id: code for code, about in enumerate(self.about)}
        states = {text: code for code, text in enumerate(self.states)}
        described_by = {about.entity_id: about for about in (*self.about, *later.about)}
        entity_codes = [entities.setdefault(about.entity_id, len(entities)) for about in later.about]
        state_codes = [states.setdefault(text, len(states)) for text in later.states] + [GAP]  # GAP is the last one
        return _Rows(
            at=np.concatenate((self.at, later.at)),
            entity=np.concatenate((self.entity, np.array(entity_codes, np.int32)[later.entity])),
            state=np.concatenate((self.state, np.array(state_codes, np.int32)[later.state])),
            about=[described_by[entity_id] for entity_id in entities],
            states=list(states),
            nameless=later.nameless,
        )


class _Builder:
    """Collects points, giving each entity and state its code."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._entities: dict[str, Description] = {}
        self._codes: dict[str, int] = {}
        self._states: dict[str, int] = {}
        self._parts: list[tuple[Instants, NDArray[np.int32], NDArray[np.int32]]] = []
        self._nameless = 0

    def add(self, part: Series) -> None:
        entity_id = _entity_id(part.tags, self._layout)
        if not entity_id:
            self._nameless += len(part.values)
            return
        code = self._codes.setdefault(entity_id, len(self._codes))
        texts = list(_texts(part.values))
        states = [GAP if text in GAPS else self._states.setdefault(text, len(self._states)) for text in texts]
        at = np.array([values[0] for values in part.values], np.int64)
        self._parts.append((at, np.full(len(at), code, np.int32), np.array(states, np.int32)))
        about = self._about(entity_id, part)
        if entity_id not in self._entities or part.values[0][1] is None:
            self._entities[entity_id] = about

    def build(self) -> _Rows:
        empty = (np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.int32))
        at, entity, state = map(np.concatenate, zip(*self._parts or [empty], strict=True))
        order = np.argsort(at, kind="stable")
        about = [self._entities[entity_id] for entity_id in self._codes]
        return _Rows(at[order], entity[order], state[order], about, list(self._states), self._nameless)

    def _about(self, entity_id: str, part: Series) -> Description:
        """What tags and the measurement's name tell of an entity."""
        layout = self._layout
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
        has_text = len(layout.fields) > 1 and any(isinstance(value, str) for value in part.values[0][1:])
        return found if has_text else replace(found, unit=part.name)  # an entity with a unit has numbers for states


def _texts(values: Sequence[Sequence[Any]]) -> Iterator[str]:
    """The state of each point: the first of its fields that is there, as text."""
    for _, *fields in values:
        state = next((field for field in fields if field is not None), "")
        yield state if isinstance(state, str) else f"{state}"
