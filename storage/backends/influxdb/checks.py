"""Whether a bucket can be used: server, version, clock, rights, retention, and the organisation behind the token."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import ClassVar, Final

from storage.backends.influxdb.reader import Reader
from storage.backends.influxdb.writer import Writer
from storage.dates import DateRange
from storage.drivers.influxdb import buckets
from storage.drivers.influxdb.connection import Connection
from storage.drivers.influxdb.organisation import verify_organisation
from storage.drivers.influxdb.response import http_date
from storage.errors import PatternAggregatesError, StoreError, StoreUnavailable
from storage.models import DailyAggregate, DetectorRunDaily, Tag

MAX_CLOCK_SKEW_SECONDS: Final = 60.0


class ProbeDaily(DailyAggregate):
    """A row that is written, read back and deleted, to see that this works."""

    measurement: ClassVar[str] = "pattern_aggregates_probe"
    probe: Tag
    seen: int


class Checks:
    """Checks one bucket.

    A token of another organisation, or a DBRP mapping to another bucket, would read another home's rows, and rows of
    that home would be taken for stale ones and deleted. So each is ruled out before the first read and write.

    Args:
        connection: To the server.
        bucket: The bucket; ``database`` or ``database/policy`` on 1.x.
        name: What the store is called in messages.
        reads_verified: Whether somebody else verifies the organisation before rows are read.
    """

    def __init__(self, connection: Connection, bucket: str, name: str, *, reads_verified: bool = False) -> None:
        self._connection = connection
        self._bucket = bucket
        self._name = name
        self._all_reads_verified = reads_verified
        self._verified_models: set[type[DailyAggregate]] = set()
        self._writes_verified = False

    def verify_reading(self, model: type[DailyAggregate]) -> None:
        """Check, once per model, that rows are read from the organisation that is named.

        Raises:
            PatternAggregatesError: They are not, or as the connection's ``errors`` say.
        """
        if self._all_reads_verified or model in self._verified_models:
            return
        if verify_organisation(self._connection, self._bucket, model.measurement):
            self._verified_models.add(model)

    def verify_writing(self) -> None:
        """Check, once, that what is written can be read back, also where nothing is stored yet.

        Raises:
            PatternAggregatesError: It cannot, or as the connection's ``errors`` say.
        """
        if self._writes_verified or not self._connection.server.is_v2:
            return
        self.verify_reading(DetectorRunDaily)
        today = dt.datetime.now(dt.UTC).date()
        probe = ProbeDaily(date=today, probe=uuid.uuid4().hex, seen=1)
        writer = Writer(self._connection, self._bucket, ProbeDaily)
        writer.write([probe])
        reader = Reader(self._connection, self._bucket, ProbeDaily)
        if not reader.read(DateRange(today, today), {"probe": probe.probe}):
            if problem := self._mapping_problem(buckets.find_bucket(self._connection, self._bucket)):
                raise self._connection.error(problem, buckets.MAPPING_HINT)
            raise StoreError(
                f"{self._name}: what is written to organisation {self._connection.server.org!r} is not read back",
                hint="The token belongs to another organisation: set a token of this one, or correct org.",
            )
        writer.delete(today, [probe.key()])
        self._all_reads_verified = self._writes_verified = True

    def problems(self, retention_days: int) -> list[str]:
        """Return a sentence for each thing that prevents reading or writing, or differs from the settings."""
        found = []
        try:
            found += self._server_problems()
            found += self._bucket_problems(retention_days)
        except PatternAggregatesError as error:
            found.append(_sentence(error))
        return found

    def _server_problems(self) -> list[str]:
        headers, found = self._connection.get("/ping").headers, []
        version, is_v2 = headers.get("X-Influxdb-Version", ""), self._connection.server.is_v2
        if not version:
            found.append(f"{self._name}: what answers at {self._connection.server.url} does not look like InfluxDB")
        elif version.lstrip("v").startswith("1.") and is_v2:
            found.append(f"the server is InfluxDB {version}, which has no organisations: leave org empty")
        elif version.lstrip("v").startswith("2.") and not is_v2:
            found.append(f"the server is InfluxDB {version}: name the organisation in org")
        if now := http_date(headers.get("Date", "")):
            skew = (now - dt.datetime.now(dt.UTC)).total_seconds()
            if abs(skew) > MAX_CLOCK_SKEW_SECONDS:
                found.append(f"the server's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this one")
        return found

    def _bucket_problems(self, retention_days: int) -> list[str]:
        bucket = buckets.find_bucket(self._connection, self._bucket)
        if bucket is None:
            return [
                f"bucket {self._bucket!r} does not exist, or the token may not see it; run `pattern-aggregates init`"
            ]
        found = []
        if not bucket.keeps(retention_days):
            found.append(
                f"bucket {self._bucket} keeps {days_in_words(bucket.retention_seconds / buckets.SECONDS_PER_DAY)}, "
                f"the settings say {days_in_words(retention_days)}"
            )
        if problem := self._mapping_problem(bucket):
            return [*found, f"{problem}. {buckets.MAPPING_HINT}"]
        for action, attempt in (("read", self._try_to_read), ("written to", self._try_to_write)):
            try:
                attempt()
            except StoreUnavailable:
                raise
            except StoreError as error:
                found.append(f"bucket {self._bucket} cannot be {action}: {_sentence(error)}")
        return found

    def _mapping_problem(self, bucket: buckets.Bucket | None) -> str:
        return buckets.mapping_problem(self._connection, self._bucket, bucket)

    def _try_to_read(self) -> None:
        today = dt.datetime.now(dt.UTC).date()
        Reader(self._connection, self._bucket, DetectorRunDaily).read(DateRange(today, today))
        verify_organisation(self._connection, self._bucket, DetectorRunDaily.measurement)

    def _try_to_write(self) -> None:
        self._connection.write(self._bucket, "")  # no point, but the server looks at the token first


def days_in_words(days: float) -> str:
    """Return a retention in words; 0 days keep everything."""
    return f"{days:g} days" if days else "everything"


def _sentence(error: PatternAggregatesError) -> str:
    return f"{error} {error.hint}".strip()
