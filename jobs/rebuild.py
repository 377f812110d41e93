"""Rebuild a lost ledger from the store, where each detector leaves a record of its run beside its rows.

The records do not say which raw events a run was given. So a restored day has no fingerprint: if it is rechecked for
late events it is computed again, unless the source has less data for it by now. Nothing else of it is due.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from jobs.detector import Detector, EventDetector, Rollup
from jobs.periods import by_day as entries_by_day
from jobs.periods import days_fingerprint, detector_of
from storage.dates import DateRange
from storage.ledger.day import LedgerDay
from storage.ledger.entry import findings_fingerprint
from storage.ledger.ledger import Ledger
from storage.models import DetectorRunDaily
from storage.store import AggregateReader

OLDEST_DAY: Final = dt.date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The result of rebuilding a ledger.

    Attributes:
        restored: How many detector days are listed as written now and were not listed before.
        completed: How many were listed only as tried, and now also name what the store holds.
        kept: How many were listed as written before, and are left as they are.
        first: The oldest day that the store has a record of; None if it has none.
        last: The newest.
    """

    restored: int = 0
    completed: int = 0
    kept: int = 0
    first: dt.date | None = None
    last: dt.date | None = None

    def __str__(self) -> str:
        if self.first is None:
            return "nothing to restore, the store has no record of any run"
        counts = f"{self.restored} detector days of {self.first} to {self.last} restored, {self.kept} were known"
        return counts + (f", {self.completed} unwritten ones completed" if self.completed else "")


def rebuild_ledger(
    store: AggregateReader, ledger: Ledger, detectors: Iterable[Detector], *, yesterday: dt.date
) -> Rebuilt:
    """Enter into the ledger what the store has records of. Existing entries stay; safe to repeat.

    Args:
        store: Only read.
        ledger: What is left of it. Each day is worked on under its lock, so that other runs may go on beside it.
        detectors: The registered ones.
        yesterday: The newest day that is over.

    Raises:
        StoreError: The store cannot be read.
        LedgerError: The ledger cannot be used.
    """
    detectors = list(detectors)
    event_detectors = {one.name for one in detectors if isinstance(one, EventDetector)}
    rollups = {one.name: one for one in detectors if isinstance(one, Rollup)}
    by_day: dict[dt.date, list[DetectorRunDaily]] = defaultdict(list)
    for run in store.read(DetectorRunDaily, DateRange(OLDEST_DAY, yesterday)):
        by_day[run.date].append(run)
    restored = completed = kept = 0
    for day, runs in sorted(by_day.items()):
        with ledger.day(day) as work:
            known = set(work.entries)
            # Event detectors first: the fingerprint of a history detector is made of their entries.
            for run in sorted(runs, key=lambda run: run.detector not in event_detectors):
                if rollup := rollups.get(run.detector):
                    is_noted = work.restore(run, _fingerprint_of_period(rollup, run, by_day, ledger), 0)
                else:
                    is_noted = _restore(work, run, runs, event_detectors)
                restored += is_noted and run.detector not in known
                completed += is_noted and run.detector in known
                kept += not is_noted
    return Rebuilt(restored, completed, kept, min(by_day, default=None), max(by_day, default=None))


def _restore(
    work: LedgerDay, run: DetectorRunDaily, runs: Iterable[DetectorRunDaily], event_detectors: Collection[str]
) -> bool:
    if run.detector in event_detectors:
        return work.restore(run, "", run.events)  # each event came from a sample
    newest = max((one.computed_at for one in runs if one.detector in event_detectors), default=run.computed_at)
    is_current = run.computed_at >= newest
    return work.restore(run, findings_fingerprint(work.entries.values()) if is_current else "", 0)


def _fingerprint_of_period(
    rollup: Rollup, run: DetectorRunDaily, runs: Mapping[dt.date, Iterable[DetectorRunDaily]], ledger: Ledger
) -> str:
    """Return the fingerprint of the restored days that a rollup reads; empty if one of them is newer than its rows."""
    days, names = DateRange.ending(run.date, rollup.history_days), {detector_of(model) for model in rollup.reads}
    read = (one for day in days for one in runs.get(day, ()) if one.detector in names)
    if any(one.computed_at > run.computed_at for one in read):
        return ""
    return days_fingerprint(rollup, run.date, entries_by_day(ledger.entries(days)))
