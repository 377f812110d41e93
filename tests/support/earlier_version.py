"""A ledger and a SQL store as version 0.1.0 made them, written with that version's own statements."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

FORMER: Final = ["automation", "device", "in_step", None]
PRESENT: Final = ["automation", "same_device", "simultaneous", None]

TABLES: Final = (
    """CREATE TABLE co_occurrence_daily (
        date VARCHAR(10) NOT NULL, device_pair VARCHAR(255) {collation} NOT NULL, co_occurrence_count BIGINT NOT NULL,
        time_window_seconds BIGINT NOT NULL, confidence {double} NOT NULL, typical_hours TEXT NOT NULL,
        expected_count {double}, median_gap_seconds {double}, first_share {double}, wired TEXT,
        PRIMARY KEY (date, device_pair)) {ending}""",
    """CREATE TABLE sequence_daily (
        date VARCHAR(10) NOT NULL, sequence_id VARCHAR(255) {collation} NOT NULL, sequence TEXT NOT NULL,
        frequency BIGINT NOT NULL, avg_duration_seconds {double} NOT NULL, confidence {double} NOT NULL, wired TEXT,
        PRIMARY KEY (date, sequence_id)) {ending}""",
    "CREATE TABLE aggregate_measurement (measurement VARCHAR(100) NOT NULL, PRIMARY KEY (measurement))",
    "INSERT INTO aggregate_measurement VALUES ('co_occurrence_daily'), ('sequence_daily')",
)
PAIRS: Final = sa.text(
    "INSERT INTO co_occurrence_daily VALUES (:date, :key, 3, 300, 0.5, '[7]', 0.25, 2.5, 1.0, :wired)"
)
CHAINS: Final = sa.text(
    """INSERT INTO sequence_daily VALUES (:date, :key, '["a.b:on","c.d:on"]', 3, 2.5, 0.5, :wired)"""
)
DIALECTS: Final = {
    "sqlite": {"collation": "", "double": "DOUBLE", "ending": "WITHOUT ROWID"},
    "postgresql": {"collation": 'COLLATE "C"', "double": "DOUBLE PRECISION", "ending": ""},
}

TABLES_OF_ONE_HOME: Final = (
    """CREATE TABLE time_based_daily (
        date VARCHAR(10) NOT NULL, entity_id VARCHAR(255) {collation} NOT NULL,
        domain VARCHAR(255) {collation} NOT NULL,
        hourly_distribution TEXT NOT NULL, peak_hours TEXT NOT NULL, frequency {double} NOT NULL,
        confidence {double} NOT NULL, occurrences BIGINT NOT NULL, bouts BIGINT, device_class TEXT,
        PRIMARY KEY (date, entity_id, domain)) {ending}""",
    "CREATE INDEX ix_time_based_daily_entity_id ON time_based_daily (entity_id, date)",
    "CREATE INDEX ix_time_based_daily_domain ON time_based_daily (domain, date)",
    """CREATE TABLE detector_run_daily (
        date VARCHAR(10) NOT NULL, detector VARCHAR(255) {collation} NOT NULL, version BIGINT NOT NULL,
        rows BIGINT NOT NULL, events BIGINT NOT NULL, known_seconds {double} NOT NULL, day_seconds {double} NOT NULL,
        reason TEXT NOT NULL, computed_at TEXT NOT NULL, PRIMARY KEY (date, detector)) {ending}""",
    "CREATE INDEX ix_detector_run_daily_detector ON detector_run_daily (detector, date)",
    """CREATE TABLE plugin_daily (
        date VARCHAR(10) NOT NULL, meter VARCHAR(255) {collation} NOT NULL, energy {double} NOT NULL, dropped TEXT,
        PRIMARY KEY (date, meter)) {ending}""",
    "CREATE INDEX ix_plugin_daily_meter ON plugin_daily (meter, date)",
    "CREATE TABLE aggregate_measurement (measurement VARCHAR(100) NOT NULL, PRIMARY KEY (measurement))",
    "INSERT INTO aggregate_measurement VALUES ('time_based_daily'), ('detector_run_daily'), ('plugin_daily')",
    "CREATE TABLE aggregate_home (row INTEGER NOT NULL, home TEXT NOT NULL, PRIMARY KEY (row))",
)
"""A SQL store as version 0.2.0 made it before homes had names, with a table of a plug-in."""
TIME_BASED: Final = sa.text(
    "INSERT INTO time_based_daily VALUES "
    "(:date, :entity_id, 'light', '[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,3,4,5,0,0]', '[19,20,21]', "
    "0.125, 0.75, 12, 5, NULL)"
)
RUNS: Final = sa.text(
    "INSERT INTO detector_run_daily VALUES "
    "(:date, 'time_based', 1, 2, 12, 86400, 86400, 'as expected', '2026-03-03T03:30:00Z')"
)
METERS: Final = sa.text("INSERT INTO plugin_daily VALUES (:date, 'main', 1.5, 'kept')")
OLD_HOME: Final = sa.text("INSERT INTO aggregate_home VALUES (1, :home)")

APPLICATION_ID: Final = 0x70616C31

LEDGER_SCHEMA_1: Final = """
    CREATE TABLE entry (
        day VARCHAR(10) NOT NULL,
        detector VARCHAR(255) NOT NULL,
        status VARCHAR(10) NOT NULL,
        version INTEGER NOT NULL,
        fingerprint TEXT NOT NULL,
        rows INTEGER NOT NULL,
        events INTEGER NOT NULL,
        samples INTEGER NOT NULL,
        known_seconds FLOAT NOT NULL,
        reason TEXT NOT NULL,
        error TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        redo BOOLEAN NOT NULL,
        updated_at VARCHAR(32) NOT NULL,
        written_version INTEGER,
        written_samples INTEGER NOT NULL,
        written_known_seconds FLOAT NOT NULL,
        kept TEXT NOT NULL,
        payload TEXT,
        PRIMARY KEY (day, detector)
    ) WITHOUT ROWID;
    CREATE INDEX ix_entry_status ON entry (status);
