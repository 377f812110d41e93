"""Small detectors and stores that behave, or misbehave, as a test asks them to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from jobs.activity.events import DayLog
from jobs.detector import Finding
from storage.backends.memory import MemoryStore
from storage.batch import DayBatch
from storage.dates import ONE_DAY, DateRange
from storage.errors import StoreUnavailable
from storage.models import DailyAggregate, DurationDaily, Tag, TimeBasedDaily
from storage.store import AggregateReader
from tests.support.rows import duration, time_based


class CountDaily(DailyAggregate):
    """Activity events by entity: the simplest thing a detector can say."""

    measurement: ClassVar[str] = "count_daily"
    entity_id: Tag
    events: int


@dataclass
class Counter:
    """Counts each entity's events; raises where it is told to."""

    name: str = "count"
    version: int = 1
    model: type[DailyAggregate] = CountDaily
    fails_on: set[dt.date] = field(default_factory=set)
    calls: list[dt.date] = field(default_factory=list)

    def detect(self, log: DayLog) -> Finding:
        day = log.window.day
        self.calls.append(day)
        if day in self.fails_on:
            raise ZeroDivisionError("told to fail")
        codes = log.events.entity.tolist()
        rows = [
            CountDaily(date=day, entity_id=log.entities[code].entity_id, events=codes.count(code))
            for code in sorted(set(codes))
        ]
        return Finding(rows, f"{len(rows)} entities counted")


@dataclass
class Fixed:
    """Always finds one given row a day."""

    name: str = "time_based"
    version: int = 1
    model: type[DailyAggregate] = TimeBasedDaily
    make: Callable[..., DailyAggregate] = time_based

    def detect(self, log: DayLog) -> Finding:
        return Finding([self.make(day=log.window.day)], "one row")


def fixed_duration() -> Fixed:
    return Fixed("duration", 1, DurationDaily, duration)


class TrendDaily(DailyAggregate):
    """How many events there were yesterday and today, by history."""

    measurement: ClassVar[str] = "trend_daily"
    kind: Tag
    before: int
    today: int


@dataclass
class Trend:
    """A history detector over ``count_daily``."""

    name: str = "trend"
    version: int = 1
    model: type[DailyAggregate] = TrendDaily
    calls: list[dt.date] = field(default_factory=list)

    def judge(self, day: dt.date, history: AggregateReader) -> Finding:
        self.calls.append(day)
        rows = history.read(CountDaily, DateRange(day - ONE_DAY, day))
        before, today = (sum(row.events for row in rows if row.date == one) for one in (day - ONE_DAY, day))
        return Finding([TrendDaily(date=day, kind="events", before=before, today=today)], "compared with yesterday")


class FlakyStore(MemoryStore):
    """A store that cannot be reached while ``down`` is set, refuses with ``refusal``, or dies after taking a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.down = False
        self.refusal: Exception | None = None
        self.dies_after_write = False
        self.writes: list[dt.date] = []

    def read(self, *args: Any, **kwargs: Any) -> Any:
        self._answer()
        return super().read(*args, **kwargs)

    def replace_day(self, batch: DayBatch) -> None:
        self._answer()
        super().replace_day(batch)
        self.writes.append(batch.day)
        if self.dies_after_write:
            raise StoreUnavailable("the answer got lost")

    def _answer(self) -> None:
        if self.down:
            raise StoreUnavailable("the store is down")
        if self.refusal is not None:
            raise self.refusal
