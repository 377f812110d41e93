"""Stored rows of many days, read by the week: a month of a large home's rows at once takes a hundred megabytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeVar

from storage.dates import DateRange
from storage.models import DailyAggregate
from storage.store import NO_FILTER, AggregateReader, Where

A = TypeVar("A", bound=DailyAggregate)
_DAYS_AT_ONCE: Final = 7


def rows_by_week(history: AggregateReader, model: type[A], days: DateRange, where: Where = NO_FILTER) -> Iterator[A]:
    """Yield the rows of some days in their order; those of a week are in memory at a time.

    Args:
        history: Stored rows.
        model: The model of the rows.
        days: The days.
        where: What the tags of the rows have to be.
    """
    dates = list(days)
    for first in range(0, len(dates), _DAYS_AT_ONCE):
        part = dates[first : first + _DAYS_AT_ONCE]
        yield from history.read(model, DateRange(part[0], part[-1]), where)
