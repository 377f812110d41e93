"""What ``PatternAggregateClient`` does behind its signatures: each call returns, whatever happens.

Rows go in as models, points of influxdb-client or lines of line protocol, and come out as dicts.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

from storage.backends.influxdb import external_points
from storage.backends.influxdb.call_guard import CallGuard
from storage.backends.influxdb.external_points import Point
from storage.backends.influxdb.line_protocol import line
from storage.backends.influxdb.reader import Reader, Record
from storage.backends.influxdb.store import InfluxStore
from storage.backends.influxdb.writer import Writer, write_lines
from storage.columns import HOME, Kind, closest, columns, from_json
from storage.dates import DateRange, parse_day
from storage.drivers.influxdb.connection import Connection
from storage.drivers.influxdb.organisation import verify_organisation
from storage.errors import PatternAggregatesError, StoreError, StoreMissing, UsageError
from storage.models import AGGREGATES, DailyAggregate, DetectorRunDaily
from storage.periods import cadence_of, rollup_bucket_of
from storage.rollup_models import ROLLUPS, BoutTimesDaily
from storage.store import Function, Where, check_query

T = TypeVar("T", bound=DailyAggregate)
Day = dt.datetime | dt.date | str
Filter = str | Collection[str] | None
Row = dict[str, Any]

_KNOWN: tuple[type[DailyAggregate], ...] = (*AGGREGATES, BoutTimesDaily, *ROLLUPS, DetectorRunDaily)
_MODELS: Final = {model.measurement: model for model in _KNOWN}


class GuardedStore:
    """Writes and reads aggregates; errors are logged and stored instead of raised. Thread-safe.

    Args:
        connection: To the server.
        bucket: The bucket; on 1.x the database.
        retention_days: How long a bucket that is created keeps its points; 0 for ever.
        logger: Where failures are logged.
    """

    def __init__(self, connection: Connection, bucket: str, retention_days: int, logger: logging.Logger) -> None:
        self._connection = connection
        self._bucket = bucket
        self._rollups = rollup_bucket_of(bucket)
        self._logger = logger
        self._guard = CallGuard(connection, logger)
        self._store = InfluxStore(connection, bucket, retention_days=retention_days, reads_verified=True)

    @property
    def last_error(self) -> PatternAggregatesError | None:
        """The error of this thread's last call; None if it succeeded."""
        return self._guard.last_error

    def prepare(self, *, update_retention: bool) -> bool:
        """Create the bucket if it does not exist, and check that the token belongs to the organisation."""

        def prepare() -> bool:
            for change in self._store.prepare(update_retention=update_retention):
                self._logger.info("%s", change)
            verify_organisation(self._connection, self._bucket)
            self._store.verify_writing()
            return True

        return self._guard.run(lambda: f"preparing bucket {self._bucket}", prepare, fallback=False)

    def write_row(self, model: type[DailyAggregate], date: Day, values: Mapping[str, object]) -> bool:
        """Write one row."""

        def write() -> bool:
            row = model.model_validate({"date": parse_day(date), **values})
            self._send({"s": [line(row)]})
            self._remove_emptied_values(model, [row])
            return True

        tags = {tag: values[tag] for tag in model.tags()}
        return self._guard.run(lambda: f"writing {model.measurement} {tags} of {date}", write, fallback=False)

    def write_batch(self, points: Iterable[Point | DailyAggregate | str] | Point | DailyAggregate | str) -> bool:
        """Write models, points and lines, mixed, in few requests; or one of these."""
        batch: list[Any] = []

        def write() -> bool:
            is_one = isinstance(points, str | DailyAggregate) or not isinstance(points, Iterable)
            batch.extend([points] if is_one else points)  # type: ignore[arg-type] # as the line above says
            lines: dict[str, list[str]] = {}
            rows: dict[type[DailyAggregate], list[DailyAggregate]] = {}
            for point in batch:
                if isinstance(point, DailyAggregate):
                    lines.setdefault("s", []).append(line(point))
                    rows.setdefault(type(point), []).append(point)
                else:
                    for text, precision in external_points.lines(point, _MODELS):
                        lines.setdefault(precision, []).append(text)
            self._send(lines)
            for model, alike in rows.items():
                self._remove_emptied_values(model, alike)
            return True

        return self._guard.run(lambda: f"writing a batch of {len(batch)}", write, fallback=False)

    def query(
        self, model: type[DailyAggregate] | str, start: Day, end: Day | None, tags: Mapping[str, Filter]
    ) -> list[Row]:
        """Return the rows of a model or measurement as dicts."""

        def query() -> list[Row]:
            found, (days, where) = _model(model), _days_and_filter(start, end, tags)
            check_query(found, where=where)
            records = Reader(self._connection, self._bucket, found).records(days, where)
            rows = self._rows(found, records)
            if rows or cadence_of(found.measurement) is None:
                return rows
            with suppress(StoreMissing):  # weeks and months lie in a bucket of their own
                rows = self._rows(found, Reader(self._connection, self._rollups, found).records(days, where))
            return rows

        measurement = getattr(model, "measurement", model)
        return self._guard.run(lambda: _describe_query(measurement, start, end, tags), query, fallback=[])

    def summarize(  # noqa: PLR0917 - the arguments of the client's calls
        self,
        function: Function,
        measurement: str,
        field: str,
        start: Day,
        end: Day | None,
        by: Sequence[str],
        tags: Mapping[str, Filter],
    ) -> list[Row]:
        """Return a function of a field by groups: dicts with the group, ``value`` and ``rows``."""

        def summarize() -> list[Row]:
            model, (days, where) = _model(measurement), _days_and_filter(start, end, tags)
            groups = self._store.summarize(model, days, {field: function}, by, where)
            if not groups and cadence_of(measurement) is not None:
                with suppress(StoreMissing):
                    rollups = InfluxStore(self._connection, self._rollups, reads_verified=True)
                    groups = rollups.summarize(model, days, {field: function}, by, where)
            return [
                {
                    **{tag: str(value) for tag, value in group.by.items()},
                    "value": group.values[field],
                    "rows": group.rows,
                }
                for group in groups
            ]

        return self._guard.run(
            lambda: f"{function} of {field}, {_describe_query(measurement, start, end, tags)}", summarize, fallback=[]
        )

    def _send(self, lines: Mapping[str, Sequence[str]]) -> None:
        """Write lines, by the precision of their times."""
        _raise_refused(
            refused
            for precision, some in lines.items()
            for refused in write_lines(self._connection, self._bucket, some, precision)
        )

    def _remove_emptied_values(self, model: type[T], rows: Sequence[T]) -> None:
        """Remove stored values for which these rows, written over them, have an explicit None."""
        for home in dict.fromkeys(row.home for row in rows):
            writer: Any = Writer(self._connection, self._bucket, model, home)
            by_day: dict[dt.date, list[DailyAggregate]] = {}
            for row in writer.rows_to_rewrite([row for row in rows if row.home == home]):
                by_day.setdefault(row.date, []).append(row)
            if by_day:
                self._store.verify_writing()
            _raise_refused(refused for day, some in by_day.items() for refused in writer.rewrite(day, some))

    def _rows(self, model: type[DailyAggregate], records: Iterable[Record]) -> list[Row]:
        names = [column.name for column in columns(model) if column.name != HOME]
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
                        self._logger.warning(
                            "%s %s: %s is not valid JSON and left as text", model.measurement, where, name
                        )
            rows.append(row)
        return rows


def _raise_refused(refused: Iterable[str]) -> None:
    messages = list(dict.fromkeys(refused))
    if messages:
        raise StoreError("; ".join(messages))


def _model(model: type[DailyAggregate] | str) -> type[DailyAggregate]:
    """Return a model, which may be named by its measurement.

    Raises:
        UsageError: There is none.
    """
    found = _MODELS.get(model) if isinstance(model, str) else model
    if not (isinstance(found, type) and issubclass(found, DailyAggregate)):
        raise UsageError(f"{model!r} is not a valid measurement", hint=closest(str(model), _MODELS))
    return found


def _days_and_filter(start: Day, end: Day | None, tags: Mapping[str, Filter]) -> tuple[DateRange, Where]:
    last = dt.datetime.now().date() if end is None else end  # noqa: DTZ005 - the caller's own today, as the story says
    return DateRange.parse(start, last), {tag: value for tag, value in tags.items() if value is not None}


def _describe_query(measurement: object, start: Day, end: Day | None, tags: Mapping[str, Filter]) -> str:
    where = {tag: value for tag, value in tags.items() if value is not None}
    return f"querying {measurement} {where} from {start} to {end or 'today'}"
