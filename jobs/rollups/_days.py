"""What rollups read of daily rows: which days are complete, and how often each entity acted on them, hour by hour."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, compress
from typing import Any, Final

import numpy as np

from jobs.activity.events import Flags
from jobs.statistics.arrays import Floats, Integers
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
    fields = ("date", "entity_id", "hourly_distribution", "occurrences", "bouts")
    rows = rows_of_entities(aggregates, TimeBasedDaily, days, fields)
    shape = len(rows.ids), len(days)
    events, bouts = np.zeros((*shape, HOURS)), np.zeros(shape)
    if len(rows.day):
        hours = chain.from_iterable(rows.values["hourly_distribution"])
        events[rows.entity, rows.day] = np.fromiter(hours, np.float64, len(rows.day) * HOURS).reshape(-1, HOURS)
        bouts[rows.entity, rows.day] = bouts_of(rows)
    return Usage(days, rows.ids, events, bouts)


@dataclass(frozen=True)
class RowsOfEntities:
    """Rows of entities on some days, as columns.

    Attributes:
        ids: The entities, ascending.
        entity: The place of each row's entity among them, shape (rows,).
        day: The place of each row's day among the days, shape (rows,).
        values: The fields, each with a value for each row.
    """

    ids: list[str]
    entity: Integers
    day: Integers
    values: Mapping[str, list[Any]]


def rows_of_entities(
    aggregates: AggregateQuery,
    model: type[DailyAggregate],
    days: Sequence[dt.date],
    fields: Sequence[str],
    **tags: str | Collection[str],
) -> RowsOfEntities:
    """Return rows of complete days.

    Args:
        aggregates: Stored rows.
        model: Which aggregate.
        days: The complete days, ascending.
        fields: Which fields, ``date`` and ``entity_id`` among them.
        **tags: As in ``AggregateQuery.daily``.
    """
    place = {day: index for index, day in enumerate(days)}
    found = (
        aggregates.columns(model, days[0], days[-1], fields=fields, allow_missing=True, **tags)
        if days
        else {name: [] for name in fields}
    )
    chosen = [day in place for day in found["date"]]
    values = found if all(chosen) else {name: list(compress(column, chosen)) for name, column in found.items()}
    ids = sorted(set(values["entity_id"]))
    code = {entity_id: index for index, entity_id in enumerate(ids)}
    at = [
        np.fromiter(map(places.__getitem__, values[name]), np.int64, len(values[name]))
        for places, name in ((code, "entity_id"), (place, "date"))
    ]
    return RowsOfEntities(ids, at[0], at[1], values)


def bouts_of(rows: RowsOfEntities) -> Floats:
    """Return the bouts of rows of ``time_based``, shape (rows,); activity events where version 0.1.0 had no bouts."""
    both = zip(rows.values["bouts"], rows.values["occurrences"], strict=True)
    return np.fromiter((events if bouts is None else bouts for bouts, events in both), np.float64, len(rows.day))


def areas_of_entities(aggregates: AggregateQuery, days: DateRange) -> dict[str, str]:
    """Return the area of each entity that was used in one, by the newest day."""
    rows = aggregates.columns(RoomBasedDaily, days, fields=("area_id", "device_usage"), allow_missing=True)
    both = zip(rows["area_id"], rows["device_usage"], strict=True)
    return {entity_id: area for area, used in both for entity_id in used}
