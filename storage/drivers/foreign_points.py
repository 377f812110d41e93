"""Points that somebody else made, as lines of line protocol which fit among our rows.

They may be points of influxdb-client or text. Whatever says its date gets the time that rows of this date have, and the
numbers of a model's fields get the model's types.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from storage.columns import Kind, columns
from storage.dates import parse_day
from storage.drivers.line_protocol import midnight_seconds
from storage.errors import UsageError
from storage.models import DailyAggregate

_log = logging.getLogger(__name__)

_HEAD = re.compile(r".+?(?<!\\)(?= )", re.DOTALL)  # up to the first blank that is not escaped
_DATE_TAG = re.compile(r"(?<!\\),date=(\d{4}-\d{2}-\d{2})(?=,|$)")
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
        UsageError: There is nothing to keep, or a ``date`` is no day.
    """
    if isinstance(point, str):
        yield from ((_fitted(text, models), "s") for text in split(point))
        return
    precision = getattr(point, "write_precision", None) or "s"
    text = point.to_line_protocol(precision)
    if not text:
        raise UsageError("a point without any field: InfluxDB would not keep it")
    yield _fitted(text, models), "s" if _date(text) else precision


def split(text: str) -> Iterator[str]:
    """The lines of somebody else's text, without comments; a line break within a quoted field ends none."""
    for found in _LINE.finditer(text):
        line_ = found[0].strip()
        if line_ and not line_.startswith("#"):
            yield line_


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


def _fitted(text: str, models: Mapping[str, type[DailyAggregate]]) -> str:
    model = models.get(re.split(r"(?<!\\)[, ]", text, maxsplit=1)[0])
    if model is not None:
        if _date(text) is None:
            _log.warning("a point without a date is written, but no query returns it: %.200s", text)
        text = typed(text, model)
    return dated(text)
