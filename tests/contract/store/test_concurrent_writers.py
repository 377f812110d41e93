"""Two writers of one day: two machines, each with a ledger of its own, that write to the same store."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Barrier

import pytest
import sqlalchemy as sa

from storage.backends.memory import MemoryStore
from storage.backends.sql import SqlStore
from storage.batch import DayBatch
from storage.dates import DateRange
from storage.drivers.postgresql import lock_day
from storage.models import DetectorRunDaily, TimeBasedDaily
from storage.store import AggregateStore
from tests.support.influxdb import VERSIONS, new_store
from tests.support.postgresql import Cluster, new_database
from tests.support.rows import DAY, batch, finding, time_based

DAYS = [DAY + dt.timedelta(days=number) for number in range(100)]
SERIALIZABLE = {"options": "-c default_transaction_isolation=serializable"}

Pair = tuple[AggregateStore, AggregateStore]


@pytest.fixture(params=["memory", "sqlite", "postgresql", "postgresql, serializable"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    """Two connections of their own to one empty store of each kind that has transactions."""
    if request.param == "memory":
        only = MemoryStore()
        yield only, only
        return
    url = f"sqlite:///{tmp_path / 'aggregates.db'}"
    if request.param.startswith("postgresql"):
        database = new_database(request.getfixturevalue("postgresql").url)
        url = database.set(query=SERIALIZABLE if "serializable" in request.param else {}).render_as_string()
    with closing(SqlStore(url)) as one, closing(SqlStore(url)) as other:
        yield one, other


def day_of(writer: int, day: dt.date) -> DayBatch:
    """A day as one writer computes it: entities, their number and the run record differ from the other's."""
    rows = [time_based(f"light.of_{writer}_{number}", day) for number in range(5 + writer)]
    return batch(finding(TimeBasedDaily, rows, day, events=writer))


def at_once(*calls: Callable[[], object]) -> None:
    """Run calls at the same time; raises what any of them raises."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], object]) -> None:
        barrier.wait()
        call()

    with ThreadPoolExecutor(len(calls)) as pool:
        list(pool.map(run, calls))


def replace_at_once(pair: Pair, day: dt.date) -> None:
    at_once(*(partial(store.replace_day, day_of(writer, day)) for writer, store in enumerate(pair)))


def test_a_day_that_two_writers_replace_at_once_is_wholly_the_day_of_one_of_them(pair: Pair) -> None:
    for store in pair:
        store.prepare()
    for day in DAYS:
        replace_at_once(pair, day)
    mixed = []
    for day in DAYS:
        (run,) = pair[0].read(DetectorRunDaily, DateRange(day, day))
        rows = pair[0].read(TimeBasedDaily, DateRange(day, day))
        if rows != list(day_of(run.events, day).findings[0].rows):
            mixed.append(day)
    assert mixed == []


def test_two_writers_may_create_a_store_at_once(pair: Pair) -> None:
    at_once(*(store.prepare for store in pair))
    replace_at_once(pair, DAY)
    assert len(pair[0].read(DetectorRunDaily, DateRange(DAY, DAY))) == 1


def test_a_first_day_may_be_written_by_two_writers_at_once(pair: Pair) -> None:
    replace_at_once(pair, DAY)
    assert len(pair[0].read(DetectorRunDaily, DateRange(DAY, DAY))) == 1


def test_days_may_expire_while_another_writer_replaces_them(pair: Pair) -> None:
    one, other = pair
    one.prepare()
    for day in DAYS[:20]:
        one.replace_day(day_of(0, day))
        at_once(partial(one.expire, DAYS[-1]), partial(other.replace_day, day_of(1, day)))
        runs = one.read(DetectorRunDaily, DateRange(day, day))
        rows = one.read(TimeBasedDaily, DateRange(day, day))
        assert rows == (list(day_of(1, day).findings[0].rows) if runs else [])


def test_writers_of_different_days_do_not_wait_for_each_other(postgresql: Cluster) -> None:
    database = new_database(postgresql.url)
    with closing(SqlStore(database.render_as_string())) as store:
        store.prepare()
        engine = sa.create_engine(database)
        with engine.begin() as connection:
            lock_day(connection, DAYS[0])
            store.replace_day(day_of(0, DAYS[1]))
        engine.dispose()
        assert len(store.read(DetectorRunDaily, DateRange(DAYS[1], DAYS[1]))) == 1


@pytest.fixture(params=VERSIONS)
def influx(request: pytest.FixtureRequest) -> Iterator[AggregateStore]:
    with closing(new_store(request)) as store:
        yield store


def test_influxdb_keeps_rows_of_both_at_most_until_the_day_is_replaced_again(influx: AggregateStore) -> None:
    influx.prepare()
    today = DateRange(DAY, DAY)
    replace_at_once((influx, influx), DAY)
    both = {row.key() for writer in (0, 1) for row in day_of(writer, DAY).findings[0].rows}
    assert {row.key() for row in influx.read(TimeBasedDaily, today)} <= both
    assert len(influx.read(DetectorRunDaily, today)) == 1
    influx.replace_day(day_of(1, DAY))
    assert influx.read(TimeBasedDaily, today) == list(day_of(1, DAY).findings[0].rows)
    assert [run.events for run in influx.read(DetectorRunDaily, today)] == [1]
