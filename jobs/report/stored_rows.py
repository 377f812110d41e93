"""The rows that a report is about, each read once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any, Final, TypeVar

from jobs.names import Names
from storage.dates import ONE_DAY, DateRange, Day
from storage.query import (
    AggregateQuery,
    AnomalyDaily,
    DailyAggregate,
    DetectorRunDaily,
    Fields,
    RoomBasedDaily,
    Summary,
    TimeBasedDaily,
    Where,
)
from storage.store import NO_FILTER

COMPARED_DAYS: Final = 28  # before the report: what is usual, and what changed
HISTORY_DAYS: Final = 56  # before the report: since when something has been silent
SHOWN_DETECTORS: Final = (
    *("active_time", "anomaly", "co_occurrence", "duration", "room_based", "sequence", "time_based"),
)

A = TypeVar("A", bound=DailyAggregate)


class StoredRows:
    """Rows of the days of a report and of the weeks before; also an ``AggregateReader`` for sentences.

    Args:
        aggregates: Where they are read.
        days: The days that the report is about.
        detectors: The names of the enabled detectors.

    Attributes:
        days: As given.
        before: The days that they are compared with.
        detectors: Those of which the report shows rows.
    """

    def __init__(self, aggregates: AggregateQuery, days: DateRange, detectors: Sequence[str]) -> None:
        self._aggregates = aggregates
        self._all_days = DateRange(days.first - HISTORY_DAYS * ONE_DAY, days.last)
        self._rows: dict[type[DailyAggregate], dict[str, list[Any]]] = {}
        self.days = days
        self.before = DateRange.ending(days.first - ONE_DAY, COMPARED_DAYS)
        self.detectors = tuple(name for name in SHOWN_DETECTORS if name in detectors)

    def of(self, model: type[A], days: DateRange | None = None) -> list[A]:
        """Return the rows of some days, by default those of the report, ordered by date and tags."""
        return self.read(model, self.days if days is None else days)

    def read(self, model: type[A], days: DateRange, where: Where = NO_FILTER) -> list[A]:
        """See ``AggregateReader.read``."""
        if model not in self._rows:
            found: defaultdict[str, list[Any]] = defaultdict(list)
            for row in self._aggregates.daily(model, self._all_days, allow_missing=True):
                found[str(getattr(row, "entity_id", ""))].append(row)
            self._rows[model] = found
        by_entity, conditions = self._rows[model], {tag: _values(value) for tag, value in where.items()}
        ids = conditions.pop("entity_id", None)
        chosen = by_entity if ids is None else [one for one in sorted(ids) if one in by_entity]
        rows: list[A] = [row for one in chosen for row in by_entity[one] if row.date in days]
        rows = [row for row in rows if all(getattr(row, tag) in values for tag, values in conditions.items())]
        return sorted(rows, key=lambda row: (row.date, row.key()))

    def summarize(
        self,
        model: type[DailyAggregate],
        days: DateRange,
        fields: Fields,
        by: Sequence[str] = (),
        where: Where = NO_FILTER,
    ) -> list[Summary]:
        """See ``AggregateReader.summarize``."""
        tags: dict[str, Any] = dict(where)
        return self._aggregates.summarize(model, days, by=by, fields=fields, allow_missing=True, **tags)

    def runs(self, detector: str, days: DateRange | None = None) -> dict[Day, DetectorRunDaily]:
        """Return the record of a detector's run for each day that it has computed."""
        return {run.date: run for run in self.of(DetectorRunDaily, days) if run.detector == detector}

    def named(self, names: Names) -> Names:
        """Return names with one for every entity and area of the report."""
        entities = {row.entity_id for row in self.of(TimeBasedDaily)}
        entities.update(row.entity_id for row in self.of(AnomalyDaily))
        rooms = self.of(RoomBasedDaily)
        entities.update(one for row in rooms for one in row.device_usage)
        return names.completed(entities, {row.area_id for row in rooms})

    def classes(self) -> dict[str, str]:
        """Return the device class of each entity, as far as it is known."""
        return {row.entity_id: row.device_class for row in self.of(TimeBasedDaily) if row.device_class}

    def area_of(self) -> dict[str, str]:
        """Return the area in which each entity was last used, as far as it is known."""
        return {one: row.area_id for row in self.of(RoomBasedDaily) for one in row.device_usage}


def _values(value: str | Collection[str]) -> frozenset[str]:
    return frozenset([value] if isinstance(value, str) else value)
