"""What a rollup is computed from: the findings of the days up to the last of its period, as the ledger knows them.

A fingerprint has one digest for each of these days. Days whose findings the ledger no longer has, because they are past
the retention, count as unchanged: a rollup is never computed again only because what it came from has been deleted.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from jobs.detector import Detector, Rollup
from storage.dates import ONE_DAY, DateRange
from storage.ledger.entry import Entry
from storage.models import DailyAggregate
from storage.periods import cadence_of, has_rows_on, period_around

Entries = Mapping[str, Entry]
"""What the ledger knows of one day, by detector."""
Days = Mapping[dt.date, Entries]
"""What the ledger knows of several days."""

NO_DAYS: Final[Days] = {}
_SEPARATOR: Final = ","


def by_day(entries: Mapping[tuple[dt.date, str], Entry]) -> dict[dt.date, dict[str, Entry]]:
    """Return the ledger's entries by day and detector."""
    days: dict[dt.date, dict[str, Entry]] = defaultdict(dict)
    for (day, name), entry in entries.items():
        days[day][name] = entry
    return days


def can_compute(one: Detector, day: dt.date) -> bool:
    """Return whether a detector can have rows of a day: a rollup only on the last day of its period."""
    return not isinstance(one, Rollup) or has_rows_on(one.name, day)


def period_of(one: Rollup, day: dt.date) -> DateRange:
    """Return the week or month of a rollup that a day belongs to."""
    return period_around(one.cadence, day)


def history_of(detectors: Iterable[Detector], days: DateRange) -> DateRange:
    """Return some days with those before them that rollups of these days are computed from."""
    most = max((one.history_days for one in detectors if isinstance(one, Rollup)), default=1)
    return DateRange(days.first - (most - 1) * ONE_DAY, days.last)


def has_findings_in_period(one: Rollup, day: dt.date, days: Days) -> bool:
    """Return whether any daily detector has found anything, or that nothing happened, on a day of the period."""
    return any(
        entry.has_finding and cadence_of(name) is None
        for one_day in period_of(one, day)
        for name, entry in days.get(one_day, {}).items()
    )


def days_fingerprint(one: Rollup, day: dt.date, days: Days) -> str:
    """Return a digest of each day's findings that a rollup of a period reads, oldest first; empty where it has none."""
    names = {detector_of(model) for model in one.reads}
    history = DateRange.ending(day, one.history_days)
    return _SEPARATOR.join(_digest(names, days.get(one_day, {})) for one_day in history)


def differs(stored: str, present: str) -> bool:
    """Return whether a day has other findings than those that a rollup was computed from, or for the first time any.

    >>> differs("1f,,2a", ",,2a"), differs("1f,,2a", "1f,3b,2a"), differs("1f,,2a", "1f,,2b"), differs("", "1f,,2a")
    (False, True, True, True)
    """
    before, now = stored.split(_SEPARATOR), present.split(_SEPARATOR)
    return len(before) != len(now) or any(new and new != old for old, new in zip(before, now, strict=True))


def days_with_findings(stored: str, day: dt.date) -> set[dt.date]:
    """Return the days that have a digest in a fingerprint of a period that ends with ``day``."""
    digests = stored.partition(" ")[0].split(_SEPARATOR)
    return {one for one, digest in zip(DateRange.ending(day, len(digests)), digests, strict=True) if digest}


def detector_of(model: type[DailyAggregate]) -> str:
    """Return the name of the detector whose rows are of a model."""
    return model.measurement.removesuffix("_daily")


def _digest(names: Collection[str], entries: Entries) -> str:
    """Return the digest of what some detectors have found on one day; empty if none has."""
    found = sorted(
        (name, entry.version, entry.fingerprint)
        for name, entry in entries.items()
        if name in names and entry.has_finding
    )
    return hashlib.blake2b(repr(found).encode(), digest_size=4).hexdigest() if found else ""
