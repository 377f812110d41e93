"""Rows of aggregates in a bucket: one measurement per model, one point per row, ``date`` and the model's tags as tags.

What the store and the client share. A row belongs to the day that its ``date`` tag says. Ours lie at that date's 00:00
UTC; other writers take noon, or midnight in their own zone, so points are sought from a day before to a day after.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeVar

from storage.backends.influxdb.line_protocol import (
    FIRST_DAY,
    LAST_DAY,
    PRESENCE,
    always_there,
    chunks,
    line,
    midnight_seconds,
)
from storage.columns import Column, Kind, columns, decode, encode
from storage.dates import ONE_DAY, DateRange
from storage.drivers.influxdb.buckets import SECONDS_PER_DAY, other_policies
from storage.drivers.influxdb.connection import Connection
from storage.drivers.influxdb.influxql import Query, Series, quote_field, quote_name, quote_tag
from storage.errors import StoreCorrupt, UsageError
from storage.models import DailyAggregate, tag_fault
from storage.store import NO_FILTER, Function, Where, as_values

CHUNK_LINES: Final = 5_000
DELETED_AT_ONCE: Final = 500  # keys in one DELETE
ASKED_AT_ONCE: Final = 5_000  # values that one query binds; of many more servers say nothing at all

_FEW_DAYS: Final = 7  # up to so many the server sorts out other dates; of more that takes it longer than it saves
_MANY_DAYS: Final = 400  # from so many on it is worth asking first which days there are
_BESIDE_SECONDS: Final = 1  # after midnight lies a row that is being written anew
_SETTLING_SECONDS: Final = 0.05
_LOOKS: Final = 5

A = TypeVar("A", bound=DailyAggregate)

_REACH = DateRange(FIRST_DAY, LAST_DAY)

Key = tuple[str, ...]
Record = dict[str, Any]
Group = tuple[dict[str, str], list[int | float | None], int]


class Found(NamedTuple):
    """The points of some days: the rows at their date's 00:00 UTC, and those that lie beside it."""

    rows: list[Record]
    strays: list[Record]


def write(connection: Connection, bucket: str, lines: Iterable[str], precision: str = "s") -> list[str]:
    """Write lines, some thousands at a time.

    Returns:
        What the server says of points that it refused.

    Raises:
        PatternAggregatesError: As the connection's errors say.
    """
    bodies = ("\n".join(chunk) for chunk in chunks(lines, CHUNK_LINES))
    return [refused for body in bodies if (refused := connection.write(bucket, body, precision))]


def read(
    connection: Connection, bucket: str, model: type[DailyAggregate], days: DateRange, where: Where = NO_FILTER
) -> list[Record]:
    """The rows of a model as plain records by column name, ordered by date and tags; absent values are None.

    Each record also has its point's ``time``, in seconds since 1970. Of points with the same date and tags one at 00:00
    UTC counts, else the newest. Points without a date, or without one of the tags, are no rows.
    """
    rows, strays = find(connection, bucket, model, days, where)
    identity = _identities(model)
    found: dict[Key, Record] = {}
    for record in (*rows, *sorted(strays, key=lambda record: -record["time"])):
        found.setdefault(identity(record), record)
    return [found[identity] for identity in sorted(found)]


def find(
    connection: Connection, bucket: str, model: type[DailyAggregate], days: DateRange, where: Where = NO_FILTER
) -> Found:
    """As ``read``, with the points that lie beside their date's 00:00 UTC told apart."""
    within = days & _REACH
    if within is None:
        return Found([], [])
    midnights = {day.isoformat(): midnight_seconds(day) for day in within}
    found = Found([], [])
    for record in _settled(connection, bucket, model, within, where):
        if (midnight := midnights.get(record["date"])) is not None:
            (found.rows if record["time"] == midnight else found.strays).append(record)
    return found