"""

ENTRY_DEFAULTS: Final[Mapping[str, Any]] = {
    "status": "written",
    "version": 1,
    "fingerprint": "abc",
    "rows": 0,
    "events": 4,
    "samples": 40,
    "known_seconds": 86400.0,
    "reason": "all tested",
    "error": "",
    "attempts": 0,
    "redo": 0,
    "updated_at": "2026-03-03T03:30:00+00:00",
    "written_version": 1,
    "written_samples": 40,
    "written_known_seconds": 86400.0,
    "kept": "",
    "payload": None,
}


def write_ledger(file: Path, entries: Iterable[Mapping[str, Any]]) -> None:
    """Make a ledger of schema version 1 with some entries: day, detector, and what differs from ``ENTRY_DEFAULTS``."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(LEDGER_SCHEMA_1)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")
        for entry in entries:
            values = {**ENTRY_DEFAULTS, **entry}
            names, marks = ", ".join(values), ", ".join("?" for _ in values)
            connection.execute(f"INSERT INTO entry ({names}) VALUES ({marks})", list(values.values()))  # noqa: S608 - names above


def payload(measurement: str, detector: str, day: str, rows: list[dict[str, Any]]) -> str:
    """Return a staged finding as version 0.1.0 kept it."""
    run = {
        "date": day,
        "detector": detector,
        "version": 1,
        "rows": len(rows),
        "events": 4,
        "known_seconds": 86400.0,
        "day_seconds": 86400.0,
        "reason": "all tested",
        "computed_at": "2026-03-03T03:30:00+00:00",
    }
    packed = {"measurement": measurement, "run": run, "rows": [{"date": day, **row} for row in rows]}
    return json.dumps(packed, ensure_ascii=False, separators=(",", ":"))


def staged(detector: str, day: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return an entry that waits for the store."""
    return {
        "day": day,
        "detector": detector,
        "status": "staged",
        "rows": len(rows),
        "attempts": 1,
        "written_version": None,
        "written_samples": 0,
        "written_known_seconds": 0.0,
        "payload": payload(f"{detector}_daily", detector, day, rows),
    }


def pair(key: str, wired: str | None) -> dict[str, Any]:
    """Return a row of co_occurrence_daily, encoded as version 0.1.0 did."""
    return {
        "device_pair": key,
        "co_occurrence_count": 3,
        "time_window_seconds": 300,
        "confidence": 0.1 + 0.2,
        "typical_hours": "[7]",
        "expected_count": 0.25,
        "median_gap_seconds": 2.5,
        "first_share": 1.0,
        "wired": wired,
    }


def chain(key: str, wired: str | None) -> dict[str, Any]:
    """Return a row of sequence_daily, encoded as version 0.1.0 did."""
    return {
        "sequence_id": key,
        "sequence": '["light.küche:on","light.b:on"]',
        "frequency": 3,
        "avg_duration_seconds": 2.5,
        "confidence": 0.5,
        "wired": wired,
    }
