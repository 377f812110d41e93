"""The real job with raw events from InfluxDB and aggregates to InfluxDB, beside the recorder database and SQLite."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import math
import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from jobs.activity.window import SECOND
from jobs.sources.recorder_uptime import MAX_RESTART
from storage.backends.influxdb.store import InfluxStore
from storage.backends.sql import SqlStore
from storage.dates import DateRange
from storage.models import AGGREGATES, CoOccurrenceDaily, DetectorRunDaily, TimeBasedDaily
from storage.periods import cadence_of
from storage.store import AggregateStore
from tests.support.home import CSV_CONFIG, Home
from tests.support.influxdb import LiveServer, new_influxd

DATA = Path(os.environ.get("REAL_HOMES", Path(__file__).resolve().parents[3] / "shared" / "data"))
SHARED = DATA / "ha-recorder-a"
DAYS = DateRange(dt.date(2025, 10, 20), dt.date(2025, 11, 2))
RESTARTED = dt.date(2025, 10, 28)
COMMON = """
[home]
time_zone = "Europe/Madrid"
[ledger]
path = "ledger.db"
"""

needs_recording = pytest.mark.skipif(not SHARED.is_dir(), reason=f"not here: {SHARED}")


def section(name: str, **values: object) -> str:
    return f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


def influxdb_section(name: str, server: LiveServer, bucket: str, **more: object) -> str:
    return section(name, kind="influxdb", url=server.url, org=server.org, token=server.token, bucket=bucket, **more)


@contextmanager
def recorder_home(folder: Path) -> Iterator[tuple[Home, AggregateStore]]:
    """The home as its recorder database has it, with its aggregates in SQLite."""
    folder.mkdir()
    database = folder / "recorder.db"
    database.write_bytes(gzip.decompress((SHARED / "home-assistant_v2.db.gz").read_bytes()))
    config = COMMON + section(
        "source", kind="home_assistant_db", url=f"sqlite:///{database}", registry_dir=str(SHARED / "storage")
    )
    config += section("store", kind="sql", url=f"sqlite:///{folder / 'aggregates.db'}", retention_days=0)
    store = SqlStore(f"sqlite:///{folder / 'aggregates.db'}")
    yield Home(folder, config, events=None), store
    store.close()


@contextmanager
def influxdb_home(folder: Path, server: LiveServer) -> Iterator[tuple[Home, AggregateStore]]:
    """The same home as InfluxDB has it."""
    folder.mkdir()
    raw, bucket = server.new_bucket(), server.new_bucket()
    server.write(raw, gzip.decompress((SHARED / "influx-line-protocol.txt.gz").read_bytes()))
    config = COMMON + influxdb_section("source", server, raw, registry_dir=str(SHARED / "storage"))
    config += influxdb_section("store", server, bucket, retention_days=0)
    store = InfluxStore(server.server(), bucket)
    yield Home(folder, config, events=None), store
    store.close()


def backfill(home: Home) -> None:
    report = home.json("backfill", str(DAYS.first), str(DAYS.last), "--json")
    assert {day["status"] for day in report["days"]} == {"written"}


@pytest.mark.slow
@needs_recording
def test_a_home_in_influxdb_gives_the_rows_that_its_recorder_gives(tmp_path: Path, influxdb: LiveServer) -> None:
    with recorder_home(tmp_path / "a") as (one, sql), influxdb_home(tmp_path / "b", influxdb) as (other, influx):
        backfill(one)
        backfill(other)
        for model in AGGREGATES:
            expected, found = sql.read(model, DAYS), influx.read(model, DAYS)
            assert [(row.date, row.key()) for row in found] == [(row.date, row.key()) for row in expected]
            for row, other_row in zip(expected, found, strict=True):
                values, other_values = row.model_dump(mode="json"), other_row.model_dump(mode="json")
                for name in ("active_seconds", "known_seconds") if row.date == RESTARTED else ():
                    if values.get(name) is not None:  # that time counts as known here and not there
                        assert abs(values.pop(name) - other_values.pop(name)) < MAX_RESTART / SECOND
                assert_near(values, other_values)
        assert len(influx.read(TimeBasedDaily, DAYS)) > 200
        assert len(influx.read(CoOccurrenceDaily, DAYS)) > 20

        daily = [run for run in sql.read(DetectorRunDaily, DAYS) if cadence_of(run.detector) is None]
        for run, same in zip(daily, influx.read(DetectorRunDaily, DAYS), strict=True):
            assert (run.date, run.detector, run.rows, run.events) == (same.date, same.detector, same.rows, same.events)
            if run.date == RESTARTED:  # when the recorder stopped is never sent
                assert 0 < run.known_seconds - same.known_seconds < MAX_RESTART / SECOND
            else:
                assert run.known_seconds == pytest.approx(same.known_seconds, abs=1)


def assert_near(one: Any, other: Any) -> None:
    """Equal, floats to a few microseconds: the integration rounds an instant another way than the recorder."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert_near(value, other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for value, same in zip(one, other, strict=True):
            assert_near(value, same)
    elif isinstance(one, float):
        assert math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-5)
    else:
        assert one == other


@pytest.mark.parametrize("major", ["1", "2"])
def test_a_store_killed_between_days_loses_nothing_though_the_raw_events_are_gone(tmp_path: Path, major: str) -> None:
    (tmp_path / "server").mkdir()
    process = new_influxd(major, tmp_path / "server")
    server = process.start()
    try:
        bucket = server.new_bucket()
        head = CSV_CONFIG.partition("[store]")[0]
        config = head + '[ledger]\npath = "ledger.db"\n' + influxdb_section("store", server, bucket, retention_days=0)
        home = Home(tmp_path, config)
        assert statuses(home.json("backfill", "2026-03-01", "2026-03-01", "--json")) == {"2026-03-01": "written"}
        process.stop(signal.SIGKILL)
        down = home.json("backfill", "2026-03-02", "2026-03-03", "--json", exit_code=75)
        assert statuses(down) == {"2026-03-02": "staged", "2026-03-03": "staged"}
        assert detector_states(home) == {"2026-03-01": "written", "2026-03-02": "staged", "2026-03-03": "staged"}

        (tmp_path / "events.csv").write_text("time,entity_id,state\n", encoding="utf-8")
        process.start()
        # The rows that waited are written; that the source has become empty is said, and is why the exit code is not 0.
        late = home.json("backfill", "2026-03-01", "2026-03-03", "--json", exit_code=1)
        assert late["notices"] == ["the source holds no whole day"]
        assert set(detector_states(home).values()) == {"written"}
        with closing(InfluxStore(server.server(), bucket)) as store:
            days = DateRange(dt.date(2026, 3, 1), dt.date(2026, 3, 3))
            rows = [(row.date.day, row.entity_id, row.occurrences) for row in store.read(TimeBasedDaily, days)]
        assert rows == [(2, "binary_sensor.motion", 2), (2, "light.kitchen", 3)]
    finally:
        process.stop()


def statuses(report: Any) -> dict[str, str]:
    return {day["day"]: day["status"] for day in report["days"]}


def detector_states(home: Home) -> dict[str, str]:
    """What ``status`` says of the time_based detector."""
    told = home.json("status", "2026-03-01", "2026-03-03", "--json")
    return {day["day"]: day["detectors"]["time_based"]["status"] for day in told}
