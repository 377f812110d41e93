"""A store in PostgreSQL is divided by month: what is old is dropped, and one home's question reads one home's rows."""

from __future__ import annotations

import datetime as dt
import json
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, Final

import pytest
import sqlalchemy as sa

from storage.backends.sql import SqlStore
from storage.backends.sql_partitions import MIN_ROWS_TO_ANALYZE, Fillings, partition_name
from storage.backends.sql_tables import table_of
from storage.columns import HOME
from storage.dates import ONE_DAY, DateRange
from storage.drivers.postgresql import lock_day, lock_tables
from storage.errors import SettingsError, StoreCorrupt
from storage.models import ActiveTimeDaily, DetectorRunDaily, DurationDaily, TimeBasedDaily
from storage.store import AggregateStore
from tests.support.postgresql import Cluster, new_database
from tests.support.rows import batch, duration, finding, time_based

JANUARY: Final = DateRange.month_of(dt.date(2026, 1, 1))
MARCH: Final = DateRange.month_of(dt.date(2026, 3, 1))
SPRING: Final = DateRange(JANUARY.first, MARCH.last)
IN_ONE_PIECE: Final = (
    """CREATE TABLE duration_daily (
        date VARCHAR(10) NOT NULL, entity_id VARCHAR(255) COLLATE "C" NOT NULL,
        avg_duration_seconds DOUBLE PRECISION NOT NULL, min_duration_seconds DOUBLE PRECISION NOT NULL,
        max_duration_seconds DOUBLE PRECISION NOT NULL, duration_variance DOUBLE PRECISION NOT NULL,
        efficiency_score DOUBLE PRECISION, episodes BIGINT, active_seconds DOUBLE PRECISION,
        PRIMARY KEY (date, entity_id))""",
    "CREATE INDEX ix_duration_daily_entity_id ON duration_daily (entity_id, date)",
    "CREATE TABLE aggregate_measurement (measurement VARCHAR(100) NOT NULL, PRIMARY KEY (measurement))",
    "INSERT INTO aggregate_measurement VALUES ('duration_daily')",
)


@pytest.fixture
def database(postgresql: Cluster) -> sa.URL:
    return new_database(postgresql.url)


@pytest.fixture
def store(database: sa.URL) -> Iterator[SqlStore]:
    with closing(SqlStore(database.render_as_string())) as opened:
        yield opened


def execute(database: sa.URL, *statements: str) -> list[Any]:
    """Run statements in one transaction. Return the rows of the last one."""
    engine = sa.create_engine(database)
    try:
        with engine.begin() as connection:
            results = [connection.exec_driver_sql(statement) for statement in statements]
            return [tuple(row) for row in results[-1]] if results[-1].returns_rows else []
    finally:
        engine.dispose()


def months_of(database: sa.URL, table: str) -> list[str]:
    query = f"SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = '{table}'::regclass ORDER BY 1"  # noqa: S608 - a name of this file
    return [name for (name,) in execute(database, query) if "_pkey" not in name]


def write(store: AggregateStore, *days: dt.date, home: str = "", count: int = 1) -> None:
    for day in days:
        rows = [time_based(f"light.number_{number}", day, home=home) for number in range(count)]
        store.replace_day(batch(finding(TimeBasedDaily, rows, day, home=home)))


def in_one_piece(database: sa.URL, days: Sequence[dt.date]) -> None:
    """Make a table as version 0.1.0 did, with a row of each day."""
    values = ", ".join(f"('{day}', 'light.kitchen', 60, 30, 90, 900, NULL, 2, NULL)" for day in days)
    execute(database, *IN_ONE_PIECE, f"INSERT INTO duration_daily VALUES {values}")  # noqa: S608 - dates above


def test_each_month_is_a_partition_made_when_its_first_day_is_written(database: sa.URL, store: SqlStore) -> None:
    store.prepare()
    assert months_of(database, "time_based_daily") == []
    write(store, JANUARY.first, JANUARY.last, MARCH.first)
    assert months_of(database, "time_based_daily") == ["time_based_daily_2026_01", "time_based_daily_2026_03"]
    assert [row.date for row in store.read(TimeBasedDaily, SPRING)] == [JANUARY.first, JANUARY.last, MARCH.first]


@pytest.mark.parametrize("table", ["time_based_daily_2026_01", "detector_run_daily_2026_01"])
def test_a_month_that_somebody_has_dropped_is_made_again(database: sa.URL, store: SqlStore, table: str) -> None:
    write(store, JANUARY.first)
    execute(database, f"DROP TABLE {table}")
    write(store, JANUARY.last)
    assert [run.date for run in store.read(DetectorRunDaily, SPRING)][-1:] == [JANUARY.last]
    execute(database, "DELETE FROM time_based_daily WHERE date = '2026-01-01'")
    assert [row.date for row in store.read(TimeBasedDaily, SPRING)] == [JANUARY.last]


