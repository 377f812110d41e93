"""Rows of all seven aggregates for some weeks, with and without the things that a report has to show."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import pairwise
from typing import Any, Final

import numpy as np

from storage.backends.memory import MemoryStore
from storage.dates import DateRange
from storage.models import (
    AGGREGATES,
    ActiveTimeDaily,
    AnomalyDaily,
    CoOccurrenceDaily,
    DailyAggregate,
    DetectorRunDaily,
    DurationDaily,
    RoomBasedDaily,
    SequenceDaily,
    Severity,
    TimeBasedDaily,
)
from storage.query import AggregateQuery

DETECTORS: Final = tuple(model.measurement.removesuffix("_daily") for model in AGGREGATES)
LAST: Final = dt.date(2026, 11, 29)  # a Sunday
WEEKS: Final = DateRange.ending(LAST, 28)
DOMAINS: Final = ("light", "binary_sensor", "switch", "media_player")


def entity_ids(count: int) -> list[str]:
    """Return ids of the lengths that homes have."""
    return [f"{DOMAINS[number % 4]}.the_{number % 7}_room_of_the_house_{number}" for number in range(count)]


def run(detector: str, day: dt.date, **changes: Any) -> DetectorRunDaily:
    """Return the record of a run on a day that is wholly known."""
    values: dict[str, Any] = {
        "date": day,
        "detector": detector,
        "version": 1,
        "rows": 1,
        "events": 100,
        "known_seconds": 86_400.0,
        "day_seconds": 86_400.0,
        "reason": "as expected",
        "computed_at": dt.datetime(2026, 11, 30, 3, 30, tzinfo=dt.UTC),
    }
    return DetectorRunDaily(**{**values, **changes})


def runs(days: Iterable[dt.date], detectors: Iterable[str] = DETECTORS, **changes: Any) -> list[DetectorRunDaily]:
    """Return the records of some detectors on some days."""
    return [run(detector, day, **changes) for day in days for detector in detectors]


def used(entity_id: str, day: dt.date, bouts: int, **changes: Any) -> TimeBasedDaily:
    """Return a row of an entity that was used at seven in the evening."""
    hours = [0] * 24
    hours[19] = 2 * bouts
    values: dict[str, Any] = {
        "date": day,
        "entity_id": entity_id,
        "domain": entity_id.partition(".")[0],
        "hourly_distribution": hours,
        "peak_hours": [],
        "frequency": 1 / 24,
        "confidence": 0.0,
        "occurrences": 2 * bouts,
        "bouts": bouts,
    }
    return TimeBasedDaily(**{**values, **changes})


def anomaly(entity_id: str, day: dt.date, **changes: Any) -> AnomalyDaily:
    """Return an anomaly that is not muted."""
    values: dict[str, Any] = {
        "date": day,
        "entity_id": entity_id,
        "anomaly_type": "count_high",
        "anomaly_score": 0.7,
        "baseline_deviation": 6.0,
        "occurrences": 40,
        "severity": Severity.HIGH,
    }
    return AnomalyDaily(**{**values, **changes})


def busy_home(entities: int, days: DateRange, hours_of_use: int = 24, seed: int = 1) -> list[DailyAggregate]:
    """Return rows of a home in which every entity is used in so many hours of every day."""
    return [*runs(days), *_busy_rows(entity_ids(entities), days, hours_of_use, np.random.default_rng(seed))]


def _busy_rows(
    ids: list[str], days: DateRange, hours_of_use: int, rng: np.random.Generator
) -> Iterator[DailyAggregate]:
    rooms = [f"room_{number}" for number in range(max(1, len(ids) // 10))]
    in_use = {entity_id: rng.permutation(24) < hours_of_use for entity_id in ids}
    for day in days:
        for entity_id in ids:
            hours = (rng.poisson(rng.uniform(0, 12, 24)) * in_use[entity_id]).tolist()
            peaks = sorted(rng.choice(24, 3, replace=False).tolist())
            yield used(entity_id, day, 8, hourly_distribution=hours, peak_hours=peaks, occurrences=sum(hours))
            active = float(rng.uniform(600, 40_000))
            yield ActiveTimeDaily(date=day, entity_id=entity_id, active_seconds=active, known_seconds=86_400.0)
            yield DurationDaily(
                date=day,
                entity_id=entity_id,
                avg_duration_seconds=active / 4,
                min_duration_seconds=active / 8,
                max_duration_seconds=active / 2,
                duration_variance=10.0,
                efficiency_score=float(rng.uniform(0, 1)),
                episodes=4,
            )
        for number, room in enumerate(rooms):
            others = [
                {"to": one, "count": 3, "probability": 0.1, "median_seconds": 30.0} for one in rooms if one != room
            ]
            yield RoomBasedDaily(
                date=day,
                area_id=room,
                activity_level=1 / len(rooms),
                device_usage=dict.fromkeys(ids[number :: len(rooms)][:15], 20),
                transition_patterns=others[:8],
                peak_activity_hours=[7, 19],
            )
        for first, second in pairwise(ids[:31]):
            yield CoOccurrenceDaily(
                date=day,
                device_pair="|".join(sorted((first, second))),
                co_occurrence_count=5,
                time_window_seconds=300,
                confidence=0.5,
                typical_hours=[7],
                first_share=0.9,
            )
            steps = [f"{first}:on", f"{second}:on", f"{ids[0]}:off"]
            yield SequenceDaily(
                date=day,
                sequence_id=sha256(first.encode()).hexdigest()[:16],
                sequence=steps,
                frequency=4,
                avg_duration_seconds=20.0,
                confidence=0.5,
            )
        for entity_id in ids[:2]:
            yield anomaly(entity_id, day)


def query(rows: Iterable[DailyAggregate]) -> AggregateQuery:
    """Return queries to a store of these rows."""
    return AggregateQuery(MemoryStore(list(rows)), today=lambda: LAST + dt.timedelta(days=1))
