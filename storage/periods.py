"""Weeks and months: the periods of rollups. A name that ends with ``_weekly`` or ``_monthly`` is that of a rollup."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Final, Literal

from storage.dates import ONE_DAY, DateRange

Cadence = Literal["weekly", "monthly"]
DEFAULT_BUCKET: Final = "pattern_aggregates_daily"
SUFFIXES: Final[Mapping[str, Cadence]] = {"_weekly": "weekly", "_monthly": "monthly"}


def cadence_of(name: str) -> Cadence | None:
    """Return how often a detector or a measurement has rows, by its name; None for every day.

    >>> cadence_of("routine_weekly"), cadence_of("time_based_daily"), cadence_of("time_based")
    ('weekly', None, None)
    """
    return next((cadence for suffix, cadence in SUFFIXES.items() if name.endswith(suffix)), None)


def period_around(cadence: Cadence, day: dt.date) -> DateRange:
    """Return the ISO week (Monday to Sunday) or the calendar month around a day."""
    return DateRange.week_of(day) if cadence == "weekly" else DateRange.month_of(day)


def period_before(cadence: Cadence, period: DateRange) -> DateRange:
    """Return the week or month before another one."""
    return period_around(cadence, period.first - ONE_DAY)


def has_rows_on(name: str, day: dt.date) -> bool:
    """Return whether a detector, or a measurement, can have rows of a day: a rollup only on the last of its period.

    >>> sunday = dt.date(2026, 11, 29)
    >>> has_rows_on("routine_weekly", sunday), has_rows_on("routine_monthly", sunday), has_rows_on("time_based", sunday)
    (True, False, True)
    """
    cadence = cadence_of(name)
    return cadence is None or period_around(cadence, day).last == day


def rollup_bucket_of(bucket: str) -> str:
    """Return the name of the bucket for rollups beside a bucket of daily rows; without a retention policy's name.

    >>> rollup_bucket_of(DEFAULT_BUCKET), rollup_bucket_of("home/autogen")
    ('pattern_aggregates_rollups', 'home_rollups')
    """
    return bucket.partition("/")[0].removesuffix("_daily") + "_rollups"
