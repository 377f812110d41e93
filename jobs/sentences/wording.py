"""Lengths of time, hours, days and lists as people say them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from storage.dates import ONE_DAY

MAX_NAMED: Final = 3  # names in a list before "and 4 more"

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400
_WEEK_DAYS: Final = 7
_NUMBERS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_STATE_BY_CLASS: Final = {
    **dict.fromkeys(("door", "garage", "garage_door", "gate", "opening", "window"), "open"),
    **dict.fromkeys(("motion", "moving", "sound", "vibration"), "active"),
    **dict.fromkeys(("occupancy", "presence"), "occupied"),
}
_STATE_BY_DOMAIN: Final = {
    "climate": "heating or cooling",
    "cover": "open",
    "device_tracker": "home",
    "lock": "unlocked",
    "media_player": "playing",
    "person": "home",
    "vacuum": "cleaning",
}


def length(seconds: float) -> str:
    """Return a length of time in at most two units.

    >>> length(42), length(41 * 60 + 20), length(13 * 3600 + 4 * 60), length(50 * 3600), length(3600)
    ('42 s', '41 min', '13 h 4 min', '2 days 2 h', '1 h')
    """
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    minutes = round(seconds / _MINUTE)
    if minutes < _MINUTE:
        return f"{minutes} min"
    if minutes * _MINUTE < _DAY:
        hours, rest = divmod(minutes, _MINUTE)
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    days, hours = divmod(round(seconds / _HOUR), 24)
    named = "1 day" if days == 1 else f"{days} days"
    return f"{named} {hours} h" if hours else named


def times(count: int) -> str:
    """Return how often something happened.

    >>> times(0), times(1), times(2), times(1234)
    ('never', 'once', 'twice', '1,234 times')
    """
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count:,} times")


def period(days: int) -> str:
    """Return a number of days, in weeks if these are whole.

    >>> period(28), period(14), period(17), period(7), period(1)
    ('four weeks', 'two weeks', '17 days', 'one week', '1 day')
    """
    weeks, rest = divmod(days, _WEEK_DAYS)
    if weeks and not rest:
        return "one week" if weeks == 1 else f"{_NUMBERS[weeks] if weeks < len(_NUMBERS) else weeks} weeks"
    return "1 day" if days == 1 else f"{days} days"


def hours(of_day: Iterable[int]) -> str:
    """Return hours of the day as spans of the clock.

    >>> hours([3]), hours([7, 18, 19])
    ('between 3:00 and 4:00', 'between 7:00 and 8:00 and between 18:00 and 20:00')
    """
    ordered = sorted(set(of_day))
    breaks = [index + 1 for index, (one, other) in enumerate(pairwise(ordered)) if other != one + 1]
    spans = [ordered[first:last] for first, last in pairwise([0, *breaks, len(ordered)])] if ordered else []
    return listed([f"between {span[0]}:00 and {span[-1] + 1}:00" for span in spans], most=24)


def listed(names: Sequence[str], *, most: int = MAX_NAMED) -> str:
    """Return names as a list; what is over the maximum is counted.

    >>> listed(["a"]), listed(["a", "b", "c"]), listed(["a", "b", "c", "d", "e"])
    ('a', 'a, b and c', 'a, b, c and 2 more')
    """
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1] if names else "")))


def day(date: dt.date) -> str:
    """Return a day with its day of the week.

    >>> day(dt.date(2026, 11, 24))
    'Tuesday 2026-11-24'
    """
    return f"{date:%A} {date}"


def clock_before_end(date: dt.date, seconds: float, zone: ZoneInfo) -> str:
    """Return the day of the week and the time of the clock so many seconds before the end of a day.

    The date is added where that is six days earlier or more.

    >>> clock_before_end(dt.date(2026, 11, 24), 2 * 3600 + 46 * 60, ZoneInfo("Europe/Berlin"))
    'Tuesday 21:14'
    """
    midnight = dt.datetime.combine(date + ONE_DAY, dt.time(), zone)  # of the clock: as an instant, it has an offset
    at = dt.datetime.fromtimestamp(midnight.timestamp() - seconds, zone)
    is_recent = (date - at.date()).days < _WEEK_DAYS - 1
    return f"{at:%A} {at:%H:%M}" if is_recent else f"{at:%A} {at:%Y-%m-%d %H:%M}"


def active_state(entity_id: str, device_class: str | None = None) -> str:
    """Return what people call the active state of an entity: on, open, playing ...

    >>> active_state("binary_sensor.hall", "door"), active_state("light.hall"), active_state("lock.front")
    ('open', 'on', 'unlocked')
    """
    domain = entity_id.partition(".")[0]
    return _STATE_BY_CLASS.get(device_class or "") or _STATE_BY_DOMAIN.get(domain, "on")
