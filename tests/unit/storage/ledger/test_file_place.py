"""A ledger in a file: its lock, and which files it refuses."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.errors import LedgerCorrupt, LedgerMismatch, LedgerVersionMismatch, SettingsError
from storage.ledger.ledger import Ledger
from storage.models import DailyAggregate, DurationDaily, TimeBasedDaily
from tests.support.rows import COMPUTED_AT, DAY, finding, time_based

MODELS: dict[str, type[DailyAggregate]] = {model.measurement: model for model in (TimeBasedDaily, DurationDaily)}
FOUND = finding(TimeBasedDaily, [time_based("light.küche 💡"), time_based("light.b", bouts=None)])


def clock() -> dt.datetime:
    return COMPUTED_AT


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(file: Path) -> Iterator[Ledger]:
    with Ledger(file, clock=clock) as opened:
        yield opened


def test_a_file_of_somebody_else_in_the_place_of_the_lock_keeps_its_contents(ledger: Ledger, file: Path) -> None:
    lock = file.with_name(f"{file.name}.lock")
    lock.write_text("somebody else's notes")
    with ledger.day(DAY):
        assert lock.read_text() == "somebody else's notes"
    assert lock.read_text() == "somebody else's notes"


def test_nobody_holds_the_lock_afterwards(ledger: Ledger, file: Path) -> None:
    with ledger.day(DAY):
        pass
    assert file.with_name(f"{file.name}.lock").read_text() == ""


def test_only_the_owner_can_read_the_file(ledger: Ledger, file: Path) -> None:
    assert file.stat().st_mode & 0o077 == 0


def test_reading_creates_no_file(tmp_path: Path) -> None:
    with Ledger(tmp_path / "none.db", clock=clock, read_only=True) as reading:
        assert reading.entries() == {}
    assert list(tmp_path.iterdir()) == []


def test_another_programs_database_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE states (state_id INTEGER)")
    other.close()
    with pytest.raises(LedgerMismatch, match="another program"):
        Ledger(path, clock=clock)
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("states",)]
    other.close()


def test_a_newer_versions_ledger_is_refused(ledger: Ledger, file: Path) -> None:
    ledger.close()
    with sqlite3.connect(file) as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(LedgerVersionMismatch, match="schema version 99"):
        Ledger(file, clock=clock)


@pytest.mark.parametrize("content", [b"this is not a database, whatever its name says" * 30])
def test_a_damaged_ledger_is_reported_as_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(content)
    with pytest.raises(LedgerCorrupt, match="damaged"):
        Ledger(path, clock=clock)
    assert path.read_bytes() == content


def test_a_truncated_ledger_is_reported_as_damaged(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with Ledger(path, clock=clock) as whole:
        for offset in range(40):
            day = DAY + dt.timedelta(days=offset)
            with whole.day(day) as work:
                work.stage(finding(TimeBasedDaily, [time_based(day=day)], day), "abc", 40)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(LedgerCorrupt), Ledger(path, clock=clock) as broken:
        broken.staged(MODELS)


def test_a_staged_row_that_no_longer_fits_its_model_is_left_out_and_logged(
    ledger: Ledger, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ledger.day(DAY) as work:
        work.stage(FOUND, "abc", 40)
    with sqlite3.connect(file) as other:
        other.execute("UPDATE entry SET payload = replace(payload, '0.125', '7')")
    other.close()
    assert ledger.staged(MODELS) == []
    assert "frequency" in caplog.text
    with ledger.day(DAY) as work:
        assert work.batch(MODELS) is None
        assert "frequency" in work.entries["time_based"].error


def test_a_folder_that_cannot_be_made_is_a_matter_of_settings(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"ledger\.path"):
        Ledger(tmp_path / "file" / "ledger.db", clock=clock)
