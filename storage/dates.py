"""Ranges of local calendar days, and the words people use for them."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from storage.errors import UsageError

Day = dt.date  # for code that handles days but must not reach for a clock
ONE_DAY = dt.timedelta(days=1)

_ABSOLUTE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_RELATIVE = re.compile(r"-(\d{1,5})d", re.ASCII)


def parse_day(text: str | dt.date, *, today: dt.date | None = None) -> dt.date:
    """A day from ``YYYY-MM-DD``, and where ``today`` is known also from ``today``, ``yesterday`` or ``-7d``.

    A ``datetime`` stands for its date as written; its time and zone are ignored.

    Raises:
        UsageError: The text names no day.
    """
    if isinstance(text, dt.datetime):
        return text.date()
    if isinstance(text, dt.date):
        return text
    if not isinstance(text, str):
        raise UsageError(f"{text!r} is no day", hint="Give a date, a datetime or YYYY-MM-DD.")
    relative = {"today": 0, "yesterday": 1}.get(text)
    if matched := _RELATIVE.fullmatch(text):
        relative = int(matched[1])
    try:
        if today is not None and relative is not None:
            return today - relative * ONE_DAY
        year, month, day = (int(part) for part in _ABSOLUTE.fullmatch(text).groups())  # type: ignore[union-attr]
        return dt.date(year, month, day)
    except (AttributeError, ValueError, OverflowError) as error:  # no match, no such day, before the calendar
        also = "" if today is None else ", yesterday or -7d"
        raise UsageError(f"{text!r} is no day", hint=f"Write it as YYYY-MM-DD{also}.") from error


@dataclass(frozen=True, slots=True)
class DateRange:
    """Days from ``first`` to ``last``, both included.

    >>> len(DateRange.parse("2024-02-28", "2024-03-01"))
    3
    >>> DateRange.week_of(dt.date(2026, 11, 24)).first.isoformat()
    '2026-11-23'
    """

    first: dt.date
    last: dt.date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise UsageError(
                f"the range ends on {self.last}, before it begins on {self.first}", hint="Swap the two dates."
            )

    @classmethod
    def parse(cls, first: str | dt.date, last: str | dt.date, *, today: dt.date | None = None) -> Self:
        """A range from two days in any form that ``parse_day`` takes."""
        return cls(parse_day(first, today=today), parse_day(last, today=today))

    @classmethod
    def ending(cls, last: dt.date, days: int) -> Self:
        """The ``days`` days that end with ``last``."""
        return cls(last - (days - 1) * ONE_DAY, last)

    @classmethod
    def week_of(cls, day: dt.date) -> Self:
        """Monday to Sunday around a day (ISO week)."""
        monday = day - day.weekday() * ONE_DAY
        return cls(monday, monday + 6 * ONE_DAY)

    @classmethod
    def month_of(cls, day: dt.date) -> Self:
        """The calendar month around a day."""
        first = day.replace(day=1)
        return cls(first, (first + 31 * ONE_DAY).replace(day=1) - ONE_DAY)

    def __iter__(self) -> Iterator[dt.date]:
        for ordinal in range(self.first.toordinal(), self.last.toordinal() + 1):
            yield dt.date.fromordinal(ordinal)

    def __len__(self) -> int:
        return self.last.toordinal() - self.first.toordinal() + 1

    def __contains__(self, day: object) -> bool:
        return isinstance(day, dt.date) and self.first <= day <= self.last

    def __and__(self, other: DateRange) -> DateRange | None:
        first, last = max(self.first, other.first), min(self.last, other.last)
        return DateRange(first, last) if first <= last else None

    def __str__(self) -> str:
        return f"{self.first} to {self.last}"
