"""A file that belongs to another program is refused and keeps every byte, whatever that program does meanwhile."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Timer
from typing import NamedTuple

import pytest

from storage.backends.sql import SqlStore
from storage.drivers import sql
from storage.errors import LedgerMismatch, LedgerUnavailable, PatternAggregatesError, SettingsError, StoreUnavailable
from storage.ledger.ledger import Ledger
from storage.models import TimeBasedDaily
from tests.support.rows import batch, finding, time_based, time_based_batch

RELEASE_SECONDS = 0.5


def write_as_store(file: Path) -> None:
    with closing(SqlStore(f"sqlite:///{file}")) as store:
        store.replace_day(time_based_batch(time_based()))


def open_as_ledger(file: Path) -> None:
    Ledger(file, clock=lambda: dt.datetime(2026, 3, 3, tzinfo=dt.UTC)).close()


class Use(NamedTuple):
    """A way to use a file, and the errors with which it is refused."""

    call: Callable[[Path], None]
    mismatch: type[PatternAggregatesError]
    unavailable: type[PatternAggregatesError]

    def __call__(self, file: Path) -> None:
        self.call(file)


USES = pytest.mark.parametrize(
    "use",
    [
        pytest.param(Use(write_as_store, SettingsError, StoreUnavailable), id="store"),
        pytest.param(Use(open_as_ledger, LedgerMismatch, LedgerUnavailable), id="ledger"),
    ],
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "theirs.db"


@pytest.fixture
def other(file: Path) -> Iterator[sqlite3.Connection]:
    """The other program's connection to a file that it has just created and that is still empty."""
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as connection:
        file.touch()
        yield connection


def fill(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE states (state_id INTEGER)")
    connection.execute("INSERT INTO states VALUES (1)")


@USES
def test_a_file_that_its_program_keeps_locked_is_left_alone(
    file: Path,
    other: sqlite3.Connection,
    use: Use,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(other)
    before = file.read_bytes()
    other.execute("BEGIN EXCLUSIVE")
    monkeypatch.setattr(sql, "MAX_LOCK_WAIT_SECONDS", 0.1)
    with pytest.raises(use.unavailable, match="locked"):
        use(file)
    other.execute("ROLLBACK")
    assert file.read_bytes() == before


@USES
def test_a_file_that_is_unlocked_while_it_is_waited_for_is_left_alone(
    file: Path,
    other: sqlite3.Connection,
    use: Use,
) -> None:
    fill(other)
    before = file.read_bytes()
    other.execute("BEGIN EXCLUSIVE")
    timer = Timer(RELEASE_SECONDS, other.execute, ["ROLLBACK"])
    timer.start()
    with pytest.raises(use.mismatch, match="another program"):
        use(file)
    timer.join()
    assert file.read_bytes() == before


@USES
def test_a_file_that_another_program_is_just_creating_stays_as_that_program_makes_it(
    file: Path,
    other: sqlite3.Connection,
    use: Use,
) -> None:
    other.execute("BEGIN IMMEDIATE")
    fill(other)
    assert file.stat().st_size == 0
    timer = Timer(RELEASE_SECONDS, other.execute, ["COMMIT"])
    timer.start()
    with pytest.raises(use.mismatch, match="another program"):
        use(file)
    timer.join()
    assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("states",)]
    assert other.execute("PRAGMA journal_mode").fetchone() == ("delete",)


@USES
def test_a_write_ahead_log_that_another_program_left_behind_stays(
    file: Path,
    other: sqlite3.Connection,
    use: Use,
) -> None:
    other.execute("PRAGMA journal_mode=WAL")
    fill(other)
    left = file.with_name("left.db")  # as after a power cut: a copy while the program has it open
    for suffix in ("", "-wal"):
        shutil.copy(f"{file}{suffix}", f"{left}{suffix}")
    before = {suffix: Path(f"{left}{suffix}").read_bytes() for suffix in ("", "-wal")}
    assert before["-wal"]
    with pytest.raises(use.mismatch, match="another program"):
        use(left)
    assert {suffix: Path(f"{left}{suffix}").read_bytes() for suffix in ("", "-wal")} == before


@USES
@pytest.mark.parametrize("content", ["CREATE VIEW one AS SELECT 1", "PRAGMA application_id = 252006675"])
def test_a_file_without_any_table_can_be_another_programs_too(
    file: Path,
    other: sqlite3.Connection,
    use: Use,
    content: str,
) -> None:
    other.execute(content)
    before = file.read_bytes()
    with pytest.raises(use.mismatch, match="another program"):
        use(file)
    assert file.read_bytes() == before


def test_a_ledger_is_not_taken_for_a_store_nor_a_store_for_a_ledger(tmp_path: Path) -> None:
    ledger, store = tmp_path / "ledger.db", tmp_path / "store.db"
    open_as_ledger(ledger)
    write_as_store(store)
    with pytest.raises(SettingsError):
        write_as_store(ledger)
    with pytest.raises(LedgerMismatch):
        open_as_ledger(store)


@pytest.mark.parametrize("use", [write_as_store, open_as_ledger])
def test_a_file_that_was_created_empty_is_filled_and_has_a_write_ahead_log(
    file: Path, use: Callable[[Path], None]
) -> None:
    file.touch()
    use(file)
    use(file)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_table_of_the_same_name_in_a_shared_database_is_not_changed(tmp_path: Path) -> None:
    file = tmp_path / "shared.db"
    write_as_store(file)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE third_party_daily (number INTEGER)")

    class ThirdPartyDaily(TimeBasedDaily):
        measurement = "third_party_daily"

    row = ThirdPartyDaily(**time_based().model_dump())
    with closing(SqlStore(f"sqlite:///{file}")) as store, pytest.raises(SettingsError, match="third_party_daily"):
        store.replace_day(batch(finding(ThirdPartyDaily, [row])))
    with closing(sqlite3.connect(file)) as connection:
        assert len(connection.execute("PRAGMA table_info(third_party_daily)").fetchall()) == 1


@pytest.mark.parametrize("use", [write_as_store, open_as_ledger])
def test_a_pipe_is_refused_at_once(file: Path, use: Callable[[Path], None]) -> None:
    os.mkfifo(file)
    with pytest.raises(SettingsError, match="not a regular file"):
        use(file)
