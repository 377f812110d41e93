"""Local calendar days and ranges of them, as people write them."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

from storage.errors import UsageError

Day = dt.date  # for code that may not import datetime, so that it cannot read the clock
ONE_DAY = dt.timedelta(days=1)

_ABSOLUTE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_DAYS_AGO = re.compile(r"-(\d{1,5})d", re.ASCII)
_WORDS: Final = {"today": 0, "yesterday": 1}  # days ago


def parse_day(text: str | dt.date, *, today: dt.date | None = None) -> dt.date:
    """Return the day that ``YYYY-MM-DD`` names, or, if ``today`` is given, ``today``, ``yesterday`` or ``-7d``.

    A ``datetime`` stands for its date as written; its time and zone are ignored.

    Args:
        text: What a person or a program wrote.
        today: The present local day of the home.

    Raises:
        UsageError: It is not a valid day.
    """
    if isinstance(text, dt.datetime):
        return text.date()
    if isinstance(text, dt.date):
        return text
    if not isinstance(text, str):
        raise UsageError(f"{text!r} is not a valid day", hint="Give a date, a datetime or YYYY-MM-DD.")
    days_ago = _days_ago(text)
    try:
        if today is not None and days_ago is not None:
            return today - days_ago * ONE_DAY
        if matched := _ABSOLUTE.fullmatch(text):
            year, month, day = map(int, matched.groups())
            return dt.date(year, month, day)
    except (ValueError, OverflowError) as error:  # not in the month, or before the year 1
        raise _not_a_day(text, today) from error
    raise _not_a_day(text, today)


def oldest_kept_day(newest: dt.date, kept_days: int) -> dt.date:
    """Return the oldest day of a store that keeps so many days up to the newest; 0 keeps every day.

    >>> oldest_kept_day(dt.date(2026, 3, 10), 7).isoformat()
    '2026-03-04'
    """
    return newest - (kept_days - 1) * ONE_DAY if kept_days else dt.date.min


def is_relative(text: object) -> bool:
    """Return whether a text names a day by its distance from today: ``today``, ``yesterday`` or ``-7d``."""
    return isinstance(text, str) and _days_ago(text) is not None


def _days_ago(text: str) -> int | None:
    matched = _DAYS_AGO.fullmatch(text)
    return int(matched[1]) if matched else _WORDS.get(text)


def _not_a_day(text: str, today: dt.date | None) -> UsageError:
    also = "" if today is None else ", yesterday or -7d"
    return UsageError(f"{text!r} is not a valid day", hint=f"Write it as YYYY-MM-DD{also}.")


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
    def parse(
        cls, first: str | dt.date | Self, last: str | dt.date | None = None, *, today: dt.date | None = None
    ) -> Self:
        """Return the range from one day to another, each in any form that ``parse_day`` takes.

        Args:
            first: The first day; or a range as it is.
            last: The last day, included. Without it ``-7d`` stands for the seven days up to yesterday, and every other
                day for itself.
            today: The present local day of the home, which ``today``, ``yesterday`` and ``-7d`` need.

        Raises:
            UsageError: One is not a valid day, the last is before the first, or a range comes with a last day.

        >>> str(DateRange.parse("-7d", today=dt.date(2026, 11, 28)))
        '2026-11-21 to 2026-11-27'
        """
        if isinstance(first, DateRange):
            if last is not None:
                raise UsageError(
                    f"{first} is a range already, and {last!r} comes with it", hint="Leave out the last day."
                )
            return cls(first.first, first.last)
        begin = parse_day(first, today=today)
        if last is not None:
            return cls(begin, parse_day(last, today=today))
        is_stretch = isinstance(first, str) and first.startswith("-")
        return cls(begin, max(begin, today - ONE_DAY) if is_stretch and today is not None else begin)

    @classmethod
    def ending(cls, last: dt.date, days: int) -> Self:
        """Return the ``days`` days that end with ``last``."""
        return cls(last - (days - 1) * ONE_DAY, last)

    @classmethod
    def week_of(cls, day: dt.date) -> Self:
        """Return Monday to Sunday around a day (ISO week)."""
        monday = day - day.weekday() * ONE_DAY
        return cls(monday, monday + 6 * ONE_DAY)

    @classmethod
    def month_of(cls, day: dt.date) -> Self:
        """Return the calendar month around a day."""
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
