"""Rows and ledger in one PostgreSQL database: both are written, or neither."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
import sqlalchemy as sa

from storage.backends.sql import SqlStore
from storage.checked_store import CheckedStore
from storage.dates import DateRange
from storage.errors import LedgerUnavailable, StoreError
from storage.ledger.entry import Status
from storage.ledger.ledger import Ledger
from storage.models import TimeBasedDaily
from tests.support.postgresql import Cluster, new_database
from tests.support.rows import COMPUTED_AT, DAY, finding, time_based

MODELS = {TimeBasedDaily.measurement: TimeBasedDaily}
DAYS = DateRange(DAY, DAY)


@pytest.fixture
def database(postgresql: Cluster) -> sa.URL:
    return new_database(postgresql.url)


@pytest.fixture
def shared(database: sa.URL) -> Iterator[Ledger]:
    with Ledger(database, clock=lambda: COMPUTED_AT) as opened:
        yield opened


@pytest.fixture
def rows(database: sa.URL) -> Iterator[SqlStore]:
    with closing(SqlStore(database.render_as_string(hide_password=False))) as opened:
        opened.prepare()
        yield opened


def execute(database: sa.URL, statement: str) -> None:
    engine = sa.create_engine(database, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()


def test_rows_and_note_are_written_together(shared: Ledger, rows: SqlStore) -> None:
    with shared.day(DAY) as work:
        work.stage(finding(TimeBasedDaily, [time_based()]), "abc", 4)
        batch = work.batch(MODELS)
        assert batch is not None
        assert work.hand_over(batch, CheckedStore(rows, lambda: None))
        assert work.entries["time_based"].status is Status.WRITTEN
    assert [entry.status for entry in shared.entries().values()] == [Status.WRITTEN]
    assert rows.read(TimeBasedDaily, DAYS) == [time_based()]


def test_rows_are_not_written_if_the_note_is_refused(shared: Ledger, rows: SqlStore, database: sa.URL) -> None:
    with shared.day(DAY) as work:
        work.stage(finding(TimeBasedDaily, [time_based()]), "abc", 4)
        batch = work.batch(MODELS)
        assert batch is not None
        execute(database, "ALTER TABLE pattern_aggregates_ledger.entry ADD CHECK (status <> 'written') NOT VALID")
        with pytest.raises(StoreError, match="check constraint"):
            work.hand_over(batch, rows)
        assert work.entries["time_based"].status is Status.STAGED
    assert [entry.status for entry in shared.entries().values()] == [Status.STAGED]
    assert rows.read(TimeBasedDaily, DAYS) == []


def test_the_note_is_not_written_if_the_rows_are_refused(shared: Ledger, rows: SqlStore, database: sa.URL) -> None:
    with shared.day(DAY) as work:
        work.stage(finding(TimeBasedDaily, [time_based()]), "abc", 4)
        batch = work.batch(MODELS)
        assert batch is not None
        execute(database, "ALTER TABLE time_based_daily ADD CHECK (occurrences < 0) NOT VALID")
        with pytest.raises(StoreError, match="check constraint"):
            work.hand_over(batch, rows)
    assert [entry.status for entry in shared.entries().values()] == [Status.STAGED]


def test_nothing_is_written_once_another_process_has_taken_over(
    shared: Ledger, rows: SqlStore, database: sa.URL
) -> None:
    with shared.day(DAY) as work:
        work.stage(finding(TimeBasedDaily, [time_based()]), "abc", 4)
        batch = work.batch(MODELS)
        assert batch is not None
        end_lock_holders(database)
        with Ledger(database, clock=lambda: COMPUTED_AT) as other, other.day(DAY, max_wait_seconds=5) as later:
            for write in (
                lambda: work.hand_over(batch, rows),
                lambda: work.written(batch),
                lambda: work.fail("duration", 1, "late"),
                lambda: shared.add_entities(["light.late"]),
                lambda: shared.record_names({"light.late": "key"}),
            ):
                with pytest.raises(LedgerUnavailable, match="another run has taken over"):
                    write()
            assert rows.read(TimeBasedDaily, DAYS) == []
            assert later.hand_over(batch, rows)
    assert [entry.status for entry in shared.entries().values()] == [Status.WRITTEN]
    assert shared.known_entities() == frozenset()


def end_lock_holders(database: sa.URL) -> None:
    """End the sessions that hold session locks, as if their connections had broken."""
    execute(
        database,
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )


def test_a_holder_that_has_lost_its_connection_can_still_write_while_nobody_has_taken_over(
    shared: Ledger, rows: SqlStore, database: sa.URL
) -> None:
    with shared.day(DAY) as work:
        work.stage(finding(TimeBasedDaily, [time_based()]), "abc", 4)
        batch = work.batch(MODELS)
        assert batch is not None
        end_lock_holders(database)
        assert work.hand_over(batch, rows)
    with shared.day(DAY) as work:
        assert work.entries["time_based"].status is Status.WRITTEN


def test_a_store_in_another_database_is_only_written_while_the_lock_is_held(
    shared: Ledger, database: sa.URL, postgresql: Cluster
) -> None:
    elsewhere = new_database(postgresql.url).render_as_string(hide_password=False)
    with closing(SqlStore(elsewhere)) as rows, shared.day(DAY) as work:
        work.stage(finding(TimeBasedDaily, [time_based()]), "abc", 4)
        batch = work.batch(MODELS)
        assert batch is not None
        assert not work.hand_over(batch, rows)
        assert work.entries["time_based"].status is Status.STAGED
        work.written(batch)
        end_lock_holders(database)
        with (
            Ledger(database, clock=lambda: COMPUTED_AT) as other,
            other.day(DAY, max_wait_seconds=5),
            pytest.raises(LedgerUnavailable, match="another run has taken over"),
        ):
            work.hand_over(batch, rows)
