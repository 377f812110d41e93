"""Rows as InfluxDB's line protocol, derived from the columns of their model.

``date`` is a tag beside the model's own, and so is ``home`` unless it is empty. A point lies at its date's 00:00 UTC in
seconds, whatever the home's zone. Integers carry their ``i`` and floats never do: a field keeps the type of its first
point for ever. Absent values are left out, so a row that is written over another one does not remove what that one had
there.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

from storage.columns import HOME, Kind, columns, encode
from storage.drivers.influxdb.buckets import SECONDS_PER_DAY
from storage.errors import StoreError
from storage.models import DailyAggregate

FIRST_DAY: Final = dt.date(1677, 9, 22)  # InfluxDB counts nanoseconds in 64 bits
LAST_DAY: Final = dt.date(2262, 4, 10)
PRESENCE: Final = "present_"  # written for models without a mandatory field: a point needs at least one field

_EPOCH = dt.date(1970, 1, 1).toordinal()
_TAG_SPECIALS = re.compile(r"([,= ])")  # a backslash before anything else is literal
_TEXT_SPECIALS = re.compile(r'(["\\])')

T = TypeVar("T")


class _Layout(NamedTuple):
    tags: tuple[str, ...]
    fields: tuple[tuple[str, Callable[[Any], str]], ...]
    always: str  # a field that every row has


def midnight_seconds(day: dt.date) -> int:
    """Return a day's 00:00 UTC in seconds since 1970: the time of all its points."""
    return (day.toordinal() - _EPOCH) * SECONDS_PER_DAY


def tag_value(text: str) -> str:
    """Return a tag value with the characters escaped that would end it."""
    return _TAG_SPECIALS.sub(r"\\\1", text)


def text_field(text: str) -> str:
    """Return the quoted value of a text field."""
    return '"' + _TEXT_SPECIALS.sub(r"\\\1", text) + '"'


def _integer_field(number: int) -> str:
    return f"{number}i"


_FIELDS: Final[dict[Kind, Callable[[Any], str]]] = {
    Kind.INTEGER: _integer_field,
    Kind.FLOAT: repr,
    Kind.TEXT: text_field,
    Kind.JSON: text_field,
    Kind.DATE: text_field,
}
_DATE: Final = "date"  # the row's own, a tag; another date is a field


@cache
def _layout(model: type[DailyAggregate]) -> _Layout:
    found = [column for column in columns(model) if column.name != HOME]
    if any(column.name in ("time", PRESENCE) for column in found):
        raise StoreError(f"{model.measurement}: InfluxDB cannot store a tag or field named time or {PRESENCE}")
    values = [column for column in found if column.kind in _FIELDS and column.name != _DATE]
    return _Layout(
        tags=tuple(sorted(column.name for column in found if column not in values)),
        fields=tuple((column.name, _FIELDS[column.kind]) for column in values),
        always=next((column.name for column in values if not column.optional), PRESENCE),
    )


def always_there(model: type[DailyAggregate]) -> str:
    """Return the name of a field that every row of a model has in InfluxDB."""
    return _layout(model).always


def line(row: DailyAggregate, seconds_late: int = 0) -> str:
    """Return one row as one line, without a line break.

    Args:
        row: The row.
        seconds_late: How long after its date's 00:00 UTC the point lies.

    Raises:
        StoreError: InfluxDB cannot store the row: its date is out of range, or the model uses a reserved name.
    """
    if not FIRST_DAY <= row.date <= LAST_DAY:
        raise StoreError(f"{row.measurement} of {row.date}: InfluxDB stores days from {FIRST_DAY} to {LAST_DAY}")
    layout, record = _layout(type(row)), encode(row)
    tags = ",".join([f"{name}={tag_value(str(record[name]))}" for name in layout.tags])
    if row.home:
        tags += f",{HOME}={tag_value(row.home)}"
    fields = [f"{name}={text(value)}" for name, text in layout.fields if (value := record[name]) is not None]
    if layout.always == PRESENCE:
        fields.append(f"{PRESENCE}=1i")
    return f"{row.measurement},{tags} {','.join(fields)} {midnight_seconds(row.date) + seconds_late}"


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of at most ``size`` items, in order."""
    remaining = iter(items)
    while chunk := list(islice(remaining, size)):
        yield chunk
