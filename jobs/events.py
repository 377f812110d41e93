"""The activity of one day, in columns: what sources make of raw samples, and what detectors are given.

A *sample* is what a source reads: at an instant an entity has a state, or its state is not known (a gap). ``trace``
applies the rules of activity, once, to a whole recording:

* An **event** is a change from one known state to another, at the instant the new one is seen. Equal states in a row
  are one; attribute-only updates and restarts that repeat a state therefore make no event.
* Unavailable, unknown, removed, and time outside the recorder's runs are gaps. Across a gap of at most 5 minutes, A
  then B is an event and A then A is nothing. Across a longer one B only re-establishes the state: when it changed is
  not known. So does every value within 60 s of a recorder's start, and an entity's first value ever. An unavailable
  entity is so until it is seen again; the recorder's absence is as long as the recorder was absent.
* A **spell** is a stretch in one state. Its begin is known if an event began it; it is finished if an event ended it. A
  spell that runs into a long gap, or into a restart that finds another value, ends there unfinished.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from jobs.entities import GAPS, Description, Entity, EntityRules, Kind
from jobs.window import MINUTE, SECOND, DayWindow, Instants, from_instant

GAP: Final = -1  # the state code of a sample whose state is not known
SHORT_GAP: Final = 5 * MINUTE
SETTLING: Final = 60 * SECOND
NEVER: Final = np.iinfo(np.int64).max

DEVICE, USER, AUTOMATION = range(3)  # what caused a sample

Codes = NDArray[np.int32]
Flags = NDArray[np.bool_]
Spans = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Samples:
    """Raw samples in columns, in any order; samples of one instant keep theirs.

    Attributes:
        at: Instants, microseconds since 1970, shape (n,).
        entity: Index into ``entities``, shape (n,).
        state: Index into ``states``, or ``GAP``, shape (n,).
        cause: ``DEVICE``, ``USER`` or ``AUTOMATION``, shape (n,).
        entities: What is known of each entity.
        states: The text of each state code.
        known: Disjoint, ascending spans of known time, shape (k, 2).
        starts: Ascending instants at which a recorder started, shape (r,).
    """

    at: Instants
    entity: Codes
    state: Codes
    cause: NDArray[np.int8]
    entities: Sequence[Description]
    states: Sequence[str]
    known: Spans
    starts: Instants = field(default_factory=lambda: np.empty(0, np.int64))


@dataclass(frozen=True, slots=True)
class Events:
    """Activity events in order of time.

    Attributes:
        at: Instants, microseconds since 1970, shape (n,).
        entity: Index into the log's entities, shape (n,).
        state: Code of the state that was taken on, shape (n,).
        cause: ``DEVICE``, ``USER`` or ``AUTOMATION``, shape (n,).
    """

    at: Instants
    entity: Codes
    state: Codes
    cause: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.at)

    def __getitem__(self, chosen: Flags | slice) -> Events:
        return Events(self.at[chosen], self.entity[chosen], self.state[chosen], self.cause[chosen])


@dataclass(frozen=True, slots=True)
class Spells:
    """Stretches in one state, ordered by entity and start.

    Attributes:
        entity: Index into the log's entities, shape (n,).
        state: State code, shape (n,).
        start: First instant at which the entity is known to be in the state, shape (n,).
        end: Instant at which the stretch ended, or was last known to go on, shape (n,).
        begun: Whether ``start`` is the change into the state.
        finished: Whether ``end`` is the change out of it.
    """

    entity: Codes
    state: Codes
    start: Instants
    end: Instants
    begun: Flags
    finished: Flags

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, chosen: Flags) -> Spells:
        return Spells(
            self.entity[chosen],
            self.state[chosen],
            self.start[chosen],
            self.end[chosen],
            self.begun[chosen],
            self.finished[chosen],
        )


class Bridges(NamedTuple):
    """Gaps of at most 5 minutes, across which a state is taken to have gone on.

    Attributes:
        entity: Index into the log's entities, shape (n,).
        start: When the state ceased to be known, shape (n,).
        end: When a state was seen again, shape (n,).
    """

    entity: Codes
    start: Instants
    end: Instants


@dataclass(frozen=True, slots=True)
class DayLog:
    """Everything a detector may know of one day.

    Attributes:
        window: The day.
        entities: The entity table, ascending by id; the index is the entity's code.
        states: The text of each state code.
        events: The activity events of the day, of entities of kind activity only.
        spells: The spells of these entities that touch the day; one may begin before it, none ends after it.
        known: Disjoint, ascending spans of known time within the day, shape (k, 2).
        samples: How many raw samples of the day were read, of whatever entity.
        notices: What the source could not use, in words.
    """

    window: DayWindow
    entities: tuple[Entity, ...]
    states: tuple[str, ...]
    events: Events
    spells: Spells
    known: Spans
    samples: int
    notices: tuple[str, ...] = ()

    def code_of(self, entity_id: str) -> int:
        """The code of an entity; -1 where the log has none of that id."""
        return next((code for code, entity in enumerate(self.entities) if entity.entity_id == entity_id), -1)

    def clock(self, instant: int) -> str:
        """An instant as the home's clock showed it."""
        return from_instant(instant).astimezone(self.window.zone).isoformat(sep=" ", timespec="seconds")

    @property
    def known_seconds(self) -> float:
        """How much of the day the source knows about."""
        return float((self.known[:, 1] - self.known[:, 0]).sum()) / SECOND


