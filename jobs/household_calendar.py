"""Days away from a calendar in iCalendar form (RFC 5545), a file or an address.

An event counts if it covers at least one whole local day: not a dentist's appointment. Its first and last day
count too, on which people are home for a part of the day. Events that repeat are expanded, with their exceptions; those
that are cancelled are left out. What was read from an address last is kept beside the ledger, and used while the
address cannot be read: a calendar that fails never fails a run.
"""

from __future__ import annotations

import datetime as dt
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from jobs.household import Away
from storage.dates import ONE_DAY, DateRange
from storage.errors import SettingsError
from storage.regular_file import open_regular, replace_file

if TYPE_CHECKING:
    from icalendar import Component

MAX_BYTES: Final = 5_000_000
MAX_OCCURRENCES: Final = 5_000  # of one event that repeats; later ones are left out
MAX_EVENT_DAYS: Final = 366

_FREQUENCIES: Final = frozenset({"DAILY", "WEEKLY", "MONTHLY", "YEARLY"})
_CHUNK_BYTES: Final = 65_536
_EXTRA: Final = "calendar"


class CalendarDays(NamedTuple):
    """What a calendar says.

    Attributes:
        away: Its days away.
        notices: What went wrong, in words.
    """

    away: tuple[Away, ...] = ()
    notices: tuple[str, ...] = ()


class CalendarSource(NamedTuple):
    """A calendar and how it is read.

    Attributes:
        location: A file, or an address that begins with https://, http:// or webcal://.
        events: Globs; only events whose summary matches one, in upper or lower case; all if there are none.
        timeout_seconds: How long reading it from an address may take in all.
        cache: Where a copy of what an address gave is kept; None to keep none.
    """

    location: str
    events: Sequence[str]
    timeout_seconds: float
    cache: Path | None


def read_calendar(source: CalendarSource, zone: ZoneInfo, days: DateRange) -> CalendarDays:
    """Return the days away of a calendar that touch some days; what goes wrong is a notice.

    Raises:
        SettingsError: The library that reads calendars is not installed.
    """
    _require_library()
    address = _address_of(source.location)
    where = "the calendar (away.calendar)"  # never the address: for a shared calendar, it is a password
    notices = []
    try:
        content = _fetched(address, source.timeout_seconds) if address else _read(Path(source.location))
        found = _away(content, source.events, zone, days)
    except (OSError, ValueError) as error:
        if not address:
            return CalendarDays((), (f"{where} cannot be read: {_reason(error)}; its days away are not known",))
        notices.append(f"{where} cannot be read: {_reason(error)}")
    else:
        if address and source.cache is not None and (problem := _keep(source.cache, content)):
            notices.append(f"a copy of {where} cannot be kept: {problem}")
        return CalendarDays(found, tuple(notices))
    if source.cache is None:
        return CalendarDays((), (f"{notices[0]}; its days away are not known",))
    try:
        found = _away(_read(source.cache), source.events, zone, days)
    except (OSError, ValueError):
        return CalendarDays((), (f"{notices[0]}; its days away are not known, as it was never read before",))
    return CalendarDays(found, (f"{notices[0]}; what was read last is used",))


def _require_library() -> None:
    try:
        import dateutil.rrule  # noqa: F401, PLC0415 - only here
        import icalendar  # noqa: F401, PLC0415 - only here
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"away.calendar needs {error.name}, which is not installed",
            hint=f"Install pattern-aggregates[{_EXTRA}].",
        ) from error


def _address_of(location: str) -> str:
    """Return the address of a calendar that is not a file; empty if it is one."""
    if location.startswith("webcal://"):
        return "https://" + location.removeprefix("webcal://")
    return location if location.startswith(("https://", "http://")) else ""


def _read(file: Path) -> bytes:
    with open_regular(file) as opened:
        return _bounded(opened.read(MAX_BYTES + 1))


def _fetched(address: str, timeout_seconds: float) -> bytes:
    """Return what an address gives, within a total time."""
    deadline = time.monotonic() + timeout_seconds
    request = urllib.request.Request(address, headers={"Accept": "text/calendar", "User-Agent": "pattern-aggregates"})  # noqa: S310 - only http and https get here
    parts: list[bytes] = []
    with urllib.request.urlopen(request, timeout=timeout_seconds) as answer:  # noqa: S310 - likewise
        while part := answer.read1(_CHUNK_BYTES):
            parts.append(part)
            if sum(map(len, parts)) > MAX_BYTES:
                break
            if time.monotonic() > deadline:
                raise TimeoutError(f"it takes longer than {timeout_seconds:g} s")
    return _bounded(b"".join(parts))


def _bounded(content: bytes) -> bytes:
    if len(content) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES:,} bytes")
    return content


def _reason(error: Exception) -> str:
    """Return what went wrong without the address."""
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answers {error.code}"
    if isinstance(error, urllib.error.URLError):
        error = error.reason if isinstance(error.reason, Exception) else error
    if isinstance(error, TimeoutError):
        return str(error) if error.args and isinstance(error.args[0], str) else "it takes too long"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "it is not a valid calendar" if "larger" not in str(error) else str(error)


def _keep(cache: Path, content: bytes) -> str:
    """Keep a copy. Returns why it could not be kept; empty if it was."""
    try:
        if cache.exists() and cache.read_bytes() == content:
            return ""
        cache.parent.mkdir(parents=True, exist_ok=True)
        replace_file(cache, content)
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""


