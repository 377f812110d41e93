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

Home Assistant never sends ``unknown`` and ``unavailable``, repeats equal values, and sends everything anew after a
restart: ``activity.tracing`` joins repeats, and ``recorder_uptime`` finds silences and restarts. The states in which a
day opens are the newest samples of each entity before it. The cause of a change is never sent either: ``causes`` takes
what changes while an automation, script or scene reports that it runs as done by it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from jobs.activity.building import Recording
from jobs.activity.entities import Description, EntityRules, Kind
from jobs.activity.events import DEVICE, GAP, DayLog, Samples
from jobs.activity.settling import SETTLING_LIMIT
from jobs.activity.window import DAY, HOUR, MINUTE, DayWindow, Instants, from_instant, midnight, to_instant
from jobs.names import NO_NAMES, Names, make_names
from jobs.sources.home_assistant_registry import NO_REGISTRY, read_registry
from jobs.sources.influxdb_automations import CURRENT, MACHINES, causes, runs_of
from jobs.sources.influxdb_descriptions import (
    ATTRIBUTES,
    describe,
    described_rows,
    mixed_entities,
    newest_attributes,
    with_classes,
)
from jobs.sources.influxdb_points import LAYOUTS, Layout, Points, evidence_of, times_of, typed_fields
from jobs.sources.recorder_uptime import (
    BURST,
    MAX_RECURRING,
    Restarts,
    alive_before,
    known_time,
    longest_silence,
    restarts,
    usual_silence,
)
from storage.dates import ONE_DAY, DateRange
from storage.drivers.influxdb.connection import Connection, ErrorClasses
from storage.drivers.influxdb.influxql import Query, quote_name
from storage.drivers.influxdb.organisation import verify_organisation
from storage.drivers.influxdb.server import Server
from storage.errors import SourceError, SourceMismatch, SourceUnavailable

MAX_SAMPLES_BEFORE: Final = 64  # samples of one entity before a day that are read at once
MAX_ENTITIES_NAMED: Final = 500  # entities that one query names; for more it asks for all
MAX_STRAYS: Final = 100  # points with nothing around them that are passed over at either end
_EDGE: Final = MAX_RECURRING  # how far around a day samples decide whether its ends are known time
PULSE: Final = 10 * MINUTE  # how finely it is looked at whether anything was recorded before the day
OLDEST: Final = to_instant(dt.datetime(2010, 1, 1, tzinfo=dt.UTC))  # earlier points come from a clock that was not set

_NAME: Final = "friendly_name_str"  # the field that holds what Home Assistant calls an entity

_ERRORS = ErrorClasses(
    SourceUnavailable,
    SourceMismatch,
    SourceError,
    missing_hint="Correct source.url, source.org and source.bucket.",
    unauthorized_hint="Set a token that may read this bucket as source.token.",
)


