"""Points that somebody else made, as lines of line protocol which fit among our rows.

They may be points of influxdb-client or text. Whatever says its date gets the time that rows of this date have, and the
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
      | [^\n]+ )                                               # something else, which the server shall refuse
    """,
    re.DOTALL | re.VERBOSE,
)


class Point(Protocol):
    """A point of influxdb-client, or anything else that can say itself as line protocol."""

    def to_line_protocol(self, precision: Any = None) -> str:  # noqa: ANN401 - influxdb-client's own signature
        """One line; empty where there is no field."""


def lines(point: Point | str, models: Mapping[str, type[DailyAggregate]]) -> Iterator[tuple[str, str]]:
    """The lines of a point, or of a text of many, and the precision of their times.

    Args:
        point: The point; times in a text are seconds.
        models: The models of measurements that are known.

    Raises:
        UsageError: There is nothing to keep, or a ``date`` is not a valid day.
    """
    if isinstance(point, str):
        yield from ((normalize_line(text, models), "s") for text in split(point))
        return
    precision = getattr(point, "write_precision", None) or "s"
    text = point.to_line_protocol(precision)
    if not text:
        raise UsageError("a point without any field: InfluxDB would not keep it")
    yield normalize_line(text, models), "s" if _date(text) else precision


def split(text: str) -> Iterator[str]:
    """The lines of somebody else's text, without comments; a line break within a quoted field ends none."""
    for found in _LINE.finditer(text):
        line_ = found[0].strip()
        if line_ and not line_.startswith("#"):
            yield line_


def align_timestamp(text: str) -> str:
    """A line of somebody else's with the time that its ``date`` tag asks for; unchanged where it has none.

    Raises:
        UsageError: The tag is not a valid day.
    """
    date = _date(text)
    if date is None:
        return text
    return f"{_STAMP.sub('', text)} {midnight_seconds(parse_day(date))}"


def coerce_field_types(text: str, model: type[DailyAggregate]) -> str:
    """A line of somebody else's with the numbers of a model's fields as the model has them, integers or floats.

    A field keeps the type of its first point: a float written once as an integer would have every later row refused.

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
    return text  # which the server shall refuse


def _value(name: str, text: str, kind: Kind | None) -> str:
    """A field's value as its model wants it."""
    number = _NUMBER.fullmatch(text)
    if kind is Kind.FLOAT and number:
        return number[1]
    if kind is Kind.INTEGER and number and (value := Decimal(number[1])) == (whole := int(value)):
        return f"{whole}i"
    if kind in (Kind.FLOAT, Kind.INTEGER) or (kind in (Kind.TEXT, Kind.JSON) and not text.startswith('"')):
        raise UsageError(f"{name}={text:.60} is no {kind}", hint="Such a point would have later rows refused.")
    return text


def _date(text: str) -> str | None:
    head = _HEAD.match(text)
    date = _DATE_TAG.search(head[0]) if head else None
    return date[1] if date else None


def normalize_line(text: str, models: Mapping[str, type[DailyAggregate]]) -> str:
    """Return a line that fits among our rows: at the time that its date asks for, with the field types of its model."""
    model = models.get(re.split(r"(?<!\\)[, ]", text, maxsplit=1)[0])
    if model is not None:
        head = _HEAD.match(text)
        lacking = [tag for tag in ("date", *model.tags()) if head and not re.search(rf"(?<!\\),{tag}=", head[0])]
        if lacking or not _date(text):
            told = ", ".join(lacking) or "date"
            _log.warning("a point without its tag %s is written, but no query returns it: %.200s", told, text)
        text = coerce_field_types(text, model)
    return align_timestamp(text)
