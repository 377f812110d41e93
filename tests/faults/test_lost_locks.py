"""Machines that work on one home with a ledger in PostgreSQL: who has lost the lock writes nothing late."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage.backends.sql import SqlStore
from storage.dates import DateRange
from storage.ledger.entry import Status
from storage.ledger.ledger import Ledger
from storage.models import TimeBasedDaily
from tests.support.home import CSV_CONFIG, Home
from tests.support.postgresql import Cluster, new_database, running
from tests.support.rows import COMPUTED_AT, DAY, finding, time_based

MODELS = {TimeBasedDaily.measurement: TimeBasedDaily}
DAYS = DateRange(DAY, DAY)
EARLY, LATE = time_based(occurrences=1), time_based(occurrences=2)

# A holder of the lock: it stages a row, and then, as told, stops itself before or within the transaction that writes.
HOLDER = """
    import datetime as dt, os, signal, sys
    import sqlalchemy as sa
    from storage.backends.sql import SqlStore
    from storage.errors import PatternAggregatesError
    from storage.ledger.ledger import Ledger
    from tests.support.rows import DAY, finding, time_based
    from storage.models import TimeBasedDaily

    url, where = sys.argv[1:]
    def stop(*_):
        print("stopping", flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)

    class Stopping(SqlStore):
        def replace_day(self, batch, *, beside=None):
            def beside_and_stop(connection):
                beside(connection)
                stop()
            super().replace_day(batch, beside=beside_and_stop if where == "within" else beside)

    with Ledger(sa.make_url(url), clock=lambda: dt.datetime.now(dt.UTC)) as ledger, ledger.day(DAY) as work:
        work.stage(finding(TimeBasedDaily, [time_based(occurrences=1)]), "abc", 4)
        batch = work.batch({"time_based_daily": TimeBasedDaily})
        if where == "before":
            stop()
        try:
            work.hand_over(batch, Stopping(url))
        except PatternAggregatesError as error:
            print(type(error).__name__, error, flush=True)
        else:
            print("written", flush=True)