def test_a_table_of_another_program_in_the_place_of_a_month_is_refused(database: sa.URL, store: SqlStore) -> None:
    execute(
        database, "CREATE TABLE time_based_daily_2026_01 (x int)", "INSERT INTO time_based_daily_2026_01 VALUES (7)"
    )
    with pytest.raises(SettingsError, match="time_based_daily_2026_01 of another program"):
        write(store, JANUARY.first)
    assert execute(database, "SELECT x FROM time_based_daily_2026_01") == [(7,)]
    write(store, MARCH.first)


def test_writers_of_a_new_month_do_not_wait_for_writers_of_another(database: sa.URL, store: SqlStore) -> None:
    write(store, JANUARY.first)
    engine = sa.create_engine(database)
    with engine.begin() as connection:
        lock_day(connection, JANUARY.first)
        connection.exec_driver_sql("UPDATE time_based_daily SET bouts = 7")
        write(store, MARCH.first)
        assert store.read(TimeBasedDaily, MARCH)
    engine.dispose()


def test_names_of_partitions_fit_and_differ_however_long_the_measurement() -> None:
    long, other = 90 * "a" + "_daily", 90 * "a" + "b_daily"
    names = {partition_name(table, JANUARY.first) for table in (long, other)}
    assert len(names) == 2
    assert {len(name) for name in names} == {63}


@pytest.mark.parametrize(("before", "months"), [(JANUARY.last, ["01", "03"]), (JANUARY.last + ONE_DAY, ["03"])])
def test_a_month_is_dropped_when_its_last_day_is_past_the_retention(
    database: sa.URL, store: SqlStore, before: dt.date, months: list[str]
) -> None:
    write(store, JANUARY.last - ONE_DAY, MARCH.first)
    assert store.expire(before, before) == 2  # a row and the record of its run
    for table in ("time_based_daily", "detector_run_daily"):
        assert months_of(database, table) == [f"{table}_2026_{month}" for month in months]
    assert [row.date for row in store.read(TimeBasedDaily, SPRING)] == [MARCH.first]
    write(store, JANUARY.last)
    assert [row.date for row in store.read(TimeBasedDaily, SPRING)] == [JANUARY.last, MARCH.first]


def test_records_of_rollups_keep_their_month(database: sa.URL, store: SqlStore) -> None:
    rows = [time_based(day=JANUARY.last)]
    store.replace_day(batch(finding(TimeBasedDaily, rows, JANUARY.last, detector="routine_monthly")))
    write(store, JANUARY.first)
    assert store.expire(MARCH.first, JANUARY.first) == 3
    assert months_of(database, "time_based_daily") == []
    assert months_of(database, "detector_run_daily") == ["detector_run_daily_2026_01"]
    assert [run.detector for run in store.read(DetectorRunDaily, SPRING)] == ["routine_monthly"]


def test_the_retention_of_one_home_never_drops_the_rows_of_another(database: sa.URL, store: SqlStore) -> None:
    for home in ("", "anna", "ben"):
        write(store.for_home(home), JANUARY.first, MARCH.first, home=home)
    assert store.for_home("anna").expire(MARCH.first, MARCH.first) == 2
    assert months_of(database, "time_based_daily") == ["time_based_daily_2026_01", "time_based_daily_2026_03"]
    kept = {
        home: [row.date for row in store.for_home(home).read(TimeBasedDaily, SPRING)] for home in ("", "anna", "ben")
    }
    assert kept == {"": [JANUARY.first, MARCH.first], "anna": [MARCH.first], "ben": [JANUARY.first, MARCH.first]}


def test_the_retention_of_all_homes_drops_months_and_deletes_in_the_month_it_cuts(
    database: sa.URL, store: SqlStore
) -> None:
    for home in ("anna", "ben"):
        write(store.for_home(home), JANUARY.first, MARCH.first, MARCH.last, home=home)
    changes = store.expire_all(MARCH.last, MARCH.last)
    assert changes == [
        "dropped detector_run_daily_2026_01",
        "deleted 2 rows of detector_run_daily",
        "dropped time_based_daily_2026_01",
        "deleted 2 rows of time_based_daily",
    ]
    assert store.expire_all(MARCH.last, MARCH.last) == []
    everything = store.for_home(None).read(TimeBasedDaily, SPRING)
    assert [(row.home, row.date) for row in everything] == [("anna", MARCH.last), ("ben", MARCH.last)]


