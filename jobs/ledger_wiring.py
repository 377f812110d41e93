"""From the settings to the place of the ledger, and to what lies beside it or in it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from jobs.household_file import EnteredHousehold, HouseholdFile, HouseholdInLedger
from jobs.settings import AwaySettings, LedgerSettings
from storage.drivers.sql_urls import parse_url
from storage.ledger.ledger import Ledger
from storage.settings import absolute_path

if TYPE_CHECKING:
    from jobs.household_calendar import CalendarSource


def ledger_place(settings: LedgerSettings, base: Path) -> Path | sa.URL:
    """Return the file or the database of the ledger.

    Raises:
        SettingsError: The URL is not valid, or its driver is not installed.
    """
    if settings.url:
        return parse_url(settings.url, "ledger.url")
    return absolute_path(base, settings.path)


def household_beside(
    beside: Path | None, open_ledger: Callable[[], AbstractContextManager[Ledger]]
) -> EnteredHousehold:
    """Return what keeps days away and mutes: a file beside the ledger, or its database."""
    return HouseholdInLedger(open_ledger) if beside is None else HouseholdFile.beside(beside)


def calendar_of(settings: AwaySettings, base: Path, beside: Path | None) -> CalendarSource | None:
    """Return the calendar with days away; None if there is none. Its last copy lies beside a ledger that is a file."""
    if not settings.calendar:
        return None
    from jobs.household_calendar import CalendarSource  # noqa: PLC0415 - loads an HTTP client

    place = settings.calendar
    place = place if "://" in place else str(absolute_path(base, place))
    cache = None if beside is None else beside.with_suffix(".calendar.ics")
    return CalendarSource(place, settings.events, settings.timeout_seconds, cache)
