"""Rows of each model for tests, ordinary where a test does not care."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from storage.batch import DayBatch, DetectorDay
from storage.models import DailyAggregate, DetectorRunDaily, DurationDaily, TimeBasedDaily

DAY = dt.date(2026, 3, 2)
COMPUTED = dt.datetime(2026, 3, 3, 3, 30, tzinfo=dt.UTC)


def time_based(entity_id: str = "light.kitchen", day: dt.date = DAY, **fields: object) -> TimeBasedDaily:
    values: dict[str, object] = {
        "domain": "light",
        "hourly_distribution": [0] * 19 + [3, 2] + [0] * 3,
        "peak_hours": [19],
        "frequency": 2 / 24,
        "confidence": 0.4,
        "occurrences": 5,
        **fields,
    }
    return TimeBasedDaily(date=day, entity_id=entity_id, **values)


def duration(entity_id: str = "light.kitchen", day: dt.date = DAY, **fields: object) -> DurationDaily:
    values: dict[str, object] = {
        "avg_duration_seconds": 60.0,
        "min_duration_seconds": 30.0,
        "max_duration_seconds": 90.0,
        "duration_variance": 900.0,
        **fields,
    }
    return DurationDaily(date=day, entity_id=entity_id, **values)


def finding(
    model: type[DailyAggregate], rows: Sequence[DailyAggregate] = (), day: dt.date = DAY, reason: str = ""
) -> DetectorDay:
    run = DetectorRunDaily(
        date=day,
        detector=model.measurement.removesuffix("_daily"),
        version=1,
        rows=len(rows),
        events=100,
        known_seconds=86_400,
        day_seconds=86_400,
        reason=reason,
        computed_at=COMPUTED,
    )
    return DetectorDay(run, model, tuple(rows))


def batch(*rows: DailyAggregate, day: dt.date = DAY) -> DayBatch:
    """One day's batch with a finding for each model among the rows."""
    models = dict.fromkeys(type(row) for row in rows)
    return DayBatch(day, tuple(finding(model, [row for row in rows if type(row) is model], day) for model in models))
