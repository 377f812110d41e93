"""A store in two buckets of one InfluxDB: daily rows in one, rollups in another that keeps them longer.

Each row, and the record of each run, lies in the bucket of its cadence. A bucket of rollups that does not exist yet
reads as empty: earlier versions made none. ``init`` makes it, or the first week that is written.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final, Self, TypeVar

from storage.backends.influxdb.store import ERRORS, InfluxStore
from storage.backends.memory import MemoryStore
from storage.batch import DayBatch
from storage.dates import ALL_DAYS, DateRange
from storage.drivers.influxdb.connection import Connection
from storage.drivers.influxdb.server import Server
from storage.errors import HomeMismatch, SettingsError, StoreMissing
from storage.identity import HomeIdentity
from storage.models import DailyAggregate, DetectorRunDaily
from storage.periods import cadence_of
from storage.store import NO_FILTER, Fields, Summary, Where, as_values, check_query

A = TypeVar("A", bound=DailyAggregate)

Bucket = tuple[str, int]
"""The name of a bucket, and how many days it keeps; 0 for ever."""

_DETECTOR: Final = "detector"


class TwoBuckets:
    """An ``AggregateStore`` of two, which share a server.

    Args:
        daily: The bucket of daily rows.
        rollups: The bucket of rollups.
    """

    def __init__(self, daily: InfluxStore, rollups: InfluxStore) -> None:
        self.daily = daily
        self.rollups = rollups

    @property
    def home(self) -> str | None:
        """See ``AggregateStore.home``."""
        return self.daily.home

    def for_home(self, home: str | None) -> Self:
        """See ``AggregateStore.for_home``."""
        return type(self)(self.daily.for_home(home), self.rollups.for_home(home))

    def homes(self) -> list[str]:
        """See ``AggregateStore.homes``."""
        found = set(self.daily.homes())
        with suppress(StoreMissing):
            found.update(self.rollups.homes())
        return sorted(found)

    def read(self, model: type[A], days: DateRange, where: Where = NO_FILTER) -> list[A]:
        """See ``AggregateReader.read``."""
        if model is not DetectorRunDaily:
            return self._read_rollups(model, days, where) if _is_rollup(model) else self.daily.read(model, days, where)
        rows: list[A] = []
        daily, rollups = _of_each(where)
        if daily is not None:
            rows += self.daily.read(model, days, daily)
        if rollups is not None:
            rows += self._read_rollups(model, days, rollups)
        return sorted(rows, key=lambda row: (row.date, row.home, row.key()))

    def _read_rollups(self, model: type[A], days: DateRange, where: Where) -> list[A]:
        try:
            return self.rollups.read(model, days, where)
        except StoreMissing:
            return []

    def summarize(
        self,
        model: type[DailyAggregate],
        days: DateRange,
        fields: Fields,
        by: Sequence[str] = (),
        where: Where = NO_FILTER,
    ) -> list[Summary]:
        """See ``AggregateReader.summarize``."""
        if model is DetectorRunDaily:  # in both buckets
            check_query(model, fields, by, where)
            return MemoryStore(self.read(model, days, where), home=None).summarize(model, days, fields, by)
        if not _is_rollup(model):
            return self.daily.summarize(model, days, fields, by, where)
        try:
            return self.rollups.summarize(model, days, fields, by, where)
        except StoreMissing:
            return []

    def count_by_day(self, model: type[DailyAggregate], days: DateRange) -> dict[dt.date, int]:
        """See ``AggregateStore.count_by_day``."""
        if model is DetectorRunDaily:
            return dict(Counter(run.date for run in self.read(model, days)))
        if not _is_rollup(model):
            return self.daily.count_by_day(model, days)
        try:
            return self.rollups.count_by_day(model, days)
        except StoreMissing:
            return {}

    def prepare(self, *, update_retention: bool = False) -> list[str]:
        """See ``AggregateWriter.prepare``."""
        changes = self.daily.prepare(update_retention=update_retention)
        return changes + self.rollups.prepare(update_retention=update_retention)

    def replace_day(self, batch: DayBatch) -> None:
        """See ``AggregateWriter.replace_day``: first the daily rows, then the rollups.

        Raises:
            StoreError: As for ``InfluxStore.replace_day``.
            StoreMissing: The bucket of daily rows does not exist.
        """
        for store, is_of_rollup in ((self.daily, False), (self.rollups, True)):
            findings = tuple(one for one in batch.findings if _is_rollup(one.model) is is_of_rollup)
            if findings:
                store.identity = store.identity or self.daily.identity
                part = replace(batch, findings=findings)
                try:
                    store.replace_day(part)
                except StoreMissing:
                    if not is_of_rollup:
                        raise
                    store.prepare()  # an earlier version has not made it
                    store.replace_day(part)

    def expire(self, before: dt.date, rollups_before: dt.date = dt.date.min) -> int:  # noqa: ARG002 - the buckets decide
        """See ``AggregateWriter.expire``: each bucket deletes old days by itself."""
        return 0

    def expire_all(self, before: dt.date, rollups_before: dt.date = dt.date.min) -> list[str]:  # noqa: ARG002 - the buckets decide
        """See ``AggregateWriter.expire_all``."""
        return []

    def read_home(self) -> HomeIdentity | None:
        """See ``AggregateStore.read_home``; both buckets must be of the same home.

        Raises:
            HomeMismatch: They are not.
        """
        daily, rollups = self.daily.read_home(), self._home_of_rollups()
        if daily is not None and rollups is not None and daily.id != rollups.id:
            raise self._mismatch(daily, rollups)
        if daily is None and rollups is not None and self.daily.count_by_day(DetectorRunDaily, ALL_DAYS):
            return None  # whose the daily rows are shows from their records only
        return daily if rollups is None else rollups  # if a change of the home was interrupted, the older one

    def write_home(self, home: HomeIdentity, *, replace: bool = False) -> HomeIdentity:
        """See ``AggregateStore.write_home``; both buckets are of the same home.

        Raises:
            HomeMismatch: They are not, and they are not to be replaced.
        """
        rollups = None if replace else self._home_of_rollups()
        if rollups is not None and rollups.id != home.id:
            raise self._mismatch(home, rollups)
        written = self.daily.write_home(home, replace=replace)
        with suppress(StoreMissing):
            self.rollups.write_home(written, replace=replace)
        return written

    def _home_of_rollups(self) -> HomeIdentity | None:
        try:
            return self.rollups.read_home()
        except StoreMissing:
            return None

    def _mismatch(self, daily: HomeIdentity, rollups: HomeIdentity) -> HomeMismatch:
        return HomeMismatch(
            f"the bucket {self.daily.bucket!r} of daily rows belongs to {daily}, but the bucket of rollups "
            f"{self.rollups.bucket!r} to {rollups}",
            hint="Name two buckets of the same home in store.bucket and store.rollup_bucket. If these two do belong "
            "together, run `pattern-aggregates init --adopt store`.",
        )

    def count_rows(self) -> int:
        """See ``AggregateStore.count_rows``."""
        count = self.daily.count_rows()
        with suppress(StoreMissing):
            count += self.rollups.count_rows()
        return count

    def forget(self) -> None:
        """See ``AggregateStore.forget``."""
        self.daily.forget()
        with suppress(StoreMissing):
            self.rollups.forget()

    def check(self) -> list[str]:
        """See ``AggregateStore.check``."""
        found = self.daily.check()
        return found + [problem for problem in self.rollups.check() if problem not in found]

    def close(self) -> None:
        """See ``AggregateStore.close``."""
        self.daily.close()
        self.rollups.close()


def open_buckets(
    server: Server, *, daily: Bucket, rollups: Bucket, home: str | None = "", read_only: bool = False
) -> TwoBuckets:
    """Open a store in two buckets.

    Raises:
        SettingsError: As for ``InfluxStore``, or both are the same bucket.
    """
    if daily[0] == rollups[0]:
        raise SettingsError(
            f"daily rows and rollups cannot share the bucket {daily[0]!r}",
            hint="Name another one in store.rollup_bucket: a bucket has one retention.",
        )
    connection = Connection(server, ERRORS, f"store {daily[0]!r}")
    stores = (
        InfluxStore(connection, name, home=home, retention_days=retention_days, read_only=read_only)
        for name, retention_days in (daily, rollups)
    )
    return TwoBuckets(*stores)


def _is_rollup(model: type[DailyAggregate]) -> bool:
    return cadence_of(model.measurement) is not None


def _of_each(where: Where) -> tuple[Where | None, Where | None]:
    """Return the filter of records of runs for the bucket of daily rows and for that of rollups; None if none match."""
    if _DETECTOR not in where:
        return where, where
    names = as_values(where[_DETECTOR])
    daily = [name for name in names if cadence_of(name) is None]
    rollups = [name for name in names if cadence_of(name) is not None]
    return ({**where, _DETECTOR: daily} if daily else None), ({**where, _DETECTOR: rollups} if rollups else None)
