"""A store in this process's memory: for tests, and for answering questions over rows that are already here."""

from __future__ import annotations

import datetime as dt
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import TypeVar

from storage.batch import DayBatch
from storage.dates import DateRange
from storage.models import DailyAggregate, DetectorRunDaily
from storage.store import NO_FILTER, Function, Summary, Where, as_values, check_query

A = TypeVar("A", bound=DailyAggregate)


class MemoryStore:
    """An ``AggregateStore`` that is gone when it is let go.

    Args:
        rows: What it holds at first.
    """

    def __init__(self, rows: Iterable[DailyAggregate] = ()) -> None:
        self._lock = threading.Lock()
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
        fields: Mapping[str, Function],
        by: Sequence[str] = (),
        where: Where = NO_FILTER,
    ) -> list[Summary]:
        """See ``AggregateReader.summarize``."""
        check_query(model, fields, by, where)
        groups: dict[tuple[str | dt.date, ...], list[DailyAggregate]] = defaultdict(list)
        for row in self.read(model, days, where):
            groups[tuple(getattr(row, name) for name in by)].append(row)
        return [
            Summary(
                by=dict(zip(by, group, strict=True)),
                values={field: _apply(function, rows, field) for field, function in fields.items()},
                rows=len(rows),
            )
            for group, rows in sorted(groups.items(), key=lambda item: item[0])
        ]

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

    def expire(self, before: dt.date) -> int:
        """See ``AggregateWriter.expire``."""
        with self._lock:
            old = [key for key in self._days if key[1] < before]
            return sum(len(self._days.pop(key)) for key in old)

    def check(self) -> list[str]:
        """See ``AggregateStore.check``."""
        return []

    def close(self) -> None:
        """See ``AggregateStore.close``."""


def _apply(function: Function, rows: Sequence[DailyAggregate], field: str) -> int | float | None:
    values = [value for row in rows if (value := getattr(row, field)) is not None]
    if function == "count":
        return len(values)
    if not values:
        return None
    if function == "mean":
        return fmean(values)
    total: int | float = sum(values) if function == "sum" else min(values) if function == "min" else max(values)
    return total
