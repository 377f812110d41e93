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
from storage.drivers.influxdb.buckets import SECONDS_PER_DAY
from storage.errors import StoreError
from storage.models import DailyAggregate

FIRST_DAY: Final = dt.date(1677, 9, 22)  # InfluxDB counts nanoseconds in 64 bits
LAST_DAY: Final = dt.date(2262, 4, 10)
PRESENCE: Final = "present_"  # written where a model has no value that is always there: InfluxDB keeps no bare tags

_EPOCH = dt.date(1970, 1, 1).toordinal()
_TAG_SPECIALS = re.compile(r"([,= ])")  # a backslash is plain unless one of these follows, which the escape then mends
_TEXT_SPECIALS = re.compile(r'(["\\])')

T = TypeVar("T")


class _Layout(NamedTuple):
    tags: tuple[str, ...]
    fields: tuple[tuple[str, Callable[[Any], str]], ...]
    always: str  # a field that every row has


def midnight_seconds(day: dt.date) -> int:
    """A day's 00:00 UTC in seconds since 1970: the time under which all of its points lie."""
    return (day.toordinal() - _EPOCH) * SECONDS_PER_DAY


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


def line(row: DailyAggregate, seconds_late: int = 0) -> str:
    """One row as one line, without its line break.

    Args:
        row: The row.
        seconds_late: How long after its date's 00:00 UTC the point shall lie.

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
    return f"{row.measurement},{tags} {','.join(fields)} {midnight_seconds(row.date) + seconds_late}"


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of at most ``size`` items each, in order."""
    remaining = iter(items)
    while chunk := list(islice(remaining, size)):
        yield chunk
