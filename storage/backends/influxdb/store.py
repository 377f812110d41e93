"""Aggregates in InfluxDB, 2.x and 1.x through one dialect: line protocol in, InfluxQL with bound values out.

InfluxDB has no transaction. A day is replaced by writing its rows, reading them back, taking away stale keys, and only
then writing the run records; whatever fails in between is mended by the same call made again. How long rows are kept
is the bucket's own affair: its retention is set when it is made.
"""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Final, TypeVar

from storage.backends.influxdb import rows as rows_of
from storage.backends.influxdb.line_protocol import line
from storage.backends.influxdb.rows import Key, Record
from storage.batch import DayBatch
from storage.columns import Kind, columns, decode, encode
from storage.dates import DateRange
from storage.drivers.influxdb import buckets
from storage.drivers.influxdb.connection import Connection, ErrorTypes
from storage.drivers.influxdb.organisation import verify_organisation
from storage.drivers.influxdb.response import http_date
from storage.drivers.influxdb.server import Server
from storage.errors import PatternAggregatesError, SettingsError, StoreError, StoreMissing, StoreUnavailable
from storage.models import DailyAggregate, DetectorRunDaily, Tag
from storage.store import NO_FILTER, Fields, Summary, Where, check_query
from storage.summaries import SummaryPlan

A = TypeVar("A", bound=DailyAggregate)

ERRORS: Final = ErrorTypes(
    StoreUnavailable,
    StoreMissing,
    StoreError,
    missing_hint="Run `pattern-aggregates init`, or correct url, org and bucket.",
    unauthorized_hint="Set a token that may read and write this bucket.",
)
FEWEST_DAYS: Final = 3  # with fewer InfluxDB refuses yesterday in some zones
MOST_SKEW_SECONDS: Final = 60.0

_SHOWN = 5  # refused rows that a message names


class ProbeDaily(DailyAggregate):
    """A row that is written, read back and taken away again, to see that it can be."""

    measurement: ClassVar[str] = "pattern_aggregates_probe"
    probe: Tag
    seen: int


