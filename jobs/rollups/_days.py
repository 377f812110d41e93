"""What rollups read of daily rows: which days are complete, and how often each entity acted on them, hour by hour."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from jobs.activity.events import Flags
from jobs.statistics.arrays import Floats
from storage.query import AggregateQuery, DailyAggregate, DateRange, DetectorRunDaily, RoomBasedDaily, TimeBasedDaily

HOURS: Final = 24
_SATURDAY: Final = 5


def complete_days(
    aggregates: AggregateQuery, model: type[DailyAggregate], days: DateRange, min_known_share: float
) -> list[dt.date]:
    """Return the days of which enough is known and a daily aggregate is computed, ascending.

    The hours of other days are missing, never zero.

    Args:
        aggregates: Stored rows.
        model: The aggregate.
        days: The days to look at.
        min_known_share: The share of a day that must be known.
    """
    runs = aggregates.daily(DetectorRunDaily, days, detector=model.measurement.removesuffix("_daily"))
    return [run.date for run in runs if run.known_seconds >= min_known_share * run.day_seconds]


@dataclass(frozen=True)
class Usage:
    """How often some subjects (entities, areas, the home) were active on complete days.

    Attributes:
        days: The complete days, ascending.
        names: The subjects.
        events: Activity events by hour, shape (subjects, days, 24); zero where a day has no row.
        bouts: Bouts, shape (subjects, days).
    """

    days: Sequence[dt.date]
    names: Sequence[str]
    events: Floats
    bouts: Floats

    def of(self, period: DateRange) -> Usage:
        """Return the same for the complete days of a period only."""
        chosen = np.array([day in period for day in self.days], np.bool_)
        days = [day for day in self.days if day in period]
        return Usage(days, self.names, self.events[:, chosen], self.bouts[:, chosen])

    def only(self, chosen: Flags | Sequence[int]) -> Usage:
        """Return the same for some subjects only."""
        places = np.arange(len(self.names))[chosen]
        return Usage(self.days, [self.names[place] for place in places], self.events[places], self.bouts[places])

    def summed(self, names: Sequence[str], members: Sequence[Sequence[int]]) -> Usage:
        """Return the sums of groups of subjects, under new names."""
        shape = len(names), len(self.days)
        events, bouts = np.zeros((*shape, HOURS)), np.zeros(shape)
        for place, group in enumerate(members):
            events[place], bouts[place] = self.events[list(group)].sum(axis=0), self.bouts[list(group)].sum(axis=0)
        return Usage(self.days, names, events, bouts)

    @property
    def weekend(self) -> Flags:
        """Which of the days are Saturdays or Sundays, shape (days,)."""
        return np.array([day.weekday() >= _SATURDAY for day in self.days], np.bool_)


def usage_of_entities(aggregates: AggregateQuery, days: Sequence[dt.date]) -> Usage:
    """Return how often each entity was active on complete days, entities ascending.

    Args:
        aggregates: Stored rows.
        days: The complete days, ascending.
    """
    place = {day: index for index, day in enumerate(days)}
    rows = aggregates.daily(TimeBasedDaily, days[0], days[-1], allow_missing=True) if days else []
    rows = [row for row in rows if row.date in place]
    codes = {entity_id: code for code, entity_id in enumerate(sorted({row.entity_id for row in rows}))}
    events, bouts = np.zeros((len(codes), len(days), HOURS)), np.zeros((len(codes), len(days)))
    at = [codes[row.entity_id] for row in rows], [place[row.date] for row in rows]
    if rows:
        events[at] = [row.hourly_distribution for row in rows]
        bouts[at] = [row.occurrences if row.bouts is None else row.bouts for row in rows]
    return Usage(days, list(codes), events, bouts)


def areas_of_entities(aggregates: AggregateQuery, days: DateRange) -> dict[str, str]:
    """Return the area of each entity that was used in one, by the newest day."""
    rows = aggregates.daily(RoomBasedDaily, days, allow_missing=True)
    return {entity_id: row.area_id for row in rows for entity_id in row.device_usage}
