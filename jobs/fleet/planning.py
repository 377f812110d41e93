"""Which homes have something to do, by one question to the ledger of all homes; each home by its own local day.

A home is due as soon as its yesterday is not done, or something of the days before it is outstanding. How far back it
has missed days, and what its source still holds, is found out when it is worked on.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from jobs.detector import Detector
from jobs.due import is_outstanding
from jobs.fleet.catalogue import CatalogueHome
from jobs.fleet.tasks import DueHome
from jobs.periods import can_compute
from storage.dates import ONE_DAY, DateRange
from storage.ledger.entry import Entry

WINDOW_DAYS: Final = 3  # whether a home is due is decided by so many of its newest days


@dataclass(slots=True)
class Plan:
    """What a fleet has to do.

    Attributes:
        due: The homes with something to do, in the order of the catalogue.
        nothing_due: How many homes have nothing to do.
        newest: The newest day of the windows that is done in some home; None if none is.
    """

    due: list[DueHome] = field(default_factory=list)
    nothing_due: int = 0
    newest: dt.date | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A home that may be due.

    Attributes:
        home: The home.
        yesterday: Its newest local day that is over.
        days: The days that were named, as far as they are over; None for every due day.
    """

    home: CatalogueHome
    yesterday: dt.date
    days: DateRange | None = None

    @property
    def window(self) -> DateRange:
        """The days by whose entries in the ledger it is decided whether it is due."""
        return self.days or DateRange.ending(self.yesterday, WINDOW_DAYS)


def yesterdays(zones: Iterable[str], now: dt.datetime) -> dict[str, dt.date]:
    """Return the newest local day that is over, in each time zone."""
    return {zone: now.astimezone(ZoneInfo(zone)).date() - ONE_DAY for zone in set(zones)}


@lru_cache(maxsize=16)  # all homes of a zone look at the same days
def _expected_entries(detectors: tuple[Detector, ...], days: DateRange) -> frozenset[tuple[dt.date, str]]:
    """Return the days and detectors of which the ledger has an entry when everything is done."""
    return frozenset((day, one.name) for day in days for one in detectors if can_compute(one, day))


def plan_homes(
    candidates: Sequence[Candidate], entries: Iterable[tuple[str, Entry]], detectors: Sequence[Detector]
) -> Plan:
    """Decide which homes are due.

    Args:
        candidates: The homes.
        entries: What the ledger knows of their windows, with the name of the home, in any order.
        detectors: The enabled detectors.
    """
    known = _known(entries, {one.name: one for one in detectors})
    detectors = tuple(detectors)
    plan = Plan(newest=max((day for finished, _ in known.values() for day, _ in finished), default=None))
    for one in candidates:
        finished, first = known.get(one.home.name, (frozenset(), None))
        expected = _expected_entries(detectors, one.window)
        if one.days is None and first is not None:  # before that, its source may have held nothing
            expected = frozenset(key for key in expected if key[0] >= first)
        days = {day for day, _ in expected - finished}
        if days:
            plan.due.append(DueHome(one.home, one.yesterday, one.days, len(days), min(days)))
        else:
            plan.nothing_due += 1
    return plan


def _known(
    entries: Iterable[tuple[str, Entry]], detectors: Mapping[str, Detector]
) -> dict[str, tuple[set[tuple[dt.date, str]], dt.date]]:
    """Return for each home what is finished, and its first day that is known; keys are shared, as there are many."""
    known: dict[str, tuple[set[tuple[dt.date, str]], dt.date]] = {}
    keys: dict[tuple[dt.date, str], tuple[dt.date, str]] = {}
    for home, entry in entries:
        finished, first = known.get(home, (set(), entry.day))
        known[home] = finished, min(first, entry.day)
        one = detectors.get(entry.detector)
        if one is None or not is_outstanding(one, entry):
            key = entry.day, entry.detector
            finished.add(keys.setdefault(key, key))
    return known
