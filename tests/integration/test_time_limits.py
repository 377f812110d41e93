"""A server that is locked, stopped or silent ends a call with an error, and a run with exit code 75."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage.backends.sql import SqlStore
from storage.drivers import sql, sql_errors
from storage.drivers.postgresql import lock_day
from storage.errors import SourceCorrupt, SourceError, SourceUnavailable, StoreCorrupt, StoreError, StoreUnavailable
from tests.support.home import Home
from tests.support.mariadb import MariaDb
from tests.support.postgresql import Cluster, new_database, running
from tests.support.rows import DAY, time_based, time_based_batch

TIMEOUT_SECONDS = 1.0
MAX_SECONDS = 20.0  # of any call below, on a busy machine; without limits they would take for ever
ERRORS = sql_errors.ErrorClasses(StoreUnavailable, StoreCorrupt, StoreError)
SOURCE_ERRORS = sql_errors.ErrorClasses(SourceUnavailable, SourceCorrupt, SourceError)


@pytest.fixture
def database(postgresql: Cluster) -> sa.URL:
    return new_database(postgresql.url)


@contextmanager
def bounded() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < MAX_SECONDS


@contextmanager
def stopped(process_id: int) -> Iterator[None]:
    os.kill(process_id, signal.SIGSTOP)
    try:
        while any(_state(thread) not in "Tt" for thread in Path(f"/proc/{process_id}/task").iterdir()):
            time.sleep(0.001)  # until the signal has arrived, each thread goes on
        yield
    finally:
        os.kill(process_id, signal.SIGCONT)


def _state(thread: Path) -> str:
    """Return the state of a thread, as proc(5) has it: the letter after the name in parentheses."""
    return (thread / "stat").read_text().rpartition(") ")[2][0]


@contextmanager
def other_program(database: sa.URL) -> Iterator[sa.Connection]:
    engine = sa.create_engine(database)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def test_a_locked_table_ends_writing_and_reading(database: sa.URL) -> None:
    with closing(SqlStore(database.render_as_string(), timeout_seconds=TIMEOUT_SECONDS)) as store:
        store.replace_day(time_based_batch(time_based()))
        with other_program(database) as connection:
            connection.execute(sa.text("LOCK TABLE time_based_daily IN ACCESS EXCLUSIVE MODE"))
            with bounded(), pytest.raises(StoreUnavailable, match="lock timeout") as caught:
                store.replace_day(time_based_batch(time_based()))
            assert "Another program" in caught.value.hint
            holder = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
            assert f"process {holder} of the server (user tester" in caught.value.hint
            assert "in a transaction since 20" in caught.value.hint
        store.replace_day(time_based_batch(time_based()))


def test_another_writer_of_the_day_that_does_not_end_is_not_waited_for_for_ever(database: sa.URL) -> None:
    with closing(SqlStore(database.render_as_string(), timeout_seconds=TIMEOUT_SECONDS)) as store:
        store.prepare()
        with other_program(database) as connection:
            lock_day(connection, DAY)
            holder = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
            with bounded(), pytest.raises(StoreUnavailable, match="lock timeout") as caught:
                store.replace_day(time_based_batch(time_based()))
            assert f"process {holder} of the server" in caught.value.hint


def test_a_statement_that_takes_too_long_is_ended_by_the_server(database: sa.URL) -> None:
    engine = sql.reading_engine(database, TIMEOUT_SECONDS)

    def sleep() -> None:
        with sql.transaction(engine, ERRORS, "store x") as connection:
            connection.execute(sa.text("SELECT pg_sleep(60)"))

    with bounded(), pytest.raises(StoreUnavailable, match="statement timeout") as caught:
        sleep()
    assert "timeout_seconds" in caught.value.hint
    engine.dispose()


def test_a_server_process_that_is_stopped_in_the_middle_of_a_transaction_ends_it(database: sa.URL) -> None:
    engine = sql.writing_engine(database, "store.url", TIMEOUT_SECONDS)

    def work() -> None:
        with sql.transaction(engine, ERRORS, "store x") as connection:
            process_id = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
            stop.enter_context(stopped(process_id))
            connection.execute(sa.text("SELECT 1"))

    with bounded(), ExitStack() as stop, pytest.raises(StoreUnavailable, match="has not answered for 6 s"):
        work()
    with sql.transaction(engine, ERRORS, "store x") as connection:  # with another connection
        assert connection.execute(sa.text("SELECT 1")).scalar_one() == 1
    engine.dispose()


def test_a_server_process_that_is_stopped_between_two_days_is_replaced(database: sa.URL) -> None:
    with closing(SqlStore(database.render_as_string(), timeout_seconds=TIMEOUT_SECONDS)) as store:
        store.prepare()
        with other_program(database) as connection:
            own = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            (process_id,) = connection.execute(sa.text(own)).scalars().all()
        with bounded(), stopped(process_id):
            store.replace_day(time_based_batch(time_based()))


@pytest.mark.slow
def test_a_run_ends_with_75_while_its_server_is_stopped_and_writes_the_day_afterwards(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with running() as cluster:
        database = new_database(cluster.url)
        text = home.config.read_text().replace("sqlite:///aggregates.db", database.render_as_string())
        home.config.write_text(text.replace("[store]", f"[store]\ntimeout_seconds = {TIMEOUT_SECONDS}"))
        assert home.call("init").exit_code == 0
        with stopped(cluster.process_id), bounded():
            report = home.json("backfill", "2026-03-02", "2026-03-02", "--json", exit_code=75)
        assert report["days"][0]["status"] == "staged"
        assert "timeout expired" in report["days"][0]["error"]
        assert home.json("backfill", "2026-03-02", "2026-03-02", "--json")["days"][0]["status"] == "written"


def test_what_accepts_connections_and_says_nothing_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        for driver in ("postgresql+psycopg", "mysql+pymysql"):
            url = sa.URL.create(driver, "tester", host="127.0.0.1", port=port, database="x")
            engine = sql.reading_engine(url, TIMEOUT_SECONDS)
            with bounded(), pytest.raises(SourceUnavailable), sql.transaction(engine, SOURCE_ERRORS, "recorder x"):
                pass
            engine.dispose()


def test_a_locked_table_in_mariadb_ends_reading(mariadb: MariaDb) -> None:
    database = mariadb.new_database()
    engine = sql.reading_engine(database, TIMEOUT_SECONDS)
    with other_program(database) as connection:
        connection.execute(sa.text("CREATE TABLE states (state_id INTEGER)"))
        connection.execute(sa.text("LOCK TABLES states WRITE"))

        def read() -> None:
            with sql.transaction(engine, SOURCE_ERRORS, "recorder x") as one:
                one.execute(sa.text("SELECT * FROM states"))

        with bounded(), pytest.raises(SourceUnavailable, match="Lock wait timeout") as caught:
            read()
        (number,) = connection.execute(sa.text("SELECT CONNECTION_ID()")).one()
        assert "Another program" in caught.value.hint
        assert f"one of those connected to the database: process {number} (user tester" in caught.value.hint
        mariadb.execute("INSTALL SONAME 'metadata_lock_info'")
        try:
            with bounded(), pytest.raises(SourceUnavailable, match="Lock wait timeout") as caught:
                read()
        finally:
            mariadb.execute("UNINSTALL SONAME 'metadata_lock_info'")
        assert f"process {number} of the server (user tester) holds a lock of the table states" in caught.value.hint
    engine.dispose()


def test_a_query_to_which_mariadb_sends_nothing_is_given_up(mariadb: MariaDb) -> None:
    engine = sql.reading_engine(mariadb.new_database(), TIMEOUT_SECONDS)

    def sleep() -> None:
        with sql.transaction(engine, SOURCE_ERRORS, "recorder x") as one:
            one.execute(sa.text("SELECT SLEEP(60)"))

    with bounded(), pytest.raises(SourceUnavailable, match="timed out"):
        sleep()
    engine.dispose()


def test_a_mariadb_that_stands_still_in_the_middle_of_reading_is_given_up(mariadb: MariaDb) -> None:
    engine = sql.reading_engine(mariadb.new_database(), TIMEOUT_SECONDS)

    def read() -> None:
        with sql.transaction(engine, SOURCE_ERRORS, "recorder x") as one:
            one.execute(sa.text("SELECT 1"))
            stop.enter_context(stopped(mariadb.process_id))
            one.execute(sa.text("SELECT 1"))

    with bounded(), ExitStack() as stop, pytest.raises(SourceUnavailable, match="timed out"):
        read()
    with sql.transaction(engine, SOURCE_ERRORS, "recorder x") as one:  # with another connection
        assert one.execute(sa.text("SELECT 1")).scalar_one() == 1
    engine.dispose()


def test_limits_in_the_url_are_kept(database: sa.URL) -> None:
    with_own = database.set(query={"connect_timeout": "3", "keepalives_idle": "77"})
    engine = sql.reading_engine(with_own, TIMEOUT_SECONDS)
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        parameters = raw.info.get_parameters()
    engine.dispose()
    assert (parameters["connect_timeout"], parameters["keepalives_idle"]) == ("3", "77")
    assert parameters["tcp_user_timeout"] == "30000"
