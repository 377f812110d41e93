"""Which homes a bucket holds: points of a measurement of its own, which no query for rows reads.

InfluxDB has no place for facts about a bucket that 1.x has too, and deletes every point that is older than the
retention. So the home is written beside each day, and the newest point counts: it lives as long as the newest rows do.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from storage.backends.influxdb.line_protocol import midnight_seconds, tag_value, text_field
from storage.backends.influxdb.writer import write_lines
from storage.columns import HOME
from storage.drivers.influxdb.connection import Connection
from storage.drivers.influxdb.influxql import Query, Series, quote_field, quote_name
from storage.errors import StoreCorrupt, StoreError
from storage.identity import HomeIdentity

MEASUREMENT: Final = "pattern_aggregates_home"

_NEWEST: Final = f"SELECT last({quote_field(HOME)}) FROM {quote_name(MEASUREMENT)} WHERE"  # noqa: S608 - constants


class FoundHome(NamedTuple):
    """The home in a bucket, with the day of the newest point that says so."""

    home: HomeIdentity
    day: dt.date


def read_home(connection: Connection, bucket: str, name: str) -> FoundHome | None:
    """Return what is known of a home in a bucket; None if nothing is stored.

    Raises:
        StoreCorrupt: What is stored cannot be read.
        PatternAggregatesError: As the connection's ``errors`` say.
    """
    query = Query(bucket, _NEWEST)
    query.text += f" {query.tag_in(HOME, [name])}"
    newest = connection.execute(query, _first_values)
    if newest is None:
        return None
    at, text = newest
    try:
        return FoundHome(HomeIdentity.from_json(text), dt.datetime.fromtimestamp(at, dt.UTC).date())
    except (ValueError, TypeError) as error:
        raise StoreCorrupt(
            f"the measurement {MEASUREMENT} in {bucket} cannot be read: {error}",
            hint=f"If another program has written to it, delete the measurement {MEASUREMENT}.",
        ) from error


def write_home(connection: Connection, bucket: str, name: str, home: HomeIdentity, day: dt.date) -> None:
    """Write what is known of a home beside the rows of a day.

    Raises:
        StoreError: The server refuses the point.
        PatternAggregatesError: As the connection's ``errors`` say.
    """
    series = f"{MEASUREMENT},{HOME}={tag_value(name)}" if name else MEASUREMENT
    point = f"{series} {HOME}={text_field(home.to_json())} {midnight_seconds(day)}"
    if refused := write_lines(connection, bucket, [point]):
        raise StoreError(f"bucket {bucket}: the server refuses the home's point: {'; '.join(refused)}")


def homes(connection: Connection, bucket: str, measurements: Sequence[str]) -> set[str]:
    """Return the names of the homes that have points in some measurements, or of which something is known.

    Raises:
        PatternAggregatesError: As the connection's ``errors`` say.
    """
    sources = [quote_name(name) for name in (MEASUREMENT, *measurements)]
    named = Query(bucket, f"SHOW TAG VALUES FROM {', '.join(sources)} WITH KEY = {quote_name(HOME)}", streamed=False)
    found = {str(value) for value in connection.execute(named, _values_of_tag)}
    for source in sources:
        unnamed = Query(bucket, f"SELECT * FROM {source} WHERE")  # noqa: S608 - quoted names
        unnamed.text += f" {unnamed.tag_in(HOME, [''])} LIMIT 1"
        if connection.execute(unnamed, _first_values) is not None:
            found.add("")
            break
    return found


def count_points(connection: Connection, bucket: str, name: str) -> int:
    """Return how many points a bucket has of a home, in all measurements with rows and in that of the homes."""
    count = 0
    for measurement in _measurements(connection, bucket, name):
        query = Query(bucket, f"SELECT count(*) FROM {quote_name(measurement)} WHERE")  # noqa: S608 - a quoted name
        query.text += f" {query.tag_in(HOME, [name])}"
        count += connection.execute(query, _largest_count)
    return count


def delete_home(connection: Connection, bucket: str, name: str) -> None:
    """Delete all points of a home; of 1.x in all retention policies of the database.

    Raises:
        PatternAggregatesError: As the connection's ``errors`` say.
    """
    for measurement in _measurements(connection, bucket, name):
        query = Query(bucket, f"DELETE FROM {quote_name(measurement)} WHERE", streamed=False)  # noqa: S608 - a quoted name
        query.text += f" {query.tag_in(HOME, [name])}"
        connection.execute(query, list)


def _measurements(connection: Connection, bucket: str, name: str) -> list[str]:
    """Return the measurements with points of a home; those of other programs have no ``date`` tag."""
    query = Query(bucket, "SHOW MEASUREMENTS WHERE", streamed=False)
    query.text += f" {quote_name(HOME)} = {query.bind(name)} AND {quote_name('date')} != ''"
    found = {str(value) for value in connection.execute(query, _values_of_tag)}
    return sorted({MEASUREMENT, *found})


def _largest_count(parts: Iterable[Series]) -> int:
    return max((int(count) for part in parts for values in part.values for count in values[1:]), default=0)


def _values_of_tag(parts: Iterable[Series]) -> list[str]:
    return [values[-1] for part in parts for values in part.values]


def _first_values(parts: Iterable[Series]) -> tuple[int, str] | None:
    return next(((values[0], values[1]) for part in parts for values in part.values), None)
