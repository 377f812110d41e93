"""Rows of aggregates in a bucket: one measurement per model, one point per row, ``date`` and the model's tags as tags.

What the store and the client share. Points are sought within whole days, not at midnight alone, so rows that another
writer put at noon are found too.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from storage.columns import columns
from storage.dates import DateRange
from storage.drivers.influxdb import Connection
from storage.drivers.influxql import Question, Series, quoted
from storage.drivers.line_protocol import FIRST_DAY, LAST_DAY, SECONDS_A_DAY, always_there, chunks, midnight_seconds
from storage.models import DailyAggregate, tag_fault
from storage.store import EVERYTHING, Function, Where, wanted

CHUNK_LINES: Final = 5_000
DELETED_AT_ONCE: Final = 500  # keys in one DELETE

_REACH = DateRange(FIRST_DAY, LAST_DAY)

Key = tuple[str, ...]
Record = dict[str, Any]
Group = tuple[dict[str, str], list[int | float | None], int]


def write(connection: Connection, bucket: str, lines: Iterable[str]) -> list[str]:
    """Write lines, some thousands at a time.

    Returns:
        What the server says of points that it refused while it took the others.

    Raises:
        PatternAggregatesError: As the connection's errors say.
    """
    return [refused for chunk in chunks(lines, CHUNK_LINES) if (refused := connection.write(bucket, "\n".join(chunk)))]


def read(
    connection: Connection, bucket: str, model: type[DailyAggregate], days: DateRange, where: Where = EVERYTHING
) -> list[Record]:
    """The rows of a model as plain records by column name, unordered; absent values are None.

    Each record also has its point's ``time``, in seconds since 1970. Points of others that lie among the days but say
    another date, or none, are no rows of these days.
    """
    always = always_there(model)
    names = [column.name for column in columns(model)]
    selected = ", ".join(map(quoted, names if always in names else [*names, always]))
    question = _question(bucket, model, selected, days, where)
    if question is None:
        return []
    first, last = days.first.isoformat(), days.last.isoformat()
    records = connection.ask(question, lambda found: list(_records(found, always, names)))
    return [record for record in records if first <= (record["date"] or "") <= last]


def summarize(  # noqa: PLR0917 - the arguments of AggregateReader.summarize, after where to ask
    connection: Connection,
    bucket: str,
    model: type[DailyAggregate],
    days: DateRange,
    fields: Mapping[str, Function],
    by: Sequence[str],
    where: Where = EVERYTHING,
) -> list[Group]:
    """Functions over fields, computed by the server: for each group its tags, its values and how many rows it has."""
    calls = [f"{function.upper()}({quoted(field)})" for field, function in fields.items()]
    calls.append(f"COUNT({quoted(always_there(model))})")
    selected = ", ".join(f"{call} AS {quoted(f'a{place}')}" for place, call in enumerate(calls))
    question = _question(bucket, model, selected, days, where)
    if question is None:
        return []
    if by:
        question.text += " GROUP BY " + ", ".join(map(quoted, by))
    return connection.ask(question, lambda found: [group for group in _groups(found) if group[2]])


def delete(connection: Connection, bucket: str, model: type[DailyAggregate], day: dt.date, keys: Iterable[Key]) -> None:
    """Take away the rows of some keys of one day. Its cost grows with the keys, so a whole day is not for this."""
    for some in chunks(sorted(keys), DELETED_AT_ONCE):
        question = _deletion(bucket, model, day)
        question.text += f" AND {question.matching(model.tags(), some)}"
        connection.ask(question, list)


def delete_strays(connection: Connection, bucket: str, model: type[DailyAggregate], day: dt.date) -> None:
    """Take away the points of one day that lie at another time than its midnight, where no row of ours is."""
    question = _deletion(bucket, model, day, after=1)
    connection.ask(question, list)


def _question(
    bucket: str, model: type[DailyAggregate], selected: str, days: DateRange, where: Where
) -> Question | None:
    """What is selected of the rows that match; None where nothing can match."""
    within = days & _REACH
    admitted = {tag: [value for value in wanted(values) if not tag_fault(value)] for tag, values in where.items()}
    if within is None or not all(admitted.values()):
        return None
    question = _on(bucket, model, f"SELECT {selected}", within)
    for tag, values in admitted.items():
        question.text += f" AND {question.among(tag, values)}"
    return question


def _deletion(bucket: str, model: type[DailyAggregate], day: dt.date, after: int = 0) -> Question:
    question = _on(bucket, model, "DELETE", DateRange(day, day), after)
    question.streamed = False
    question.text += f' AND "date" = {question.bind(day.isoformat())}'
    return question


def _on(bucket: str, model: type[DailyAggregate], deed: str, days: DateRange, after: int = 0) -> Question:
    begin, end = midnight_seconds(days.first) + after, midnight_seconds(days.last) + SECONDS_A_DAY
    return Question(bucket, f"{deed} FROM {quoted(model.measurement)} WHERE time >= {begin}s AND time < {end}s")


def _records(found: Iterable[Series], always: str, names: Sequence[str]) -> Iterator[Record]:
    for part in found:
        for values in part.values:
            record = dict(zip(part.columns, values, strict=True))
            if always not in names:
                del record[always]
            yield record


def _groups(found: Iterable[Series]) -> Iterator[Group]:
    for part in found:
        for _, *values, rows in part.values:
            yield part.tags, values, rows or 0
