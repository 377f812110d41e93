"""A ledger of an earlier version: a writer upgrades it and keeps all that is in it, a reader says what to do."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from storage.errors import LedgerError, LedgerVersionMismatch
from storage.identity import HomeIdentity, Place
from storage.ledger import schema
from storage.ledger.announcements import ChannelState
from storage.ledger.entry import Status
from storage.ledger.home_id import read_ledger_home
from storage.ledger.ledger import Ledger
from storage.models import CoOccurrenceDaily, DailyAggregate, SequenceDaily
from tests.support.earlier_version import FORMER, LEDGER_SCHEMA_1, PRESENT, chain, pair, staged, write_ledger
from tests.support.rows import COMPUTED_AT, DAY

MODELS: dict[str, type[DailyAggregate]] = {model.measurement: model for model in (CoOccurrenceDaily, SequenceDaily)}


def opened(file: Path, *, read_only: bool = False) -> Ledger:
    return Ledger(file, clock=lambda: COMPUTED_AT, read_only=read_only)


def described(file: Path) -> dict[str, Any]:
    """Everything that SQLite says of a file's tables, but for the text that made them."""
    with closing(sqlite3.connect(file)) as connection:
        tables = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        ]
        columns = {one: connection.execute("SELECT * FROM pragma_table_xinfo(?)", [one]).fetchall() for one in tables}
        indexes = {one: connection.execute("SELECT * FROM pragma_index_list(?)", [one]).fetchall() for one in tables}
        return {
            "tables": connection.execute("SELECT * FROM pragma_table_list ORDER BY name").fetchall(),
            "columns": columns,
            "indexes": indexes,
            "indexed": {
                index[1]: connection.execute("SELECT * FROM pragma_index_xinfo(?)", [index[1]]).fetchall()
                for found in indexes.values()
                for index in found
            },
            "user_version": connection.execute("PRAGMA user_version").fetchone(),
            "application_id": connection.execute("PRAGMA application_id").fetchone(),
        }


def test_a_fresh_ledger_equals_a_migrated_one(tmp_path: Path) -> None:
    fresh, migrated = tmp_path / "fresh.db", tmp_path / "migrated.db"
    write_ledger(migrated, [{"day": "2026-03-02", "detector": "time_based"}])
    before = described(migrated)
    for file in (fresh, migrated):
        opened(file).close()
    assert described(fresh) == described(migrated)
    assert before != described(migrated)
    assert described(fresh)["user_version"] == (schema.SCHEMA_VERSION,)


def test_there_is_a_migration_to_each_version() -> None:
    assert list(schema.MIGRATIONS) == list(range(2, schema.SCHEMA_VERSION + 1))


def test_entries_of_version_1_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    write_ledger(
        file,
        [
            {"day": "2026-03-01", "detector": "duration", "kept": "3 12:34 5", "redo": 1},
            {"day": "2026-03-01", "detector": "sequence", "kept": "2 "},
            {"day": "2026-03-02", "detector": "anomaly", "status": "failed", "error": "by zero", "attempts": 7},
        ],
    )
    with opened(file) as ledger:
        assert ledger.changes == f"upgraded ledger {file} from schema version 1 to {schema.SCHEMA_VERSION}"
        duration, sequence, anomaly = ledger.entries().values()
    assert (duration.kept_version, duration.kept_fingerprint, duration.redo) == (3, "12:34 5", True)
    assert (sequence.kept_version, sequence.kept_fingerprint) == (2, "")
    assert (anomaly.kept_version, anomaly.kept_fingerprint) == (None, None)
    assert (anomaly.status, anomaly.error, anomaly.attempts) == (Status.FAILED, "by zero", 7)
    assert (anomaly.fingerprint, anomaly.samples, anomaly.known_seconds) == ("abc", 40, 86400.0)
    assert (anomaly.written_version, anomaly.written_samples, anomaly.reason) == (1, 40, "all tested")
    with opened(file) as ledger:
        assert ledger.changes == ""


