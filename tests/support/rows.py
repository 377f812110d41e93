"""Valid rows, runs and batches with as little to say as possible."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from storage.batch import DayBatch, DetectorDay
from storage.models import DailyAggregate, DetectorRunDaily, DurationDaily, TimeBasedDaily

DAY = dt.date(2026, 3, 2)
COMPUTED_AT = dt.datetime(2026, 3, 3, 3, 30, tzinfo=dt.UTC)


def time_based(entity_id: str = "light.kitchen", day: dt.date = DAY, **changes: Any) -> TimeBasedDaily:
    values: dict[str, Any] = {
        "date": day,
        "entity_id": entity_id,
        "domain": "light",
        "hourly_distribution": [0] * 19 + [3, 4, 5, 0, 0],
        "peak_hours": [19, 20, 21],
        "frequency": 0.125,
        "confidence": 0.75,
        "occurrences": 12,
        "bouts": 5,
    }
    return TimeBasedDaily(**{**values, **changes})


def duration(entity_id: str = "light.kitchen", day: dt.date = DAY, **changes: Any) -> DurationDaily:
    values: dict[str, Any] = {
        "date": day,
        "entity_id": entity_id,
        "avg_duration_seconds": 60.0,
        "min_duration_seconds": 30.0,
        "max_duration_seconds": 90.0,
        "duration_variance": 900.0,
        "efficiency_score": None,
        "episodes": 2,
    }
    return DurationDaily(**{**values, **changes})


def finding(
    model: type[DailyAggregate], rows: Sequence[DailyAggregate], day: dt.date = DAY, **changes: Any
) -> DetectorDay:
    values: dict[str, Any] = {
        "date": day,
        "detector": model.measurement.removesuffix("_daily"),
        "version": 1,
        "rows": len(rows),
        "events": 12,
        "known_seconds": 86_400.0,
        "day_seconds": 86_400.0,
        "reason": "as expected",
        "computed_at": COMPUTED_AT,
    }
    return DetectorDay(DetectorRunDaily(**{**values, **changes}), model, tuple(rows))


def batch(*findings: DetectorDay) -> DayBatch:
    return DayBatch(findings[0].run.date, findings)


def time_based_batch(*rows: TimeBasedDaily, day: dt.date = DAY) -> DayBatch:
    return batch(finding(TimeBasedDaily, rows, day))