def summarize(  # noqa: PLR0917 - the arguments of AggregateReader.summarize, after where to ask
    connection: Connection,
    bucket: str,
    model: type[DailyAggregate],
    days: DateRange,
    wanted: Sequence[tuple[Function, str]],
    by: Sequence[str],
    where: Where = NO_FILTER,
) -> list[Group]:
    """Functions over fields, computed by the server: for each group its tags, its values and how many rows it has.

    Two points with the same date and tags, of which one lies beside its date's 00:00 UTC, count twice here.

    Raises:
        UsageError: It is about more days and values than a server can be asked for.
        PatternAggregatesError: As the connection's errors say.
    """
    calls = [f"{function.upper()}({quote_field(field)})" for function, field in wanted]
    calls.append(f"COUNT({quote_field(always_there(model))})")
    selected = ", ".join(f"{call} AS {quote_name(f'a{place}')}" for place, call in enumerate(calls))
    within = days & _REACH
    if within is not None and len(within) > _MANY_DAYS:
        within = _held(connection, bucket, model, within)
    queries = [] if within is None else _queries(bucket, model, selected, within, where)
    if within is None or not queries:
        return []
    query = queries[0]
    query.text += f" AND {_of_dates(query, within)}"
    if len(queries) > 1 or len(query.values) > ASKED_AT_ONCE:
        raise UsageError(
            f"{model.measurement}: a summary over more than {ASKED_AT_ONCE:,} days and values at once",
            hint="Ask for some of them at a time.",
        )
    if by:
        query.text += " GROUP BY " + ", ".join(map(quote_name, by))
    return connection.execute(query, lambda found: [group for group in _groups(found) if group[2]])


def rows_with_less(connection: Connection, bucket: str, rows: Sequence[A]) -> list[A]:
    """Those of some rows of one model whose points hold a value where the row says None, in so many words.

    A value that a row no longer has stays in its point until the point is written anew (``rewrite``). What the row does
    not speak of shall stay, so it comes with the row, as the point has it, or as an attempt that was never ended has
    left it. Of several rows with one key the last counts.
    """
    model = type(rows[0])
    optional = [column.name for column in columns(model) if column.optional]
    newest = {(str(row.date), *row.key()): row for row in rows}
    lacking = {key: row for key, row in newest.items() if any(_says_none(row, name) for name in optional)}
    if not lacking:
        return []
    dates = {row.date for row in lacking.values()}
    where: dict[str, str | set[str]] = {}
    if len(lacking) == 1:
        ((_, *key),) = lacking
        where = dict(zip(model.tags(), key, strict=True))
    found = []
    points, strays = find(connection, bucket, model, DateRange(min(dates), max(dates)), where)
    left = {
        _identity(model, record): record for record in strays if record["time"] % SECONDS_PER_DAY == _BESIDE_SECONDS
    }
    for stored in points:
        identity = _identity(model, stored)
        row, rest = lacking.get(identity), left.get(identity)
        if row is not None and (rest or any(stored[name] is not None and _says_none(row, name) for name in optional)):
            more = {name: value for name, value in (rest or {}).items() if stored[name] is None}
            found.append(_completed(row, stored | more))
    return found


def rewrite(connection: Connection, bucket: str, rows: Sequence[DailyAggregate]) -> list[str]:
    """Write rows of one model and day so that their points hold nothing else, and no other point has their tags.

    InfluxDB forgets a value only with its point. Meanwhile each row lies beside its midnight, where ``read`` finds it;
    so it is there at every moment, also if this is never ended.

    Returns:
        As ``write``; of rows that were refused nothing is taken away.
    """
    model, day, keys = type(rows[0]), rows[0].date, [row.key() for row in rows]
    if refused := write(connection, bucket, (line(row, _BESIDE_SECONDS) for row in rows)):
        return refused
    midnight = midnight_seconds(day)
    delete(connection, bucket, model, day, keys, at=midnight)
    if refused := write(connection, bucket, map(line, rows)):
        return refused  # the rows beside are all there is of them
    delete(connection, bucket, model, day, keys, at=midnight + _BESIDE_SECONDS)
    return []


