"""Rows of the week that ends with a report."""

from __future__ import annotations

import datetime as dt
from typing import Any

from storage.dates import ONE_DAY
from storage.models import DailyAggregate
from storage.query import DriftWeekly, HabitWeekly, RoutineWeekly
from tests.support.report_rows import LAST, run


def habit(trend: str | None, number: int = 0, day: dt.date = LAST, **changes: Any) -> HabitWeekly:
    values: dict[str, Any] = {
        "date": day,
        "kind": "pair",
        "habit": f"light.lamp|switch.{number}",
        "entities": ["light.lamp", "switch.tv"],
        "days_seen": 6,
        "days_possible": 7,
        "strength": 6 / 7,
        "strength_low": 0.49,
        "strength_high": 0.97,
        "typical_hours": [19],
        "median_gap_seconds": 100.0,
        "trend": trend,
    }
    return HabitWeekly(**{**values, **changes})


def routine(regularity: float | None, day: dt.date = LAST, scope: str = "home", subject: str = "home") -> RoutineWeekly:
    values: dict[str, Any] = {"date": day, "scope": scope, "subject": subject, "hourly_profile": [1.0] * 24}
    return RoutineWeekly(**values, active_days=7, known_days=7, regularity_index=regularity, bouts_per_day=8.0)


def drift(score: float = 9.0) -> DriftWeekly:
    return DriftWeekly(
        date=LAST, entity_id="light.lamp", changed_on=LAST - 5 * ONE_DAY, before=8.0, after=16.0, score=score
    )


def week() -> list[DailyAggregate]:
    """Return a week with every kind of habit, a drift, and the regularity of the home and a room."""
    computed = [run(name, LAST) for name in ("habit_weekly", "drift_weekly", "routine_weekly")]
    trends = ("new", "lost", "fading", "steady", None)
    habits = [habit(trend, number) for number, trend in enumerate(trends)]
    rooms = [routine(50.0), routine(60.0, LAST - 7 * ONE_DAY), routine(20.0, scope="area", subject="hall")]
    return [*computed, *habits, habit("steady", kind="chain", habit="5a85d003af6587df"), drift(), *rooms]
