"""Rows as InfluxDB's line protocol, derived from the columns of their model.

``date`` is a tag beside the model's own; the point's time is that date's 00:00 UTC in seconds, whatever the home's
zone. Integers carry their ``i`` and floats never do, as a field keeps the type of its first point for ever. A value
that is absent is left out: a row written over another one does not take away what that one had there.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

from storage.columns import Kind, columns, encode
from storage.dates import parse_day
from storage.errors import StoreError
from storage.models import DailyAggregate

SECONDS_A_DAY: Final = 86_400
FIRST_DAY: Final = dt.date(1677, 9, 22)  # InfluxDB counts nanoseconds in 64 bits
LAST_DAY: Final = dt.date(2262, 4, 10)
PRESENCE: Final = "present_"  # written where a model has no value that is always there: InfluxDB keeps no bare tags

_EPOCH = dt.date(1970, 1, 1).toordinal()
_TAG_SPECIALS = re.compile(r"([,= ])")  # a backslash is plain unless one of these follows, which the escape then mends
_TEXT_SPECIALS = re.compile(r'(["\\])')
_HEAD = re.compile(r".+?(?<!\\)(?= )", re.DOTALL)  # up to the first blank that is not escaped
_DATE_TAG = re.compile(r"(?<!\\),date=((?:[^,\\]|\\.)+)")
_NUMBER_FIELD = re.compile(r'"(?:[^"\\]|\\.)*"|(?P<name>\w+)=(?P<number>-?[0-9][0-9.]*i?)(?=[, ]|$)', re.DOTALL)
_STAMP = re.compile(r" (-?\d+)$")
_LINE = re.compile(
    r"""
    [ \t\r]*
    (?: \#[^\n]*                                                # a comment
      | (?:[^ \n\\]|\\.)+[ ](?:"(?:[^"\\]|\\.)*"|[^"\n])*    # measurement and tags; fields and time
      | [^\n]+ )                                               # something else, which the server shall refuse
    """,
    re.DOTALL | re.VERBOSE,
)

T = TypeVar("T")


class _Layout(NamedTuple):
    tags: tuple[str, ...]
    fields: tuple[tuple[str, Callable[[Any], str]], ...]
    always: str  # a field that every row has


def midnight_seconds(day: dt.date) -> int:
    """A day's 00:00 UTC in seconds since 1970: the time under which all of its points lie."""
    return (day.toordinal() - _EPOCH) * SECONDS_A_DAY


def tag_value(text: str) -> str:
    """A tag value with what would end it escaped."""
    return _TAG_SPECIALS.sub(r"\\\1", text)


def text_field(text: str) -> str:
    """A text field, quoted."""
    return '"' + _TEXT_SPECIALS.sub(r"\\\1", text) + '"'


def _integer_field(number: int) -> str:
    return f"{number}i"


_FIELDS: Final[dict[Kind, Callable[[Any], str]]] = {
    Kind.INTEGER: _integer_field,
    Kind.FLOAT: repr,
    Kind.TEXT: text_field,
    Kind.JSON: text_field,
}


@cache
def _layout(model: type[DailyAggregate]) -> _Layout:
    found = columns(model)
    if any(column.name in ("time", PRESENCE) for column in found):
        raise StoreError(f"{model.measurement}: InfluxDB can keep no tag or field named time or {PRESENCE}")
    values = [column for column in found if column.kind in _FIELDS]
    return _Layout(
        tags=tuple(sorted(column.name for column in found if column.kind not in _FIELDS)),
        fields=tuple((column.name, _FIELDS[column.kind]) for column in values),
        always=next((column.name for column in values if not column.optional), PRESENCE),
    )


def always_there(model: type[DailyAggregate]) -> str:
    """The name of a field that every row of a model has in InfluxDB: what to count to count rows."""
    return _layout(model).always


def line(row: DailyAggregate) -> str:
    """One row as one line, without its line break.

    Raises:
        StoreError: InfluxDB cannot keep the row: its day is too far away, or the model has a name that is taken.
    """
    if not FIRST_DAY <= row.date <= LAST_DAY:
        raise StoreError(f"{row.measurement} of {row.date}: InfluxDB keeps days from {FIRST_DAY} to {LAST_DAY}")
    layout, record = _layout(type(row)), encode(row)
    tags = ",".join([f"{name}={tag_value(str(record[name]))}" for name in layout.tags])
    fields = [f"{name}={show(value)}" for name, show in layout.fields if (value := record[name]) is not None]
    if layout.always == PRESENCE:
        fields.append(f"{PRESENCE}=1i")
    return f"{row.measurement},{tags} {','.join(fields)} {midnight_seconds(row.date)}"


def split(text: str) -> Iterator[str]:
    """The lines of somebody else's text, without comments; a line break within a quoted field ends none."""
    for found in _LINE.finditer(text):
        line_ = found[0].strip()
        if line_ and not line_.startswith("#"):
            yield line_


def measurement_of(text: str) -> str:
    """The measurement of a line of somebody else's, as written."""
    return re.split(r"(?<!\\)[, ]", text, maxsplit=1)[0]


def is_dated(text: str) -> bool:
    """Whether a line of somebody else's has a ``date`` tag."""
    return _date(text) is not None


def dated(text: str) -> str:
    """A line of somebody else's with the time that its ``date`` tag asks for; unchanged where it has none.

    Raises:
        UsageError: The tag is no day.
    """
    date = _date(text)
    if date is None:
        return text
    return f"{_STAMP.sub('', text)} {midnight_seconds(parse_day(date))}"


def typed(text: str, model: type[DailyAggregate]) -> str:
    """A line of somebody else's with the numbers of a model's fields as the model has them, integers or floats.

    A field keeps the type of its first point: a float written once as an integer would have every later row refused.
    """
    kinds = {column.name: column.kind for column in columns(model)}
    head = _HEAD.match(text)
    if head is None:
        return text

    def fitted(field: re.Match[str]) -> str:
        name, number = field["name"], field["number"].rstrip("i").removesuffix(".0")
        kind = kinds.get(name)
        if kind is Kind.FLOAT:
            return f"{name}={number}"
        if kind is Kind.INTEGER and number.lstrip("-").isdecimal():
            return f"{name}={number}i"
        return field[0]

    return head[0] + _NUMBER_FIELD.sub(lambda field: fitted(field) if field["name"] else field[0], text[head.end() :])


def _date(text: str) -> str | None:
    head = _HEAD.match(text)
    date = _DATE_TAG.search(head[0]) if head else None
    return date[1] if date else None


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of at most ``size`` items each, in order."""
    remaining = iter(items)
    while chunk := list(islice(remaining, size)):
        yield chunk
