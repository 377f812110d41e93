"""From the samples that a source reads to the log of a day: collect samples, classify entities, cut days."""

from __future__ import annotations

import datetime as dt
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from jobs.activity.entities import Description, Entity, EntityRules, Kind
from jobs.activity.episodes import Group, episodes_of, groups_of
from jobs.activity.events import (
    DEVICE,
    GAP,
    Codes,
    DayLog,
    Episodes,
    Events,
    Flags,
    Samples,
    ShortGaps,
    Spans,
    StateIntervals,
)
from jobs.activity.reading import Texts, texts_of, with_states
from jobs.activity.reclassified import prevailing
from jobs.activity.settling import SETTLING_LIMIT
from jobs.activity.states import GAPS
from jobs.activity.tracing import trace
from jobs.activity.window import MINUTE, DayWindow, Instants

DEFAULT_RULES: Final = EntityRules()


@dataclass(frozen=True, slots=True)
class Recording:
    """A whole recording, traced once, from which any day can be cut.

    Attributes:
        samples: The raw samples, with entities ascending by id.
        rules: How entities are classified. Where the states decide, each day is decided by itself.
        entities: How each is classified without regard to its states; what may be activity is traced.
        states: The text of each state code of events and intervals.
        events: All events of what may be activity.
        intervals: All its intervals.
        short_gaps: The gaps within these intervals.
        pauses: Which intervals are in a state that counts as a pause.
        episodes: All its episodes.
        texts: The raw texts of each entity whose states decide its class, by the entity's code.
    """

    samples: Samples
    rules: EntityRules
    entities: tuple[Entity, ...]
    states: tuple[str, ...]
    events: Events
    intervals: StateIntervals
    short_gaps: ShortGaps
    pauses: Flags
    episodes: Episodes
    texts: Mapping[int, Texts]

    @classmethod
    def of(cls, samples: Samples, rules: EntityRules) -> Recording:
        """Classify the entities of a recording and trace it."""
        samples = _sorted_by_id(samples)
        entities = tuple(rules.classify(about) for about in samples.entities)
        activity = _activity(entities)
        read = with_states(samples, entities, activity)
        events, intervals, short_gaps = trace(read, activity)
        group = groups_of(intervals, entities, read.states)
        return cls(
            samples,
            rules,
            entities,
            tuple(read.states),
            events,
            intervals,
            short_gaps,
            group == Group.PAUSE,
            episodes_of(intervals, group),
            texts_of(samples, [code for code, entity in enumerate(entities) if entity.by_states]),
        )

    def day(self, window: DayWindow, notices: Iterable[str] = ()) -> DayLog:
        """Return the log of one day; nothing that happened after the day changes it."""
        if self._is_settling_at(window.end):
            return Recording.of(self._samples_until(window.end), self.rules).day(window, notices)
        events = self.events[slice(*np.searchsorted(self.events.at, (window.start, window.end)))]
        entities = self._classed(window)
        activity = _activity(entities)
        intervals = self._intervals(window)
        episodes = self._episodes(window)
        known = np.clip(self.samples.known, window.start, window.end)
        return DayLog(
            window=window,
            entities=entities,
            states=self.states,
            events=events[activity[events.entity]],
            intervals=intervals[activity[intervals.entity]],
            episodes=episodes[activity[episodes.entity]],
            known=known[known[:, 0] < known[:, 1]],
            samples=int(np.count_nonzero((self.samples.at >= window.start) & (self.samples.at < window.end))),
            notices=tuple(notices),
        )

    def _is_settling_at(self, instant: int) -> bool:
        """Return whether a home is settling at an instant: then later samples change what the states before it mean."""
        starts = np.union1d(self.samples.starts, self.samples.possible_starts)
        since = np.searchsorted(starts, (instant - SETTLING_LIMIT, instant), side="right")
        goes_on = len(self.samples.at) and bool(self.samples.at.max() >= instant)
        return bool(since[0] < since[1]) and (goes_on or bool(np.any(self.samples.known > instant)))

    def _samples_until(self, instant: int) -> Samples:
        """Return what had been recorded until an instant."""
        samples, known = self.samples, np.minimum(self.samples.known, instant)
        chosen = samples.at < instant
        return replace(
            samples,
            at=samples.at[chosen],
            entity=samples.entity[chosen],
            state=samples.state[chosen],
            cause=samples.cause[chosen],
            known=known[known[:, 0] < known[:, 1]],
            starts=samples.starts[samples.starts < instant],
            is_change=None if samples.is_change is None else samples.is_change[chosen],
            possible_starts=samples.possible_starts[samples.possible_starts < instant],
        )

    def _intervals(self, window: DayWindow) -> StateIntervals:
        """Return the intervals that touch a day, as they were known when it ended."""
        intervals = self.intervals[(self.intervals.start < window.end) & (self.intervals.end >= window.start)]
        later = intervals.end >= window.end
        end = self._as_of(window.end, intervals.entity, intervals.start, intervals.end, later)
        return StateIntervals(
            intervals.entity, intervals.state, intervals.start, end, intervals.start_known, intervals.end_known & ~later
        )

    def _episodes(self, window: DayWindow) -> Episodes:
        """Return the episodes that touch a day or whose end became known on it, as they were known when it ended."""
        episodes = self.episodes[(self.episodes.start < window.end) & (self.episodes.known_at >= window.start)]
        later = episodes.known_at >= window.end
        end = self._as_of(window.end, episodes.entity, episodes.start, episodes.end, later, pauses=True)
        known_at = np.minimum(episodes.known_at, window.end)
        return Episodes(
            episodes.entity, episodes.start, end, episodes.start_known, episodes.end_known & ~later, known_at
        )

    def _as_of(
        self, instant: int, entity: Codes, start: Instants, end: Instants, later: Flags, *, pauses: bool = False
    ) -> Instants:
        """Return ends as they were known at an instant; what was going on then ends at the last known instant."""
        ends = np.where(later, np.maximum(np.minimum(end, self._known_until(instant)), start), end)
        # It is not known then whether an entity in a gap will be seen again soon, or how long a pause will be.
        gaps = self.short_gaps
        is_open = (gaps.start < instant) & (gaps.end >= instant)
        left = dict(zip(gaps.entity[is_open].tolist(), gaps.start[is_open].tolist(), strict=True))
        if pauses:
            is_open = self.pauses & (self.intervals.start < instant) & (self.intervals.end >= instant)
            left |= dict(
                zip(self.intervals.entity[is_open].tolist(), self.intervals.start[is_open].tolist(), strict=True)
            )
        for place in np.flatnonzero(later & np.isin(entity, list(left))).tolist():
            ends[place] = min(max(left[int(entity[place])], int(start[place])), int(ends[place]))
        return ends

    def _known_until(self, instant: int) -> int:
        """Return the instant, or the end of the last known time before it if it is not known itself."""
        known = self.samples.known
        run = int(np.searchsorted(known[:, 0], instant, side="left")) - 1
        return min(instant, int(known[run, 1])) if run >= 0 else instant

    def _classed(self, window: DayWindow) -> tuple[Entity, ...]:
        """Classify each entity for a day, by its last text before the day and those of the day."""
        if not self.texts:
            return self.entities
        classed = list(self.entities)
        for code, raw in self.texts.items():
            first, last = np.searchsorted(raw.at, (window.start, window.end))
            seen = np.unique(raw.state[max(int(first) - 1, 0) : last])
            texts = [self.samples.states[state] for state in seen.tolist() if state != GAP]
            classed[code] = self.rules.classify(self.samples.entities[code], texts)
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
        is_change=samples.is_change,
        possible_starts=samples.possible_starts,
    )