def delete(  # noqa: PLR0917 - where, what, and at which time
    connection: Connection,
    bucket: str,
    model: type[DailyAggregate],
    day: dt.date,
    keys: Iterable[Key],
    at: int | None = None,
) -> None:
    """Take away the rows of some keys of one day. Its cost grows with the keys, so a whole day is not for this.

    Args:
        connection: To the server.
        bucket: Where they lie.
        model: Which aggregate.
        day: Their date.
        keys: The values of their tags.
        at: Only the points at this time, in seconds since 1970.

    Raises:
        PatternAggregatesError: 1.x would take away another retention policy's rows, too; nothing is.
    """
    keys = sorted(keys)
    if keys:
        _prove_alone(connection, bucket, model, day)
    for some in chunks(keys, DELETED_AT_ONCE):
        query = _deletion(bucket, model, day)
        query.text += f" AND {query.tags_in(model.tags(), some)}"
        if at is not None:
            query.text += f" AND time >= {at}s AND time <= {at}s"
        connection.execute(query, list)


def delete_strays(connection: Connection, bucket: str, model: type[DailyAggregate], day: dt.date) -> None:
    """Take away the points of one date that lie beside its 00:00 UTC, where no row of ours is.

    Raises:
        PatternAggregatesError: As ``delete``.
    """
    _prove_alone(connection, bucket, model, day)
    midnight = midnight_seconds(day)
    for condition in (f"time < {midnight}s", f"time > {midnight}s"):
        query = _deletion(bucket, model, day)
        query.text += f" AND {condition}"
        connection.execute(query, list)


def _prove_alone(connection: Connection, bucket: str, model: type[DailyAggregate], day: dt.date) -> None:
    """See that nobody else's rows would go: a DELETE of 1.x reaches into every retention policy of its database."""
    for other in other_policies(connection, bucket):
        days = DateRange(day, day)
        query = _on(other, model, "SELECT *", days)
        query.text += f" AND {_of_dates(query, days)} LIMIT 1"
        if connection.execute(query, lambda found: any(part.values for part in found)):
            raise connection.error(
                f"{other} holds rows of {model.measurement} on {day} too, and InfluxDB 1.x deletes in all retention "
                "policies of a database at once",
                hint="Give the aggregates a database of their own.",
            )


def _settled(
    connection: Connection, bucket: str, model: type[DailyAggregate], days: DateRange, where: Where
) -> list[Record]:
    """The points of some days, asked for again while some of them come with half of their fields.

    InfluxDB shows a point to readers field by field while it is being written. One that stays as it is lacks them.
    """
    selected = ", ".join(_named(column) for column in columns(model))
    if (always := always_there(model)) == PRESENCE:
        selected += f", {quote_field(always)}"
    queries = _queries(bucket, model, selected, days, where)
    if len(days) <= _FEW_DAYS:
        for query in queries:
            query.text += f" AND {_of_dates(query, days)}"
    mandatory = [column.name for column in columns(model) if not column.optional]

    def ask() -> tuple[list[Record], set[Key]]:
        records = [
            record
            for query in queries
            for record in connection.execute(query, lambda found: list(_records(found, model)))
        ]
        halved = [record for record in records if None in record.values()]
        return records, {
            _identity(model, record) for record in halved if any(record[name] is None for name in mandatory)
        }

    records, torn = ask()
    for _ in range(_LOOKS if torn else 0):
        time.sleep(_SETTLING_SECONDS)
        before = torn
        records, torn = ask()
        if not torn or torn == before:
            break
    return records


