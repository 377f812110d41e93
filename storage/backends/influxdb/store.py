"""Aggregates in InfluxDB, 2.x and 1.x alike: written as line protocol, read by InfluxQL with bound values.

InfluxDB has no transaction. A day is replaced by writing its rows, reading them back, deleting stale keys, and only
then writing the run records; repeating the call completes whatever was interrupted. How long rows are kept is up to the
bucket: its retention is set when it is created.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Final, Self, TypeVar

from storage.backends.influxdb.checks import Checks, days_in_words
from storage.backends.influxdb.home import count_points, delete_home, homes, read_home, write_home
from storage.backends.influxdb.queries import Key
from storage.backends.influxdb.reader import Reader, Record
from storage.backends.influxdb.writer import Writer
from storage.batch import DayBatch
from storage.columns import Kind, columns, encode
from storage.dates import DateRange
from storage.drivers.influxdb import buckets
from storage.drivers.influxdb.connection import Connection, ErrorClasses
from storage.drivers.influxdb.server import Server
from storage.errors import SettingsError, StoreError, StoreMissing, StoreUnavailable
from storage.identity import HomeIdentity
from storage.models import DailyAggregate, DetectorRunDaily
from storage.store import NO_FILTER, Fields, Summary, Where, check_batch, check_query, named_home, single_home
from storage.summaries import SummaryPlan

A = TypeVar("A", bound=DailyAggregate)

ERRORS: Final = ErrorClasses(
    StoreUnavailable,
    StoreMissing,
    StoreError,
    missing_hint="Run `pattern-aggregates init`, or correct url, org and bucket.",
    unauthorized_hint="Set a token that may read and write this bucket.",
)
MIN_RETENTION_DAYS: Final = 3  # with fewer InfluxDB refuses yesterday in some zones

_MAX_SHOWN = 5  # refused rows that a message names


class InfluxStore:
    """An ``AggregateStore`` in InfluxDB.

    Args:
        server: Where it is, or a connection whose errors are ``ERRORS``.
        bucket: The bucket; on 1.x the database.
        home: See ``AggregateStore.home``.
        retention_days: How long a bucket that ``prepare`` creates keeps its points; 0 for ever.
        read_only: Never create or change anything.
        reads_verified: Whether the caller verifies that the token belongs to the organisation that is named.

    Attributes:
        bucket: As above.
        identity: What is known of the home, as far as it has been read or written; written beside each day.

    Raises:
        SettingsError: The certificate authority cannot be read, influxdb-client is not installed, or rows cannot be
            kept in a bucket of that name, or for so short a time.
    """

    def __init__(
        self,
        server: Server | Connection,
        bucket: str,
        *,
        home: str | None = "",
        retention_days: int = 90,
        read_only: bool = False,
        reads_verified: bool = False,
    ) -> None:
        self._name = f"store {bucket!r}"
        self._connection = server if isinstance(server, Connection) else Connection(server, ERRORS, self._name)
        self.bucket = _valid_name(bucket, is_v2=self._connection.server.is_v2)
        if 0 < retention_days < MIN_RETENTION_DAYS:
            raise SettingsError(
                f"{self._name}: retention_days must be 0 (for ever) or at least {MIN_RETENTION_DAYS}, "
                f"not {retention_days}",
                hint="A day is stored under its 00:00 UTC, which may be 60 hours ago when its night comes.",
            )
        self._retention_days = retention_days
        self._read_only = read_only
        self._checks = Checks(self._connection, self.bucket, self._name, reads_verified=reads_verified)
        self._home = home
        self._is_view = False  # whether another store closes the connection
        self.identity: HomeIdentity | None = None
        self._replacing = threading.Lock()  # what is read back must not be another thread's day

    @property
    def home(self) -> str | None:
        """See ``AggregateStore.home``."""
        return self._home

    def for_home(self, home: str | None) -> Self:
        """See ``AggregateStore.for_home``."""
        view = copy(self)
        vars(view).update(_home=home, _is_view=True, identity=None)
        return view

    def homes(self) -> list[str]:
        """See ``AggregateStore.homes``; every home with rows has the record of a run."""
        return sorted(homes(self._connection, self.bucket, [DetectorRunDaily.measurement]))

    def _reader(self, model: type[A]) -> Reader[A]:
        return Reader(self._connection, self.bucket, model, self._home)

    def read(self, model: type[A], days: DateRange, where: Where = NO_FILTER) -> list[A]:
        """See ``AggregateReader.read``."""
        check_query(model, where=where)
        self._checks.verify_reading(model)
        return self._reader(model).read(days, where)

    def summarize(
        self,
        model: type[DailyAggregate],
        days: DateRange,
        fields: Fields,
        by: Sequence[str] = (),
        where: Where = NO_FILTER,
    ) -> list[Summary]:
        """See ``AggregateReader.summarize``: only the fields that are needed are read, and added up as they arrive."""
        check_query(model, fields, by, where)
        self._checks.verify_reading(model)
        return self._reader(model).summarize(SummaryPlan(model, fields, by), days, where)

    def count_by_day(self, model: type[DailyAggregate], days: DateRange) -> dict[dt.date, int]:
        """See ``AggregateStore.count_by_day``; counted by the server."""
        self._checks.verify_reading(model)
        return self._reader(model).count_by_day(days)

    def prepare(self, *, update_retention: bool = False) -> list[str]:
        """See ``AggregateWriter.prepare``."""
        self._refuse_read_only()
        kept = days_in_words(self._retention_days)
        bucket = buckets.find_bucket(self._connection, self.bucket)
        if bucket is None:
            buckets.create(self._connection, self.bucket, self._retention_days)
            return [f"created bucket {self.bucket}, which keeps {kept}"]
        if bucket.keeps(self._retention_days):
            return []
        before = days_in_words(bucket.retention_seconds / buckets.SECONDS_PER_DAY)
        if not update_retention:
            return [f"left bucket {self.bucket} as it is: it keeps {before}, the settings say {kept}"]
        buckets.update_retention(self._connection, self.bucket, bucket, self._retention_days)
        return [f"bucket {self.bucket} now keeps {kept}, not {before}"]

    def replace_day(self, batch: DayBatch) -> None:
        """See ``AggregateWriter.replace_day``.

        Raises:
            StoreError: The server refused some of the rows; the message names them and says why. The others are
                written, the run records are not.
            StoreMissing: The bucket does not exist.
        """
        self._refuse_read_only()
        home = check_batch(self._home, batch)
        with self._replacing:
            self.verify_writing()
            for finding in batch.findings:
                stored = self._write(finding.model, batch.day, finding.rows)
                stale = stored.keys() - {row.key() for row in finding.rows}
                Writer(self._connection, self.bucket, finding.model, home).delete(batch.day, stale)
            if self.identity is not None:  # beside each day, so that it outlives the retention like the newest of them
                write_home(self._connection, self.bucket, home, self.identity, batch.day)
            self._write(DetectorRunDaily, batch.day, [finding.run for finding in batch.findings])

    def expire(self, before: dt.date, rollups_before: dt.date = dt.date.min) -> int:  # noqa: ARG002 - the retention decides
        """See ``AggregateWriter.expire``: the bucket deletes old days by itself."""
        return 0

    def expire_all(self, before: dt.date, rollups_before: dt.date = dt.date.min) -> list[str]:  # noqa: ARG002 - the retention decides
        """See ``AggregateWriter.expire_all``."""
        return []

    def read_home(self) -> HomeIdentity | None:
        """See ``AggregateStore.read_home``.

        Raises:
            StoreMissing: The bucket does not exist.
        """
        found = read_home(self._connection, self.bucket, single_home(self._home))
        self.identity = found.home if found is not None else None
        return self.identity

    def write_home(self, home: HomeIdentity, *, replace: bool = False) -> HomeIdentity:
        """See ``AggregateStore.write_home``.

        Raises:
            StoreMissing: The bucket does not exist.
        """
        self._refuse_read_only()
        name = single_home(self._home)
        found = read_home(self._connection, self.bucket, name)
        if found is None or replace:
            self.verify_writing()
            today = dt.datetime.now(dt.UTC).date()  # the newest point counts
            day = max(today, found.day) if found is not None else today
            write_home(self._connection, self.bucket, name, home, day)
            found = read_home(self._connection, self.bucket, name)
        if found is None:
            raise StoreError(f"{self._name}: the home was written, but cannot be read back")
        self.identity = found.home
        return self.identity

    def count_rows(self) -> int:
        """See ``AggregateStore.count_rows``: points, as the server counts them."""
        return count_points(self._connection, self.bucket, single_home(self._home))

    def forget(self) -> None:
        """See ``AggregateStore.forget``; of 1.x in all retention policies of the database."""
        self._refuse_read_only()
        name = named_home(self._home)
        with self._replacing:
            delete_home(self._connection, self.bucket, name)
            self.identity = None

    def check(self) -> list[str]:
        """See ``AggregateStore.check``: server, version, bucket, rights and clock."""
        return self._checks.problems(self._retention_days)

    def close(self) -> None:
        """See ``AggregateStore.close``."""
        if not self._is_view:
            self._connection.close()

    def verify_writing(self) -> None:
        """Check, once, that what is written can be read back; see ``Checks.verify_writing``."""
        self._checks.verify_writing()

    def _write(self, model: type[A], day: dt.date, rows: Sequence[A]) -> dict[Key, Record]:
        """Write rows and return what the day then holds of the model, by key.

        Raises:
            StoreError: Some of the rows are not there.
        """
        writer = Writer(self._connection, self.bucket, model, single_home(self._home))
        expected = {row.key(): _comparable(model, encode(row)) for row in rows}
        refused = writer.write(rows)
        stored, doubled = self._stored(model, day)
        again = [row for row in rows if row.key() in doubled or _has_more(stored.get(row.key()), expected[row.key()])]
        if again:
            refused += writer.rewrite(day, again)
            stored, _ = self._stored(model, day)
        lost = [key for key, record in expected.items() if stored.get(key) != record]
        if lost:
            raise self._lost_rows(model, day, lost, len(rows), refused)
        return stored

    def _stored(self, model: type[DailyAggregate], day: dt.date) -> tuple[dict[Key, Record], set[Key]]:
        """Return what the day holds of a model, by key, once strays are deleted.

        Returns:
            The records, and the keys that have several points: another writer's points have more tags.
        """
        rows, strays = self._reader(model).find(DateRange(day, day))
        if strays:
            Writer(self._connection, self.bucket, model, single_home(self._home)).delete_strays(day)
        stored: dict[Key, Record] = {}
        doubled = set()
        for record in rows:
            del record["time"]
            key = tuple(record[tag] for tag in model.tags())
            if key in stored:
                doubled.add(key)
            stored[key] = _comparable(model, record)
        return stored, doubled

    def _lost_rows(
        self, model: type[DailyAggregate], day: dt.date, lost: Sequence[Key], count: int, refused: Sequence[str]
    ) -> StoreError:
        shown = ", ".join("/".join(key) for key in lost[:_MAX_SHOWN])
        more = f" and {len(lost) - _MAX_SHOWN} more" if len(lost) > _MAX_SHOWN else ""
        why = "; ".join(dict.fromkeys(refused))
        fate = f"were refused ({shown}{more}): {why}" if why else f"were accepted but are not there ({shown}{more})"
        return StoreError(
            f"{self._name}: {len(lost)} of {count} rows of {model.measurement} on {day} {fate}",
            hint=_refusal_hint(why),
        )

    def _refuse_read_only(self) -> None:
        if self._read_only:
            raise StoreError(f"{self._name} was opened for reading only")


def _valid_name(bucket: str, *, is_v2: bool) -> str:
    """Return a bucket's name; InfluxQL takes what follows a slash for a retention policy.

    Raises:
        SettingsError: Rows cannot be deleted from, or read back from, a bucket of that name.
    """
    parts = bucket.split("/")
    if "" in parts or len(parts) > (1 if is_v2 else 2):
        raise SettingsError(
            f"aggregates cannot be kept in a bucket named {bucket!r}",
            hint="Name one without a slash." if is_v2 else "Name it as database or database/policy.",
        )
    return bucket


def _comparable(model: type[DailyAggregate], record: Mapping[str, object]) -> Record:
    """Return a record whose floats are floats: JSON writes 1.0 as 1."""
    floats = {column.name for column in columns(model) if column.kind is Kind.FLOAT}
    return {
        name: float(value) if name in floats and isinstance(value, int) else value for name, value in record.items()
    }


def _has_more(stored: Record | None, expected: Record) -> bool:
    return stored is not None and any(value is None and stored[name] is not None for name, value in expected.items())


def _refusal_hint(why: str) -> str:
    if "retention" in why:
        return "The day is older than the bucket keeps; init can change its retention."
    if "field type conflict" in why:
        return "Another program writes this measurement with other types: give the aggregates a bucket of their own."
    if not why:
        return "If something else writes this day at the same time, run again when it is done."
    return ""
