"""Told to stop while a source or a store takes its time: real processes are gone within 10 s, and lose nothing."""

from __future__ import annotations

import datetime as dt
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

import psutil
import pytest

from jobs.activity.window import MINUTE, DayWindow
from jobs.signals import MAX_STOP_SECONDS
from storage.dates import ONE_DAY
from tests.support.home import CSV_CONFIG, Home
from tests.support.raw_server import Answer, raw_server
from tests.support.recorder import RecorderDatabase, StateRow

WITHIN_SECONDS = 10.0
BUSY_SECONDS = 1.5  # of the processor, which the programs here spend on nothing but a query of minutes
DAY = dt.date(2026, 3, 2)
SILENT = Answer([b"HTTP/1.1 "], pause_seconds=3600)
RECORDER = 'kind = "home_assistant_db"\nurl = "sqlite:///recorder.db"'
CSV = 'kind = "csv_files"\npath = "events.csv"'
SQLITE = 'url = "sqlite:///aggregates.db"'


def make_slow_recorder(file: Path) -> None:
    """A recorder database whose times take long to tell, within one call of SQLite that Python cannot interrupt."""
    window = DayWindow(DAY, ZoneInfo("Europe/Berlin"))
    with RecorderDatabase(file) as recorder:
        recorder.run(window.start, window.end)
        minutes = range(window.start, window.end, MINUTE)
        recorder.write(StateRow(at, "light.a", ("off", "on")[at // MINUTE % 2]) for at in minutes)
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript("""
            ALTER TABLE states RENAME COLUMN last_updated_ts TO kept;
            ALTER TABLE states ADD COLUMN last_updated_ts REAL GENERATED ALWAYS AS
                (kept + 0 * length(replace(hex(zeroblob(5000000 + state_id)), '0', 'ab'))) VIRTUAL;
        """)


@contextmanager
def process(home: Home, *words: str) -> Iterator[subprocess.Popen[str]]:
    started = home.process(*words)
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


def processor_seconds(started: subprocess.Popen[str]) -> float:
    return float(psutil.Process(started.pid).cpu_times().user)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "command"),
    [
        (signal.SIGTERM, ["serve"]),
        (signal.SIGTERM, ["run"]),
        (signal.SIGINT, ["backfill", str(DAY), str(DAY)]),
    ],
)
def test_amid_a_query_of_minutes_a_signal_ends_it_in_time_and_a_second_at_once(
    tmp_path: Path, number: signal.Signals, command: list[str]
) -> None:
    config = CSV_CONFIG.replace(CSV, RECORDER) + "[health]\nport = 0\n"
    folders = [tmp_path / name for name in ("once", "twice")]
    homes = []
    for folder in folders:
        folder.mkdir()
        make_slow_recorder(folder / "recorder.db")
        homes.append(Home(folder, config, None))
    with process(homes[0], *command) as once, process(homes[1], *command) as twice:
        wait_until(lambda: all((folder / "ledger.db").exists() for folder in folders))
        busy = [processor_seconds(one) + BUSY_SECONDS for one in (once, twice)]
        wait_until(lambda: all(processor_seconds(one) > until for one, until in zip((once, twice), busy, strict=True)))
        for one in (once, twice):
            one.send_signal(number)
        time.sleep(1)
        assert (once.poll(), twice.poll()) == (None, None)
        twice.send_signal(number)
        assert twice.wait(timeout=MAX_STOP_SECONDS) == 130
        assert once.poll() is None  # a single signal gives it more time
        assert once.wait(timeout=2 * WITHIN_SECONDS) == 130  # on a busy machine
    assert MAX_STOP_SECONDS < WITHIN_SECONDS


@pytest.mark.slow
@pytest.mark.parametrize(("command", "seconds"), [("run", 3), ("serve", 2 * WITHIN_SECONDS)])
def test_what_was_found_before_the_store_fell_silent_is_kept_and_written_without_the_raw_events(
    tmp_path: Path, command: str, seconds: float
) -> None:
    first = DAY - ONE_DAY

    def statuses() -> list[str]:
        (line,) = home.json("status", str(first), str(first), "--json")
        return [cell["status"] for cell in line["detectors"].values()]

    with raw_server(SILENT) as server:
        store = f'kind = "influxdb"\nurl = "{server.url}"\ntimeout_seconds = 60'
        config = CSV_CONFIG + "[health]\nport = 0\n"
        home = Home(tmp_path, config.replace(SQLITE, store))
        with process(home, command) as running:
            wait_until(lambda: statuses().count("staged") == 7)
            running.send_signal(signal.SIGTERM)
            assert running.wait(timeout=seconds) == 130
    assert statuses().count("staged") == 7
    home.config.write_text(config)
    (tmp_path / "events.csv").write_text("time,entity_id,state\n2026-05-01T00:00:00,light.kitchen,off\n")
    home.call("run")
    assert set(statuses()) == {"written"}
    assert home.json("query", "time_based", str(first), str(first), "--format", "json") == []
    (run, *_) = home.json("query", "detector_run", str(first), str(first), "--format", "json")
    assert run["reason"]
