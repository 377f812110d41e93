"""From what sources read to the log of a day: collecting samples, classing entities, cutting days."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np

from jobs.activity.entities import GAPS, Description, Entity, EntityRules, Kind
from jobs.activity.events import DEVICE, GAP, DayLog, Events, Flags, Samples, ShortGaps, Spans, StateIntervals
from jobs.activity.tracing import trace
from jobs.activity.window import MINUTE, DayWindow, Instants


@dataclass(frozen=True, slots=True)
class Recording:
    """A whole recording, traced once, from which any day can be cut.

    Attributes:
        samples: The raw samples, with entities ascending by id.
        rules: How entities are classed. What their states decide is decided day by day.
        entities: How each is classed as far as its states do not matter; what may be activity is followed.
        events: All events of what may be activity.
        intervals: All its intervals.
        short_gaps: The short gaps that these go across.
    """

    samples: Samples
    rules: EntityRules
    entities: tuple[Entity, ...]
    events: Events
    intervals: StateIntervals
    short_gaps: ShortGaps

    @classmethod
    def of(cls, samples: Samples, rules: EntityRules) -> Recording:
        """Class the entities of a recording and trace it."""
        samples = _sorted_by_id(samples)
        entities = tuple(rules.classify(about) for about in samples.entities)
        return cls(samples, rules, entities, *trace(samples, _activity(entities)))

    def day(self, window: DayWindow, notices: Iterable[str] = ()) -> DayLog:
        """What is known of one day, and nothing that happened after it."""
        events = self.events[slice(*np.searchsorted(self.events.at, (window.start, window.end)))]
        intervals = self._intervals(window)
        entities = self._classed(intervals)
        activity = _activity(entities)
        known = np.clip(self.samples.known, window.start, window.end)
        return DayLog(
            window=window,
            entities=entities,
            states=tuple(self.samples.states),
            events=events[activity[events.entity]],
            intervals=intervals[activity[intervals.entity]],
            known=known[known[:, 0] < known[:, 1]],
            samples=int(np.count_nonzero((self.samples.at >= window.start) & (self.samples.at < window.end))),
            notices=tuple(notices),
        )

    def _intervals(self, window: DayWindow) -> StateIntervals:
        """The intervals that touch a day, as they stood when it ended."""
        intervals = self.intervals[(self.intervals.start < window.end) & (self.intervals.end >= window.start)]
        later = intervals.end >= window.end
        end = np.minimum(intervals.end, self._known_until(window.end))
        end = np.where(later, np.maximum(end, intervals.start), intervals.end)
        # Who is in a gap at that moment is not known to be seen again soon.
        open_gaps = (self.short_gaps.start < window.end) & (self.short_gaps.end >= window.end)
        lost = dict(
            zip(self.short_gaps.entity[open_gaps].tolist(), self.short_gaps.start[open_gaps].tolist(), strict=True)
        )
        for place in np.flatnonzero(later & np.isin(intervals.entity, list(lost))).tolist():
            end[place] = max(lost[int(intervals.entity[place])], int(intervals.start[place]))
        return StateIntervals(
            intervals.entity, intervals.state, intervals.start, end, intervals.start_known, intervals.end_known & ~later
        )

    def _known_until(self, instant: int) -> int:
        """The instant, or the end of the last run before it if no run is going on then."""
        known = self.samples.known
        run = int(np.searchsorted(known[:, 0], instant, side="left")) - 1
        return min(instant, int(known[run, 1])) if run >= 0 else instant

    def _classed(self, intervals: StateIntervals) -> tuple[Entity, ...]:
        """How each entity is classed on a day, by the states it was in."""
        seen: dict[int, list[str]] = {code: [] for code, entity in enumerate(self.entities) if entity.by_states}
        if not seen:
            return self.entities
        width = len(self.samples.states)
        for pair in np.unique(intervals.entity.astype(np.int64) * width + intervals.state).tolist():
            if pair // width in seen:
                seen[pair // width].append(self.samples.states[pair % width])
        classed = list(self.entities)
        for code, states in seen.items():
            classed[code] = self.rules.classify(self.samples.entities[code], states)
        return tuple(classed)


def _activity(entities: Sequence[Entity]) -> Flags:
    return np.array([entity.kind is Kind.ACTIVITY for entity in entities], np.bool_)


def _sorted_by_id(samples: Samples) -> Samples:
    order = sorted(range(len(samples.entities)), key=lambda code: samples.entities[code].entity_id)
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    return Samples(
        at=samples.at,
        entity=place[samples.entity] if order else samples.entity,
        state=samples.state,
        cause=samples.cause,
        entities=[samples.entities[code] for code in order],
        states=samples.states,
        known=samples.known,
        starts=samples.starts,
    )


class SampleBuilder:
    """Collects samples row by row, giving each entity and state its code."""

    def __init__(self) -> None:
        self._at: list[int] = []
        self._entity: list[int] = []
        self._state: list[int] = []
        self._cause: list[int] = []
        self._entities: dict[str, int] = {}
        self._states: dict[str, int] = {}
        self._about: dict[str, Description] = {}

    def describe(self, about: Description) -> None:
        """Say what is known of an entity, whether or not it has samples."""
        self._entities.setdefault(about.entity_id, len(self._entities))
        self._about[about.entity_id] = about

    def add(self, at: int, entity_id: str, state: str | None, cause: int = DEVICE) -> None:
        """Add one sample; a state of None, "unavailable", "unknown" or "" is a gap."""
        self._at.append(at)
        self._entity.append(self._entities.setdefault(entity_id, len(self._entities)))
        self._state.append(GAP if state is None or state in GAPS else self._states.setdefault(state, len(self._states)))
        self._cause.append(cause)

    def build(self, known: Sequence[tuple[int, int]] | Spans, starts: Sequence[int] | Instants = ()) -> Samples:
        """All samples added so far, with the known time of the recording."""
        return Samples(
            at=np.array(self._at, np.int64),
            entity=np.array(self._entity, np.int32),
            state=np.array(self._state, np.int32),
            cause=np.array(self._cause, np.int8),
            entities=[self._about.get(entity_id, Description(entity_id)) for entity_id in self._entities],
            states=list(self._states),
            known=np.array(known, np.int64).reshape(-1, 2),
            starts=np.array(starts, np.int64),
        )


def example_day(
    minutes: Iterable[tuple[float, str, str]],
    *,
    day: dt.date = dt.date(2026, 3, 2),
    zone: str = "UTC",
    area: str | None = None,
    device_class: str | None = None,
    areas: Mapping[str, str] | None = None,
) -> DayLog:
    """A small day written by hand, for examples: (minute of the day, entity id, state), all of it known.

    Args:
        minutes: The samples; the first of an entity says in which state it opens.
        day: The date.
        zone: The zone.
        area: The area of every entity that ``areas`` does not name.
        device_class: The device class of every binary sensor.
        areas: The areas of single entities.
    """
    window = DayWindow(day, ZoneInfo(zone))
    builder = SampleBuilder()
    for minute, entity_id, state in minutes:
        of_class = device_class if entity_id.startswith("binary_sensor.") else None
        builder.describe(Description(entity_id, device_class=of_class, area_id=(areas or {}).get(entity_id, area)))
        builder.add(window.start + round(minute * MINUTE), entity_id, state)
    return Recording.of(builder.build([(window.start, window.end)]), EntityRules()).day(window)
