"""Daily aggregates in InfluxDB for callers that want True or False, and dicts, and never an exception.

::

    with PatternAggregateClient(url="http://localhost:8086", token=token, org="home") as client:
        client.ensure_bucket()
        client.write_time_based_daily(date=datetime(2025, 1, 15), entity_id="light.living_room", domain="light", ...)
        rows = client.query_time_based_daily(start_date=datetime(2025, 1, 1), entity_id="light.living_room")

A call that fails returns False or an empty list, logs why with its measurement, tags, day and attempts, and keeps the
error in ``last_error``, by which a caller tells failure from nothing. Where exceptions are welcome, ``storage.query``
and ``storage.backends.influxdb.store`` say the same with types.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import SecretStr

from storage.backends.influxdb import external_points
from storage.backends.influxdb import rows as rows_of
from storage.backends.influxdb.call_guard import CallGuard
from storage.backends.influxdb.external_points import Point
from storage.backends.influxdb.line_protocol import line
from storage.backends.influxdb.store import ERRORS, InfluxStore
from storage.columns import Kind, closest, columns, from_json
from storage.dates import DateRange, parse_day
from storage.drivers.influxdb.connection import Connection
from storage.drivers.influxdb.organisation import verify_organisation
from storage.drivers.influxdb.server import Server
from storage.errors import PatternAggregatesError, StoreError, UsageError
from storage.models import (
    AGGREGATES,
    AnomalyDaily,
    CoOccurrenceDaily,
    DailyAggregate,
    DetectorRunDaily,
    DurationDaily,
    RoomBasedDaily,
    SequenceDaily,
    TimeBasedDaily,
)
from storage.store import Function, Where, check_query

logger = logging.getLogger(__name__)

T = TypeVar("T")
Day = dt.datetime | dt.date | str
Filter = str | Collection[str] | None
Row = dict[str, Any]

_KNOWN: tuple[type[DailyAggregate], ...] = (*AGGREGATES, DetectorRunDaily)
_MODELS: Final = {model.measurement: model for model in _KNOWN}


class PatternAggregateClient(AbstractContextManager["PatternAggregateClient"]):
    """Writes and reads daily aggregates. Safe to use from many threads.

    A dead server costs a call a bounded time: three tries, each with its time-outs. After three such calls in a row a
    call asks first, for at most a second, whether the server is back.

    Args:
        url: ``http://host:8086``.
        token: A token that may read and write the bucket; for 1.x ``name:password``, or none.
        org: The organisation that the token belongs to; none for 1.x.
        bucket: The bucket; on 1.x the database.
        retention_days: How long a bucket made by ``ensure_bucket`` keeps its points; 0 for ever.
        timeout_seconds: How long one silence of the server may last.
        ca_file: The certificate authority to trust; None trusts the system's.
        verify: Whether the server's certificate is checked.
        proxy: The address of a proxy; empty for none.
        compress: Whether bodies go gzipped.

    Raises:
        SettingsError: The address is none, or the certificate authority cannot be read.
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
        self._guard = CallGuard(self._connection, logger)
        self._store = InfluxStore(self._connection, bucket, retention_days=retention_days, proven=True)

    def __repr__(self) -> str:
        return f"PatternAggregateClient(url={self.url!r}, org={self.org!r}, bucket={self.bucket!r})"

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back connections. Safe to repeat."""
        self._connection.close()

    @property
    def last_error(self) -> PatternAggregatesError | None:
        """Why this thread's newest call failed; None if it did not."""
        return self._guard.last_error

    def ensure_bucket(self, *, update_retention: bool = False) -> bool:
        """Make the bucket if it is not there, and see that the token belongs to the organisation.

        Args:
            update_retention: Also give a bucket that is there the retention of this client, if it has another one.
        """

        def ensure() -> bool:
            for change in self._store.prepare(update_retention=update_retention):
                logger.info("%s", change)
            verify_organisation(self._connection, self.bucket)
            self._store.verify_writing()
            return True

        return self._attempt(lambda: f"making bucket {self.bucket}", ensure, fallback=False)

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
        return self._write(
            TimeBasedDaily,
            date,
            entity_id=entity_id,
            domain=domain,
            hourly_distribution=hourly_distribution,
            peak_hours=peak_hours,
            frequency=frequency,
            confidence=confidence,
            occurrences=occurrences,
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
        return self._write(
            CoOccurrenceDaily,
            date,
            device_pair=device_pair,
            co_occurrence_count=co_occurrence_count,
            time_window_seconds=time_window_seconds,
            confidence=confidence,
            typical_hours=typical_hours,
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
        return self._write(
            SequenceDaily,
            date,
            sequence_id=sequence_id,
            sequence=sequence,
            frequency=frequency,
            avg_duration_seconds=avg_duration_seconds,
            confidence=confidence,
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
        return self._write(
            RoomBasedDaily,
            date,
            area_id=area_id,
            activity_level=activity_level,
            device_usage=device_usage,
            transition_patterns=transition_patterns,
            peak_activity_hours=peak_activity_hours,
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
        return self._write(
            DurationDaily,
            date,
            entity_id=entity_id,
            avg_duration_seconds=avg_duration_seconds,
            min_duration_seconds=min_duration_seconds,
            max_duration_seconds=max_duration_seconds,
            duration_variance=duration_variance,
            efficiency_score=efficiency_score,
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
        """Write that an entity behaved unlike its past; see ``AnomalyDaily``. True if it was written."""
        return self._write(
            AnomalyDaily,
            date,
            entity_id=entity_id,
            anomaly_type=anomaly_type,
            anomaly_score=anomaly_score,
            baseline_deviation=baseline_deviation,
            occurrences=occurrences,
            severity=severity,
        )

    def write_batch(self, points: Iterable[Point | DailyAggregate | str] | Point | DailyAggregate | str) -> bool:
        """Write many rows in few requests.

        Args:
            points: Points of influxdb-client, models, or lines of line protocol with times in seconds, mixed as you
                like; or one of these. Whatever has a ``date`` tag lies at that date's 00:00 UTC. A None in a model
                takes away what its row had there, also what a line of the same batch says.

        Returns:
            True if all of them were written; on False some may have been: 1.x takes all good lines of a request, 2.x
            none of one that holds a line it cannot read.
        """
        several: list[Point | DailyAggregate | str] = []

        def write() -> bool:
            one = isinstance(points, str | DailyAggregate) or not isinstance(points, Iterable)
            several.extend([points] if one else points)  # type: ignore[list-item, arg-type] # as the line above tells
            lines: dict[str, list[str]] = {}
            rows: dict[type[DailyAggregate], list[DailyAggregate]] = {}
            for point in several:
                if isinstance(point, DailyAggregate):
                    lines.setdefault("s", []).append(line(point))
                    rows.setdefault(type(point), []).append(point)
                else:
                    for text, precision in external_points.lines(point, _MODELS):
                        lines.setdefault(precision, []).append(text)
            self._send(lines)
            for alike in rows.values():
                self._take_away_more(alike)
            return True

        return self._attempt(lambda: f"writing a batch of {len(several)}", write, fallback=False)

    def query_time_based_daily(
        self, start_date: Day, end_date: Day | None = None, entity_id: Filter = None, domain: Filter = None
    ) -> list[Row]:
        """The rows of ``TimeBasedDaily`` from one day to another (default: today), both included."""
        return self.query_daily(TimeBasedDaily, start_date, end_date, entity_id=entity_id, domain=domain)

    def query_co_occurrence_daily(
        self, start_date: Day, end_date: Day | None = None, device_pair: Filter = None
    ) -> list[Row]:
        """The rows of ``CoOccurrenceDaily`` from one day to another (default: today), both included."""
        return self.query_daily(CoOccurrenceDaily, start_date, end_date, device_pair=device_pair)

    def query_sequence_daily(
        self, start_date: Day, end_date: Day | None = None, sequence_id: Filter = None
    ) -> list[Row]:
        """The rows of ``SequenceDaily`` from one day to another (default: today), both included."""
        return self.query_daily(SequenceDaily, start_date, end_date, sequence_id=sequence_id)

    def query_room_based_daily(self, start_date: Day, end_date: Day | None = None, area_id: Filter = None) -> list[Row]:
        """The rows of ``RoomBasedDaily`` from one day to another (default: today), both included."""
        return self.query_daily(RoomBasedDaily, start_date, end_date, area_id=area_id)

    def query_duration_daily(self, start_date: Day, end_date: Day | None = None, entity_id: Filter = None) -> list[Row]:
        """The rows of ``DurationDaily`` from one day to another (default: today), both included."""
        return self.query_daily(DurationDaily, start_date, end_date, entity_id=entity_id)

    def query_anomaly_daily(
        self, start_date: Day, end_date: Day | None = None, entity_id: Filter = None, anomaly_type: Filter = None
    ) -> list[Row]:
        """The rows of ``AnomalyDaily`` from one day to another (default: today), both included."""
        return self.query_daily(AnomalyDaily, start_date, end_date, entity_id=entity_id, anomaly_type=anomaly_type)

    def query_daily(
        self, model: type[DailyAggregate] | str, start_date: Day, end_date: Day | None = None, **tags: Filter
    ) -> list[Row]:
        """The rows of any aggregate, ordered by date and tags.

        Args:
            model: Which aggregate, or its measurement.
            start_date: The first day; of a datetime the date as written, its time and zone are ignored.
            end_date: The last day, included; today by default.
            **tags: For any tag the value, or several of which it must have one; None does not narrow.

        Returns:
            Dicts with ``time``, ``measurement``, tags and fields; lists and dicts as such, absent values None.
        """

        def query() -> list[Row]:
            wanted, (days, where) = _model(model), _query(start_date, end_date, tags)
            check_query(wanted, where=where)
            return _rows(wanted, rows_of.read(self._connection, self.bucket, wanted, days, where))

        return self._attempt(
            lambda: _query_words(getattr(model, "measurement", str(model)), start_date, end_date, tags),
            query,
            fallback=[],
        )

    def sum(
        self,
        measurement: str,
        field: str,
        start_date: Day,
        end_date: Day | None = None,
        by: Sequence[str] = (),
        **tags: Filter,
    ) -> list[Row]:
        """The sum of a field, by groups, computed by the server: dicts with the group, ``value`` and ``rows``."""
        return self._summarize("sum", measurement, field, start_date, end_date, by, tags)

    def mean(
        self,
        measurement: str,
        field: str,
        start_date: Day,
        end_date: Day | None = None,
        by: Sequence[str] = (),
        **tags: Filter,
    ) -> list[Row]:
        """The mean of a field, as ``sum``."""
        return self._summarize("mean", measurement, field, start_date, end_date, by, tags)

    def count(
        self,
        measurement: str,
        field: str,
        start_date: Day,
        end_date: Day | None = None,
        by: Sequence[str] = (),
        **tags: Filter,
    ) -> list[Row]:
        """How many rows have a field, as ``sum``."""
        return self._summarize("count", measurement, field, start_date, end_date, by, tags)

    def _summarize(
        self,
        function: Function,
        measurement: str,
        field: str,
        start_date: Day,
        end_date: Day | None,
        by: Sequence[str],
        tags: Mapping[str, Filter],
    ) -> list[Row]:
        def summarize() -> list[Row]:
            model, (days, where) = _model(measurement), _query(start_date, end_date, tags)
            return [
                {
                    **{tag: str(value) for tag, value in group.by.items()},
                    "value": group.values[field],
                    "rows": group.rows,
                }
                for group in self._store.summarize(model, days, {field: function}, by, where)
            ]

        return self._attempt(
            lambda: f"{function} of {field}, {_query_words(measurement, start_date, end_date, tags)}",
            summarize,
            fallback=[],
        )

    def _write(self, model: type[DailyAggregate], date: Day, **values: object) -> bool:
        def write() -> bool:
            row = model.model_validate({"date": parse_day(date), **values})
            self._send({"s": [line(row)]})
            self._take_away_more([row])
            return True

        tags = {tag: values[tag] for tag in model.tags()}
        return self._attempt(lambda: f"writing {model.measurement} {tags} of {date}", write, fallback=False)

    def _attempt(self, describe: Callable[[], str], call: Callable[[], T], *, fallback: T) -> T:
        return self._guard.run(describe, call, fallback=fallback)

    def _send(self, lines: Mapping[str, Sequence[str]]) -> None:
        """Write lines, by the precision of their times."""
        refused = [
            told
            for precision, some in lines.items()
            for told in rows_of.write(self._connection, self.bucket, some, precision)
        ]
        if refused:
            raise StoreError("; ".join(dict.fromkeys(refused)))

    def _take_away_more(self, rows: Sequence[DailyAggregate]) -> None:
        """Take away values that rows written over others do not have any more."""
        by_day: dict[dt.date, list[DailyAggregate]] = {}
        for row in rows_of.rows_with_less(self._connection, self.bucket, rows):
            by_day.setdefault(row.date, []).append(row)
        if by_day:
            self._store.verify_writing()
        refused = [told for some in by_day.values() for told in rows_of.rewrite(self._connection, self.bucket, some)]
        if refused:
            raise StoreError("; ".join(dict.fromkeys(refused)))


def _model(wanted: type[DailyAggregate] | str) -> type[DailyAggregate]:
    """The model of a measurement.

    Raises:
        UsageError: There is none.
    """
    model = _MODELS.get(wanted) if isinstance(wanted, str) else wanted
    if not (isinstance(model, type) and issubclass(model, DailyAggregate)):
        raise UsageError(f"there is no measurement {wanted!r}", hint=closest(str(wanted), _MODELS))
    return model


def _query(start: Day, end: Day | None, tags: Mapping[str, Filter]) -> tuple[DateRange, Where]:
    last = dt.datetime.now().date() if end is None else end  # noqa: DTZ005 - the caller's own today, as the story says
    return DateRange.parse(start, last), {tag: value for tag, value in tags.items() if value is not None}


def _query_words(measurement: str, start: Day, end: Day | None, tags: Mapping[str, Filter]) -> str:
    where = {tag: value for tag, value in tags.items() if value is not None}
    return f"querying {measurement} {where} from {start} to {end or 'today'}"


def _rows(model: type[DailyAggregate], records: list[rows_of.Record]) -> list[Row]:
    """Records as callers get them."""
    names = [column.name for column in columns(model)]
    structured = [column.name for column in columns(model) if column.kind is Kind.JSON]
    floats = [column.name for column in columns(model) if column.kind is Kind.FLOAT]
    instants: dict[int, dt.datetime] = {}
    rows = []
    for record in records:
        at = record["time"]
        if (time := instants.get(at)) is None:
            time = instants[at] = dt.datetime.fromtimestamp(at, dt.UTC)
        row: Row = {"time": time, "measurement": model.measurement}
        for name in names:
            row[name] = record[name]
        for name in floats:
            if isinstance(row[name], int):  # JSON writes 1.0 as 1
                row[name] = float(row[name])
        for name in structured:
            if (text := row[name]) is not None:
                try:
                    row[name] = from_json(text)
                except (ValueError, TypeError):
                    where = {tag: record[tag] for tag in ("date", *model.tags())}
                    logger.warning("%s %s: %s is no JSON and left as text", model.measurement, where, name)
        rows.append(row)
    return rows
