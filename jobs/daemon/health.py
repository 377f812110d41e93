"""Whether the newest day that should be written is written, as the ledger says: for people, containers and monitors."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from jobs.wiring import Home
from storage.dates import ONE_DAY, DateRange
from storage.errors import PatternAggregatesError
from storage.ledger.entry import Entry, Status

GRACE: Final = dt.timedelta(hours=1)  # a night may take so long before its day counts as due


class State(StrEnum):
    """How things stand."""

    FRESH = "fresh"  # the newest due day is written
    STALE = "stale"  # it is not, and nobody knows of trouble
    FAILING = "failing"  # it is not, and there is trouble


@dataclass(frozen=True, slots=True)
class Health:
    """How things stand.

    Attributes:
        state: In a word.
        day: The newest due day.
        reason: In a sentence.
    """

    state: State
    day: dt.date
    reason: str


def newest_due(home: Home) -> dt.date:
    """The newest day whose night came, and had the time it may take."""
    local = (home.clock() - GRACE).astimezone(home.zone)
    came = local.time() >= dt.time.fromisoformat(home.settings.schedule.at)
    return local.date() - (1 if came else 2) * ONE_DAY


def look(home: Home, trouble: str = "") -> Health:
    """How things stand.

    Args:
        home: The home; only its ledger is opened, and read.
        trouble: What the last run says went wrong, if anything did: it explains a day that is not there.
    """
    day = newest_due(home)
    try:
        with home.open_ledger(read_only=True) as ledger:
            entries = ledger.entries(DateRange(day, day))
    except PatternAggregatesError as error:
        return Health(State.FAILING, day, f"the ledger cannot be read: {error}")
    names = home.enabled_detectors
    unwritten = [_told(entries[day, name]) for name in names if (day, name) in entries]
    wrong = "; ".join(told for told in unwritten if told)
    missing = [name for name in names if (day, name) not in entries]
    if wrong:
        return Health(State.FAILING, day, f"{day}: {wrong}")
    if missing:
        which = "" if len(missing) == len(names) else " by " + ", ".join(missing)
        why = f": {trouble}" if trouble else ""
        return Health(State.FAILING if trouble else State.STALE, day, f"{day} is not computed{which}{why}")
    return Health(State.FRESH, day, f"{day} is written")


def _told(entry: Entry) -> str:
    """What is wrong with an entry; nothing if it is written."""
    if entry.status is Status.WRITTEN:
        return ""
    return f"{entry.detector} is {entry.status}" + (f", {entry.error}" if entry.error else "")
