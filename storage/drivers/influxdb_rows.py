"""Rows of aggregates in a bucket: one measurement per model, one point per row, ``date`` and the model's tags as tags.

What the store and the client share. A row belongs to the day that its ``date`` tag says. Ours lie at that date's 00:00
UTC; other writers take noon, or midnight in their own zone, so points are sought from a day before to a day after.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from storage.columns import columns
from storage.dates import ONE_DAY, DateRange
from storage.drivers.influxdb import Connection
from storage.drivers.influxql import Question, Series, quoted
from storage.drivers.line_protocol import FIRST_DAY, LAST_DAY, SECONDS_A_DAY, always_there, chunks, midnight_seconds
from storage.models import DailyAggregate, tag_fault
from storage.store import EVERYTHING, Function, Where, wanted

CHUNK_LINES: Final = 5_000
DELETED_AT_ONCE: Final = 500  # keys in one DELETE

_FEW_DAYS: Final = 7  # up to so many the server sorts out other dates; of more that takes it longer than it saves

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
    connection: Connection, bucket: str, model: type[DailyAggregate], days: DateRange, where: Where = EVERYTHING
) -> list[Record]:
    """The rows of a model as plain records by column name, unordered; absent values are None.

    Each record also has its point's ``time``, in seconds since 1970. Of points with the same date and tags the one at
    00:00 UTC counts, else the newest. Points without a date are no rows.
    """
    rows, strays = find(connection, bucket, model, days, where)
    if strays:
        taken = {_identity(model, record) for record in rows}
        for record in sorted(strays, key=lambda record: -record["time"]):
            if (identity := _identity(model, record)) not in taken:
                taken.add(identity)
                rows.append(record)
    return rows


def find(
    connection: Connection, bucket: str, model: type[DailyAggregate], days: DateRange, where: Where = EVERYTHING
) -> Found:
    """As ``read``, with the points that lie beside their date's 00:00 UTC told apart."""
    always = always_there(model)
    names = [column.name for column in columns(model)]
    selected = ", ".join(map(quoted, names if always in names else [*names, always]))
    within = days & _REACH
    question = _question(bucket, model, selected, within, where)
    if question is None or within is None:
        return Found([], [])
    if len(within) <= _FEW_DAYS:
        question.text += f" AND {_of_dates(question, within)}"
    records = connection.ask(question, lambda found: list(_records(found, always, names)))
    midnights = {day.isoformat(): midnight_seconds(day) for day in within}
    found = Found([], [])
    for record in records:
        if (midnight := midnights.get(record["date"])) is not None:
            (found.rows if record["time"] == midnight else found.strays).append(record)
    return found


def summarize(  # noqa: PLR0917 - the arguments of AggregateReader.summarize, after where to ask
    connection: Connection,
    bucket: str,
    model: type[DailyAggregate],
    days: DateRange,
    fields: Mapping[str, Function],
    by: Sequence[str],
    where: Where = EVERYTHING,
) -> list[Group]:
    """Functions over fields, computed by the server: for each group its tags, its values and how many rows it has.

    Two points with the same date and tags, of which one lies beside its date's 00:00 UTC, count twice here.
    """
    calls = [f"{function.upper()}({quoted(field)})" for field, function in fields.items()]
    calls.append(f"COUNT({quoted(always_there(model))})")
    selected = ", ".join(f"{call} AS {quoted(f'a{place}')}" for place, call in enumerate(calls))
    within = days & _REACH
    question = _question(bucket, model, selected, within, where)
    if question is None or within is None:
        return []
    question.text += f" AND {_of_dates(question, within)}"
    if by:
        question.text += " GROUP BY " + ", ".join(map(quoted, by))
    return connection.ask(question, lambda found: [group for group in _groups(found) if group[2]])


def rows_with_less(connection: Connection, bucket: str, rows: Sequence[A]) -> list[A]:
    """Those of some rows of one model whose points hold a value where the row says None, in so many words.

    A value that a row no longer has stays in its point until the point is taken away.
    """
    model = type(rows[0])
    names = [column.name for column in columns(model) if column.optional]
    lacking = {(str(row.date), *row.key()): row for row in rows if any(_says_none(row, name) for name in names)}
    if not lacking:
        return []
    dates = {row.date for row in lacking.values()}
    where: dict[str, str | set[str]] = {"date": {str(date) for date in dates}}
    if len(rows) == 1:
        where |= zip(model.tags(), rows[0].key(), strict=True)
    selected = ", ".join(map(quoted, ["date", *model.tags(), *names]))
    question = _question(bucket, model, selected, DateRange(min(dates), max(dates)) & _REACH, where)
    if question is None:
        return []
    identifying = 1 + len(model.tags())

    def held(parts: Iterable[Series]) -> list[A]:
        found = []
        for _, *told in (values for part in parts for values in part.values):
            row = lacking.get(tuple(told[:identifying]))
            pairs = zip(names, told[identifying:], strict=True)
            if row is not None and any(value is not None and _says_none(row, name) for name, value in pairs):
                found.append(row)
        return found

    return connection.ask(question, held)


def delete(connection: Connection, bucket: str, model: type[DailyAggregate], day: dt.date, keys: Iterable[Key]) -> None:
    """Take away the rows of some keys of one day. Its cost grows with the keys, so a whole day is not for this."""
    for some in chunks(sorted(keys), DELETED_AT_ONCE):
        question = _deletion(bucket, model, day)
        question.text += f" AND {question.matching(model.tags(), some)}"
        connection.ask(question, list)


def delete_strays(connection: Connection, bucket: str, model: type[DailyAggregate], day: dt.date) -> None:
    """Take away the points of one date that lie beside its 00:00 UTC, where no row of ours is."""
    midnight = midnight_seconds(day)
    for condition in (f"time < {midnight}s", f"time > {midnight}s"):
        question = _deletion(bucket, model, day)
        question.text += f" AND {condition}"
        connection.ask(question, list)


def _question(
    bucket: str, model: type[DailyAggregate], selected: str, days: DateRange | None, where: Where
) -> Question | None:
    """What is selected of the rows that match; None where nothing can match."""
    admitted = {tag: [value for value in wanted(values) if not tag_fault(value)] for tag, values in where.items()}
    if days is None or not all(admitted.values()):
        return None
    question = _on(bucket, model, f"SELECT {selected}", days)
    for tag, values in admitted.items():
        question.text += f" AND {question.among(tag, values)}"
    return question


def _of_dates(question: Question, days: DateRange) -> str:
    return question.among("date", [day.isoformat() for day in days])


def _deletion(bucket: str, model: type[DailyAggregate], day: dt.date) -> Question:
    days = DateRange(day, day)
    question = _on(bucket, model, "DELETE", days)
    question.streamed = False
    question.text += f" AND {_of_dates(question, days)}"
    return question


def _on(bucket: str, model: type[DailyAggregate], deed: str, days: DateRange) -> Question:
    begin = midnight_seconds(max(days.first - ONE_DAY, FIRST_DAY))
    end = midnight_seconds(min(days.last + ONE_DAY, LAST_DAY)) + SECONDS_A_DAY
    return Question(bucket, f"{deed} FROM {quoted(model.measurement)} WHERE time >= {begin}s AND time < {end}s")


def _says_none(row: DailyAggregate, name: str) -> bool:
    return name in row.model_fields_set and getattr(row, name) is None


def _identity(model: type[DailyAggregate], record: Record) -> Key:
    return tuple(record[name] for name in ("date", *model.tags()))


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
