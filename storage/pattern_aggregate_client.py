"""Daily aggregates in InfluxDB for callers that want True or False, and dicts, and never an exception.

::

    with PatternAggregateClient(url="http://localhost:8086", token=token, org="home") as client:
        client.ensure_bucket()
        client.write_time_based_daily(date=datetime(2025, 1, 15), entity_id="light.living_room", domain="light", ...)
        rows = client.query_time_based_daily(start_date=datetime(2025, 1, 1), entity_id="light.living_room")

A call that fails returns False or an empty list, logs why with its measurement, tags, day and attempts, and stores the
error in ``last_error``, which distinguishes a failure from an empty result. For callers that prefer exceptions,
``storage.query`` and ``storage.backends.influxdb.store`` offer the same with types. ``client``, ``write_api`` and
``query_api`` are influxdb-client's own objects, on which all of this runs.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from storage.backends.influxdb.external_points import Point
from storage.backends.influxdb.guarded import Day, Filter, GuardedStore, Row
from storage.backends.influxdb.store import ERRORS
from storage.drivers.influxdb.connection import Connection
from storage.drivers.influxdb.server import Server
from storage.errors import PatternAggregatesError
from storage.models import (
    AnomalyDaily,
    CoOccurrenceDaily,
    DailyAggregate,
    DurationDaily,
    RoomBasedDaily,
    SequenceDaily,
    TimeBasedDaily,
)

if TYPE_CHECKING:
    from storage.drivers.influxdb.client import InfluxDBClient, QueryApi, WriteApi

logger = logging.getLogger(__name__)


class PatternAggregateClient(AbstractContextManager["PatternAggregateClient"]):
    """Writes and reads daily aggregates. Thread-safe.

    A call to a dead server takes a bounded time: three tries, each with its time-outs. After three such calls in a row
    each call first asks, for at most a second, whether the server is back.

    Args:
        url: ``http://host:8086``.
        token: A token that may read and write the bucket; for 1.x ``name:password``, or none.
        org: The organisation that the token belongs to; none for 1.x.
        bucket: The bucket; on 1.x the database.
        retention_days: How long a bucket that ``ensure_bucket`` creates keeps its points; 0 for ever.
        timeout_seconds: How long the server may be silent.
        ca_file: The certificate authority to trust; None trusts the system's.
        verify: Whether the server's certificate is checked.
        proxy: The address of a proxy; empty for none.
        compress: Whether bodies are gzipped.

    Raises:
        SettingsError: ``url`` is not a valid URL, the certificate authority cannot be read, or influxdb-client is not
            installed.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        org: str | None,
        bucket: str = "pattern_aggregates_daily",
        *,
        retention_days: int = 90,
        timeout_seconds: float = 10.0,
        ca_file: str | Path | None = None,
        verify: bool = True,
        proxy: str = "",
        compress: bool = False,
    ) -> None:
        server = Server(
            url=url,
            org=org or "",
            token=SecretStr(token or ""),
            timeout_seconds=timeout_seconds,
            ca_file=None if ca_file is None else Path(ca_file),
            verify=verify,
            proxy=proxy,
            compress=compress,
            setting="PatternAggregateClient.url",
        )
        self.url, self.org, self.bucket = url, server.org, bucket
        self._connection = Connection(server, ERRORS, f"bucket {bucket!r}")
        self.client: InfluxDBClient = self._connection.client
        self.write_api: WriteApi = self._connection.write_api
        self.query_api: QueryApi = self._connection.query_api
        self._store = GuardedStore(self._connection, bucket, retention_days, logger)

    def __repr__(self) -> str:
        return f"PatternAggregateClient(url={self.url!r}, org={self.org!r}, bucket={self.bucket!r})"

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections. Safe to repeat."""
        self._connection.close()

    @property
    def last_error(self) -> PatternAggregatesError | None:
        """The error of this thread's last call; None if it succeeded."""
        return self._store.last_error

    def ensure_bucket(self, *, update_retention: bool = False) -> bool:
        """Create the bucket if it does not exist, and check that the token belongs to the organisation.

        Args:
            update_retention: Also give an existing bucket the retention of this client, if it has another one.
        """
        return self._store.prepare(update_retention=update_retention)

    def write_time_based_daily(
        self,
        date: Day,
        entity_id: str,
        domain: str,
        hourly_distribution: list[int],
        peak_hours: list[int],
        frequency: float,
        confidence: float,
        occurrences: int,
    ) -> bool:
        """Write when one entity was active during a day; see ``TimeBasedDaily``. True if it was written."""
        return self._store.write_row(
            TimeBasedDaily,
            date,
            {
                "entity_id": entity_id,
                "domain": domain,
                "hourly_distribution": hourly_distribution,
                "peak_hours": peak_hours,
                "frequency": frequency,
                "confidence": confidence,
                "occurrences": occurrences,
            },
        )

    def write_co_occurrence_daily(
        self,
        date: Day,
        device_pair: str,
        co_occurrence_count: int,
        time_window_seconds: int,
        confidence: float,
        typical_hours: list[int],
    ) -> bool:
        """Write that two entities were active together; see ``CoOccurrenceDaily``. True if it was written."""
        return self._store.write_row(
            CoOccurrenceDaily,
            date,
            {
                "device_pair": device_pair,
                "co_occurrence_count": co_occurrence_count,
                "time_window_seconds": time_window_seconds,
                "confidence": confidence,
                "typical_hours": typical_hours,
            },
        )

    def write_sequence_daily(
        self,
        date: Day,
        sequence_id: str,
        sequence: list[str],
        frequency: int,
        avg_duration_seconds: float,
        confidence: float,
    ) -> bool:
        """Write a chain of state changes; see ``SequenceDaily``. True if it was written."""
        return self._store.write_row(
            SequenceDaily,
            date,
            {
                "sequence_id": sequence_id,
                "sequence": sequence,
                "frequency": frequency,
                "avg_duration_seconds": avg_duration_seconds,
                "confidence": confidence,
            },
        )

    def write_room_based_daily(
        self,
        date: Day,
        area_id: str,
        activity_level: float,
        device_usage: dict[str, int],
        transition_patterns: list[dict[str, Any]],
        peak_activity_hours: list[int],
    ) -> bool:
        """Write what happened in one area; see ``RoomBasedDaily``. True if it was written."""
        return self._store.write_row(
            RoomBasedDaily,
            date,
            {
                "area_id": area_id,
                "activity_level": activity_level,
                "device_usage": device_usage,
                "transition_patterns": transition_patterns,
                "peak_activity_hours": peak_activity_hours,
            },
        )

    def write_duration_daily(
        self,
        date: Day,
        entity_id: str,
        avg_duration_seconds: float,
        min_duration_seconds: float,
        max_duration_seconds: float,
        duration_variance: float,
        efficiency_score: float | None,
    ) -> bool:
        """Write how long one entity was in use; see ``DurationDaily``. True if it was written."""
        return self._store.write_row(
            DurationDaily,
            date,
            {
                "entity_id": entity_id,
                "avg_duration_seconds": avg_duration_seconds,
                "min_duration_seconds": min_duration_seconds,
                "max_duration_seconds": max_duration_seconds,
                "duration_variance": duration_variance,
                "efficiency_score": efficiency_score,
            },
        )

    def write_anomaly_daily(
        self,
        date: Day,
        entity_id: str,
        anomaly_type: str,
        anomaly_score: float,
        baseline_deviation: float,
        occurrences: int,
        severity: str,
    ) -> bool:
        """Write that an entity behaved unusually; see ``AnomalyDaily``. True if it was written."""
        return self._store.write_row(
            AnomalyDaily,
            date,
            {
                "entity_id": entity_id,
                "anomaly_type": anomaly_type,
                "anomaly_score": anomaly_score,
                "baseline_deviation": baseline_deviation,
                "occurrences": occurrences,
                "severity": severity,
            },
        )

    def write_batch(self, points: Iterable[Point | DailyAggregate | str] | Point | DailyAggregate | str) -> bool:
        """Write many rows in few requests.

        Args:
            points: Points of influxdb-client, models, or lines of line protocol with times in seconds, mixed as you
                like; or one of these. Whatever has a ``date`` tag lies at that date's 00:00 UTC. A None in a model
                removes the value that its row had, even one from a line of the same batch.

        Returns:
            True if all of them were written; on False some may have been: 1.x takes all good lines of a request, 2.x
            none of one that holds a line it cannot read.
        """
        return self._store.write_batch(points)

    def query_time_based_daily(
        self, start_date: Day, end_date: Day | None = None, entity_id: Filter = None, domain: Filter = None
    ) -> list[Row]:
        """Return the rows of ``TimeBasedDaily`` from one day to another (default: today), both included."""
        return self.query_daily(TimeBasedDaily, start_date, end_date, entity_id=entity_id, domain=domain)

    def query_co_occurrence_daily(
        self, start_date: Day, end_date: Day | None = None, device_pair: Filter = None
    ) -> list[Row]:
        """Return the rows of ``CoOccurrenceDaily`` from one day to another (default: today), both included."""
        return self.query_daily(CoOccurrenceDaily, start_date, end_date, device_pair=device_pair)

    def query_sequence_daily(
        self, start_date: Day, end_date: Day | None = None, sequence_id: Filter = None
    ) -> list[Row]:
        """Return the rows of ``SequenceDaily`` from one day to another (default: today), both included."""
        return self.query_daily(SequenceDaily, start_date, end_date, sequence_id=sequence_id)

    def query_room_based_daily(self, start_date: Day, end_date: Day | None = None, area_id: Filter = None) -> list[Row]:
        """Return the rows of ``RoomBasedDaily`` from one day to another (default: today), both included."""
        return self.query_daily(RoomBasedDaily, start_date, end_date, area_id=area_id)

    def query_duration_daily(self, start_date: Day, end_date: Day | None = None, entity_id: Filter = None) -> list[Row]:
        """Return the rows of ``DurationDaily`` from one day to another (default: today), both included."""
        return self.query_daily(DurationDaily, start_date, end_date, entity_id=entity_id)

    def query_anomaly_daily(
        self, start_date: Day, end_date: Day | None = None, entity_id: Filter = None, anomaly_type: Filter = None
    ) -> list[Row]:
        """Return the rows of ``AnomalyDaily`` from one day to another (default: today), both included."""
        return self.query_daily(AnomalyDaily, start_date, end_date, entity_id=entity_id, anomaly_type=anomaly_type)

    def query_daily(
        self, model: type[DailyAggregate] | str, start_date: Day, end_date: Day | None = None, **tags: Filter
    ) -> list[Row]:
        """Return the rows of any aggregate, ordered by date and tags.

        Weeks and months that this client's bucket does not hold are read from the bucket of rollups beside it, such as
        ``pattern_aggregates_rollups``.

        Args:
            model: Which aggregate, or its measurement.
            start_date: The first day; of a datetime the date as written, its time and zone are ignored.
            end_date: The last day, included; today by default.
            **tags: For any tag the value, or several of which it must have one; None matches every value.

        Returns:
            Dicts with ``time``, ``measurement``, tags and fields; lists and dicts as such, absent values None.
        """
        return self._store.query(model, start_date, end_date, tags)

    def sum(
        self,
        measurement: str,
        field: str,
        start_date: Day,
        end_date: Day | None = None,
        by: Sequence[str] = (),
        **tags: Filter,
    ) -> list[Row]:
        """Return the sum of a field by groups: dicts with the group, ``value`` and ``rows``."""
        return self._store.summarize("sum", measurement, field, start_date, end_date, by, tags)

    def mean(
        self,
        measurement: str,
        field: str,
        start_date: Day,
        end_date: Day | None = None,
        by: Sequence[str] = (),
        **tags: Filter,
    ) -> list[Row]:
        """Return the mean of a field as ``sum`` does; see ``WeightedBy`` for fields that are means themselves."""
        return self._store.summarize("mean", measurement, field, start_date, end_date, by, tags)

    def count(
        self,
        measurement: str,
        field: str,
        start_date: Day,
        end_date: Day | None = None,
        by: Sequence[str] = (),
        **tags: Filter,
    ) -> list[Row]:
        """Return how many rows have a field as ``sum`` does."""
        return self._store.summarize("count", measurement, field, start_date, end_date, by, tags)
