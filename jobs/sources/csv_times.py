"""Times of CSV files as people and programs write them, and the order of day and month in a file's dates."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from jobs.activity.window import SECOND, to_instant

_EPOCH: Final = re.compile(r"(\d{10})((?:\d{3}){0,3})(?:[.,](\d{1,9}))?")
_YEAR_FIRST: Final = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})(?!\d)")
_UTC: Final = re.compile(r"\s*(?:UTC|GMT)", re.IGNORECASE)
_TIME: Final = (
    r"(?:(?:,?\s+|T)(?P<hour>\d{1,2})[:.](?P<minute>\d{2})(?:[:.](?P<s>\d{2})(?:[.,](?P<part>\d{1,6})\d*)?)?\s*"
    r"(?P<half>[aApP]\.?[mM]\.?)?)?"
)
_DATE: Final = re.compile(r"(?P<first>\d{1,2})(?P<mark>[./-])(?P<second>\d{1,2})(?P=mark)(?P<year>\d{4}|\d{2})" + _TIME)
_NAMED: Final = re.compile(
    r"(?:(?P<day>\d{1,2})\.?\s+(?P<month>[A-Za-z]{3,9})\.?|(?P<month_first>[A-Za-z]{3,9})\.?\s+(?P<day_second>\d{1,2}))"
    r",?\s+(?P<year>\d{4})" + _TIME
)
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def days_come_first(times: Iterable[str]) -> bool:
    """Return whether dates with slashes or dashes begin with the day, as far as the times of a file tell."""
    dates: dict[bool, list[tuple[int, int, int]]] = {True: [], False: []}
    for time in times:
        found = _DATE.fullmatch(time)
        if found is None:
            if not dates[True] and time[:4].isdigit():
                return True  # a file of ISO times
            continue
        if found["mark"] == ".":
            return True
        first, second, year = (int(found[name]) for name in ("first", "second", "year"))
        if first > 12:  # noqa: PLR2004 - months
            return True
        if second > 12:  # noqa: PLR2004 - months
            return False
        dates[True].append((year, second, first))
        dates[False].append((year, first, second))
    return _disorder(dates[True]) <= _disorder(dates[False])


def _disorder(dates: list[tuple[int, int, int]]) -> tuple[int, int]:
    """Return how often dates (year, month, day) descend, and how many days, or nearly so, they cover."""
    descents = sum(one > other for one, other in pairwise(dates))
    days = [(12 * year + month) * 31 + day for year, month, day in dates]
    return descents, max(days, default=0) - min(days, default=0)


def instant_of(text: str, zone: ZoneInfo, previous: int, *, day_first: bool) -> int:
    """Return the instant that a text of a file means.

    Args:
        text: The text.
        zone: The home's zone, for a time without an offset.
        previous: The instant of the row before: of a time that a clock change makes ambiguous, the reading counts that
            keeps the file in order.
        day_first: Whether dates with slashes or dashes begin with the day.

    Raises:
        ValueError: It is not a time.
        OverflowError: It is too far away.
    """
    if epoch := _EPOCH.fullmatch(text):
        return round(float(f"{epoch[1]}.{epoch[2] or ''}{epoch[3] or ''}0") * SECOND)
    if found := _DATE.fullmatch(text):
        at = _date_of(found, day_first=day_first)
    elif found := _NAMED.fullmatch(text):
        at = _named_date_of(found)
    else:
        at = _iso_time_of(text)
    if at.tzinfo is not None:
        return to_instant(at)
    instant = to_instant(at.replace(tzinfo=zone))
    if instant < previous:  # perhaps the second pass of a repeated hour
        later = to_instant(at.replace(tzinfo=zone, fold=1))
        return later if later >= previous else instant
    return instant


def _iso_time_of(text: str) -> dt.datetime:
    """Return the time of a date that begins with the year."""
    if year_first := _YEAR_FIRST.match(text):
        year, month, day = year_first.groups()
        text = f"{year}-{month:0>2}-{day:0>2}{text[year_first.end() :]}"
    if (utc := _UTC.search(text)) and utc.end() == len(text):
        return dt.datetime.fromisoformat(text[: utc.start()]).replace(tzinfo=dt.UTC)
    return dt.datetime.fromisoformat(text)


def _date_of(found: re.Match[str], *, day_first: bool) -> dt.datetime:
    """Return the local time of a date that does not begin with the year."""
    numbers = (int(found["first"]), int(found["second"]))
    day, month = numbers if day_first or found["mark"] == "." else numbers[::-1]
    return _local_time(int(found["year"]) + (2000 if len(found["year"]) == len("26") else 0), month, day, found)


def _named_date_of(found: re.Match[str]) -> dt.datetime:
    """Return the local time of a date whose month is an English word, of which the first three letters count."""
    month = (found["month"] or found["month_first"]).lower()
    day = int(found["day"] or found["day_second"])
    return _local_time(int(found["year"]), 1 + _MONTHS.index(month[:3]), day, found)


def _local_time(year: int, month: int, day: int, found: re.Match[str]) -> dt.datetime:
    hour = int(found["hour"] or 0)
    if found["half"]:
        if not 1 <= hour <= 12:  # noqa: PLR2004 - hours by the clock
            raise ValueError("not a valid hour")
        hour = hour % 12 + (12 if found["half"][0] in "pP" else 0)
    part = (found["part"] or "").ljust(6, "0")
    return dt.datetime(year, month, day, hour, int(found["minute"] or 0), int(found["s"] or 0), int(part or 0))  # noqa: DTZ001 - local
