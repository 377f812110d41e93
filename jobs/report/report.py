"""Make the report of a home."""

from __future__ import annotations

from typing import Final
from zoneinfo import ZoneInfo

from jobs.names import Names
from jobs.report.contents import find_contents
from jobs.report.one_day import find_one_day
from jobs.report.page import render_contents, render_one_day
from jobs.report.rhythm import find_rhythms
from jobs.report.stored_rows import StoredRows
from jobs.wiring import Home
from storage.dates import DateRange, Day, parse_day
from storage.errors import UsageError
from storage.query import AggregateQuery, DetectorRunDaily

MAX_BYTES: Final = 300_000

DEFAULT_DAYS: Final = 28

_SEARCHED_DAYS: Final = 10 * 366  # before today, for days that can be shown
_FEWER_DEVICES: Final = (80, 60, 40, 20, 0)


def make_report(home: Home, days: DateRange, *, in_detail: bool = False) -> str:
    """Return the report of some days as HTML; the same rows and names give the same bytes.

    Args:
        home: The home.
        days: The days that the report is about.
        in_detail: Whether to show the first of these days in detail instead.

    Raises:
        UsageError: None of the days was computed.
        StoreUnavailable: The store cannot be reached now.
        StoreCorrupt: A row does not satisfy its model.
    """
    if in_detail:
        days = DateRange(days.first, days.first)
    with home.open_query() as aggregates:
        rows = StoredRows(aggregates, days, home.enabled_detectors)
        if not rows.of(DetectorRunDaily):
            raise UsageError(f"nothing was computed for {days}", hint=_hint(aggregates, home.today()))
        if in_detail:
            return render_one_day(find_one_day(aggregates, rows, home.names, home.zone))
        return fit_period(aggregates, rows, home.names, home.zone)


def fit_period(aggregates: AggregateQuery, rows: StoredRows, names: Names, zone: ZoneInfo) -> str:
    """Return the report of some days as HTML of at most ``MAX_BYTES``.

    Where it would be larger, fewer devices have a map of their own, and the page says how many are left out.
    """
    contents = find_contents(aggregates, rows, names, zone)
    html = render_contents(contents)
    for max_devices in _FEWER_DEVICES:
        if len(html.encode()) <= MAX_BYTES:
            break
        html = render_contents(contents._replace(rhythms=find_rhythms(rows, rows.named(names), max_devices)))
    return html


def default_days(home: Home) -> DateRange:
    """Return the last four weeks, or if none of their days was computed, those that end with the newest day.

    Days before the home's first are left out.

    Raises:
        UsageError: Nothing was computed yet.
        StoreUnavailable: The store cannot be reached now.
    """
    with home.open_query() as aggregates:
        computed = _computed_days(aggregates, home.today())
    if not computed:
        raise UsageError("nothing was computed yet", hint="`pattern-aggregates run` computes the days that are due.")
    recent = DateRange.ending(home.yesterday(), DEFAULT_DAYS)
    days = recent if computed[-1] >= recent.first else DateRange.ending(computed[-1], DEFAULT_DAYS)
    return DateRange(max(days.first, min(computed[0], days.last)), days.last)


def _computed_days(aggregates: AggregateQuery, today: Day) -> list[Day]:
    """Return the days of which the store holds anything, ascending."""
    found = aggregates.summarize(
        DetectorRunDaily, DateRange.ending(today, _SEARCHED_DAYS), by=["date"], allow_missing=True
    )
    return sorted(parse_day(str(one.by["date"])) for one in found)


def _hint(aggregates: AggregateQuery, today: Day) -> str:
    """Return which days there are instead."""
    computed = _computed_days(aggregates, today)
    if not computed:
        return "`pattern-aggregates run` computes the days that are due."
    return f"The store has days from {computed[0]} to {computed[-1]}."