def test_the_retention_of_one_home_without_old_rows_waits_for_no_writer(database: sa.URL, store: SqlStore) -> None:
    write(store, MARCH.first)
    engine = sa.create_engine(database)
    with engine.begin() as connection:
        connection.exec_driver_sql("LOCK TABLE time_based_daily IN ROW EXCLUSIVE MODE")
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock_shared(1885432881, 0)")  # as every writer does
        assert store.expire(JANUARY.first) == 0
    engine.dispose()


def test_two_homes_whose_old_rows_are_deleted_at_once_do_not_wait_for_each_other_in_a_circle(
    database: sa.URL, store: SqlStore
) -> None:
    homes = {"north": JANUARY.first, "south": MARCH.first}  # in January only one has rows, so that the month is dropped
    for home, day in homes.items():
        row = ActiveTimeDaily(home=home, date=day, entity_id="light.kitchen", active_seconds=60, known_seconds=3600)
        store.for_home(home).replace_day(batch(finding(ActiveTimeDaily, [row], day, home=home)))
    engine = sa.create_engine(database)
    with ThreadPoolExecutor(2) as threads, engine.connect() as other:
        lock_tables(other)
        expiring = []
        for number, home in enumerate(homes, 1):
            expiring.append(threads.submit(store.for_home(home).expire, MARCH.last))
            wait_until_sessions_wait(database, number)
        other.rollback()
        assert [one.result() for one in expiring] == [2, 2]  # a row, and the record of its run
    engine.dispose()
    assert months_of(database, "active_time_daily") == ["active_time_daily_2026_03"]


def wait_until_sessions_wait(database: sa.URL, count: int) -> None:
    """Wait until so many sessions of a database wait for a lock."""
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
    deadline = time.monotonic() + 60
    while execute(database, query) != [(count,)]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_one_home_reads_its_own_rows_by_an_index_in_the_months_of_the_question(
    database: sa.URL, store: SqlStore
) -> None:
    store.prepare()
    write(store, *SPRING, home="", count=2)
    columns = [name for name in table_of(TimeBasedDaily).columns.keys() if name != HOME]  # noqa: SIM118 - not a mapping
    listed = ", ".join(columns)
    execute(
        database,
        f"INSERT INTO time_based_daily (home, {listed}) SELECT 'home_' || number, {listed} "  # noqa: S608 - names of columns
        "FROM time_based_daily, generate_series(1, 300) AS number WHERE home = '' ORDER BY date",
        "ANALYZE time_based_daily",
    )
    home, february = store.for_home("home_7"), DateRange.month_of(dt.date(2026, 2, 1))
    questions: list[Callable[[], object]] = [
        lambda: home.read(TimeBasedDaily, february),
        lambda: home.read(TimeBasedDaily, february, {"entity_id": "light.number_1"}),
        lambda: home.summarize(TimeBasedDaily, february, {"occurrences": "sum"}, by=["entity_id"]),
        lambda: home.count_by_day(TimeBasedDaily, february),
    ]
    for question in questions:
        nodes = plan(question)
        assert {node["Relation Name"] for node in nodes if "Relation Name" in node} == {"time_based_daily_2026_02"}
        assert "Seq Scan" not in {node["Node Type"] for node in nodes}
        scans = [node for node in nodes if "Index Cond" in node]
        assert scans
        assert all("home" in node["Index Cond"] for node in scans)
        assert sum(node["Actual Rows"] for node in scans) <= 2 * len(february)


def plan(question: Callable[[], object]) -> list[dict[str, Any]]:
    """Return the nodes of the plan of the last SELECT from a table of rows that a question runs."""
    nodes: list[dict[str, Any]] = []

    def explain(connection: sa.Connection, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if "FROM time_based_daily" in statement and not statement.startswith("EXPLAIN"):
            answer = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters).scalar_one()
            found = answer if isinstance(answer, list) else json.loads(answer)
            nodes[:] = walk(found[0]["Plan"])

    sa.event.listen(sa.Engine, "before_cursor_execute", explain)
    try:
        question()
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", explain)
    return nodes


