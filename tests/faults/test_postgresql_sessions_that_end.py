"""A session of PostgreSQL that ends at any statement leaves a store as it was or as it should be, never in between.

For the server, a program that is killed, a network that fails and a session that an administrator ends are the same.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

import pytest
import sqlalchemy as sa

from storage.backends.sql import SqlStore
from storage.dates import DateRange
from storage.errors import StoreUnavailable
from storage.models import TimeBasedDaily
from tests.support.postgresql import Cluster, new_database, postgresql
from tests.support.rows import batch, finding, time_based

__all__ = ["postgresql"]

Contents = dict[str, list[str]]
Use = Callable[[SqlStore], object]

DAYS: Final = DateRange(dt.date(2026, 1, 30), dt.date(2026, 2, 2))
IN_ONE_PIECE: Final = (
    """CREATE TABLE duration_daily (
        date VARCHAR(10) NOT NULL, entity_id VARCHAR(255) COLLATE "C" NOT NULL,
        avg_duration_seconds DOUBLE PRECISION NOT NULL, min_duration_seconds DOUBLE PRECISION NOT NULL,
        max_duration_seconds DOUBLE PRECISION NOT NULL, duration_variance DOUBLE PRECISION NOT NULL,
        efficiency_score DOUBLE PRECISION, episodes BIGINT, active_seconds DOUBLE PRECISION,
        PRIMARY KEY (date, entity_id))""",
    "CREATE TABLE aggregate_measurement (measurement VARCHAR(100) NOT NULL, PRIMARY KEY (measurement))",
    "INSERT INTO aggregate_measurement VALUES ('duration_daily')",
    "INSERT INTO duration_daily SELECT '2026-01-30', 'light.kitchen', 60, 30, 90, 900, NULL, 2, NULL",
    "INSERT INTO duration_daily SELECT '2026-02-02', 'light.kitchen', 60, 30, 90, 900, NULL, 2, NULL",
)


def contents(database: sa.URL) -> Contents:
    """Return the rows of every table that is not a partition, by its name and kind."""
    engine = sa.create_engine(database)
    tables = sa.text(
        "SELECT relname, relkind::text FROM pg_class "
        "WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace"
    )
    try:
        with engine.connect() as connection:
            return {
                f"{name} ({kind})": sorted(
                    map(str, connection.execute(sa.select(sa.text("*")).select_from(sa.table(name))))
                )
                for name, kind in connection.execute(tables).all()
            }
    finally:
        engine.dispose()


def fill(database: sa.URL) -> None:
    """Make a store as this version does, with one day of two rows."""
    with closing(SqlStore(database.render_as_string())) as store:
        store.prepare()
        rows = [time_based(name, DAYS.first) for name in ("light.a", "light.b")]
        store.replace_day(batch(finding(TimeBasedDaily, rows, DAYS.first)))


def fill_in_one_piece(database: sa.URL) -> None:
    """Make a store as version 0.1.0 did."""
    engine = sa.create_engine(database)
    with engine.begin() as connection:
        for statement in IN_ONE_PIECE:
            connection.exec_driver_sql(statement)
    engine.dispose()


def write(store: SqlStore) -> None:
    """Replace a day by other rows, and write one for the first time, in a month of its own."""
    for day, names in ((DAYS.first, ("light.a", "light.c")), (DAYS.last, ("light.a", "light.b"))):
        store.replace_day(batch(finding(TimeBasedDaily, [time_based(name, day) for name in names], day, events=7)))


def expire(store: SqlStore) -> None:
    """Delete the first day, whose month is then wholly past."""
    store.expire(DAYS.last, DAYS.last)


@contextmanager
def watched(
    before_statement: Callable[[sa.Connection, int], None], after_transaction: Callable[[], None]
) -> Iterator[None]:
    """Call back before each statement, with its number from 1, and after each transaction."""
    number, is_watching = 0, False

    def on_statement(connection: sa.Connection, *_: Any) -> None:
        nonlocal number, is_watching
        if not is_watching:
            number, is_watching = number + 1, True
            before_statement(connection, number)
            is_watching = False

    def on_checkin(*_: Any) -> None:
        nonlocal is_watching
        if not is_watching:
            is_watching = True
            after_transaction()
            is_watching = False

    sa.event.listen(sa.Engine, "before_cursor_execute", on_statement)
    sa.event.listen(sa.pool.Pool, "checkin", on_checkin)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", on_statement)
        sa.event.remove(sa.pool.Pool, "checkin", on_checkin)


def end_session(server: sa.URL, connection: sa.Connection) -> None:
    """Let the server end the session of a connection."""
    process = connection.connection.driver_connection.info.backend_pid  # type: ignore[union-attr]  # psycopg's
    engine = sa.create_engine(server)
    with engine.connect() as other:
        assert other.execute(sa.select(sa.func.pg_terminate_backend(process, 5_000))).scalar_one()
    engine.dispose()


def run(database: sa.URL, use: Use) -> None:
    with closing(SqlStore(database.render_as_string())) as store:
        use(store)


@pytest.mark.parametrize("places", [5, pytest.param(15, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("begin", "use"),
    [(fill_in_one_piece, SqlStore.prepare), (fill, write), (fill, expire)],
    ids=["divided by month", "written", "past the retention"],
)
def test_a_session_that_ends_anywhere_loses_and_doubles_nothing(
    postgresql: Cluster, begin: Callable[[sa.URL], None], use: Use, places: int
) -> None:
    undisturbed = new_database(postgresql.url)
    begin(undisturbed)
    allowed, statements = [contents(undisturbed)], list[int]()
    with watched(lambda _, number: statements.append(number), lambda: allowed.append(contents(undisturbed))):
        run(undisturbed, use)
    assert allowed[0] != allowed[-1]
    for place in range(1, len(statements) + 1, -(-len(statements) // places)):
        database = new_database(postgresql.url)
        begin(database)

        def end(connection: sa.Connection, number: int, place: int = place) -> None:
            if number == place:
                end_session(postgresql.url, connection)

        with watched(end, lambda: None), pytest.raises(StoreUnavailable):
            run(database, use)
        assert contents(database) in allowed, place
        run(database, use)
        assert contents(database) == allowed[-1], place
