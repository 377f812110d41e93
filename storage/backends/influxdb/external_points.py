"""Convert points that another program made into lines of line protocol that match our rows.

They may be points of influxdb-client or text. A point with a ``date`` tag gets the time of that date's rows, and the
numbers of a model's fields get the model's types.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Protocol

from storage.backends.influxdb.line_protocol import midnight_seconds
from storage.columns import Kind, columns
from storage.dates import parse_day
from storage.errors import UsageError
from storage.models import DailyAggregate

_log = logging.getLogger(__name__)

_HEAD = re.compile(r".+?(?<!\\)(?= )", re.DOTALL)  # up to the first blank that is not escaped
_DATE_TAG = re.compile(r"(?<!\\),date=(\d{4}-\d{2}-\d{2})(?=,|$)")
_FIELD = re.compile(r'((?:[^,= \\]|\\.)+)=("(?:[^"\\]|\\.)*"|[^, ]*)', re.DOTALL)
_NUMBER = re.compile(r"([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?)[iu]?")
_STAMP = re.compile(r" (-?\d+)$")
_LINE = re.compile(
    r"""
    [ \t\r]*
    (?: \#[^\n]*                                                # a comment
      | (?:[^ \n\\]|\\.)+[ ](?:"(?:[^"\\]|\\.)*"|[^"\n])*    # measurement and tags; fields and time
      | [^\n]+ )                                               # something else, which the server will refuse
    """,
    re.DOTALL | re.VERBOSE,
)


class Point(Protocol):
    """A point of influxdb-client, or any object that has its line protocol."""

    def to_line_protocol(self, precision: Any = None) -> str:  # noqa: ANN401 - influxdb-client's own signature
        """Return one line; empty for a point without fields."""


def lines(point: Point | str, models: Mapping[str, type[DailyAggregate]]) -> Iterator[tuple[str, str]]:
    """Yield the lines of a point, or of a text of many, each with the precision of its time.

    Args:
        point: The point; times in a text are seconds.
        models: The known models by measurement.

    Raises:
        UsageError: A point has no field, or a ``date`` is not a valid day.
    """
    if isinstance(point, str):
        yield from ((normalize_line(text, models), "s") for text in split(point))
        return
    precision = getattr(point, "write_precision", None) or "s"
    text = point.to_line_protocol(precision)
    if not text:
        raise UsageError("a point without any field: InfluxDB does not store it")
    yield normalize_line(text, models), "s" if _date(text) else precision


def split(text: str) -> Iterator[str]:
    """Yield the lines of a text, without comments; a line break within a quoted field does not end a line."""
    for found in _LINE.finditer(text):
        line_ = found[0].strip()
        if line_ and not line_.startswith("#"):
            yield line_


def align_timestamp(text: str) -> str:
    """Return a line with the time of its ``date`` tag; unchanged where it has none.

    Raises:
        UsageError: The tag is not a valid day.
    """
    date = _date(text)
    if date is None:
        return text
    return f"{_STAMP.sub('', text)} {midnight_seconds(parse_day(date))}"


def coerce_field_types(text: str, model: type[DailyAggregate]) -> str:
    """Return a line in which the numbers of a model's fields are integers or floats as in the model.

    A field keeps the type of its first point: a float written once as an integer makes the server refuse later rows.

    Raises:
        UsageError: A value is not of its field's kind.
    """
    kinds = {column.name: column.kind for column in columns(model)}
    head = _HEAD.match(text)
    if head is None:
        return text
    fields, position = [], head.end() + 1
    while field := _FIELD.match(text, position):
        fields.append(f"{field[1]}={_value(field[1], field[2], kinds.get(field[1]))}")
        position = field.end() + 1
        if text[field.end() : position] != ",":
            return f"{head[0]} {','.join(fields)}{text[field.end() :]}"
    return text  # which the server will refuse


def _value(name: str, text: str, kind: Kind | None) -> str:
    """Return a field's value in the form of its model."""
    number = _NUMBER.fullmatch(text)
    if kind is Kind.FLOAT and number:
        return number[1]
    if kind is Kind.INTEGER and number and (value := Decimal(number[1])) == (whole := int(value)):
        return f"{whole}i"
    if kind in (Kind.FLOAT, Kind.INTEGER) or (kind in (Kind.TEXT, Kind.JSON) and not text.startswith('"')):
        raise UsageError(
            f"{name}={text:.60} is not a valid {kind}", hint="Such a point makes the server refuse later rows."
        )
    return text


def _date(text: str) -> str | None:
    head = _HEAD.match(text)
    date = _DATE_TAG.search(head[0]) if head else None
    return date[1] if date else None


def normalize_line(text: str, models: Mapping[str, type[DailyAggregate]]) -> str:
    """Return a line that matches our rows: with the time of its date and the field types of its model."""
    model = models.get(re.split(r"(?<!\\)[, ]", text, maxsplit=1)[0])
    if model is not None:
        head = _HEAD.match(text)
        missing = [tag for tag in ("date", *model.tags()) if head and not re.search(rf"(?<!\\),{tag}=", head[0])]
        if missing or not _date(text):
            tags = ", ".join(missing) or "date"
            _log.warning("a point without its tag %s is written, but no query returns it: %.200s", tags, text)
        text = coerce_field_types(text, model)
    return align_timestamp(text)
