"""Whether the newest due day is written, and the store holds what is: for people, containers and monitors."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from jobs.lost_days import LostDays, find_lost_days
from jobs.wiring import Home
from storage.dates import ONE_DAY, DateRange
from storage.errors import PatternAggregatesError, StoreError
from storage.ledger.entry import Entry, Status
from storage.periods import has_rows_on

GRACE: Final = dt.timedelta(hours=1)  # how long a nightly run may take before its day counts as due


class State(StrEnum):
    """The health in one word."""

    FRESH = "fresh"  # the newest due day is written
    STALE = "stale"  # it is not, and no error is known
    FAILING = "failing"  # it is not, and an error is known


@dataclass(frozen=True, slots=True)
class Health:
    """The health of the nightly job.

    Attributes:
        state: In one word.
        day: The newest due day.
        reason: In one sentence.
    """

    state: State
    day: dt.date
    reason: str


def newest_due_day(home: Home) -> dt.date:
    """Return the newest day whose nightly run has begun, and has had time to finish."""
    local = (home.clock() - GRACE).astimezone(home.zone)
    has_begun = local.time() >= dt.time.fromisoformat(home.settings.schedule.at)
    return local.date() - (1 if has_begun else 2) * ONE_DAY


def check_health(home: Home, last_error: str = "", lost: LostDays | None = None, mismatch: str = "") -> Health:
    """Return whether the newest due day is written, and why not.

    Args:
        home: The home; only its ledger is opened, for reading.
        last_error: What went wrong in the last run, if anything did; it explains a day that is not computed.
        lost: What the store has lost, as far as that is known.
        mismatch: Why settings, ledger and store are not of one home; empty if they are, or that is not known.
    """
    day = newest_due_day(home)
    try:
        with home.open_ledger(read_only=True) as ledger:
            entries = ledger.entries(DateRange(day, day))
    except PatternAggregatesError as error:
        return Health(State.FAILING, day, f"the ledger cannot be read: {error}")
    if mismatch:
        return Health(State.FAILING, day, mismatch)
    if lost:
        return Health(State.FAILING, day, f"{lost}. {lost.hint}")
    names = [name for name in home.enabled_detectors if has_rows_on(name, day)]
    faults = [_fault(entries[day, name]) for name in names if (day, name) in entries]
    missing = [name for name in names if (day, name) not in entries]
    if any(faults):
        return Health(State.FAILING, day, f"{day}: {'; '.join(fault for fault in faults if fault)}")
    if missing:
        which = "" if len(missing) == len(names) else " by " + ", ".join(missing)
        why = f": {last_error}" if last_error else ""
        return Health(State.FAILING if last_error else State.STALE, day, f"{day} is not computed{which}{why}")
    return Health(State.FRESH, day, f"{day} is written")


def check_store(home: Home) -> LostDays | None:
    """Return what the store has lost of the newest days; None if that is not known, because it cannot be read now.

    Raises:
        HomeMismatch: Settings, ledger and store are not of one home.
        LedgerError: The ledger cannot be read.
    """
    if not home.has_ledger:
        return None  # nothing is written yet
    with home.open_checked() as (ledger, store):
        try:
            return find_lost_days(ledger.entries().values(), store, home.oldest_kept_day(), models=home.stored_models)
        except StoreError:
            return None


def _fault(entry: Entry) -> str:
    """Return what is wrong with an entry; empty if it is written."""
    if entry.status is Status.WRITTEN:
        return ""
    return f"{entry.detector} is {entry.status}" + (f", {entry.error}" if entry.error else "")