def test_rows_staged_by_version_1_get_the_present_names_and_are_otherwise_the_same(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    write_ledger(
        file,
        [
            staged("co_occurrence", "2026-03-02", [pair(f"a|{wired}", wired) for wired in FORMER]),
            staged("sequence", "2026-03-02", [chain(f"{wired}", wired) for wired in FORMER]),
        ],
    )
    with opened(file) as ledger:
        pairs, chains = ledger.staged(MODELS)
    assert [row.model_dump()["linked_by"] for row in pairs.rows] == PRESENT
    assert [row.model_dump()["linked_by"] for row in chains.rows] == PRESENT
    assert [row.model_dump()["confidence"] for row in pairs.rows] == [0.1 + 0.2] * 4
    assert chains.rows[0].model_dump()["sequence"] == ["light.küche:on", "light.b:on"]
    with closing(sqlite3.connect(file)) as connection:
        payloads = [text for (text,) in connection.execute("SELECT payload FROM entry")]
    assert not any("wired" in text for text in payloads)


def test_a_column_of_another_package_that_is_called_wired_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    write_ledger(file, [staged("sockets", "2026-03-02", [{"entity_id": "switch.a", "wired": "device"}])])
    opened(file).close()
    with closing(sqlite3.connect(file)) as connection:
        assert '"wired":"device"' in connection.execute("SELECT payload FROM entry").fetchone()[0]


def test_a_staged_day_that_cannot_be_read_does_not_keep_the_ledger_from_being_upgraded(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    entry = staged("co_occurrence", "2026-03-02", [])
    write_ledger(file, [{**entry, "payload": "{"}, {"day": "2026-03-02", "detector": "duration"}])
    with opened(file) as ledger:
        assert len(ledger.entries()) == 2
        assert ledger.staged(MODELS) == []


def test_a_reader_of_an_earlier_version_says_which_and_how_to_upgrade_and_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    write_ledger(file, [{"day": "2026-03-02", "detector": "time_based"}])
    before = described(file)
    with pytest.raises(LedgerVersionMismatch, match="has schema version 1, this program uses version") as refused:
        opened(file, read_only=True)
    assert "pattern-aggregates init" in refused.value.hint
    assert described(file) == before
    opened(file).close()
    with opened(file, read_only=True) as ledger:
        assert len(ledger.entries()) == 1


def test_a_migration_that_breaks_off_leaves_the_ledger_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    write_ledger(file, [{"day": "2026-03-02", "detector": "time_based", "kept": "1 abc"}])
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("ALTER TABLE entry ADD COLUMN kept_fingerprint TEXT")  # the second step fails on it
    before = described(file)
    with pytest.raises(LedgerError, match="duplicate column name: kept_fingerprint"):
        opened(file)
    assert described(file) == before
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("ALTER TABLE entry DROP COLUMN kept_fingerprint")
    with opened(file) as ledger:
        assert ledger.entries()[DAY, "time_based"].kept_version == 1


def test_version_1_is_what_the_migrations_start_from(tmp_path: Path) -> None:
    """The statements in the test are those of version 0.1.0; a table without its columns would test nothing."""
    file = tmp_path / "ledger.db"
    write_ledger(file, [])
    columns = [column[1] for column in described(file)["columns"]["entry"]]
    assert "kept" in columns
    assert "kept TEXT NOT NULL" in LEDGER_SCHEMA_1
    assert not {"kept_version", "kept_fingerprint"} & set(columns)


def test_what_a_ledger_of_version_5_holds_is_of_the_home_without_a_name_afterwards(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    write_ledger(file, [{"day": "2026-03-01", "detector": "duration"}, {"day": "2026-03-02", "detector": "sequence"}])
    engine = sa.create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        for version in range(2, 6):
            schema.MIGRATIONS[version](connection)
    engine.dispose()
    rows: dict[str, tuple[object, ...]] = {
        "entity_key": ("key", "light.b"),
        "entity_rename": ("light.a", "light.b"),
        "known_entity": ("light.b",),
        "announced_day": ("mqtt", "2026-03-02", "judged"),
        "announcement": ("mqtt", "2026-03-02", "light.a", "missing", "waiting"),
        "announcement_channel": ("mqtt", None, "2026-03-02", "refused"),
        "home": (1, HomeIdentity("UTC", Place("source"), id="0a").to_json(), "store", "here"),
    }
    with closing(sqlite3.connect(file, isolation_level=None)) as former:
        former.execute("PRAGMA user_version = 5")
        for table, values in rows.items():
            former.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)  # noqa: S608 - names above
    assert read_ledger_home(file) == HomeIdentity("UTC", Place("source"), id="0a")
    with opened(file) as ledger:
        assert [detector for _day, detector in ledger.entries()] == ["duration", "sequence"]
        assert ledger.renames() == {"light.a": "light.b"}
        assert ledger.known_entities() == {"light.b"}
        assert ledger.read_home() == (HomeIdentity("UTC", Place("source"), id="0a"), Place("store", "here"))
        assert ledger.channels()["mqtt"] == ChannelState("", DAY, "refused", 1)
        assert ledger.announcements("mqtt").judged() == {DAY: "judged"}
        assert ledger.record_names({"light.c": "key", "light.x": "x", "light.y": "y"}) == {"light.b": "light.c"}
        assert ledger.for_home("north").count_rows() == 0
    assert read_ledger_home(file) == HomeIdentity("UTC", Place("source"), id="0a")
    assert read_ledger_home(file, "north") is None
