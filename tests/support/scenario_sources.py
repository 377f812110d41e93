"""Each source of raw events, made to hold a scenario."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from jobs.activity.entities import EntityRules
from jobs.activity.window import from_instant
from jobs.sources.base import EventSource
from jobs.sources.csv_files import CsvFiles
from jobs.sources.home_assistant_db.database import HomeAssistantDatabase
from jobs.sources.influxdb import InfluxSource
from jobs.sources.influxdb_points import LAYOUTS
from jobs.sources.parquet_events import EventFiles
from jobs.sources.parquet_files import ParquetFiles
from storage.backends.influxdb.line_protocol import tag_value, text_field
from storage.drivers.influxdb import buckets
from storage.drivers.influxdb.influxql import Query
from tests.support.influxdb import LiveServer
from tests.support.memory_source import MemorySource
from tests.support.parquet_events import EventRow, write_events
from tests.support.recorder import RecorderDatabase, StateRow
from tests.support.scenarios import MADRID, Scenario


class Load(Protocol):
    """Makes a source of a scenario; called again for the same folder, it changes what lies there."""

    def __call__(self, scenario: Scenario) -> EventSource: ...


def home_assistant_db(scenario: Scenario, folder: Path) -> EventSource:
    path = folder / "home-assistant_v2.db"
    path.unlink(missing_ok=True)
    instants = [row.at for row in scenario.rows]
    with RecorderDatabase(path) as recorder:
        for start, end in scenario.runs or ([(min(instants), max(instants))] if instants else []):
            recorder.run(start, end)
        for about in scenario.about:
            recorder.describe(about.entity_id, {"device_class": about.device_class, "unit_of_measurement": about.unit})
        changed_at: dict[str, int] = {}
        rows = []
        for number, (at, entity_id, state, cause) in enumerate(scenario.rows):
            repeated = number in scenario.attributes_only
            if not repeated:
                changed_at[entity_id] = at
            rows.append(StateRow(at, entity_id, state, cause, changed_at[entity_id] if repeated else None))
        recorder.write(rows)
    return HomeAssistantDatabase(recorder.url, MADRID, EntityRules(), max_silence_hours=math.inf)


def csv_text(scenario: Scenario, *, offset: bool = True) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["time", "entity_id", "state", "device_class"])
    classes = {about.entity_id: about.device_class or "" for about in scenario.about}
    for at, entity_id, state, _ in scenario.rows:
        local = from_instant(at).astimezone(MADRID)
        moment = local if offset else local.replace(tzinfo=None)
        writer.writerow([moment.isoformat(), entity_id, state or "", classes.get(entity_id, "")])
    return text.getvalue()


def csv_files(scenario: Scenario, folder: Path) -> EventSource:
    (folder / "events.csv").write_text(csv_text(scenario), encoding="utf-8")
    return CsvFiles(str(folder / "events.csv"), MADRID, EntityRules(), max_silence_hours=24 * 366)


def csv_files_gz(scenario: Scenario, folder: Path) -> EventSource:
    (folder / "events.csv.gz").write_bytes(gzip.compress(csv_text(scenario, offset=False).encode()))
    return CsvFiles(str(folder / "*.csv.gz"), MADRID, EntityRules(), max_silence_hours=24 * 366)


def parquet_files(scenario: Scenario, folder: Path) -> EventSource:
    """A fleet's files, sorted by home; the homes around this one have the same entities."""
    events = folder / "events"
    shutil.rmtree(events, ignore_errors=True)
    classes = {about.entity_id: about.device_class for about in scenario.about}
    rows = [
        EventRow("home 2", entity_id, at, state, device_class=classes.get(entity_id))
        for at, entity_id, state, _ in scenario.rows
    ]
    others = [row._replace(home_id=home, state="on") for home in ("home 1", "home 3") for row in rows[:3]]
    write_events(events, [*rows, *others], row_group_size=50)
    return ParquetFiles(
        EventFiles(str(events)), "home 2", MADRID, EntityRules(), lookback_days=14, max_silence_hours=24 * 366
    )


def influxdb_events(scenario: Scenario, folder: Path, server: LiveServer) -> EventSource:
    """One measurement with full ids, in a bucket that is filled anew; no point can say that an entity was removed."""
    bucket = f"test_{hashlib.sha256(bytes(folder)).hexdigest()[:12]}"
    connection = server.connection()
    if buckets.find_bucket(connection, bucket) is None:
        buckets.create(connection, bucket, 0)
    connection.execute(Query(bucket, 'DELETE FROM "home_assistant_events"', streamed=False), list)
    lines = [
        f"home_assistant_events,entity_id={tag_value(entity_id)} state={text_field(state or 'unavailable')} {at}"
        for at, entity_id, state, _ in scenario.rows
    ]
    assert connection.write(bucket, "\n".join(lines), "us") == ""
    connection.close()
    layout = LAYOUTS["home_assistant_events"]
    return InfluxSource(
        server.server(), bucket, MADRID, EntityRules(), layout=layout, lookback_days=14, max_silence_hours=24 * 366
    )


def memory(scenario: Scenario, _folder: Path) -> EventSource:
    return MemorySource(MADRID, scenario.rows, runs=scenario.runs or None, about=scenario.about)


Maker = Callable[[Scenario, Path], EventSource]
WITH_RUNS: Final[list[Maker]] = [home_assistant_db, memory]
ALL: Final[list[Maker]] = [*WITH_RUNS, csv_files, csv_files_gz]
WITH_ANY_ROW: Final[list[Maker]] = [*ALL, parquet_files]
