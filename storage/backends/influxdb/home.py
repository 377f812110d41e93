"""Which home a bucket belongs to: points of a measurement of its own, which no query for rows reads.

InfluxDB has no place for facts about a bucket that 1.x has too, and deletes every point that is older than the
retention. So the home is written beside each day, and the newest point counts: it lives as long as the newest rows do.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Final, NamedTuple

from storage.backends.influxdb.line_protocol import midnight_seconds, text_field
from storage.backends.influxdb.writer import write_lines
from storage.drivers.influxdb.connection import Connection
from storage.drivers.influxdb.influxql import Query, Series, quote_field, quote_name
from storage.errors import StoreCorrupt, StoreError
from storage.identity import HomeIdentity

MEASUREMENT: Final = "pattern_aggregates_home"

_NEWEST: Final = f"SELECT last({quote_field('home')}) FROM {quote_name(MEASUREMENT)}"  # noqa: S608 - constants


class FoundHome(NamedTuple):
    """The home in a bucket, with the day of the newest point that says so."""

    home: HomeIdentity
    day: dt.date


def read_home(connection: Connection, bucket: str) -> FoundHome | None:
    """Return the home of a bucket; None if none is stored.

    Raises:
        StoreCorrupt: What is stored cannot be read.
        PatternAggregatesError: As the connection's ``errors`` say.
    """
    newest = connection.execute(Query(bucket, _NEWEST), _first_values)
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


def write_home(connection: Connection, bucket: str, home: HomeIdentity, day: dt.date) -> None:
    """Write the home of a bucket beside the rows of a day.

    Raises:
        StoreError: The server refuses the point.
        PatternAggregatesError: As the connection's ``errors`` say.
    """
    point = f"{MEASUREMENT} home={text_field(home.to_json())} {midnight_seconds(day)}"
    if refused := write_lines(connection, bucket, [point]):
        raise StoreError(f"bucket {bucket}: the server refuses the home's point: {'; '.join(refused)}")


def _first_values(parts: Iterable[Series]) -> tuple[int, str] | None:
    return next(((values[0], values[1]) for part in parts for values in part.values), None)
