"""Reads the rows of one model: one measurement per model, one point per row, ``date`` and the model's tags as tags.

Rows are decoded while they arrive. That suffices for points that this program wrote. Where a point lies elsewhere than
at its date's 00:00 UTC, is only partly visible, or is not the only one of its row, all points are read again as plain
records and sorted out.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from operator import itemgetter
from typing import Any, Final, Generic, NamedTuple, TypeVar

from storage.backends.influxdb.line_protocol import PRESENCE, midnight_seconds
from storage.backends.influxdb.queries import STORABLE_DAYS, Key, Queries
from storage.columns import HOME, columns, decode, with_present_names
from storage.dates import DateRange
from storage.drivers.influxdb.connection import Connection
from storage.drivers.influxdb.influxql import Series
from storage.garbage_collection import paused_garbage_collection
from storage.models import DailyAggregate
from storage.store import NO_FILTER, Summary, Where
from storage.summaries import SummaryPlan

MAX_LOOKS: Final = 5  # at rows that are only partly visible
LOOK_INTERVAL_SECONDS: Final = 0.05

A = TypeVar("A", bound=DailyAggregate)

Record = dict[str, Any]


class Found(NamedTuple):
    """The points of some days: rows at their date's 00:00 UTC, and strays that lie elsewhere."""

    rows: list[Record]
    strays: list[Record]


class _IrregularPoints(Exception):
    """Some points are not each a complete row of its own, at its date's 00:00 UTC."""


