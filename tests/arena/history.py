"""The days of a home in columns, as rules get them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobs.activity.entities import Entity
from jobs.activity.events import DayLog
from jobs.activity.window import SECOND
from jobs.statistics.bouts import bouts_by_group, by_group, count_by_hour
from storage.models import HOURS
from storage.store import AggregateReader

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Uses(NamedTuple):
    """The stretches of active states that touch a day, if their beginning is known.

    Attributes:
        entity: The entity of each, shape (n,).
        seconds: How long it had lasted when it ended, or when the day did, shape (n,).
        seconds_before: How long it had lasted when the day began; 0 if it began on the day, shape (n,).
        finished: Whether it ended on the day, shape (n,).
    """

    entity: Integers
    seconds: Floats
    seconds_before: Floats
    finished: Flags


@dataclass(frozen=True, eq=False)
class History:
    """A home's days, the earliest first. Two histories are equal only if they are the same object.

    Attributes:
        logs: The days as event detectors get them.
        stored: The rows that are stored of them.
        entities: Every entity of any day, ascending by id.
    """

    logs: Sequence[DayLog]
    stored: AggregateReader
    entities: Sequence[Entity]

    @classmethod
    def of(cls, logs: Sequence[DayLog], stored: AggregateReader) -> History:
        """Return the history of some days."""
        entities = {entity.entity_id: entity for log in logs for entity in log.entities}
        return cls(logs, stored, [entities[entity_id] for entity_id in sorted(entities)])

    @cached_property
    def days(self) -> list[dt.date]:
        """The date of each day."""
        return [log.window.day for log in self.logs]

    @cached_property
    def weekend(self) -> Flags:
        """Which days are Saturdays or Sundays, shape (days,)."""
        return np.array([day.weekday() >= 5 for day in self.days])

    @cached_property
    def code(self) -> dict[str, int]:
        """The index of each entity by its id."""
        return {entity.entity_id: index for index, entity in enumerate(self.entities)}

    def codes(self, log: DayLog) -> Integers:
        """Return the index of each entity of a day's log."""
        return np.array([self.code[entity.entity_id] for entity in log.entities], np.int64)

    @cached_property
    def events(self) -> Integers:
        """Activity events by local hour, shape (days, entities, 24)."""
        counts = np.zeros((len(self.logs), len(self.entities), HOURS), np.int64)
        for index, log in enumerate(self.logs):
            entity = self.codes(log)[log.events.entity]
            counts[index] = count_by_hour(entity, log.window.hours_of(log.events.at), len(self.entities))
        return counts

    @cached_property
    def bouts(self) -> Integers:
        """Bouts, shape (days, entities)."""
        bouts = np.zeros((len(self.logs), len(self.entities)), np.int64)
        for index, log in enumerate(self.logs):
            entity, at = by_group(self.codes(log)[log.events.entity], log.events.at)
            bouts[index] = bouts_by_group(entity, at, len(self.entities))
        return bouts

    @cached_property
    def uses(self) -> list[Uses]:
        """The stretches of active states that touch each day."""
        found = []
        for log in self.logs:
            episodes = log.episodes[log.episodes.start_known & (log.episodes.start < log.window.end)]
            found.append(
                Uses(
                    self.codes(log)[episodes.entity],
                    (episodes.end - episodes.start) / SECOND,
                    np.maximum(log.window.start - episodes.start, 0) / SECOND,
                    np.asarray(episodes.end_known),
                )
            )
        return found

    @cached_property
    def last_event(self) -> Floats:
        """When the last event until the end of each day was, in seconds since 1970 or NaN, shape (days, entities)."""
        last = np.full((len(self.logs), len(self.entities)), np.nan)
        for index, log in enumerate(self.logs):
            if index:
                last[index] = last[index - 1]
            last[index, self.codes(log)[log.events.entity]] = log.events.at / SECOND  # in order of time: the last wins
        return last
