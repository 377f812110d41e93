"""Whether a store without an identity, or with one that its ledger lacks, holds what the ledger lists as written."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping

from jobs.lost_days import is_same_run
from storage.dates import DateRange
from storage.ledger.entry import Entry, Status
from storage.models import AGGREGATES, DetectorRunDaily
from storage.store import AggregateStore


def agree_by_runs(entries: Mapping[tuple[dt.date, str], Entry], runs: Iterable[DetectorRunDaily]) -> bool:
    """Return whether the store's records are of the runs that the ledger lists as written, by most of those in both."""
    both = [
        is_same_run(run, entry)
        for run in runs
        if (entry := entries.get((run.date, run.detector))) is not None and entry.status is Status.WRITTEN
    ]
    return 2 * sum(both) > len(both)


def agree_by_rows(claimed: Collection[Entry], store: AggregateStore) -> bool:
    """Return whether a store without any record of a run has the rows that the ledger lists as written."""
    both = []
    days = DateRange(min(entry.day for entry in claimed), max(entry.day for entry in claimed))
    for model in AGGREGATES:
        detector = model.measurement.removesuffix("_daily")
        counts = store.count_by_day(model, days)
        both += [
            counts.get(entry.day) == entry.rows
            for entry in claimed
            if entry.detector == detector and entry.status is Status.WRITTEN and entry.rows
        ]
    return 2 * sum(both) > len(both)