"""


@pytest.fixture
def database(postgresql: Cluster) -> sa.URL:
    return new_database(postgresql.url)


@pytest.fixture
def rows(database: sa.URL) -> Iterator[SqlStore]:
    with closing(SqlStore(database.render_as_string(hide_password=False))) as opened:
        opened.prepare()
        yield opened


def end_sessions(database: sa.URL, condition: str) -> None:
    """End sessions of a database, as if their connections had broken."""
    engine = sa.create_engine(database, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        query = f"""
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND {condition}
        """  # noqa: S608 - conditions of this file
        connection.execute(sa.text(query))
    engine.dispose()


HOLDS_LOCK = "pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1)"
ANY = "true"


@pytest.mark.parametrize(("where", "which", "reported"), [
    ("before", HOLDS_LOCK, "LedgerUnavailable another run has taken over"),
    ("within", ANY, "StoreUnavailable"),
])  # fmt: skip
def test_a_holder_that_is_stopped_and_comes_back_writes_nothing(
    database: sa.URL, rows: SqlStore, where: str, which: str, reported: str
) -> None:
    command = [sys.executable, "-c", textwrap.dedent(HOLDER), database.render_as_string(hide_password=False), where]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "stopping\n"
        end_sessions(database, which)
        with Ledger(database, clock=lambda: COMPUTED_AT) as ledger, ledger.day(DAY, max_wait_seconds=20) as work:
            work.stage(finding(TimeBasedDaily, [LATE]), "def", 4)
            batch = work.batch(MODELS)
            assert batch is not None
            assert work.hand_over(batch, rows)
            entries = ledger.entries()
            os.kill(holder.pid, signal.SIGCONT)
            assert holder.communicate(timeout=60)[0].startswith(reported)
            assert ledger.entries() == entries
    assert rows.read(TimeBasedDaily, DAYS) == [LATE]
    assert [entry.status for entry in entries.values()] == [Status.WRITTEN]


def test_a_holder_that_is_stopped_within_its_transaction_and_keeps_its_connections_is_waited_for(
    database: sa.URL, rows: SqlStore
) -> None:
    command = [sys.executable, "-c", textwrap.dedent(HOLDER), database.render_as_string(hide_password=False), "within"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "stopping\n"
        end_sessions(database, HOLDS_LOCK)  # another one gets the lock, and then waits for what is being written
        threading.Timer(2.0, os.kill, (holder.pid, signal.SIGCONT)).start()
        with Ledger(database, clock=lambda: COMPUTED_AT) as ledger, ledger.day(DAY, max_wait_seconds=20) as work:
            assert holder.communicate(timeout=60)[0] == "written\n"
            assert work.entries["time_based"].status is Status.WRITTEN
    assert rows.read(TimeBasedDaily, DAYS) == [EARLY]


FIRST, LAST = "2026-03-02", "2026-03-07"


def machine(folder: Path, database: sa.URL) -> Home:
    """Return one home on one of several machines: the same events, rows and ledger."""
    folder.mkdir()
    url = f'url = "{database.render_as_string(hide_password=False)}"'
    config = CSV_CONFIG.replace('url = "sqlite:///aggregates.db"', url).replace('path = "ledger.db"', url)
    config = config.replace("events.csv", str(folder.parent / "events.csv"))
    return Home(folder, config.replace("[home]", '[home]\nname = "north"'), events=None)


def write_events(file: Path) -> None:
    """Write a week of a light that is used each day."""
    lines = ["time,entity_id,state,area,device_class"]
    for day in range(1, 9):
        lines += [
            f"2026-03-{day:02}T{hour:02}:00:00,light.kitchen,{('on', 'off')[hour % 2]},kitchen," for hour in range(24)
        ]
    file.write_text("\n".join(lines) + "\n")


def stored(database: sa.URL) -> list[tuple[object, ...]]:
    """Return every row of a store but for when it was computed."""
    engine = sa.create_engine(database)
    with engine.connect() as connection:
        found = [
            tuple(row)
            for table in ("time_based_daily", "duration_daily", "active_time_daily", "bout_times_daily")
            for row in connection.execute(sa.text(f"SELECT * FROM {table} ORDER BY home, date, entity_id"))  # noqa: S608 - as named
        ]
        runs = sa.text("SELECT home, date, detector, version, rows, events FROM detector_run_daily ORDER BY 1, 2, 3")
        found += [tuple(row) for row in connection.execute(runs)]
    engine.dispose()
    return found


def written(database: sa.URL) -> int:
    """Return how many entries of the ledger are written."""
    engine = sa.create_engine(database)
    with engine.connect() as connection:
        query = "SELECT count(*) FROM pattern_aggregates_ledger.entry WHERE written_version IS NOT NULL"
        count: int = connection.execute(sa.text(query)).scalar_one()
    engine.dispose()
    return count


def test_two_machines_of_which_one_is_killed_at_random_end_like_one_undisturbed(
    tmp_path: Path, database: sa.URL, postgresql: Cluster
) -> None:
    write_events(tmp_path / "events.csv")
    undisturbed = new_database(postgresql.url)
    alone = machine(tmp_path / "alone", undisturbed)
    assert alone.call("backfill", FIRST, LAST).exit_code == 0
    expected = stored(undisturbed)
    assert len(expected) > 20
    first, second = machine(tmp_path / "first", database), machine(tmp_path / "second", database)
    chance = random.Random(1)
    for _ in range(4):
        victim, other = first.process("backfill", FIRST, LAST), second.process("backfill", FIRST, LAST)
        time.sleep(chance.uniform(2.0, 8.0))
        victim.kill()
        victim.communicate()
        _, errors = other.communicate(timeout=300)
        assert other.returncode == 0, errors
        assert stored(database) == expected


def test_a_server_that_is_killed_and_started_again_costs_nothing_but_another_run(tmp_path: Path) -> None:
    write_events(tmp_path / "events.csv")
    with running() as cluster:
        undisturbed, database = new_database(cluster.url), new_database(cluster.url)
        assert machine(tmp_path / "alone", undisturbed).call("backfill", FIRST, LAST).exit_code == 0
        home = machine(tmp_path / "home", database)
        assert home.call("init").exit_code == 0
        disturbed = home.process("backfill", FIRST, LAST)
        while written(database) == 0 and disturbed.poll() is None:
            time.sleep(0.05)
        cluster.stop()
        _, errors = disturbed.communicate(timeout=300)
        assert disturbed.returncode in (0, 75), errors
        cluster.start()
        assert home.call("backfill", FIRST, LAST).exit_code == 0
        assert stored(database) == stored(undisturbed)
