"""From the settings to the place of the ledger, and to what lies beside it or in it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import sqlalchemy as sa

from jobs.household_file import EnteredHousehold, HouseholdFile, HouseholdInLedger
from jobs.settings import LedgerSettings
from storage.drivers.sql_urls import parse_url
from storage.ledger.ledger import Ledger
from storage.settings import absolute_path


def ledger_place(settings: LedgerSettings, base: Path) -> Path | sa.URL:
    """Return the file or the database of the ledger.

    Raises:
        SettingsError: The URL is not valid, or its driver is not installed.
    """
    if settings.url:
        return parse_url(settings.url, "ledger.url")
    return absolute_path(base, settings.path)


def household_beside(
    ledger: Path | None, open_ledger: Callable[[], AbstractContextManager[Ledger]]
) -> EnteredHousehold:
    """Return what keeps days away and mutes: a file beside the ledger's, or the ledger's database."""
    return HouseholdInLedger(open_ledger) if ledger is None else HouseholdFile.beside(ledger)
