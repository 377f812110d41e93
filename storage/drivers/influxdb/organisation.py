"""Whether queries reach the organisation that the settings name.

InfluxDB 2.x writes to the organisation that is named, but answers ``/query`` from the one that the token belongs to. A
token that may do everything everywhere would so be told of another home. Flux does ask the named organisation: the
newest point that ``/query`` knows must be there for it, too.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import urlencode

from storage.drivers.influxdb.buckets import MAPPING_HINT, find_bucket, mapping_problem
from storage.drivers.influxdb.connection import Connection, Response
from storage.drivers.influxdb.influxql import Query, Series, quote_name

_TRIES: Final = 3  # the newest point may be replaced between the two queries
_OK = 200
_ABSENT = ("organization name", "could not find bucket")  # what Flux says of one that the token does not see

Point = tuple[int, str, dict[str, object]]


def verify_organisation(connection: Connection, bucket: str, measurement: str = "") -> bool:
    """See that the token belongs to the organisation that is named; 1.x has none, and an empty bucket tells nothing.

    Args:
        connection: To the server.
        bucket: Where to look.
        measurement: In which measurement; empty for any.

    Returns:
        Whether that is known now; where there is no point nothing tells.

    Raises:
        PatternAggregatesError: It does not, or as the connection's errors say.
    """
    if not connection.server.is_v2:
        return True
    cause = None
    try:
        for _ in range(_TRIES):
            newest = _newest(connection, bucket, measurement)
            if newest is None:
                return False
            if _is_there(connection, bucket, newest):
                return True
    except connection.missing_error as error:
        if find_bucket(connection, bucket) is None:
            raise
        cause = error
    if told := mapping_problem(connection, bucket, find_bucket(connection, bucket)):
        raise connection.error(told, hint=MAPPING_HINT)
    raise connection.error(
        f"the token belongs to another organisation than {connection.server.org!r}: what it reads is not of that one",
        hint="Set a token of this organisation, or correct org; or a DBRP mapping gives the bucket's name to another.",
    ) from cause


def _newest(connection: Connection, bucket: str, measurement: str) -> Point | None:
    source = quote_name(measurement) if measurement else "/.*/"
    query = Query(bucket, f"SELECT * FROM {source} ORDER BY time DESC LIMIT 1", precision="ns")  # noqa: S608 - quote_name

    def points(parts: Iterable[Series]) -> list[Point]:
        return [
            (row[0], part.name, dict(zip(part.columns[1:], row[1:], strict=True)))
            for part in parts
            for row in part.values
        ]

    return max(connection.execute(query, points), key=lambda point: point[0], default=None)


def _is_there(connection: Connection, bucket: str, point: Point) -> bool:
    at, measurement, told = point
    query = (
        f"from(bucket: {_literal(bucket)}) |> range(start: time(v: {at}), stop: time(v: {at + 1})) "
        f"|> filter(fn: (r) => r._measurement == {_literal(measurement)})"
    )
    reply = connection.request(
        "POST",
        "/api/v2/query?" + urlencode({"org": connection.server.org}),
        query.encode(),
        {"Content-Type": "application/vnd.flux", "Accept": "application/csv"},
    )
    if reply.status != _OK:  # a server without Flux cannot be asked
        return not any(words in reply.message() for words in _ABSENT)
    rows = list(_rows(reply))
    plain = {name: value for name, value in told.items() if value is not None and not _is_twice(name, told)}
    return bool(rows) and all(any(_says(row, name, value) for row in rows) for name, value in plain.items())


def _is_twice(name: str, told: Mapping[str, object]) -> bool:
    """Whether a point has a tag and a field of that name, which Flux and InfluxQL tell apart in ways of their own."""
    return name.startswith("_") or f"{name}_1" in told or (name.endswith("_1") and name.removesuffix("_1") in told)


def _rows(reply: Response) -> Iterator[Mapping[str, str]]:
    """The rows of an answer: tables of different columns follow one another, each with a heading of its own."""
    heading: list[str] = []
    for cells in csv.reader(io.StringIO(reply.body.decode("utf-8", "replace"), newline="")):
        if "_time" in cells:
            heading = cells
        elif cells and len(cells) == len(heading):
            yield dict(zip(heading, cells, strict=True))


def _says(row: Mapping[str, str], name: str, value: object) -> bool:
    """Whether a row of Flux has a tag or field with that value."""
    text = row["_value"] if row["_field"] == name else row.get(name)
    if text is None:
        return False
    if isinstance(value, str):  # within a cell line breaks come back changed
        return text.replace("\r", "") == value.replace("\r", "")
    if isinstance(value, bool):
        return text == str(value).lower()
    if text == str(value):  # a whole number may be too large for a float
        return True
    try:
        return float(text) == value
    except ValueError:
        return False


def _literal(text: str) -> str:
    """A text as Flux writes it, with what would end it or be replaced in it escaped."""
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("$", "\\x24"), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(plain, escaped)
    return f'"{text}"'