class InfluxStore:
    """An ``AggregateStore`` in InfluxDB.

    Args:
        server: Where it is, or a connection whose errors are ``ERRORS``.
        bucket: The bucket; on 1.x the database.
        retention_days: How long a bucket that ``prepare`` makes keeps its points; 0 for ever.
        read_only: Never create or change anything.
        proven: Whether the token is known to belong to the organisation that is named, so that nobody need look.

    Raises:
        SettingsError: The certificate authority cannot be read, rows cannot be kept in a bucket of that name, or for so
            short a time.
    """

    def __init__(
        self,
        server: Server | Connection,
        bucket: str,
        *,
        retention_days: int = 90,
        read_only: bool = False,
        proven: bool = False,
    ) -> None:
        self._name = f"store {bucket!r}"
        self._connection = server if isinstance(server, Connection) else Connection(server, ERRORS, self._name)
        self.bucket = _checked(bucket, is_v2=self._connection.server.is_v2)
        if 0 < retention_days < FEWEST_DAYS:
            raise SettingsError(
                f"{self._name}: retention_days must be 0 (for ever) or at least {FEWEST_DAYS}, not {retention_days}",
                hint="A day is kept under its 00:00 UTC, which may be 60 hours past when its night comes.",
            )
        self._retention_days = retention_days
        self._read_only = read_only
        self._proven = proven
        self._proven_to_read: set[type[DailyAggregate]] = set()
        self._proven_to_write = False
        self._replacing = threading.Lock()  # what is read back must not be another thread's day

    def read(self, model: type[A], days: DateRange, where: Where = NO_FILTER) -> list[A]:
        """See ``AggregateReader.read``."""
        check_query(model, where=where)
        self._prove_reading(model)
        records = rows_of.read(self._connection, self.bucket, model, days, where)
        for record in records:
            del record["time"]
        return decode(model, records)

    def summarize(
        self,
        model: type[DailyAggregate],
        days: DateRange,
        fields: Fields,
        by: Sequence[str] = (),
        where: Where = NO_FILTER,
    ) -> list[Summary]:
        """See ``AggregateReader.summarize``."""
        check_query(model, fields, by, where)
        self._prove_reading(model)
        plan = SummaryPlan(model, fields, by)
        if any(one.weight for one in plan.calculations):  # InfluxQL cannot multiply within a sum
            records = rows_of.read(self._connection, self.bucket, model, days, where)
            return plan.accumulate([record[name] for name in plan.columns] for record in records)
        calls = [(one.function, one.field) for one in plan.calculations]
        groups = rows_of.summarize(self._connection, self.bucket, model, days, calls, by, where)
        return plan.finish(([tags[name] for name in by], values, rows) for tags, values, rows in groups)

    def prepare(self, *, update_retention: bool = False) -> list[str]:
        """See ``AggregateWriter.prepare``."""
        self._refuse_read_only()
        kept = _days(self._retention_days)
        bucket = buckets.find_bucket(self._connection, self.bucket)
        if bucket is None:
            buckets.create(self._connection, self.bucket, self._retention_days)
            return [f"made bucket {self.bucket}, which keeps {kept}"]
        if bucket.keeps(self._retention_days):
            return []
        before = _days(bucket.retention_seconds / buckets.SECONDS_PER_DAY)
        if not update_retention:
            return [f"left bucket {self.bucket} as it is: it keeps {before}, the settings say {kept}"]
        buckets.update_retention(self._connection, self.bucket, bucket, self._retention_days)
        return [f"bucket {self.bucket} now keeps {kept}, not {before}"]

    def replace_day(self, batch: DayBatch) -> None:
        """See ``AggregateWriter.replace_day``.

        Raises:
            StoreError: The server refused some of the rows; the message names them and says why. The others are
                written, no run record is.
            StoreMissing: There is no such bucket.
        """
        self._refuse_read_only()
        with self._replacing:
            self.verify_writing()
            for finding in batch.findings:
                stored = self._write(finding.model, batch.day, finding.rows)
                self._delete(finding.model, batch.day, stored.keys() - {row.key() for row in finding.rows})
            self._write(DetectorRunDaily, batch.day, [finding.run for finding in batch.findings])

    def expire(self, before: dt.date) -> int:  # noqa: ARG002 - the bucket's retention decides
        """See ``AggregateWriter.expire``: the bucket forgets by itself."""
        return 0

    def check(self) -> list[str]:
        """See ``AggregateStore.check``: server, version, bucket, rights and clock."""
        found = []
        try:
            for look in (self._check_server, self._check_bucket):
                found += look()
        except PatternAggregatesError as error:
            found.append(f"{error} {error.hint}".strip())
        return found

    def close(self) -> None:
        """See ``AggregateStore.close``."""
        self._connection.close()

    def _write(self, model: type[DailyAggregate], day: dt.date, rows: Sequence[DailyAggregate]) -> dict[Key, Record]:
        """Write rows and read back what the day then holds of the model, by key.

        Raises:
            StoreError: Some of the rows are not there.
        """
        expected = {row.key(): _comparable(model, encode(row)) for row in rows}
        refused = rows_of.write(self._connection, self.bucket, map(line, rows))
        stored, twins = self._stored(model, day)
        anew = [row for row in rows if row.key() in twins or _has_more(stored.get(row.key()), expected[row.key()])]
        if anew:
            refused += rows_of.rewrite(self._connection, self.bucket, anew)
            stored, _ = self._stored(model, day)
        lost = [key for key, record in expected.items() if stored.get(key) != record]
        if lost:
            shown = ", ".join("/".join(key) for key in lost[:_SHOWN])
            more = f" and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else ""
            why = "; ".join(dict.fromkeys(refused))
            deed = f"were refused ({shown}{more}): {why}" if why else f"were taken but are not there ({shown}{more})"
            raise StoreError(
                f"{self._name}: {len(lost)} of {len(rows)} rows of {model.measurement} on {day} {deed}",
                hint=_refusal_hint(why),
            )
        return stored

    def _stored(self, model: type[DailyAggregate], day: dt.date) -> tuple[dict[Key, Record], set[Key]]:
        """What the day holds of a model, by key, once points beside its midnight are taken away.

        Returns:
            The records, and the keys of which there are several: another writer's points have more tags.
        """
        rows, strays = rows_of.find(self._connection, self.bucket, model, DateRange(day, day))
        if strays:
            rows_of.delete_strays(self._connection, self.bucket, model, day)
        stored: dict[Key, Record] = {}
        twins = set()
        for record in rows:
            del record["time"]
            key = tuple(record[tag] for tag in model.tags())
            if key in stored:
                twins.add(key)
            stored[key] = _comparable(model, record)
        return stored, twins

    def _delete(self, model: type[DailyAggregate], day: dt.date, keys: Iterable[Key]) -> None:
        rows_of.delete(self._connection, self.bucket, model, day, keys)

    def _prove_reading(self, model: type[DailyAggregate]) -> None:
        """See, once a model, that what is read is of the organisation that is named."""
        if self._proven or model in self._proven_to_read:
            return
        if verify_organisation(self._connection, self.bucket, model.measurement):
            self._proven_to_read.add(model)

    def verify_writing(self) -> None:
        """See, once, that what is written can be read back, also where nothing is stored yet.

        A token of another organisation, or a mapping to another bucket, would have other rows taken for stale ones.

        Raises:
            StoreError: It cannot.
        """
        if self._proven_to_write or not self._connection.server.is_v2:
            return
        self._prove_reading(DetectorRunDaily)
        today = dt.datetime.now(dt.UTC).date()
        probe = ProbeDaily(date=today, probe=uuid.uuid4().hex, seen=1)
        rows_of.write(self._connection, self.bucket, [line(probe)])
        there = rows_of.read(self._connection, self.bucket, ProbeDaily, DateRange(today, today), {"probe": probe.probe})
        if not there:
            found = buckets.find_bucket(self._connection, self.bucket)
            if told := buckets.mapping_problem(self._connection, self.bucket, found):
                raise self._connection.error(told, hint=buckets.MAPPING_HINT)
            raise StoreError(
                f"{self._name}: what is written to organisation {self._connection.server.org!r} is not read back",
                hint="The token belongs to another organisation; set one of this organisation's, or correct org.",
            )
        self._delete(ProbeDaily, today, [probe.key()])
        self._proven = self._proven_to_write = True

    def _refuse_read_only(self) -> None:
        if self._read_only:
            raise StoreError(f"{self._name} was opened for reading only")

    def _check_server(self) -> list[str]:
        reply = self._connection.get("/ping")
        version = reply.headers.get("X-Influxdb-Version", "")
        found = []
        if not version:
            found.append(f"{self._name}: what answers at {self._connection.server.url} does not look like InfluxDB")
        elif version.lstrip("v").startswith("1.") and self._connection.server.is_v2:
            found.append(f"the server is InfluxDB {version}, which has no organisations: leave org empty")
        elif version.lstrip("v").startswith("2.") and not self._connection.server.is_v2:
            found.append(f"the server is InfluxDB {version}: name the organisation in org")
        if now := http_date(reply.headers.get("Date", "")):
            skew = (now - dt.datetime.now(dt.UTC)).total_seconds()
            if abs(skew) > MOST_SKEW_SECONDS:
                found.append(f"the server's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this one")
        return found

    def _check_bucket(self) -> list[str]:
        found = []
        bucket = buckets.find_bucket(self._connection, self.bucket)
        if bucket is None:
            return [f"there is no bucket {self.bucket!r}, or the token may not see it; run `pattern-aggregates init`"]
        if not bucket.keeps(self._retention_days):
            found.append(
                f"bucket {self.bucket} keeps {_days(bucket.retention_seconds / buckets.SECONDS_PER_DAY)}, "
                f"the settings say {_days(self._retention_days)}"
            )
        if told := buckets.mapping_problem(self._connection, self.bucket, bucket):
            return [*found, f"{told}. {buckets.MAPPING_HINT}"]
        for deed, attempt in (("read", self._try_to_read), ("written to", self._try_to_write)):
            try:
                attempt()
            except StoreUnavailable:
                raise
            except StoreError as error:
                found.append(f"bucket {self.bucket} cannot be {deed}: {error} {error.hint}".strip())
        return found

    def _try_to_read(self) -> None:
        today = dt.datetime.now(dt.UTC).date()
        rows_of.read(self._connection, self.bucket, DetectorRunDaily, DateRange(today, today))
        verify_organisation(self._connection, self.bucket, DetectorRunDaily.measurement)

    def _try_to_write(self) -> None:
        self._connection.write(self.bucket, "")  # no point, but the server looks at the token first


def _checked(bucket: str, *, is_v2: bool) -> str:
    """A bucket's name; InfluxQL takes what stands behind a slash for a retention policy.

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
    """A record whose floats are floats: JSON writes 1.0 as 1."""
    floats = {column.name for column in columns(model) if column.kind is Kind.FLOAT}
    return {
        name: float(value) if name in floats and isinstance(value, int) else value for name, value in record.items()
    }


def _has_more(stored: Record | None, expected: Record) -> bool:
    return stored is not None and any(value is None and stored[name] is not None for name, value in expected.items())


def _days(days: float) -> str:
    return f"{days:g} days" if days else "everything"


def _refusal_hint(why: str) -> str:
    if "retention" in why:
        return "The day is older than the bucket keeps; init can change its retention."
    if "field type conflict" in why:
        return "Another program writes this measurement with other types: give the aggregates a bucket of their own."
    if not why:
        return "If something else writes this day at the same time, run again when it is done."
    return ""
