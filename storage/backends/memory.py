"""A store in the memory of this process: for tests, and for queries of rows that are already in memory."""

from __future__ import annotations

import datetime as dt
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TypeVar

from storage.batch import DayBatch
from storage.dates import DateRange
from storage.identity import HomeIdentity
from storage.models import DailyAggregate, DetectorRunDaily
from storage.periods import cadence_of
from storage.store import NO_FILTER, Fields, Summary, Where, as_values, check_query
from storage.summaries import SummaryPlan

A = TypeVar("A", bound=DailyAggregate)


class MemoryStore:
    """An ``AggregateStore`` that keeps nothing after the process ends.

    Args:
        rows: The rows it starts with.
    """

    def __init__(self, rows: Iterable[DailyAggregate] = ()) -> None:
        self._lock = threading.Lock()
        self._home: HomeIdentity | None = None
        self._days: dict[tuple[str, dt.date], tuple[DailyAggregate, ...]] = {}
        by_day: dict[tuple[str, dt.date], list[DailyAggregate]] = defaultdict(list)
        for row in rows:
            by_day[row.measurement, row.date].append(row)
        self._days.update((key, tuple(values)) for key, values in by_day.items())

    def read(self, model: type[A], days: DateRange, where: Where = NO_FILTER) -> list[A]:
        """See ``AggregateReader.read``."""
        check_query(model, where=where)
        admitted = {tag: set(as_values(value)) for tag, value in where.items()}
        with self._lock:
            found = [
                row
                for (measurement, day), rows in self._days.items()
                if measurement == model.measurement and day in days
                for row in rows
                if isinstance(row, model) and all(getattr(row, tag) in values for tag, values in admitted.items())
            ]
        return sorted(found, key=lambda row: (row.date, row.key()))

    def summarize(
        self,
        model: type[DailyAggregate],
        days: DateRange,
        fields: Fields,
        by: Sequence[str] = (),
        where: Where = NO_FILTER,
    ) -> list[Summary]:
        """See ``AggregateReader.summarize``."""
        check_query(model, fields, by, where)
        plan = SummaryPlan(model, fields, by)
        rows = self.read(model, days, where)
        return plan.accumulate([getattr(row, name) for name in plan.columns] for row in rows)

    def count_by_day(self, model: type[DailyAggregate], days: DateRange) -> dict[dt.date, int]:
        """See ``AggregateStore.count_by_day``."""
        with self._lock:
            return {
                day: len(rows)
                for (measurement, day), rows in self._days.items()
                if measurement == model.measurement and day in days and rows
            }

    def prepare(self, *, update_retention: bool = False) -> list[str]:  # noqa: ARG002 - nothing here can differ
        """See ``AggregateWriter.prepare``: there is nothing to prepare."""
        return []

    def replace_day(self, batch: DayBatch) -> None:
        """See ``AggregateWriter.replace_day``."""
        with self._lock:
            for finding in batch.findings:
                self._days[finding.model.measurement, batch.day] = finding.rows
            runs = {finding.run.detector: finding.run for finding in batch.findings}
            markers = DetectorRunDaily.measurement, batch.day
            kept = [run for run in self._days.get(markers, ()) if run.key()[0] not in runs]
            self._days[markers] = (*kept, *runs.values())

    def expire(self, before: dt.date, rollups_before: dt.date = dt.date.min) -> int:
        """See ``AggregateWriter.expire``."""
        deleted = 0
        with self._lock:
            for (measurement, day), rows in list(self._days.items()):
                kept = tuple(row for row in rows if day >= (rollups_before if _is_of_rollup(row) else before))
                deleted += len(rows) - len(kept)
                if kept or not rows:
                    self._days[measurement, day] = kept
                else:
                    del self._days[measurement, day]
        return deleted

    def read_home(self) -> HomeIdentity | None:
        """See ``AggregateStore.read_home``."""
        return self._home

    def write_home(self, home: HomeIdentity, *, replace: bool = False) -> HomeIdentity:
        """See ``AggregateStore.write_home``."""
        with self._lock:
            if self._home is None or replace:
                self._home = home
            return self._home

    def check(self) -> list[str]:
        """See ``AggregateStore.check``."""
        return []

    def close(self) -> None:
        """See ``AggregateStore.close``."""


def _is_of_rollup(row: DailyAggregate) -> bool:
    return cadence_of(row.detector if isinstance(row, DetectorRunDaily) else row.measurement) is not None