class SampleBuilder:
    """Collects samples row by row and gives each entity and state its code."""

    def __init__(self) -> None:
        self._at, self._entity, self._state, self._cause = array("q"), array("i"), array("i"), array("b")
        self._entities: dict[str, int] = {}
        self._states: dict[str, int] = {}
        self._about: dict[str, list[tuple[int, Description]]] = {}  # each with the number of samples before it

    def describe(self, about: Description) -> None:
        """Describe an entity, whether or not it has samples: those that follow were recorded while it was this."""
        self._entities.setdefault(about.entity_id, len(self._entities))
        given = self._about.setdefault(about.entity_id, [])
        if not given or given[-1][1] != about:
            given.append((len(self._at), about))

    def add(self, at: int, entity_id: str, state: str | None, cause: int = DEVICE) -> None:
        """Add one sample; a state of None, "unavailable", "unknown" or "" is a gap."""
        self._at.append(at)
        self._entity.append(self._entities.setdefault(entity_id, len(self._entities)))
        self._state.append(GAP if state is None or state in GAPS else self._states.setdefault(state, len(self._states)))
        self._cause.append(cause)

    def build(
        self,
        known: Sequence[tuple[int, int]] | Spans,
        starts: Sequence[int] | Instants = (),
        rules: EntityRules = DEFAULT_RULES,
    ) -> Samples:
        """Return all samples added so far, with the known time of the recording.

        Args:
            known: Disjoint, ascending spans of known time.
            starts: Ascending instants at which a recorder started.
            rules: How entities are classified: where the class of one changed, ``reclassified`` says what counts.
        """
        entity, state = np.array(self._entity, np.int32), np.array(self._state, np.int32)
        about = {entity_id: given[-1][1] for entity_id, given in self._about.items()}
        for entity_id, given in self._about.items():
            if len(given) > 1:
                about[entity_id], counted = prevailing([description for _, description in given], rules)
                bounds = [first for first, _ in given] + [len(entity)]
                for place in np.flatnonzero(~np.array(counted)).tolist():
                    part = slice(bounds[place], bounds[place + 1])
                    state[part][entity[part] == self._entities[entity_id]] = GAP
        return Samples(
            at=np.array(self._at, np.int64),
            entity=entity,
            state=state,
            cause=np.array(self._cause, np.int8),
            entities=[about.get(entity_id, Description(entity_id)) for entity_id in self._entities],
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
    """Return a small day written by hand, for examples: (minute of the day, entity id, state), all of it known.

    Args:
        minutes: The samples; the first of an entity is the state in which it opens.
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
