"""Which home a store belongs to, on every backend: it is kept beside the rows, and is none of them."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest

from storage.aggregate_query import AggregateQuery
from storage.backends.influxdb.home import MEASUREMENT
from storage.backends.influxdb.line_protocol import midnight_seconds
from storage.backends.influxdb.store import InfluxStore
from storage.dates import DateRange
from storage.drivers.influxdb.influxql import Query, quote_name
from storage.identity import HomeIdentity, Place
from storage.models import AGGREGATES, DailyAggregate, DetectorRunDaily
from storage.store import AggregateStore
from tests.support.influxdb import VERSIONS, LiveServer, server_of
from tests.support.rows import DAY, time_based, time_based_batch

HOME = HomeIdentity("Europe/Berlin", Place("csv_files /home/küche \"x\" \\ 'y'.csv", "../y.csv"), "abc").with_new_id()
OTHER = HomeIdentity("Asia/Tokyo", Place("simulated_home seed 2")).with_new_id()
ALWAYS = DateRange(dt.date(1970, 1, 1), dt.date(2100, 1, 1))


def test_a_new_store_belongs_to_no_home(store: AggregateStore) -> None:
    assert store.read_home() is None


def test_a_home_comes_back_as_it_was(store: AggregateStore) -> None:
    assert store.write_home(HOME) == HOME
    assert store.read_home() == HOME


def test_a_home_that_is_stored_stays_unless_it_is_to_be_replaced(store: AggregateStore) -> None:
    store.write_home(HOME)
    assert store.write_home(OTHER) == HOME
    assert store.read_home() == HOME
    assert store.write_home(OTHER, replace=True) == OTHER
    assert store.read_home() == OTHER
    moved = replace(OTHER, source=Place("simulated_home seed 3"))
    assert store.write_home(moved, replace=True) == moved
    assert store.read_home() == moved


def test_a_home_is_no_row_and_stretches_no_range(store: AggregateStore) -> None:
    store.write_home(HOME)
    store.replace_day(time_based_batch(time_based()))
    models: tuple[type[DailyAggregate], ...] = (*AGGREGATES, DetectorRunDaily)
    for model in models:
        assert {row.date for row in store.read(model, ALWAYS)} <= {DAY}
        assert sum(one.rows for one in store.summarize(model, ALWAYS, {})) <= len(store.read(model, ALWAYS))
    assert {row.date for row in AggregateQuery(store).involving("light.kitchen", ALWAYS)} <= {DAY}
    assert store.prepare() == []
    assert store.check() == []


def test_rows_that_are_written_and_deleted_leave_the_home(store: AggregateStore) -> None:
    store.write_home(HOME)
    store.replace_day(time_based_batch(time_based()))
    store.replace_day(time_based_batch(time_based()))
    store.expire(DAY + dt.timedelta(days=1))
    assert store.read_home() == HOME


def test_programs_that_store_a_home_at_once_end_with_the_same_one(store: AggregateStore) -> None:
    homes = [HomeIdentity("UTC", Place(f"simulated_home seed {number}")).with_new_id() for number in range(4)]
    with ThreadPoolExecutor(4) as threads:
        given = list(threads.map(store.write_home, homes))
    assert store.read_home() in homes
    if not isinstance(store, InfluxStore):  # which has no transactions
        assert set(given) == {store.read_home()}


@pytest.fixture(params=VERSIONS)
def server(request: pytest.FixtureRequest) -> LiveServer:
    return server_of(request)


def test_in_influxdb_the_home_lives_as_long_as_the_newest_day(server: LiveServer) -> None:
    """The point that was written first is older than the retention by then, and is deleted."""
    bucket = server.new_bucket()
    store = InfluxStore(server.server(), bucket, retention_days=0)
    store.write_home(HOME)
    later = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=200)
    store.replace_day(time_based_batch(time_based(day=later), day=later))
    before = f"time < {midnight_seconds(later)}s"  # as the server does by itself when the retention is over
    delete = Query(bucket, f"DELETE FROM {quote_name(MEASUREMENT)} WHERE {before}", streamed=False)  # noqa: S608 - constants
    with closing(server.connection()) as connection:
        connection.execute(delete, list)
    assert InfluxStore(server.server(), bucket, read_only=True).read_home() == HOME
    store.write_home(OTHER, replace=True)
    store.replace_day(time_based_batch(time_based()))
    assert InfluxStore(server.server(), bucket, read_only=True).read_home() == OTHER
    store.close()
