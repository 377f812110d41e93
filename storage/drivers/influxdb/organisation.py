"""Whether queries are answered from the organisation that the settings name.

InfluxDB 2.x writes to the organisation that is named, but answers ``/query`` from the one that the token belongs to, so
a token with all rights would be given another home's rows. Flux does query the organisation that is named: it must find
the newest point that ``/query`` returns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from storage.drivers.influxdb.buckets import MAPPING_HINT, find_bucket, mapping_problem
from storage.drivers.influxdb.connection import Connection
from storage.drivers.influxdb.influxql import Query, Series, quote_name
from storage.drivers.influxdb.response import Response

_MAX_LOOKS: Final = 3  # the newest point may be replaced between the two queries
_NOT_VISIBLE = ("organization name", "could not find bucket")  # in Flux's message about what the token may not see
_FIND_POINT = """
from(bucket: _bucket)
  |> range(start: time(v: _start), stop: time(v: _stop))
  |> filter(fn: (r) => r._measurement == _name)
"""

Point = tuple[int, str, dict[str, object]]


def verify_organisation(connection: Connection, bucket: str, measurement: str = "") -> bool:
    """Check that the token belongs to the organisation that is named; 1.x has none.

    Args:
        connection: To the server.
        bucket: Where to look.
        measurement: In which measurement; empty for any.

    Returns:
        Whether that is certain; an empty bucket leaves it open.

    Raises:
        PatternAggregatesError: It belongs to another one, or as the connection's ``errors`` say.
    """
    if not connection.server.is_v2:
        return True
    cause = None
    try:
        for _ in range(_MAX_LOOKS):
            newest = _newest_point(connection, bucket, measurement)
            if newest is None:
                return False
            if _is_in_organisation(connection, bucket, newest):
                return True
    except connection.missing_error as error:
        if find_bucket(connection, bucket) is None:
            raise
        cause = error
    if problem := mapping_problem(connection, bucket, find_bucket(connection, bucket)):
        raise connection.error(problem, MAPPING_HINT)
    raise connection.error(
        f"the token belongs to another organisation than {connection.server.org!r} and would read that one's rows",
        "Set a token of this organisation, or correct org; or a DBRP mapping maps the name to another bucket.",
    ) from cause


def _newest_point(connection: Connection, bucket: str, measurement: str) -> Point | None:
    source = quote_name(measurement) if measurement else "/.*/"
    query = Query(bucket, f"SELECT * FROM {source} ORDER BY time DESC LIMIT 1", precision="ns")  # noqa: S608 - quoted

    def newest(parts: Iterable[Series]) -> Point | None:  # one at a time: a broken server may send rows without end
        points = (
            (row[0], part.name, dict(zip(part.columns[1:], row[1:], strict=True)))
            for part in parts
            for row in part.values
        )
        return max(points, key=lambda point: point[0], default=None)

    return connection.execute(query, newest)


def _is_in_organisation(connection: Connection, bucket: str, point: Point) -> bool:
    at, measurement, values = point
    parameters = {"_bucket": bucket, "_start": at, "_stop": at + 1, "_name": measurement}

    def refused(response: Response) -> list[Mapping[str, object]] | None:
        if any(words in response.message() for words in _NOT_VISIBLE):
            return []
        return None  # a server without Flux cannot be asked

    def find(client: Any) -> list[Mapping[str, object]] | None:  # noqa: ANN401 - the library has no types here
        tables = client.query_api().query(_FIND_POINT, org=connection.server.org, params=parameters)
        return [record.values for table in tables for record in table.records]

    rows = connection.call(find, refused)
    if rows is None:
        return True
    plain = {name: value for name, value in values.items() if value is not None and not _is_ambiguous(name, values)}
    return bool(rows) and all(any(_has(row, name, value) for row in rows) for name, value in plain.items())


def _is_ambiguous(name: str, values: Mapping[str, object]) -> bool:
    """Return whether a point has a tag and a field of that name; Flux and InfluxQL name these differently."""
    return name.startswith("_") or f"{name}_1" in values or (name.endswith("_1") and name.removesuffix("_1") in values)


def _has(row: Mapping[str, Any], name: str, value: object) -> bool:
    """Return whether a row that Flux found has a tag or field with that value."""
    found = row["_value"] if row["_field"] == name else row.get(name)
    if isinstance(found, str) and isinstance(value, str):  # CSV changes line breaks within a value
        return found.replace("\r", "") == value.replace("\r", "")
    return bool(found == value)