def trace(samples: Samples, activity: Flags) -> tuple[Events, Spells, Bridges]:
    """Apply the rules of activity to a recording.

    Args:
        samples: The recording.
        activity: Which entities to follow, shape (number of entities,).

    Returns:
        Events in order of time, spells ordered by entity and start, and the gaps that spells go across. A spell that
        goes on ends at the end of the known time it lies in, unfinished.
    """
    followed = np.flatnonzero(activity[samples.entity]) if len(samples.at) else np.empty(0, np.int64)
    order = followed[by_entity(samples.entity[followed], samples.at[followed])]
    at, entity, state = samples.at[order], samples.entity[order], samples.state[order]

    seen = np.flatnonzero(state != GAP)
    now, who, what = at[seen], entity[seen], state[seen]
    follows = np.zeros(len(seen), np.bool_)
    follows[1:] = who[1:] == who[:-1]
    lost_at = _lost_at(at, entity, state, seen, _without_short_gaps(samples.known))

    gap_from = np.full(len(seen), NEVER)  # when the state before this sample ceased to be known, if it did
    gap_from[1:] = np.where(follows[1:] & (lost_at[:-1] < now[1:]), lost_at[:-1], NEVER)
    near = follows & ((gap_from == NEVER) | (now - np.minimum(gap_from, now) <= SHORT_GAP))
    same = np.zeros(len(seen), np.bool_)
    same[1:] = what[1:] == what[:-1]
    settling, run_before = _settling(now, samples)

    event = near & ~same & ~settling
    begins = np.flatnonzero(~(near & same))
    bridged = near & (gap_from != NEVER)
    return (
        _events(now, who, what, samples.cause[order][seen], event),
        _spells(now, who, what, event, begins, np.minimum(gap_from, run_before), lost_at),
        Bridges(who[bridged], gap_from[bridged], now[bridged]),
    )


def _without_short_gaps(known: Spans) -> Spans:
    """Spans of known time, those joined between which the recorder was absent for at most 5 minutes."""
    if not len(known):
        return known
    long = known[1:, 0] - known[:-1, 1] > SHORT_GAP
    return np.column_stack((known[np.append(True, long), 0], known[np.append(long, True), 1]))


def _settling(now: Instants, samples: Samples) -> tuple[Flags, Instants]:
    """Which samples come within 60 s of a recorder's start, and when the run before that start ended."""
    if not len(samples.starts):
        return np.zeros(len(now), np.bool_), np.full(len(now), NEVER)
    start_before = np.searchsorted(samples.starts, now, side="right") - 1
    start = samples.starts[np.maximum(start_before, 0)]
    settling = (start_before >= 0) & (now - start < SETTLING)
    run = np.searchsorted(samples.known[:, 0], start, side="left")  # the run that the start began, if it began one
    begins, ends = np.append(samples.known[:, 0], NEVER), np.append(samples.known[:, 1], NEVER)
    return settling, np.where(settling & (run > 0) & (begins[run] == start), ends[run - 1], NEVER)


def by_entity(entity: Codes, at: Instants) -> NDArray[np.int64]:
    """The order by entity and, within it, by time; ties keep theirs."""
    if len(entity) and entity.max() <= np.iinfo(np.int16).max and np.all(at[1:] >= at[:-1]):
        return np.argsort(entity.astype(np.int16), kind="stable")  # a radix sort; time is in order already
    return np.lexsort((at, entity))


def _lost_at(at: Instants, entity: Codes, state: Codes, seen: NDArray[np.int64], known: Spans) -> Instants:
    """For each sample with a state: when knowledge of the entity ends next, by a gap sample or the end of a run."""
    after = seen + 1
    inside = np.minimum(after, len(at) - 1)
    is_gap = (after < len(at)) & (entity[inside] == entity[seen]) & (state[inside] == GAP)
    by_gap = np.where(is_gap, at[inside], NEVER)
    if not len(known):
        return by_gap
    run = np.searchsorted(known[:, 0], at[seen], side="right") - 1
    end: Instants = known[np.maximum(run, 0), 1]  # a state from before the first run, told by a later row, holds on
    lost: Instants = np.minimum(by_gap, np.maximum(end, at[seen]))  # one seen between two runs is lost at once
    return lost


