"""A lost ledger, made again from the store: each detector leaves a record of its run there, beside its rows.

What the records cannot tell is which raw events a run saw. So a restored day carries no fingerprint: where it is looked
at again for late events it is computed again, unless the source knows less of it by now. Nothing else of it is due.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from jobs.registry import Detector, EventDetector
from storage.dates import DateRange
from storage.ledger.ledger import Ledger, LedgerDay, basis
from storage.models import DetectorRunDaily
from storage.store import AggregateReader

OLDEST: Final = dt.date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What became of the ledger.

    Attributes:
        restored: How many detector days it knows as written now, and did not before.
        completed: How many that it knew as tried only learnt what the store holds.
        kept: How many it knew, and were left as they are.
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
        told = f"{self.restored} detector days of {self.first} to {self.last} restored, {self.kept} were known"
        return told + (f", {self.completed} unwritten ones completed" if self.completed else "")


def rebuild_ledger(
    store: AggregateReader, ledger: Ledger, detectors: Iterable[Detector], *, yesterday: dt.date
) -> Rebuilt:
    """Note as written what the store says was computed. Nothing that the ledger knows is taken from it; repeatable.

    Args:
        store: Only read.
        ledger: Whatever is left of it; each day is worked on under its lock, beside other runs if need be.
        detectors: The registered ones.
        yesterday: The newest day that is over.

    Raises:
        StoreError: The store cannot be read.
        LedgerError: The ledger cannot be used.
    """
    seers = {one.name for one in detectors if isinstance(one, EventDetector)}
    by_day: dict[dt.date, list[DetectorRunDaily]] = defaultdict(list)
    for run in store.read(DetectorRunDaily, DateRange(OLDEST, yesterday)):
        by_day[run.date].append(run)
    restored = completed = kept = 0
    for day, runs in sorted(by_day.items()):
        with ledger.day(day) as work:
            known = set(work.entries)
            for run in sorted(runs, key=lambda run: run.detector not in seers):  # history judges what is there by then
                noted = _restore(work, run, runs, seers)
                restored += noted and run.detector not in known
                completed += noted and run.detector in known
                kept += not noted
    return Rebuilt(restored, completed, kept, min(by_day, default=None), max(by_day, default=None))


def _restore(work: LedgerDay, run: DetectorRunDaily, runs: Iterable[DetectorRunDaily], seers: set[str]) -> bool:
    if run.detector in seers:
        return work.restore(run, "", run.events)  # each event came of a sample
    newest = max((one.computed_at for one in runs if one.detector in seers), default=run.computed_at)
    return work.restore(run, basis(work.entries.values()) if run.computed_at >= newest else "", 0)
