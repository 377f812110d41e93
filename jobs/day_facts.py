"""What is known of the day, or the days, that a detector computes, and whether that is less than it was before."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from jobs.activity.events import DayLog
from jobs.activity.window import DayWindow
from jobs.detector import Detector, Rollup
from jobs.due import has_findings
from jobs.periods import Days, days_with_findings, detector_of, has_findings_in_period
from storage.dates import DateRange
from storage.ledger.day import LedgerDay
from storage.ledger.entry import Entry
from storage.models import DetectorRunDaily
from storage.periods import cadence_of
from storage.store import AggregateReader


class DayFacts(NamedTuple):
    """What is known of the day that a detector computes; of a rollup, of all days of the period."""

    events: int
    samples: int
    known_seconds: float
    day_seconds: float
    notices: Sequence[str]


def stored_facts(chosen: Iterable[dt.date], days: Days, zone: ZoneInfo) -> DayFacts:
    """Return what is known of some days in all, by what daily detectors were given.

    Args:
        chosen: The days.
        days: What the ledger knows of them.
        zone: The home's zone.
    """
    events, known_seconds, day_seconds = 0, 0.0, 0.0
    for day in chosen:
        entries = [entry for name, entry in days.get(day, {}).items() if cadence_of(name) is None]
        events += max((entry.events for entry in entries), default=0)
        known_seconds += max((entry.known_seconds for entry in entries), default=0.0)
        day_seconds += DayWindow(day, zone).seconds
    return DayFacts(events, 0, known_seconds, day_seconds, ())


def has_input(one: Detector, day: dt.date, candidates: Sequence[Detector], days: Days) -> bool:
    """Return whether there is anything that a history detector can judge on a day."""
    if isinstance(one, Rollup):
        return has_findings_in_period(one, day, days)
    return has_findings(candidates, days[day])


def has_less_data(log: DayLog, entry: Entry, version: int) -> bool:
    """Return whether the source has less data for a day than its stored rows were computed from, as after a purge.

    Known time is compared within one version only: a new version may know better that nothing was recorded.
    """
    if entry.written_version is None:
        return False
    if not entry.fingerprint and len(log.events) < entry.events:  # restored from the store, which counts no samples
        return True
    knows_less = entry.written_version == version and log.known_seconds < entry.written_known_seconds
    return knows_less or log.samples < entry.written_samples


def has_lost_days(one: Detector, work: LedgerDay, history: AggregateReader) -> bool:
    """Return whether daily rows that a rollup's stored rows were computed from are gone, as after the retention."""
    entry = work.entries.get(one.name)
    if not isinstance(one, Rollup) or entry is None or entry.written_version is None:
        return False
    names = [detector_of(model) for model in one.reads]
    runs = history.read(DetectorRunDaily, DateRange.ending(work.day, one.history_days), {"detector": names})
    return not days_with_findings(entry.fingerprint, work.day) <= {run.date for run in runs}
