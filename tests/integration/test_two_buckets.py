"""A store in two buckets of InfluxDB belongs to one home: buckets of different homes are refused, never mixed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from storage.backends.influxdb.two_buckets import TwoBuckets, open_buckets
from storage.errors import HomeMismatch
from storage.identity import HomeIdentity, Place
from tests.support.influxdb import LiveServer
from tests.support.rows import time_based, time_based_batch

OURS = HomeIdentity("Europe/Berlin", Place("csv_files a.csv"), id="a" * 32)
THEIRS = HomeIdentity("Europe/Berlin", Place("csv_files b.csv"), id="b" * 32)


@contextmanager
def two_buckets(server: LiveServer, daily: str, rollups: str) -> Iterator[TwoBuckets]:
    """Open a store in two buckets, which are made if they are not there."""
    with closing(open_buckets(server.server(), daily=(daily, 0), rollups=(rollups, 0))) as store:
        store.prepare()
        yield store


def new_name() -> str:
    return f"test_{uuid.uuid4().hex[:12]}"


def test_a_daily_bucket_of_another_home_is_refused_beside_our_rollups(influxdb: LiveServer) -> None:
    ours, theirs, rollups = new_name(), new_name(), new_name()
    with two_buckets(influxdb, ours, rollups) as store:
        store.write_home(OURS)
        assert store.read_home() == OURS
    with two_buckets(influxdb, theirs, new_name()) as store:
        store.write_home(THEIRS)
    with two_buckets(influxdb, theirs, rollups) as store, pytest.raises(HomeMismatch, match=r"bbbbbbbb.*aaaaaaaa"):
        store.read_home()


def test_a_bucket_of_rollups_of_another_home_is_refused_beside_our_days(influxdb: LiveServer) -> None:
    ours, rollups = new_name(), new_name()
    with two_buckets(influxdb, ours, new_name()) as store:
        store.write_home(OURS)
    with two_buckets(influxdb, new_name(), rollups) as store:
        store.write_home(THEIRS)
    with two_buckets(influxdb, ours, rollups) as store, pytest.raises(HomeMismatch, match=r"aaaaaaaa.*bbbbbbbb"):
        store.read_home()
    with two_buckets(influxdb, new_name(), rollups) as store:
        with pytest.raises(HomeMismatch):
            store.write_home(OURS)
        assert store.daily.read_home() is None


def test_both_buckets_can_be_adopted(influxdb: LiveServer) -> None:
    ours, rollups = new_name(), new_name()
    with two_buckets(influxdb, ours, new_name()) as store:
        store.write_home(OURS)
    with two_buckets(influxdb, new_name(), rollups) as store:
        store.write_home(THEIRS)
    with two_buckets(influxdb, ours, rollups) as store:
        store.write_home(OURS, replace=True)
        assert store.read_home() == store.daily.read_home() == store.rollups.read_home() == OURS


def test_daily_rows_without_a_home_are_not_taken_for_those_of_the_rollups_home(influxdb: LiveServer) -> None:
    daily, rollups = new_name(), new_name()
    with two_buckets(influxdb, new_name(), rollups) as store:
        store.write_home(OURS)
    with two_buckets(influxdb, daily, rollups) as store:
        assert store.read_home() == OURS  # an empty bucket beside it is ours
        store.replace_day(time_based_batch(time_based()))
        assert store.read_home() is None  # the records of the runs are compared with the ledger