class InfluxSource:
    """An ``EventSource`` over raw events in InfluxDB.

    Args:
        server: Where it is.
        bucket: The bucket; ``database`` or ``database/policy`` on 1.x.
        zone: The home's zone.
        rules: How entities are classified.
        layout: Where things are in a point.
        registry_dir: Home Assistant's ``.storage`` folder, for areas and devices; None if it is not available.
        lookback_days: How far back the states in which a day opens are looked for.
        max_silence_hours: For how long nothing at all may come in while the time still counts as known.
        home: A tag and its value in the points of this home; None if all points of the bucket are of this home.

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
        home: tuple[str, str] | None = None,
    ) -> None:
        self._connection = Connection(server, _ERRORS, f"raw events {bucket!r}")
        self._bucket = bucket
        self._zone = zone
        self._rules = rules
        self._layout = layout
        registry = read_registry(registry_dir) if registry_dir is not None else NO_REGISTRY
        self._registry, self._keys = registry.descriptions, registry.keys
        self._lookback = lookback_days * DAY
        self._silence = round(max_silence_hours * HOUR)
        self._home = home
        self._proven = False

    def close(self) -> None:
        """See ``EventSource.close``."""
        self._connection.close()

    def names(self) -> Names:
        """See ``NamesEntities.names``: from the entities' newest points."""
        if not self._layout.attributes:
            return NO_NAMES
        newest = self._edge(OLDEST, None, "DESC")
        if not len(newest):
            return NO_NAMES
        query = self._query(
            f"LAST({quote_name(_NAME)}::string) AS {quote_name('name')}", int(newest[0]) - self._lookback, None
        )
        query.text += f" GROUP BY {', '.join(map(quote_name, self._entity_tags()))}"
        found = self._connection.execute(query, lambda parts: newest_attributes(parts, self._layout))
        return make_names({one: about.get("name") for one, about in found.items()}, {})

    def read(self, window: DayWindow) -> DayLog:
        """See ``EventSource.read``."""
        self._verify_organisation()
        earliest = window.start - self._lookback
        before = self._points(earliest, window.start, f"ORDER BY time DESC LIMIT {MAX_SAMPLES_BEFORE}")
        of_day = self._points(window.start, window.end)
        older = self._last_before(earliest, before, of_day)
        points = older.followed_by(self._followed_back(before, earliest)).followed_by(before).followed_by(of_day)
        certain, possible = self._restarts(points)
        # The same settling goes on between starts that follow each other closely; only the first ends an absence.
        absent = certain[np.diff(certain, prepend=-SETTLING_LIMIT) >= SETTLING_LIMIT]
        alive = np.concatenate((self._pulses(earliest, window.start), points.at[points.at >= earliest]))
        usual = usual_silence(alive[alive >= window.start - DAY])
        for start in absent.tolist():
            alive = self._alive_around(alive, start, usual)
        silence = longest_silence(alive, window.end, self._silence)
        after = self._edge(window.end, window.end + silence)
        points, descriptions = self._described(points, earliest, window.end)
        samples = Samples(
            at=points.at,
            entity=points.entity,
            state=points.state,
            cause=self._causes(points, of_day, certain),
            entities=descriptions,
            states=points.states,
            known=known_time(np.concatenate((alive, after)), silence, absent),
            starts=certain,
            possible_starts=possible,
        )
        notices = [f"{of_day.nameless} points belong to no entity"] if of_day.nameless else []
        return replace(Recording.of(samples, self._rules).day(window, notices), keys=self._keys)

    def fingerprint(self, window: DayWindow) -> str:
        """See ``EventSource.fingerprint``: points by measurement within the day, and the samples around its ends."""
        query = self._query(self._counts(), window.start, window.end)
        found = self._connection.execute(query, lambda parts: sorted((part.name, part.values[0][1:]) for part in parts))
        edges = [
            self._edge(window.start - _EDGE, window.start, "DESC").tolist()[:1],
            self._edge(window.end, window.end + _EDGE).tolist()[:1],
        ]
        return hashlib.blake2b(repr((found, edges)).encode(), digest_size=8).hexdigest()

    def span(self) -> DateRange | None:
        """See ``EventSource.span``.

        A first day counts if its samples begin within 15 minutes of its midnight, or with a recorder's start. A last
        day counts if its samples reach to within the longest silence of its end. Points that have nothing around them
        within that silence, and points from before 2010, do not count.
        """
        self._verify_organisation()
        first, last = self._outermost("ASC"), self._outermost("DESC")
        if first is None or last is None:
            return None
        day = self._day_of(first)
        if first - midnight(day, self._zone) > 15 * MINUTE:
            began = self._restarts(self._points(first, first + HOUR)).certain
            if not len(began) or began[0] > first + BURST:
                day += ONE_DAY  # its earlier hours are purged
        newest = self._day_of(last)
        if midnight(newest + ONE_DAY, self._zone) - last > self._silence:
            newest -= ONE_DAY  # it is not over yet
        return DateRange(day, newest) if day <= newest else None

    def _outermost(self, order: Literal["ASC", "DESC"]) -> int | None:
        """Return the first or last instant that has another one within the longest silence."""
        start, end = OLDEST, None
        for _ in range(MAX_STRAYS):
            found = self._edge(start, end, order)
            if not len(found):
                return None
            instant = int(found[0])
            near = (instant + 1, instant + self._silence) if order == "ASC" else (instant - self._silence, instant)
            if len(self._edge(*near)):
                return instant
            start, end = (instant + 1, end) if order == "ASC" else (start, instant)
        return None

    @staticmethod
    def _restarts(points: Points) -> Restarts:
        return restarts(evidence_of(points, [about.entity_id.partition(".")[0] for about in points.about]))

    def _verify_organisation(self) -> None:
        if not self._proven:
            verify_organisation(self._connection, self._bucket, self._layout.measurement)
            self._proven = True

    def _day_of(self, instant: int) -> dt.date:
        return from_instant(instant).astimezone(self._zone).date()

    def _points(
        self,
        start: int,
        end: int,
        suffix: str = "",
        *,
        entity_ids: Sequence[str] = (),
        state: tuple[Literal["=", "!="], str] | None = None,
    ) -> Points:
        query = self._query(", ".join(typed_fields(self._layout)), start, end)
        if entity_ids:
            query.text += f" AND {self._is_one_of(query, entity_ids)}"
        if state is not None:
            query.text += f" AND {quote_name(self._layout.fields[0])}::string {state[0]} {query.bind(state[1])}"
        query.text += f" GROUP BY {', '.join(map(quote_name, self._entity_tags()))} {suffix}"
        return self._connection.execute(query, lambda parts: Points.of(parts, self._layout))

    def _last_before(self, earliest: int, before: Points, of_day: Points) -> Points:
        """Return the newest sample of each entity that has some on the day and none in the days just before it."""
        seen = {about.entity_id for about in before.about}
        silent = [
            about.entity_id
            for about in of_day.about
            if about.entity_id not in seen and self._rules.classify(about).kind is Kind.ACTIVITY
        ]
        if not silent:
            return Points.of((), self._layout)
        named = silent if len(silent) <= MAX_ENTITIES_NAMED else ()
        return self._points(OLDEST, earliest, "ORDER BY time DESC LIMIT 1", entity_ids=named).only(silent)

    def _followed_back(self, before: Points, earliest: int) -> Points:
        """Return, for entities that only repeated a state, the sample that began it and the one before, if in reach."""
        found = Points.of((), self._layout)
        many = np.bincount(before.entity, minlength=len(before.about)) >= MAX_SAMPLES_BEFORE
        for code in np.flatnonzero(many).tolist():
            states = np.unique(before.state[before.entity == code])
            about = before.about[code]
            if len(states) > 1 or states[0] == GAP or self._rules.classify(about).kind is not Kind.ACTIVITY:
                continue
            oldest = int(before.at[before.entity == code][0])
            state = before.states[int(states[0])]
            one = [about.entity_id]
            other = self._points(earliest, oldest, "ORDER BY time DESC LIMIT 1", entity_ids=one, state=("!=", state))
            if len(other.at):
                began = self._points(
                    int(other.at[-1]) + 1, oldest, "ORDER BY time LIMIT 1", entity_ids=one, state=("=", state)
                )
                found = found.followed_by(other).followed_by(began)
        return found

    def _pulses(self, start: int, end: int) -> Instants:
        """Return both ends of every stretch of ten minutes in which anything was recorded."""
        query = self._query(self._counts(), start, end)
        query.text += f" GROUP BY time({PULSE // MINUTE}m) FILL(none)"
        times = self._connection.execute(query, times_of)
        pulses: Instants = np.minimum(np.concatenate((np.maximum(times, start), times + PULSE)), end - 1)
        return pulses

    def _alive_around(self, alive: Instants, start: int, usual: int) -> Instants:
        """Return instants of recording, with the time until when it was alive before a start to the microsecond."""
        last = self._edge(start - self._silence, start, "DESC")[:1]
        until = [alive_before(start, int(at), usual) for at in last]
        apart = (alive <= last.max(initial=start - self._silence)) | (alive >= start)
        return np.concatenate((alive[apart], last, np.array(until, np.int64)))

    def _edge(self, start: int, end: int | None, order: str = "ASC") -> Instants:
        """Return the first instant of each measurement within a span, ascending; with DESC the last, descending.

        Without an end the span ends now, by the server's clock: points from the future do not count.
        """
        query = self._query(", ".join(typed_fields(self._layout)), start, end)
        query.text += f" ORDER BY time {order} LIMIT 1"
        times = np.sort(self._connection.execute(query, times_of))
        return times if order == "ASC" else times[::-1]

    def _described(self, points: Points, start: int, end: int) -> tuple[Points, list[Description]]:
        """Describe each entity; samples from the time when one was a reading, and is activity now, become gaps."""
        newest = self._attributes(points, start, end)
        descriptions = [describe(about, newest.get(about.entity_id, {}), self._registry) for about in points.about]
        mixed = [points.about[code].entity_id for code in mixed_entities(points)]
        if not mixed:
            return points, descriptions
        columns = ", ".join(f"{quote_name(field)}::string AS {quote_name(name)}" for field, name in ATTRIBUTES.items())
        states = ", ".join(typed_fields(self._layout))
        query = self._query(f"{columns}, {states}" if self._layout.attributes else states, start, end)
        query.text += f" AND {self._is_one_of(query, mixed)} GROUP BY {', '.join(map(quote_name, self._entity_tags()))}"
        rows = self._connection.execute(query, lambda parts: described_rows(parts, self._layout, self._registry))
        return with_classes(points, descriptions, rows, self._rules)

    def _attributes(self, points: Points, start: int, end: int) -> dict[str, dict[str, object]]:
        """Return the newest attributes of each entity, as far as points hold them as fields."""
        if not self._layout.attributes or not points.about:
            return {}
        names = ", ".join(
            f"LAST({quote_name(field)}::string) AS {quote_name(name)}" for field, name in ATTRIBUTES.items()
        )
        query = self._query(names, start, end)
        query.text += f" GROUP BY {', '.join(map(quote_name, self._entity_tags()))}"
        return self._connection.execute(query, lambda parts: newest_attributes(parts, self._layout))

    def _causes(self, points: Points, of_day: Points, starts: Instants) -> NDArray[np.int8]:
        """Return the cause of each sample, as far as the day's points of automations, scripts and scenes show it."""
        machines = [about.entity_id for about in of_day.about if about.entity_id.startswith(MACHINES)]
        if not machines or not len(of_day.at):
            return np.full(len(points.at), DEVICE, np.int8)
        current = f"{quote_name(CURRENT)}::float" if self._layout.attributes else typed_fields(self._layout)[0]
        query = self._query(
            f"{current}, {', '.join(typed_fields(self._layout))}", int(of_day.at[0]), int(of_day.at[-1]) + 1
        )
        named = self._is_one_of(query, machines) if len(machines) <= MAX_ENTITIES_NAMED else ""
        query.text += f" AND {named}" * bool(named) + f" GROUP BY {', '.join(map(quote_name, self._entity_tags()))}"
        runs = self._connection.execute(query, lambda parts: runs_of(parts, self._layout))
        return causes(points, runs, starts)

    def _entity_tags(self) -> list[str]:
        layout = self._layout
        return [tag for tag in (layout.domain_tag, layout.entity_tag, layout.area_tag, layout.device_tag) if tag]

    def _is_one_of(self, query: Query, entity_ids: Sequence[str]) -> str:
        """Return the condition that a point is of one of some entities."""
        layout = self._layout
        if not layout.domain_tag:
            return query.tag_in(layout.entity_tag, entity_ids)
        keys = [(domain, object_id) for domain, _, object_id in (one.partition(".") for one in entity_ids)]
        return query.tags_in([layout.domain_tag, layout.entity_tag], keys)

    def _counts(self) -> str:
        return ", ".join(f"COUNT({field})" for field in typed_fields(self._layout))

    def _query(self, selected: str, start: int, end: int | None) -> Query:
        source = quote_name(self._layout.measurement) if self._layout.measurement else "/.*/"
        text = f"SELECT {selected} FROM {source} WHERE time >= {start}u"  # noqa: S608 - quoted names and integers
        query = Query(self._bucket, text, precision="u")
        query.text += f" AND time < {end}u" if end is not None else " AND time <= now()"
        if self._layout.event_tag and self._layout.event:
            query.text += f" AND {query.tag_in(self._layout.event_tag, [self._layout.event, ''])}"
        if self._home is not None:
            query.text += f" AND {query.tag_in(self._home[0], [self._home[1]])}"
        return query