class Reader(Generic[A]):
    """Reads the rows of one model from one bucket.

    Args:
        connection: To the server.
        bucket: The bucket; ``database`` or ``database/policy`` on 1.x.
        model: The model.
        home: The home whose rows are read; None reads those of all homes.
    """

    def __init__(self, connection: Connection, bucket: str, model: type[A], home: str | None = "") -> None:
        self._connection = connection
        self._model = model
        self._home = home
        self._queries = Queries(bucket, model, home)
        self._fields = [column.name for column in columns(model) if column.name != HOME]
        self._identity_names = ("date", *model.tags())
        self._has_former_names = bool(model.former_names())
        self._mandatory = [column.name for column in columns(model) if not column.optional and column.name != HOME]
        identity = self._identity_names if home is not None else ("date", HOME, *model.tags())
        self.identity = itemgetter(*identity)  # of a record: its date, its home if there are several, and its tags

    def read(self, days: DateRange, where: Where = NO_FILTER) -> list[A]:
        """Return typed rows, ordered by date, home and tags; see ``records`` for which points count.

        Raises:
            StoreCorrupt: A row does not satisfy its model.
            PatternAggregatesError: As the connection's ``errors`` say.
        """
        try:
            with paused_garbage_collection():
                return self._read_regular(days, where)
        except _IrregularPoints:
            records = self.records(days, where)
        for record in records:
            del record["time"]
        return decode(self._model, records)

    def summarize(self, plan: SummaryPlan, days: DateRange, where: Where = NO_FILTER) -> list[Summary]:
        """Return the summaries that a plan asks for; only its fields are read.

        Raises:
            PatternAggregatesError: As the connection's ``errors`` say.
        """
        within = days & STORABLE_DAYS
        queries = [] if within is None else self._queries.select(plan.columns, within, where)
        if within is not None and len(queries) == 1:
            try:
                return self._connection.execute(queries[0], partial(self._accumulate, plan, within))
            except _IrregularPoints:
                pass
        records = self.records(days, where) if queries else []
        return plan.accumulate(self._values(plan, record) for record in records)

    @staticmethod
    def _values(plan: SummaryPlan, record: Record) -> list[Any]:
        record.setdefault(HOME, "")
        return [record[name] for name in plan.columns]

    def _with_home(self, record: Record) -> None:
        """Add the home to a record, unless it has no name."""
        if self._home is None:
            record[HOME] = record[HOME] or ""
        elif self._home:
            record[HOME] = self._home

    def count_by_day(self, days: DateRange) -> dict[dt.date, int]:
        """Return how many points each day has that may be rows, counted by the server.

        Raises:
            PatternAggregatesError: As the connection's ``errors`` say.
        """
        within = days & STORABLE_DAYS
        if within is None:
            return {}
        counts = self._connection.execute(self._queries.count_by_day(within), _counts)
        named = ((_day_named(name), count) for name, count in sorted(counts.items()))
        return {day: count for day, count in named if day is not None and day in within}

    def records(self, days: DateRange, where: Where = NO_FILTER) -> list[Record]:
        """Return rows as plain records by column name, ordered by date, home and tags; absent values are None.

        Each record also has its point's ``time``, in seconds since 1970. Of several points with the same date and tags
        the one at 00:00 UTC counts, else the newest. Points without a date, or without one of the tags, are not rows.
        """
        rows, strays = self.find(days, where)
        found: dict[Key, Record] = {}
        for record in (*rows, *sorted(strays, key=lambda record: -record["time"])):
            found.setdefault(self.identity(record), record)
        return [found[identity] for identity in sorted(found)]

    def find(self, days: DateRange, where: Where = NO_FILTER) -> Found:
        """Return the same points as ``records``, all of them, the strays apart."""
        found = Found([], [])
        within = days & STORABLE_DAYS
        if within is None:
            return found
        midnights = _Midnights(within)
        for record in self._complete_records(within, where):
            if (midnight := midnights[record["date"]]) is not None:
                (found.rows if record["time"] == midnight else found.strays).append(record)
        return found

    def _read_regular(self, days: DateRange, where: Where) -> list[A]:
        within = days & STORABLE_DAYS
        if within is None:
            return []
        found: list[tuple[Key, A]] = []
        for query in self._queries.select(self._fields, within, where):
            found += self._connection.execute(query, partial(self._decode, within))
        found.sort(key=itemgetter(0))
        if any(one == next_ for (one, _), (next_, _) in pairwise(found)):
            raise _IrregularPoints
        return [row for _, row in found]

    def _decode(self, days: DateRange, parts: Iterable[Series]) -> list[tuple[Key, A]]:
        found: list[tuple[Key, A]] = []
        midnights = _Midnights(days)
        for part in parts:
            records = list(self._regular_records(part, midnights))
            found += zip(map(self.identity, records), decode(self._model, records), strict=True)
        return found

    def _accumulate(self, plan: SummaryPlan, days: DateRange, parts: Iterable[Series]) -> list[Summary]:
        midnights, seen = _Midnights(days), set()

        def rows() -> Iterator[Sequence[Any]]:
            for part in parts:
                for record in self._regular_records(part, midnights):
                    identity = hash(self.identity(record))  # a collision only costs a second look
                    if identity in seen:
                        raise _IrregularPoints
                    seen.add(identity)
                    if self._has_former_names:
                        record = with_present_names(self._model, record)  # noqa: PLW2901 - the same row
                    yield self._values(plan, record)

        return plan.accumulate(rows())

    def _regular_records(self, part: Series, midnights: _Midnights) -> Iterator[Record]:
        """Yield the records of a part of a response without their times.

        Raises:
            _IrregularPoints: One of them is a stray, or only partly visible.
        """
        names = part.columns[1:]
        for at, *values in part.values:
            record = dict(zip(names, values, strict=True))
            if None in values:
                if any(record[name] is None for name in self._identity_names):
                    continue
                if any(record.get(name, at) is None for name in self._mandatory):
                    raise _IrregularPoints
            midnight = midnights[record["date"]]
            if midnight is None:
                continue
            if at != midnight:
                raise _IrregularPoints
            record.pop(PRESENCE, None)
            if self._home != "":
                self._with_home(record)
            yield record

    def _complete_records(self, days: DateRange, where: Where) -> list[Record]:
        """Return the points of some days, read again while some of them lack fields.

        InfluxDB shows a point field by field while it is being written. One that does not change lacks them for good.
        """
        queries = self._queries.select(self._fields, days, where)
        previous: set[Key] | None = None
        for look in range(MAX_LOOKS + 1):
            if look:
                time.sleep(LOOK_INTERVAL_SECONDS)
            records = [record for query in queries for record in self._connection.execute(query, self._all_records)]
            partly_visible = {
                self.identity(record)
                for record in records
                if None in record.values() and any(record[name] is None for name in self._mandatory)
            }
            if not partly_visible or partly_visible == previous:
                break
            previous = partly_visible
        return records

    def _all_records(self, parts: Iterable[Series]) -> list[Record]:
        """Return points as records; one without a date or without one of the tags is not a row."""
        found = []
        for part in parts:
            for values in part.values:
                record = dict(zip(part.columns, values, strict=True))
                if None in values and any(record[name] is None for name in self._identity_names):
                    continue
                record.pop(PRESENCE, None)
                self._with_home(record)
                found.append(with_present_names(self._model, record) if self._has_former_names else record)
        return found


class _Midnights(dict[str, int | None]):
    """When a point of a day lies, in seconds since 1970, by the ``date`` tag; None if it names none of these days.

    Filled as it is used: a range may be of a century.
    """

    def __init__(self, days: DateRange) -> None:
        super().__init__()
        self._days = days

    def __missing__(self, name: str) -> int | None:
        day = _day_named(name)
        self[name] = at = midnight_seconds(day) if day is not None and day in self._days else None
        return at


def _counts(parts: Iterable[Series]) -> dict[str, int]:
    """Return the counts of a query that groups by the ``date`` tag."""
    return {part.tags.get("date", ""): count for part in parts for _, count in part.values}


def _day_named(name: str) -> dt.date | None:
    """Return the day that a ``date`` tag names; None if it names none, as a point of somebody else's may."""
    try:
        day = dt.date.fromisoformat(name)
    except ValueError:
        return None
    return day if day.isoformat() == name else None