def _away(content: bytes, globs: Sequence[str], zone: ZoneInfo, days: DateRange) -> tuple[Away, ...]:
    """Return the days away in the text of a calendar.

    Raises:
        ValueError: It is not a valid calendar.
    """
    from icalendar import Calendar  # noqa: PLC0415 - an extra

    if b"END:VCALENDAR" not in content.upper():  # something else, or a part of a calendar
        raise ValueError("not a valid calendar")
    try:
        events = [event for calendar in Calendar.from_ical(content, multiple=True) for event in calendar.walk("VEVENT")]
        found = set(_occurrences(events, globs, zone, days))
    except ValueError:
        raise
    except Exception as error:  # the library raises whatever its parts do, over a text from outside
        raise ValueError("not a valid calendar") from error
    return tuple(sorted(found))


def _occurrences(events: Iterable[Component], globs: Sequence[str], zone: ZoneInfo, days: DateRange) -> Iterator[Away]:
    events = list(events)
    moved = {
        (str(event.get("UID")), _instant(event.get("RECURRENCE-ID").dt, zone))
        for event in events
        if event.get("RECURRENCE-ID") is not None
    }
    for event in events:
        summary = str(event.get("SUMMARY", ""))
        is_meant = not globs or any(fnmatchcase(summary.lower(), glob.lower()) for glob in globs)
        if not is_meant or event.get("DTSTART") is None or str(event.get("STATUS", "")).upper() == "CANCELLED":
            continue
        length = _length(event, zone)
        is_exception = event.get("RECURRENCE-ID") is not None
        for start in _starts(event, zone, days, length):
            if not is_exception and (str(event.get("UID")), start) in moved:
                continue
            span = _days_covered(start, start + length, zone)
            if span is not None and span & days:
                yield Away(span.first, span.last, summary, "calendar")


def _instant(value: dt.date, zone: ZoneInfo) -> dt.datetime:
    """Return a day or a time of a calendar as local time of the home; one without a zone is local already."""
    if not isinstance(value, dt.datetime):
        return dt.datetime.combine(value, dt.time(), zone)
    return value.replace(tzinfo=zone) if value.tzinfo is None else value.astimezone(zone)


def _length(event: Component, zone: ZoneInfo) -> dt.timedelta:
    """Return the length of an event on the clock, at most ``MAX_EVENT_DAYS``."""
    begin = event.get("DTSTART").dt
    if event.get("DTEND") is not None:
        end = _instant(event.get("DTEND").dt, zone)
        length = end.replace(tzinfo=None) - _instant(begin, zone).replace(tzinfo=None)
    elif event.get("DURATION") is not None:
        length = event.get("DURATION").dt
    else:
        length = dt.timedelta(0) if isinstance(begin, dt.datetime) else ONE_DAY
    return min(max(length, dt.timedelta(0)), MAX_EVENT_DAYS * ONE_DAY)


def _starts(event: Component, zone: ZoneInfo, days: DateRange, length: dt.timedelta) -> Iterator[dt.datetime]:
    """Yield when an event begins: each time that it repeats, up to the end of the days."""
    first = _instant(event.get("DTSTART").dt, zone)
    last = dt.datetime.combine(days.last + ONE_DAY, dt.time(), zone)
    if event.get("RRULE") is None and event.get("RDATE") is None:
        yield first
        return
    from dateutil.rrule import rruleset, rrulestr  # noqa: PLC0415 - an extra

    repeats: Any = rruleset()
    naive = first.replace(tzinfo=None)  # it repeats by the clock of the home
    repeats.rdate(naive)
    for rule in _listed(event.get("RRULE")):
        if not {str(one).upper() for one in rule.get("FREQ", [])} <= _FREQUENCIES:
            continue  # nobody is away for a day every hour
        text = ";".join(part for part in rule.to_ical().decode().split(";") if not part.startswith("UNTIL="))
        until = [_instant(one, zone).replace(tzinfo=None) for one in rule.get("UNTIL", [])]
        is_whole_day = not isinstance(event.get("DTSTART").dt, dt.datetime)
        limit = min([last.replace(tzinfo=None), *until]) + (ONE_DAY if is_whole_day and until else dt.timedelta(0))
        text += "" if "COUNT=" in text else f";UNTIL={min(limit, last.replace(tzinfo=None)):%Y%m%dT%H%M%S}"
        repeats.rrule(rrulestr(text, dtstart=naive))
    for name, add in (("RDATE", repeats.rdate), ("EXDATE", repeats.exdate)):
        for dates in _listed(event.get(name)):
            for one in dates.dts:
                value = one.dt[0] if isinstance(one.dt, tuple) else one.dt
                add(_instant(value, zone).replace(tzinfo=None))
    oldest = dt.datetime.combine(days.first, dt.time()) - length
    for number, start in enumerate(repeats):
        if number >= MAX_OCCURRENCES or start > last.replace(tzinfo=None):
            return
        if start >= oldest:
            yield start.replace(tzinfo=zone)


def _listed(value: Any) -> list[Any]:  # noqa: ANN401 - the library gives one, several or none
    return [] if value is None else value if isinstance(value, list) else [value]


def _days_covered(start: dt.datetime, end: dt.datetime, zone: ZoneInfo) -> DateRange | None:
    """Return the local days that an event touches; None if it covers none of them wholly."""
    first, last = start.date(), (end - dt.timedelta(microseconds=1)).date()
    whole_first = first if start == dt.datetime.combine(first, dt.time(), zone) else first + ONE_DAY
    whole_last = last if end >= dt.datetime.combine(last + ONE_DAY, dt.time(), zone) else last - ONE_DAY
    return DateRange(first, last) if whole_first <= whole_last else None
