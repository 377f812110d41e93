"""Stored daily rows of a home, made from counts: what rollups read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from jobs.statistics.arrays import Floats, Integers
from storage.backends.memory import MemoryStore
from storage.dates import ONE_DAY, DateRange
from storage.models import DailyAggregate, DetectorRunDaily, RoomBasedDaily, TimeBasedDaily

COMPUTED_AT = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
FIRST = dt.date(2026, 3, 2)  # a Monday


def run_of(day: dt.date, detector: str = "time_based", known_share: float = 1.0) -> DetectorRunDaily:
    return DetectorRunDaily(
        date=day,
        detector=detector,
        version=1,
        rows=1,
        events=1,
        known_seconds=86_400 * known_share,
        day_seconds=86_400,
        reason="",
        computed_at=COMPUTED_AT,
    )


def usage_row(day: dt.date, entity_id: str, hours: Sequence[int], bouts: int | None = None) -> TimeBasedDaily:
    total = sum(hours)
    return TimeBasedDaily(
        date=day,
        entity_id=entity_id,
        domain=entity_id.partition(".")[0],
        hourly_distribution=list(hours),
        peak_hours=[],
        frequency=0.5,
        confidence=0.0,
        occurrences=total,
        bouts=total if bouts is None else bouts,
    )


def store_of(
    hours: Mapping[str, Integers],
    first: dt.date = FIRST,
    *,
    known_shares: Mapping[dt.date, float] | None = None,
    areas: Mapping[str, str] | None = None,
) -> MemoryStore:
    """Return a store with the rows of ``time_based`` and ``room_based`` for hourly counts.

    Args:
        hours: Counts of each entity, shape (days, 24).
        first: The first day.
        known_shares: How much of a day is known, where that is not all of it; 0 for a day that was never computed.
        areas: The area of entities.
    """
    rows: list[DailyAggregate] = []
    for place in range(max(map(len, hours.values()))):
        day = first + place * ONE_DAY
        known = (known_shares or {}).get(day, 1.0)
        if not known:
            continue
        rows += [run_of(day, known_share=known), run_of(day, "room_based", known)]
        of_day = {entity: counts[place].tolist() for entity, counts in hours.items() if counts[place].any()}
        rows += [usage_row(day, entity, counts) for entity, counts in of_day.items()]
        for area in sorted({(areas or {})[entity] for entity in of_day if entity in (areas or {})}):
            used = {entity: sum(counts) for entity, counts in of_day.items() if (areas or {}).get(entity) == area}
            rows.append(
                RoomBasedDaily(
                    date=day,
                    area_id=area,
                    activity_level=0.5,
                    device_usage=used,
                    transition_patterns=[],
                    peak_activity_hours=[],
                )
            )
    return MemoryStore(rows)


def last_day(days: int, first: dt.date = FIRST) -> dt.date:
    return first + (days - 1) * ONE_DAY


def poisson_home(rng: np.random.Generator, entities: int, days: int, a_day: float) -> dict[str, Integers]:
    """Return a home of noise: every hour of every day is alike."""
    return {f"light.n{code:02}": rng.poisson(a_day / 24, (days, 24)) for code in range(entities)}


def curve(busy: Iterable[int], height: float) -> Floats:
    """Return a mean count for each hour: ``height`` in the busy hours, else nothing."""
    return np.array([height if hour in set(busy) else 0.0 for hour in range(24)])


WHOLE = DateRange(FIRST, last_day(28))
