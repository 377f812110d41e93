"""What the ledger lists as written and the store does not hold: it was lost, emptied or restored from a backup."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from storage.dates import DateRange
from storage.ledger.entry import Entry, Status
from storage.models import DetectorRunDaily
from storage.plurals import counted
from storage.store import AggregateReader

MAX_CHECKED_DAYS: Final = 92  # the newest; a backup lacks them first, and an emptied store lacks them all


@dataclass(frozen=True, slots=True)
class LostDays:
    """What the store has lost.

    Attributes:
        lost: Each day and detector of which the store has no record, or an older one, in order.
        claimed_count: How many days and detectors the ledger lists as written.
    """

    lost: tuple[tuple[dt.date, str], ...] = ()
    claimed_count: int = 0

    def __bool__(self) -> bool:
        return bool(self.lost)

    @property
    def days(self) -> list[dt.date]:
        """The days of which something is lost, in order."""
        return sorted({day for day, _ in self.lost})

    def __str__(self) -> str:
        days = self.days
        if not days:
            return "the store holds everything that the ledger lists as written"
        return (
            f"the store lacks {len(self.lost)} of {counted(self.claimed_count, 'detector day')} that the ledger lists "
            f"as written ({days[0]} to {days[-1]}): it was lost, emptied or restored from an older backup"
        )

    @property
    def hint(self) -> str:
        """The command that repairs it; empty if nothing is lost."""
        days = self.days
        return f"Repair it: pattern-aggregates backfill {days[0]} {days[-1]} --redo lost" if days else ""


def find_lost_days(
    entries: Iterable[Entry], store: AggregateReader, oldest: dt.date, *, max_days: int = MAX_CHECKED_DAYS
) -> LostDays:
    """Compare what the ledger lists as written with the records of runs in the store: one small query.

    Args:
        entries: The ledger's; what waits for the store is left out.
        store: Only read.
        oldest: The oldest day that the store keeps.
        max_days: Only so many of the newest days that are listed as written.

    Raises:
        StoreError: The store cannot be read.
    """
    claimed = {
        (entry.day, entry.detector): entry
        for entry in entries
        if entry.day >= oldest and entry.written_version is not None and entry.status is not Status.STAGED
    }
    newest = set(sorted({day for day, _ in claimed})[-max_days:])
    claimed = {key: entry for key, entry in claimed.items() if key[0] in newest}
    if not claimed:
        return LostDays()
    runs = {(run.date, run.detector): run for run in store.read(DetectorRunDaily, DateRange(min(newest), max(newest)))}
    lost = [key for key, entry in claimed.items() if key not in runs or _is_older(runs[key], entry)]
    return LostDays(tuple(sorted(lost)), len(claimed))


def is_same_run(run: DetectorRunDaily, entry: Entry) -> bool:
    """Return whether a record in the store is of the attempt that the ledger lists as written."""
    return (run.version, run.rows, run.events) == (entry.version, entry.rows, entry.events)


def _is_older(run: DetectorRunDaily, entry: Entry) -> bool:
    """Whether the store holds an earlier result than the one written last. A newer one means that the ledger is old."""
    if entry.status is not Status.WRITTEN or is_same_run(run, entry):
        return False
    return run.computed_at.replace(microsecond=0) <= dt.datetime.fromisoformat(entry.updated_at)
