"""Writes and deletes the rows of one model.

InfluxDB has no transaction, and removes a value only together with its point. So a row that must hold fewer values than
before is written twice: first one second after its midnight, where readers find it, then at midnight once the old point
is deleted. The row can be read at every moment, even if this is interrupted.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Generic, TypeVar

from storage.backends.influxdb.line_protocol import chunks, line, midnight_seconds
from storage.backends.influxdb.queries import Key, Queries
from storage.backends.influxdb.reader import Reader, Record
from storage.columns import columns, decode, encode
from storage.dates import DateRange
from storage.drivers.influxdb.buckets import SECONDS_PER_DAY, other_policies
from storage.drivers.influxdb.connection import Connection
from storage.errors import StoreCorrupt
from storage.models import DailyAggregate

MAX_LINES_PER_REQUEST: Final = 5_000
MAX_KEYS_PER_DELETE: Final = 500

_BESIDE_SECONDS = 1  # how long after midnight a row lies that is being written again

A = TypeVar("A", bound=DailyAggregate)


def write_lines(connection: Connection, bucket: str, lines: Iterable[str], precision: str = "s") -> list[str]:
    """Write lines of line protocol, some thousands per request.

    Returns:
        What the server says about points that it refused.

    Raises:
        PatternAggregatesError: As the connection's ``errors`` say.
    """
    bodies = ("\n".join(chunk) for chunk in chunks(lines, MAX_LINES_PER_REQUEST))
    return [refused for body in bodies if (refused := connection.write(bucket, body, precision))]


class Writer(Generic[A]):
    """Writes and deletes the rows of one model in one bucket.

    Args:
        connection: To the server.
        bucket: The bucket; ``database`` or ``database/policy`` on 1.x.
        model: The model.
        home: The home whose rows are written and deleted.
    """

    def __init__(self, connection: Connection, bucket: str, model: type[A], home: str = "") -> None:
        self._connection = connection
        self._bucket = bucket
        self._model = model
        self._home = home
        self._queries = Queries(bucket, model, home)
        self._reader = Reader(connection, bucket, model, home)
        self._optional = [column.name for column in columns(model) if column.optional]

    def write(self, rows: Iterable[A], seconds_late: int = 0) -> list[str]:
        """Write rows at their date's 00:00 UTC, or some seconds later. Returns what ``write_lines`` returns."""
        return write_lines(self._connection, self._bucket, (line(row, seconds_late) for row in rows))

    def rewrite(self, day: dt.date, rows: Sequence[A]) -> list[str]:
        """Write rows of one day so that their points hold nothing else, and no other point has their tags.

        Returns:
            As ``write_lines``; of rows that were refused nothing is deleted.
        """
        keys, midnight = [row.key() for row in rows], midnight_seconds(day)
        if refused := self.write(rows, _BESIDE_SECONDS):
            return refused
        self.delete(day, keys, midnight)
        if refused := self.write(rows):
            return refused  # the rows beside midnight are the only ones left
        self.delete(day, keys, midnight + _BESIDE_SECONDS)
        return []

    def rows_to_rewrite(self, rows: Sequence[A]) -> list[A]:
        """Return the rows whose points hold a value where the row has an explicit None; of equal keys the last one.

        Fields that a row was made without keep what its point has, or what an interrupted ``rewrite`` left beside it:
        these values are part of the rows that are returned.
        """
        latest = {(str(row.date), *row.key()): row for row in rows}
        emptied = {key: row for key, row in latest.items() if any(_is_emptied(row, name) for name in self._optional)}
        if not emptied:
            return []
        points, strays = self._reader.find(*self._days_and_filter(emptied))
        beside = {
            self._reader.identity(record): record
            for record in strays
            if record["time"] % SECONDS_PER_DAY == _BESIDE_SECONDS
        }
        found = []
        for stored in points:
            identity = self._reader.identity(stored)
            row, rest = emptied.get(identity), beside.get(identity)
            if row is not None and (rest or self._has_emptied_value(row, stored)):
                added = {name: value for name, value in (rest or {}).items() if stored[name] is None}
                found.append(_completed(row, stored | added))
        return found

    def delete(self, day: dt.date, keys: Iterable[Key], at_seconds: int | None = None) -> None:
        """Delete the rows of some keys of one day. The cost grows with the keys: this is not for a whole day.

        Args:
            day: Their date.
            keys: The values of their tags.
            at_seconds: Only the points at this time, in seconds since 1970.

        Raises:
            PatternAggregatesError: 1.x would delete rows of another retention policy too; nothing is deleted.
        """
        keys = sorted(keys)
        if keys:
            self._refuse_shared_database(day)
        for some in chunks(keys, MAX_KEYS_PER_DELETE):
            self._connection.execute(self._queries.delete_keys(day, some, at_seconds), list)

    def delete_strays(self, day: dt.date) -> None:
        """Delete the points of one day that do not lie at its 00:00 UTC; no finished row of ours does.

        Raises:
            PatternAggregatesError: As ``delete``.
        """
        self._refuse_shared_database(day)
        for query in self._queries.delete_strays(day):
            self._connection.execute(query, list)

    def _refuse_shared_database(self, day: dt.date) -> None:
        """A DELETE of 1.x reaches into every retention policy of its database."""
        for other in other_policies(self._connection, self._bucket):
            query = Queries(other, self._model, self._home).select_any(day)
            if self._connection.execute(query, lambda parts: any(part.values for part in parts)):
                raise self._connection.error(
                    f"{other} holds rows of {self._model.measurement} on {day} too, and InfluxDB 1.x deletes in all "
                    "retention policies of a database at once",
                    hint="Give the aggregates a database of their own.",
                )

    def _days_and_filter(self, rows: Mapping[Key, A]) -> tuple[DateRange, dict[str, str]]:
        dates = {row.date for row in rows.values()}
        where: dict[str, str] = {}
        if len(rows) == 1:
            ((_, *key),) = rows
            where = dict(zip(self._model.tags(), key, strict=True))
        return DateRange(min(dates), max(dates)), where

    def _has_emptied_value(self, row: A, stored: Record) -> bool:
        return any(stored[name] is not None and _is_emptied(row, name) for name in self._optional)


def _is_emptied(row: DailyAggregate, name: str) -> bool:
    return name in row.model_fields_set and getattr(row, name) is None


def _completed(row: A, stored: Record) -> A:
    """Return a row with the fields that it was made without as stored, unless its model does not allow these values."""
    own = encode(row)
    merged = {name: own[name] if name in row.model_fields_set else stored[name] for name in own}
    try:
        (completed,) = decode(type(row), [merged])
    except StoreCorrupt:
        return row
    return completed
