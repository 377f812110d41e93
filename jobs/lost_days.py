"""What the ledger lists as written and the store does not hold: it was lost, emptied or restored from a backup.

The store's records of runs are compared with the ledger, and the rows of each day are counted and compared with the
records, because a measurement may be dropped, or a day's rows deleted, while the records stay.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from storage.dates import DateRange
from storage.ledger.entry import Entry, Status
from storage.models import AGGREGATES, DailyAggregate, DetectorRunDaily
from storage.plurals import counted
from storage.rollup_models import ROLLUPS
from storage.store import AggregateStore

MAX_CHECKED_DAYS: Final = 92  # the newest; a backup lacks them first, and an emptied store lacks them all


@dataclass(frozen=True, slots=True)
class LostDays:
    """What the store has lost.

    Attributes:
        lost: Each day and detector of which the store has no record, an older one or too few rows, in order.
        claimed_count: How many days and detectors the ledger lists as written.
        without_rows_count: Of how many of ``lost`` the record of the run is there, but not all of its rows.
    """

    lost: tuple[tuple[dt.date, str], ...] = ()
    claimed_count: int = 0
    without_rows_count: int = 0

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
        rows = f"; of {self.without_rows_count} of them it lacks only rows" if self.without_rows_count else ""
        return (
            f"the store lacks {len(self.lost)} of {counted(self.claimed_count, 'detector day')} that the ledger lists "
            f"as written ({days[0]} to {days[-1]}{rows}): it was lost, emptied or restored from an older backup"
        )

    @property
    def hint(self) -> str:
        """The command that repairs it; empty if nothing is lost."""
        days = self.days
        return f"Repair it: pattern-aggregates backfill {days[0]} {days[-1]} --redo lost" if days else ""


def find_lost_days(
    entries: Iterable[Entry],
    store: AggregateStore,
    oldest: dt.date,
    *,
    max_days: int = MAX_CHECKED_DAYS,
    models: Collection[type[DailyAggregate]] = (*AGGREGATES, *ROLLUPS),
) -> LostDays:
    """Compare what the ledger lists as written with the store: one small query, and one for each measurement.

    Args:
        entries: The ledger's; what waits for the store is left out.
        store: Only read.
        oldest: The oldest day that the store keeps.
        max_days: Only so many of the newest days that are listed as written.
        models: Whose rows are counted; of other detectors only the records of their runs are compared.

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
    days = DateRange(min(newest), max(newest))
    runs = _read_runs(store, days)
    lost = {key for key, entry in claimed.items() if key not in runs or _is_older(runs[key], entry)}
    claimed_runs = {key: runs[key] for key in claimed.keys() - lost}
    without_rows = _without_rows(claimed_runs, store, days, models)
    if without_rows:  # unless somebody is replacing these days just now
        runs = _read_runs(store, days)
        unchanged = {key: runs[key] for key in without_rows if runs.get(key) == claimed_runs[key]}
        without_rows = _without_rows(unchanged, store, days, models)
    return LostDays(tuple(sorted(lost | without_rows)), len(claimed), len(without_rows))


def is_same_run(run: DetectorRunDaily, entry: Entry) -> bool:
    """Return whether a record in the store is of the attempt that the ledger lists as written."""
    return (run.version, run.rows, run.events) == (entry.version, entry.rows, entry.events)


def _is_older(run: DetectorRunDaily, entry: Entry) -> bool:
    """Whether the store holds an earlier result than the one written last. A newer one means that the ledger is old."""
    if entry.status is not Status.WRITTEN or is_same_run(run, entry):
        return False
    return run.computed_at.replace(microsecond=0) <= dt.datetime.fromisoformat(entry.updated_at)


def _read_runs(store: AggregateStore, days: DateRange) -> dict[tuple[dt.date, str], DetectorRunDaily]:
    return {(run.date, run.detector): run for run in store.read(DetectorRunDaily, days)}


def _without_rows(
    runs: Mapping[tuple[dt.date, str], DetectorRunDaily],
    store: AggregateStore,
    days: DateRange,
    models: Collection[type[DailyAggregate]],
) -> set[tuple[dt.date, str]]:
    """Return the days and detectors of which the store has fewer rows than the record of their run counts."""
    found: set[tuple[dt.date, str]] = set()
    for model in models:
        detector = model.measurement.removesuffix("_daily")
        recorded = {key: run.rows for key, run in runs.items() if run.rows and key[1] == detector}
        if recorded:
            counts = store.count_by_day(model, days)
            found |= {key for key, rows in recorded.items() if counts.get(key[0], 0) < rows}
    return found