def walk(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [node, *(below for part in node.get("Plans", []) for below in walk(part))]


@pytest.mark.parametrize(("count", "is_known"), [(MIN_ROWS_TO_ANALYZE - 1, False), (MIN_ROWS_TO_ANALYZE, True)])
def test_the_planner_knows_a_month_that_has_just_been_filled(
    database: sa.URL, store: SqlStore, count: int, is_known: bool
) -> None:
    write(store, JANUARY.first, count=count)
    ((rows,),) = execute(database, "SELECT reltuples FROM pg_class WHERE relname = 'time_based_daily_2026_01'")
    assert rows == (count if is_known else -1)


def test_statistics_are_due_again_when_there_are_ten_times_as_many_rows() -> None:
    fillings = Fillings()
    due = [fillings.add("duration_daily", JANUARY.first, 500) for _ in range(30)]
    assert [place for place, is_due in enumerate(due, 1) if is_due] == [2, 20]
    assert not fillings.add("duration_daily", MARCH.first, 500)


def test_a_day_that_is_written_again_unchanged_leaves_no_dead_rows(database: sa.URL, store: SqlStore) -> None:
    query = "SELECT entity_id, xmin::text, ctid::text FROM time_based_daily ORDER BY 1"
    write(store, JANUARY.first, count=3)
    before = execute(database, query)
    write(store, JANUARY.first, count=3)
    assert execute(database, query) == before
    rows = [time_based(f"light.number_{number}", JANUARY.first, bouts=5 + number) for number in range(2)]
    store.replace_day(batch(finding(TimeBasedDaily, rows, JANUARY.first)))
    after = execute(database, query)
    assert after[0] == before[0]
    assert after[1][1:] != before[1][1:]
    assert len(after) == 2
    assert store.read(TimeBasedDaily, JANUARY) == rows


def test_texts_that_copy_could_misread_come_back_as_they_were(store: SqlStore) -> None:
    texts = ["a\tb", "a\\nb", "\\N", "\\.", "quote \" and ' and %s %(x)s", "küche 🏠", " "]
    rows = [time_based(f"light.{number}", JANUARY.first, domain=text) for number, text in enumerate(texts)]
    store.replace_day(batch(finding(TimeBasedDaily, rows, JANUARY.first)))
    assert store.read(TimeBasedDaily, JANUARY) == rows


def test_a_table_in_one_piece_is_divided_once_with_all_that_belongs_to_it(database: sa.URL) -> None:
    reader = f"reader_{uuid.uuid4().hex[:12]}"
    in_one_piece(database, [*JANUARY, *MARCH])
    execute(database, f"CREATE ROLE {reader} LOGIN", f"GRANT SELECT ON duration_daily TO {reader}, PUBLIC")
    expected = [duration(day=day) for day in (*JANUARY, *MARCH)]
    with closing(SqlStore(database.render_as_string(), read_only=True)) as before:
        assert before.read(DurationDaily, SPRING) == expected
        with closing(SqlStore(database.render_as_string())) as store:
            changes = store.prepare()
            assert "divided table duration_daily by month" in changes
            assert store.prepare() == []
            assert store.read(DurationDaily, SPRING) == expected
        assert before.read(DurationDaily, SPRING) == expected
    assert months_of(database, "duration_daily") == ["duration_daily_2026_01", "duration_daily_2026_03"]
    with closing(SqlStore(database.set(username=reader).render_as_string(), read_only=True)) as after:
        assert after.read(DurationDaily, SPRING) == expected
    keys = execute(
        database,
        "SELECT indexname, substring(indexdef from '[(].*[)]') FROM pg_indexes "
        "WHERE tablename = 'duration_daily' ORDER BY 1",
    )
    assert keys == [
        ("duration_daily_pkey", "(home, date, entity_id)"),
        ("ix_duration_daily_entity_id", "(home, entity_id, date)"),
    ]
    with closing(SqlStore(database.render_as_string())) as again:
        assert again.prepare() == []


def test_a_view_of_a_table_in_one_piece_is_named_and_nothing_is_changed(database: sa.URL, store: SqlStore) -> None:
    in_one_piece(database, [JANUARY.first])
    execute(database, "CREATE VIEW dashboard AS SELECT entity_id, episodes FROM duration_daily")
    with pytest.raises(SettingsError, match="views read it: dashboard"):
        store.prepare()
    assert execute(database, "SELECT * FROM dashboard") == [("light.kitchen", 2)]
    execute(database, "DROP VIEW dashboard")
    assert "divided table duration_daily by month" in store.prepare()


def test_a_row_without_a_valid_date_stops_the_division_and_loses_nothing(database: sa.URL, store: SqlStore) -> None:
    in_one_piece(database, [JANUARY.first])
    execute(database, "UPDATE duration_daily SET date = '2026-02-30'")
    with pytest.raises(StoreCorrupt, match="'2026-02-30' is not a valid date"):
        store.prepare()
    assert execute(database, "SELECT date, entity_id FROM duration_daily") == [("2026-02-30", "light.kitchen")]
    execute(database, "DELETE FROM duration_daily")
    assert "divided table duration_daily by month" in store.prepare()