def _held(connection: Connection, bucket: str, model: type[DailyAggregate], days: DateRange) -> DateRange | None:
    """Those of very many days between the first and the last point of a model; None if there is none."""
    ends = []
    for order in ("ASC", "DESC"):
        query = _on(bucket, model, f"SELECT {quote_field(always_there(model))}", days)
        query.text += f" AND {quote_tag('date')} != '' ORDER BY time {order} LIMIT 1"
        ends += connection.execute(query, lambda found: [values[0] for part in found for values in part.values])
    if not ends:
        return None
    first, last = (dt.datetime.fromtimestamp(end, dt.UTC).date() for end in (min(ends), max(ends)))
    return DateRange(max(first - ONE_DAY, FIRST_DAY), min(last + ONE_DAY, LAST_DAY)) & days


def _queries(bucket: str, model: type[DailyAggregate], selected: str, days: DateRange, where: Where) -> list[Query]:
    """What is selected of the rows that match, in as many queries as it takes; none where nothing can match."""
    admitted = {tag: [value for value in as_values(values) if not tag_fault(value)] for tag, values in where.items()}
    queries = []
    for some in _asked_at_once(admitted):
        query = _on(bucket, model, f"SELECT {selected}", days)
        for tag, values in some.items():
            query.text += f" AND {query.tag_in(tag, values)}"
        queries.append(query)
    return queries


def _asked_at_once(admitted: Mapping[str, Sequence[str]]) -> Iterator[Mapping[str, Sequence[str]]]:
    """Conditions with not too many values each, which admit together, each once, what these admit."""
    if not all(admitted.values()):
        return
    if sum(map(len, admitted.values())) <= ASKED_AT_ONCE:
        yield admitted
        return
    longest = max(admitted, key=lambda tag: len(admitted[tag]))
    values = admitted[longest]
    for half in (values[: len(values) // 2], values[len(values) // 2 :]):
        yield from _asked_at_once({**admitted, longest: half})


def _named(column: Column) -> str:
    return quote_tag(column.name) if column.kind in (Kind.DATE, Kind.TAG) else quote_field(column.name)


def _of_dates(query: Query, days: DateRange) -> str:
    return query.tag_in("date", [day.isoformat() for day in days])


def _deletion(bucket: str, model: type[DailyAggregate], day: dt.date) -> Query:
    days = DateRange(day, day)
    query = _on(bucket, model, "DELETE", days)
    query.streamed = False
    query.text += f" AND {_of_dates(query, days)}"
    return query


def _on(bucket: str, model: type[DailyAggregate], deed: str, days: DateRange) -> Query:
    begin = midnight_seconds(max(days.first - ONE_DAY, FIRST_DAY))
    end = midnight_seconds(min(days.last + ONE_DAY, LAST_DAY)) + SECONDS_PER_DAY
    return Query(bucket, f"{deed} FROM {quote_name(model.measurement)} WHERE time >= {begin}s AND time < {end}s")


def _says_none(row: DailyAggregate, name: str) -> bool:
    return name in row.model_fields_set and getattr(row, name) is None


def _completed(row: A, stored: Record) -> A:
    """A row with what it does not speak of as its point has it, unless that is not what its model allows."""
    spoken = encode(row)
    merged = {name: spoken[name] if name in row.model_fields_set else stored[name] for name in spoken}
    try:
        (completed,) = decode(type(row), [merged])
    except StoreCorrupt:
        return row
    return completed


def _identity(model: type[DailyAggregate], record: Record) -> Key:
    return _identities(model)(record)


@cache
def _identities(model: type[DailyAggregate]) -> Callable[[Record], Key]:
    """What gives a record's date and tags."""
    return itemgetter("date", *model.tags())


def _records(found: Iterable[Series], model: type[DailyAggregate]) -> Iterator[Record]:
    """Points as records; one without a date or without one of the tags is no row."""
    identity = ("date", *model.tags())
    for part in found:
        for values in part.values:
            record = dict(zip(part.columns, values, strict=True))
            if None in values and any(record[tag] is None for tag in identity):
                continue
            record.pop(PRESENCE, None)
            yield record


def _groups(found: Iterable[Series]) -> Iterator[Group]:
    for part in found:
        for _, *values, rows in part.values:
            yield part.tags, values, rows or 0
