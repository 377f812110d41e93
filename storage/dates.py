"""Local calendar days and ranges of them, as people write them."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Self

from storage.errors import UsageError

Day = dt.date  # for code that may not import datetime, so that it cannot read the clock
ONE_DAY = dt.timedelta(days=1)

_ABSOLUTE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_AGO = re.compile(r"-(\d{1,5})([dw])", re.ASCII)
_WEEK = re.compile(r"(\d{4})-W(\d{2})", re.ASCII)
_MONTH = re.compile(r"(\d{4})-(\d{2})", re.ASCII)
_WORDS: Final = {"today": 0, "yesterday": 1}  # days ago
_BETWEEN: Final = ".."
_WEEK_DAYS: Final = 7


def parse_day(text: str | dt.date, *, today: dt.date | None = None) -> dt.date:
    """Return the day that ``YYYY-MM-DD`` names; if ``today`` is given, also ``today``, ``yesterday``, ``-7d``, ``-1w``.

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
    try:
        found = _day(text, today)
    except (ValueError, OverflowError) as error:  # not in the month, or before the year 1
        raise _not_a_day(text, today) from error
    if found is None:
        raise _not_a_day(text, today)
    return found


def _day(text: str, today: dt.date | None) -> dt.date | None:
    """Return the day that a text names; None if it does not have the form of one."""
    days_ago = _days_ago(text)
    if today is not None and days_ago is not None:
        return today - days_ago * ONE_DAY
    if matched := _ABSOLUTE.fullmatch(text):
        year, month, day = map(int, matched.groups())
        return dt.date(year, month, day)
    return None


def _stretch(text: str, today: dt.date | None) -> DateRange | None:
    """Return the week or month that a text names; None if it does not have the form of one."""
    if matched := _WEEK.fullmatch(text):
        return DateRange.week_of(dt.date.fromisocalendar(int(matched[1]), int(matched[2]), 1))
    if matched := _MONTH.fullmatch(text):
        return DateRange.month_of(dt.date(int(matched[1]), int(matched[2]), 1))
    if today is not None and text == "last-week":
        return DateRange.week_of(today - _WEEK_DAYS * ONE_DAY)
    if today is not None and text == "last-month":
        return DateRange.month_of(today.replace(day=1) - ONE_DAY)
    return None


def _days_of(text: str | dt.date, today: dt.date | None) -> DateRange:
    """Return the days that a text names by itself: a day, a week or a month.

    Raises:
        UsageError: It names none.
    """
    try:
        found = _stretch(text, today) if isinstance(text, str) else None
    except (ValueError, OverflowError) as error:  # such as a week 54
        raise _not_a_day(text, today) from error
    if found is not None:
        return found
    day = parse_day(text, today=today)
    return DateRange(day, day)


def week_name(day: dt.date) -> str:
    """Return the ISO week of a day in the form that ``DateRange.parse`` takes.

    >>> week_name(dt.date(2027, 1, 3))
    '2026-W53'
    """
    year, week, _ = day.isocalendar()
    return f"{year:04}-W{week:02}"


def month_name(day: dt.date) -> str:
    """Return the month of a day in the form that ``DateRange.parse`` takes.

    >>> month_name(dt.date(2026, 11, 28))
    '2026-11'
    """
    return day.isoformat()[: len("YYYY-MM")]


def oldest_kept_day(newest: dt.date, kept_days: int) -> dt.date:
    """Return the oldest day of a store that keeps so many days up to the newest; 0 keeps every day.

    >>> oldest_kept_day(dt.date(2026, 3, 10), 7).isoformat()
    '2026-03-04'
    """
    return newest - (kept_days - 1) * ONE_DAY if kept_days else dt.date.min


def is_relative(text: object) -> bool:
    """Return whether a text counts days from today, as ``yesterday``, ``-7d`` and ``last-week`` do."""
    if not isinstance(text, str):
        return False
    first, between, last = text.partition(_BETWEEN)
    if between:
        return not last or is_relative(first) or is_relative(last)
    return _days_ago(text) is not None or text in ("last-week", "last-month")


def _days_ago(text: str) -> int | None:
    if matched := _AGO.fullmatch(text):
        return int(matched[1]) * (_WEEK_DAYS if matched[2] == "w" else 1)
    return _WORDS.get(text)


def _not_a_day(text: object, today: dt.date | None) -> UsageError:
    also = "" if today is None else ", yesterday, -7d or -1w"
    ranges = "2026-W47, 2026-11 or A..B" if today is None else "last-week, last-month, 2026-W47, 2026-11 or A..B"
    return UsageError(
        f"{text!r} is not a valid day", hint=f"Write it as YYYY-MM-DD{also}; a range of days also as {ranges}."
    )


PERIODS: Final[Mapping[str, Callable[[dt.date], str]]] = {"week": week_name, "month": month_name}


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
        """Return the range that somebody wrote, in one text or as its two ends.

        A text is a day in any form that ``parse_day`` takes; a week such as ``2026-W47`` or ``last-week``; a month such
        as ``2026-11`` or ``last-month``; or two of these with ``..`` between them, of which the second may be left out
        for yesterday.

        Args:
            first: The first day, or all of the range.
            last: The last day, included; of a week or a month its last day. Without it ``-7d`` stands for the seven
                days up to yesterday, and everything else for itself.
            today: The present local day of the home, from which ``yesterday``, ``-7d`` and ``last-week`` are counted.

        Raises:
            UsageError: One is not a valid day, the last is before the first, or a range comes with a last day.

        >>> str(DateRange.parse("-7d", today=dt.date(2026, 11, 28)))
        '2026-11-21 to 2026-11-27'
        >>> str(DateRange.parse("2026-W47..2026-11"))
        '2026-11-16 to 2026-11-30'
        """
        has_both_ends = isinstance(first, str) and _BETWEEN in first
        if last is not None and (has_both_ends or isinstance(first, DateRange)):
            raise UsageError(f"{first} is a range already, and {last!r} comes with it", hint="Leave out the last day.")
        if isinstance(first, DateRange):
            return cls(first.first, first.last)
        if isinstance(first, str) and has_both_ends:
            text = first
            first, _, end = text.partition(_BETWEEN)
            if not first or not (end or today is not None):
                missing = "last" if first else "first"
                raise UsageError(
                    f"{text!r} is not a valid range of days: its {missing} day is missing",
                    hint=f"Write the day {'after' if first else 'before'} the two dots.",
                )
            last = end or "yesterday"
        begin = _days_of(first, today)
        if last is not None:
            return cls(begin.first, _days_of(last, today).last)
        is_open = isinstance(first, str) and first.startswith("-")
        return cls(begin.first, max(begin.last, today - ONE_DAY) if is_open and today is not None else begin.last)

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
        return str(self.first) if self.first == self.last else f"{self.first} to {self.last}"


ALL_DAYS: Final = DateRange(dt.date(1970, 1, 1), dt.date(2099, 12, 31))