def _events(now: Instants, who: Codes, what: Codes, cause: NDArray[np.int8], event: Flags) -> Events:
    found = Events(now[event], who[event], what[event], cause[event])
    order = np.argsort(found.at, kind="stable")
    return Events(found.at[order], found.entity[order], found.state[order], found.cause[order])


def _spells(  # noqa: PLR0917 - parallel columns
    now: Instants,
    who: Codes,
    what: Codes,
    event: Flags,
    begins: NDArray[np.int64],
    gap_from: Instants,
    lost_at: Instants,
) -> Spells:
    """Each spell reaches to the entity's next one, or to where knowledge ends."""
    following = np.append(begins[1:], -1)[: len(begins)]
    last_sample = np.append(begins[1:], len(now))[: len(begins)] - 1
    has_next = (following >= 0) & (who[following] == who[begins])
    finished = has_next & event[following]
    gap_or_next = np.minimum(np.maximum(gap_from[following], now[last_sample]), now[following])
    unfinished_end = np.where(has_next, gap_or_next, lost_at[last_sample])
    return Spells(
        entity=who[begins],
        state=what[begins],
        start=now[begins],
        end=np.where(finished, now[following], unfinished_end),
        begun=event[begins],
        finished=finished,
    )


@dataclass(frozen=True, slots=True)
class Recording:
    """A whole recording, traced once, from which any day can be cut.

    Attributes:
        samples: The raw samples, with entities ascending by id.
        rules: How entities are classed. What their states decide is decided day by day.
        entities: How each is classed as far as its states do not matter; what may be activity is followed.
        events: All events of what may be activity.
        spells: All its spells.
        bridges: The short gaps that these go across.
    """

    samples: Samples
    rules: EntityRules
    entities: tuple[Entity, ...]
    events: Events
    spells: Spells
    bridges: Bridges

    @classmethod
    def of(cls, samples: Samples, rules: EntityRules) -> Recording:
        """Class the entities of a recording and trace it."""
        samples = _sorted_by_id(samples)
        entities = tuple(rules.classify(about) for about in samples.entities)
        return cls(samples, rules, entities, *trace(samples, _activity(entities)))

    def day(self, window: DayWindow, notices: Iterable[str] = ()) -> DayLog:
        """What is known of one day, and nothing that happened after it."""
        events = self.events[slice(*np.searchsorted(self.events.at, (window.start, window.end)))]
        spells = self._spells(window)
        entities = self._classed(spells)
        activity = _activity(entities)
        known = np.clip(self.samples.known, window.start, window.end)
        return DayLog(
            window=window,
            entities=entities,
            states=tuple(self.samples.states),
            events=events[activity[events.entity]],
            spells=spells[activity[spells.entity]],
            known=known[known[:, 0] < known[:, 1]],
            samples=int(np.count_nonzero((self.samples.at >= window.start) & (self.samples.at < window.end))),
            notices=tuple(notices),
        )

    def _spells(self, window: DayWindow) -> Spells:
        """The spells that touch a day, as they stood when it ended."""
        spells = self.spells[(self.spells.start < window.end) & (self.spells.end >= window.start)]
        later = spells.end >= window.end
        end = np.minimum(spells.end, self._known_until(window.end))
        end = np.where(later, np.maximum(end, spells.start), spells.end)
        # Who is in a gap at that moment is not known to be seen again soon.
        open_gaps = (self.bridges.start < window.end) & (self.bridges.end >= window.end)
        lost = dict(zip(self.bridges.entity[open_gaps].tolist(), self.bridges.start[open_gaps].tolist(), strict=True))
        for place in np.flatnonzero(later & np.isin(spells.entity, list(lost))).tolist():
            end[place] = max(lost[int(spells.entity[place])], int(spells.start[place]))
        return Spells(spells.entity, spells.state, spells.start, end, spells.begun, spells.finished & ~later)

    def _known_until(self, instant: int) -> int:
        """The instant, or the end of the last run before it if no run is going on then."""
        known = self.samples.known
        run = int(np.searchsorted(known[:, 0], instant, side="left")) - 1
        return min(instant, int(known[run, 1])) if run >= 0 else instant

    def _classed(self, spells: Spells) -> tuple[Entity, ...]:
        """How each entity is classed on a day, by the states it was in."""
        seen: dict[int, list[str]] = {code: [] for code, entity in enumerate(self.entities) if entity.by_states}
        if not seen:
            return self.entities
        width = len(self.samples.states)
        for pair in np.unique(spells.entity.astype(np.int64) * width + spells.state).tolist():
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
