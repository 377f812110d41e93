"""A rollup with as little to compute as possible, and the days of a home that it is computed from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from jobs.detector import Finding, NotJudged
from storage.dates import DateRange
from storage.models import DailyAggregate, Tag
from storage.periods import Cadence, period_around
from storage.store import AggregateReader
from tests.support.detectors import CountDaily


class SumWeekly(DailyAggregate):
    """The events of a week by entity."""

    measurement: ClassVar[str] = "sum_weekly"
    entity_id: Tag
    events: int
    days: int


class SumMonthly(SumWeekly):
    """The same of a month."""

    measurement: ClassVar[str] = "sum_monthly"


@dataclass
class Sum:
    """Adds up the counts of a period; not judged without any."""

    name: str = "sum_weekly"
    version: int = 1
    model: type[SumWeekly] = SumWeekly
    cadence: Cadence = "weekly"
    history_days: int = 14
    reads: Sequence[type[DailyAggregate]] = (CountDaily,)
    calls: list[dt.date] = field(default_factory=list)

    def judge(self, day: dt.date, history: AggregateReader) -> Finding:
        self.calls.append(day)
        rows = history.read(CountDaily, period_around(self.cadence, day))
        if not rows:
            return NotJudged([], "not judged: no day is computed")
        sums = {row.entity_id: sum(one.events for one in rows if one.entity_id == row.entity_id) for row in rows}
        days = len({row.date for row in rows})
        return Finding(
            [self.model(date=day, entity_id=entity, events=events, days=days) for entity, events in sums.items()],
            f"{days} days",
        )


def monthly() -> Sum:
    return Sum("sum_monthly", 1, SumMonthly, "monthly", 62)


ALWAYS = DateRange(dt.date.min, dt.date.max)
