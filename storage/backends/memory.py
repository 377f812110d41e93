"""A store in the memory of this process: for tests, and for queries of rows that are already in memory."""

from __future__ import annotations

import datetime as dt
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Self, TypeVar

from storage.batch import DayBatch
from storage.dates import DateRange
from storage.identity import HomeIdentity
from storage.models import DailyAggregate, DetectorRunDaily
from storage.periods import cadence_of
from storage.store import (
    NO_FILTER,
    Fields,
    Summary,
    Where,
    as_values,
    check_batch,
    check_query,
    named_home,
    single_home,
)
from storage.summaries import SummaryPlan

A = TypeVar("A", bound=DailyAggregate)
Key = tuple[str, str, dt.date]  # measurement, home, day


class _Contents:
    """What all views of a store share."""

    def __init__(self, rows: Iterable[DailyAggregate]) -> None:
        self.lock = threading.Lock()
        self.homes: dict[str, HomeIdentity] = {}
        by_day: dict[Key, list[DailyAggregate]] = defaultdict(list)
        for row in rows:
            by_day[row.measurement, row.home, row.date].append(row)
        self.days: dict[Key, tuple[DailyAggregate, ...]] = {key: tuple(values) for key, values in by_day.items()}


class MemoryStore:
    """An ``AggregateStore`` that keeps nothing after the process ends.

    Args:
        rows: The rows it starts with, or the contents of another such store, which both then share.
        home: See ``AggregateStore.home``.
    """

    def __init__(self, rows: Iterable[DailyAggregate] | _Contents = (), *, home: str | None = "") -> None:
        self._contents = rows if isinstance(rows, _Contents) else _Contents(rows)
        self._home = home

    @property
    def home(self) -> str | None:
        """See ``AggregateStore.home``."""
        return self._home

    def for_home(self, home: str | None) -> Self:
        """See ``AggregateStore.for_home``."""
        return type(self)(self._contents, home=home)

    def homes(self) -> list[str]:
        """See ``AggregateStore.homes``."""
        with self._contents.lock:
            return sorted(
                {home for (_, home, _), rows in self._contents.days.items() if rows} | set(self._contents.homes)
            )

    def read(self, model: type[A], days: DateRange, where: Where = NO_FILTER) -> list[A]:
        """See ``AggregateReader.read``."""
        check_query(model, where=where)
        admitted = {tag: set(as_values(value)) for tag, value in where.items()}
        with self._contents.lock:
            found = [
                row
                for (measurement, home, day), rows in self._contents.days.items()
                if measurement == model.measurement and self._is_asked_for(home, day, days)
                for row in rows
                if isinstance(row, model) and all(getattr(row, tag) in values for tag, values in admitted.items())
            ]
        return sorted(found, key=lambda row: (row.date, row.home, row.key()))

    def _is_asked_for(self, home: str, day: dt.date, days: DateRange) -> bool:
        return self._home in (None, home) and day in days

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
        counts: Counter[dt.date] = Counter()
        with self._contents.lock:
            for (measurement, home, day), rows in self._contents.days.items():
                if measurement == model.measurement and rows and self._is_asked_for(home, day, days):
                    counts[day] += len(rows)
        return dict(counts)

    def prepare(self, *, update_retention: bool = False) -> list[str]:  # noqa: ARG002 - nothing here can differ
        """See ``AggregateWriter.prepare``: there is nothing to prepare."""
        return []

    def replace_day(self, batch: DayBatch) -> None:
        """See ``AggregateWriter.replace_day``."""
        home, days = check_batch(self._home, batch), self._contents.days
        with self._contents.lock:
            for finding in batch.findings:
                days[finding.model.measurement, home, batch.day] = finding.rows
            runs = {finding.run.detector: finding.run for finding in batch.findings}
            markers = DetectorRunDaily.measurement, home, batch.day
            kept = [run for run in days.get(markers, ()) if run.key()[0] not in runs]
            days[markers] = (*kept, *runs.values())

    def expire_all(self, before: dt.date, rollups_before: dt.date = dt.date.min) -> list[str]:
        """See ``AggregateWriter.expire_all``."""
        deleted = sum(self.for_home(home).expire(before, rollups_before) for home in self.homes())
        return [f"deleted {deleted:,} rows"] if deleted else []

    def expire(self, before: dt.date, rollups_before: dt.date = dt.date.min) -> int:
        """See ``AggregateWriter.expire``."""
        deleted, home, days = 0, single_home(self._home), self._contents.days
        with self._contents.lock:
            for key, rows in list(days.items()):
                if key[1] != home:
                    continue
                kept = tuple(row for row in rows if row.date >= (rollups_before if _is_of_rollup(row) else before))
                deleted += len(rows) - len(kept)
                if kept or not rows:
                    days[key] = kept
                else:
                    del days[key]
        return deleted

    def read_home(self) -> HomeIdentity | None:
        """See ``AggregateStore.read_home``."""
        return self._contents.homes.get(single_home(self._home))

    def write_home(self, home: HomeIdentity, *, replace: bool = False) -> HomeIdentity:
        """See ``AggregateStore.write_home``."""
        name = single_home(self._home)
        with self._contents.lock:
            if replace:
                self._contents.homes[name] = home
            return self._contents.homes.setdefault(name, home)

    def count_rows(self) -> int:
        """See ``AggregateStore.count_rows``."""
        home = single_home(self._home)
        with self._contents.lock:
            rows = sum(len(rows) for (_, name, _), rows in self._contents.days.items() if name == home)
            return rows + (home in self._contents.homes)

    def forget(self) -> None:
        """See ``AggregateStore.forget``."""
        home, contents = named_home(self._home), self._contents
        with contents.lock:
            contents.homes.pop(home, None)
            for key in [key for key in contents.days if key[1] == home]:
                del contents.days[key]

    def check(self) -> list[str]:
        """See ``AggregateStore.check``."""
        return []

    def close(self) -> None:
        """See ``AggregateStore.close``."""


def _is_of_rollup(row: DailyAggregate) -> bool:
    return cadence_of(row.detector if isinstance(row, DetectorRunDaily) else row.measurement) is not None
