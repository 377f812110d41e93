"""Read what is known of the household: what people entered, and the days away of their calendar."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from jobs.household import FILE_MARK, Household
from jobs.household_file import EnteredHousehold
from storage.clean_text import remember_secrets
from storage.dates import ONE_DAY, DateRange, Day
from storage.errors import HouseholdError
from storage.ledger.ledger import Ledger

if TYPE_CHECKING:
    from jobs.household_calendar import CalendarSource

CALENDAR_DAYS: Final = 400  # of a calendar, before and after today


def read_household(
    file: EnteredHousehold, ledger: Ledger, calendar: CalendarSource | None, zone: ZoneInfo, today: Day
) -> Household:
    """Return what is known of the household; what cannot be read is a problem or a notice, not an error.

    Args:
        file: What people entered.
        ledger: Shows whether days were judged by a file that is gone now, and how entities were called before.
        calendar: The calendar; None if there is none.
        zone: The zone of the home.
        today: The present day.

    Raises:
        SettingsError: There is a calendar, and the library that reads calendars is not installed.
    """
    try:
        entered = file.read()
    except HouseholdError as error:
        return Household(problem=f"{error}. {error.hint}")
    if not file.exists() and any(FILE_MARK in entry.fingerprint for entry in ledger.entries().values()):
        hint = "Restore it from a backup, or enter what was in it again (pattern-aggregates away, mute)."
        return Household(problem=f"{file.where}, with days away and mutes, is gone. {hint}")
    if calendar is not None:
        from jobs.household_calendar import read_calendar  # noqa: PLC0415 - loads an HTTP client

        remember_secrets({"token": calendar.location})  # whoever knows a shared calendar's address can read it
        days = DateRange(today - CALENDAR_DAYS * ONE_DAY, today + CALENDAR_DAYS * ONE_DAY)
        found = read_calendar(calendar, zone, days)
        entered = replace(entered, away=(*entered.away, *found.away), notices=found.notices)
    return entered.with_present_names(ledger.renames())
