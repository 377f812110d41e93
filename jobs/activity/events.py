"""The activity of one day, in columns: what detectors are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobs.activity.entities import Description, Entity
from jobs.activity.window import SECOND, DayWindow, Instants, from_instant

__all__ = [  # what detectors and sources of other packages build on
    "AUTOMATION",
    "DEVICE",
    "GAP",
    "USER",
    "DayLog",
    "Events",
    "Samples",
    "StateIntervals",
]

GAP: Final = -1  # the state code of a sample whose state is not known
NEVER: Final = np.iinfo(np.int64).max

DEVICE, USER, AUTOMATION = range(3)  # what caused a sample

Codes = NDArray[np.int32]
Flags = NDArray[np.bool_]
Places = NDArray[np.int64]
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
        is_change: Whether each is known to be a change though no earlier state is kept (its row was purged), shape
            (n,); None if none is.
        possible_starts: Ascending instants at which a recorder may have started, shape (p,).
    """

    at: Instants
    entity: Codes
    state: Codes
    cause: NDArray[np.int8]
    entities: Sequence[Description]
    states: Sequence[str]
    known: Spans
    starts: Instants = field(default_factory=lambda: np.empty(0, np.int64))
    is_change: Flags | None = None
    possible_starts: Instants = field(default_factory=lambda: np.empty(0, np.int64))


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
class StateIntervals:
    """Stretches in one state, ordered by entity and start.

    Attributes:
        entity: Index into the log's entities, shape (n,).
        state: State code, shape (n,).
        start: First instant at which the entity is known to be in the state, shape (n,).
        end: Instant at which the stretch ended, or was last known to go on, shape (n,).
        start_known: Whether ``start`` is the change into the state.
        end_known: Whether ``end`` is the change out of it.
    """

    entity: Codes
    state: Codes
    start: Instants
    end: Instants
    start_known: Flags
    end_known: Flags

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, chosen: Flags | Places) -> StateIntervals:
        return StateIntervals(
            self.entity[chosen],
            self.state[chosen],
            self.start[chosen],
            self.end[chosen],
            self.start_known[chosen],
            self.end_known[chosen],
        )


@dataclass(frozen=True, slots=True)
class Episodes:
    """Stretches in which an entity was in use, ordered by entity and start.

    Attributes:
        entity: Index into the log's entities, shape (n,).
        start: First instant at which the entity is known to be in use, shape (n,).
        end: Instant at which it ceased to be, or was last known to be, in use, shape (n,).
        start_known: Whether ``start`` is the change into use.
        end_known: Whether ``end`` is the change out of it.
        known_at: When that end was known: ``end``, or later if a pause had to last for some time first, shape (n,).
    """

    entity: Codes
    start: Instants
    end: Instants
    start_known: Flags
    end_known: Flags
    known_at: Instants

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, chosen: Flags | Places | slice) -> Episodes:
        return Episodes(
            self.entity[chosen],
            self.start[chosen],
            self.end[chosen],
            self.start_known[chosen],
            self.end_known[chosen],
            self.known_at[chosen],
        )


class ShortGaps(NamedTuple):
    """Gaps across which a state is taken to have gone on: short ones, and those that a start of the recorder explains.

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
    """Everything a detector may know about one day; its arrays are read-only.

    Attributes:
        window: The day.
        entities: The entity table, ascending by id; the index is the entity's code.
        states: The text of each state code.
        events: The activity events of the day, of entities of kind activity only.
        intervals: The intervals of these entities that touch the day; one may begin before it, none ends after it.
        episodes: The episodes of these entities that touch the day or whose end became known on it, likewise.
        known: Disjoint, ascending spans of known time within the day, shape (k, 2).
        samples: How many raw samples of the day were read, of whatever entity.
        notices: What the source could not use, in words.
        keys: What stays the same of each entity when it is renamed, by entity id, as far as the source knows it.
        numbers: The recorder's number of each entity, by entity id; it is the key of those without a better one.
    """

    window: DayWindow
    entities: tuple[Entity, ...]
    states: tuple[str, ...]
    events: Events
    intervals: StateIntervals
    episodes: Episodes
    known: Spans
    samples: int
    notices: tuple[str, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict)
    numbers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make arrays and keys read-only: every detector of the day is given the same ones."""
        for table in (self.events, self.intervals, self.episodes):
            for column in fields(table):
                getattr(table, column.name).setflags(write=False)
        self.known.setflags(write=False)
        object.__setattr__(self, "keys", MappingProxyType(self.keys))
        object.__setattr__(self, "numbers", MappingProxyType(self.numbers))

    def code_of(self, entity_id: str) -> int:
        """Return the code of an entity; -1 if the log has none with that id."""
        return next((code for code, entity in enumerate(self.entities) if entity.entity_id == entity_id), -1)

    def clock(self, instant: int) -> str:
        """Return an instant as the home's clock showed it."""
        return from_instant(instant).astimezone(self.window.zone).isoformat(sep=" ", timespec="seconds")

    @property
    def known_seconds(self) -> float:
        """For how many seconds of the day the source can vouch."""
        return float((self.known[:, 1] - self.known[:, 0]).sum()) / SECOND
