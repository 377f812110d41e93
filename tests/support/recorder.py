"""Home Assistant recorder databases and registries, written as Home Assistant writes them (schema 50).

``RecorderDatabase`` takes rows as fast as SQLite does; ``from_samples`` writes any ``Samples`` (a simulated home's) as
Home Assistant would have recorded them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self

import numpy as np

from jobs.activity.events import AUTOMATION, DEVICE, GAP, USER, Samples
from jobs.activity.window import SECOND, from_instant

SCHEMA: Final = """
CREATE TABLE event_types (event_type_id INTEGER NOT NULL, event_type VARCHAR(64), PRIMARY KEY (event_type_id));
CREATE TABLE state_attributes (
    attributes_id INTEGER NOT NULL, hash BIGINT, shared_attrs TEXT, PRIMARY KEY (attributes_id)
);
CREATE TABLE states_meta (metadata_id INTEGER NOT NULL, entity_id VARCHAR(255), PRIMARY KEY (metadata_id));
CREATE TABLE recorder_runs (
    run_id INTEGER NOT NULL, start DATETIME NOT NULL, "end" DATETIME, closed_incorrect BOOLEAN NOT NULL,
    created DATETIME NOT NULL, PRIMARY KEY (run_id)
);
CREATE TABLE schema_changes (
    change_id INTEGER NOT NULL, schema_version INTEGER, changed DATETIME NOT NULL, PRIMARY KEY (change_id)
);
CREATE TABLE states (
    state_id INTEGER NOT NULL, entity_id CHAR(0), state VARCHAR(255), attributes CHAR(0), event_id SMALLINT,
    last_changed CHAR(0), last_changed_ts FLOAT, last_reported_ts FLOAT, last_updated CHAR(0), last_updated_ts FLOAT,
    old_state_id INTEGER, attributes_id INTEGER, context_id CHAR(0), context_user_id CHAR(0),
    context_parent_id CHAR(0), origin_idx SMALLINT, context_id_bin BLOB, context_user_id_bin BLOB,
    context_parent_id_bin BLOB, metadata_id INTEGER, PRIMARY KEY (state_id),
    FOREIGN KEY(old_state_id) REFERENCES states (state_id),
    FOREIGN KEY(attributes_id) REFERENCES state_attributes (attributes_id),
    FOREIGN KEY(metadata_id) REFERENCES states_meta (metadata_id)
);
CREATE INDEX ix_state_attributes_hash ON state_attributes (hash);
CREATE UNIQUE INDEX ix_states_meta_entity_id ON states_meta (entity_id);
CREATE INDEX ix_recorder_runs_start_end ON recorder_runs (start, "end");
"""
STATE_INDEXES: Final = """
CREATE INDEX ix_states_metadata_id_last_updated_ts ON states (metadata_id, last_updated_ts);
CREATE INDEX ix_states_old_state_id ON states (old_state_id);
CREATE INDEX ix_states_context_id_bin ON states (context_id_bin);
CREATE INDEX ix_states_last_updated_ts ON states (last_updated_ts);
CREATE INDEX ix_states_attributes_id ON states (attributes_id);
"""

_USER: Final = bytes(range(16))
_PARENT: Final = bytes(range(16, 32))


@dataclass(frozen=True, slots=True)
class StateRow:
    """One row of ``states``.

    Attributes:
        at: ``last_updated_ts``, as an instant.
        entity_id: Whose.
        state: None for a removed entity.
        cause: ``DEVICE``, ``USER`` or ``AUTOMATION``.
        changed_at: ``last_changed_ts`` where only attributes changed.
    """

    at: int
    entity_id: str
    state: str | None
    cause: int = DEVICE
    changed_at: int | None = None


class RecorderDatabase:
    """A recorder database that is being written; every method commits.

    Args:
        path: The file, made if it is not there.
        journal: ``wal`` as Home Assistant has it, or ``delete``.
    """

    def __init__(self, path: Path, *, journal: Literal["wal", "delete"] = "wal") -> None:
        self.path = path
        fresh = not path.exists()
        self.connection = sqlite3.connect(path)
        self.connection.execute(f"PRAGMA journal_mode={journal}")
        self.connection.execute("PRAGMA synchronous=OFF")
        self._metadata = {
            str(entity_id): int(metadata_id)
            for metadata_id, entity_id in ([] if fresh else self._all("SELECT metadata_id, entity_id FROM states_meta"))
        }
        self._attributes: dict[str, int] = {}
        if fresh:
            self.connection.executescript(SCHEMA + STATE_INDEXES)
            self.connection.execute("INSERT INTO schema_changes VALUES (1, 50, '2025-10-20 00:00:00')")
            self.connection.commit()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """What ``source.url`` says of it."""
        return f"sqlite:///{self.path}"

    def close(self) -> None:
        """Give back the file; what WAL holds goes into it."""
        self.connection.close()

    def describe(self, entity_id: str, attributes: Mapping[str, object]) -> None:
        """Set the attributes (device_class, unit_of_measurement ...) that an entity's rows have from now on."""
        text = json.dumps(attributes, ensure_ascii=False)
        cursor = self.connection.execute("INSERT INTO state_attributes (hash, shared_attrs) VALUES (0, ?)", (text,))
        self._attributes[entity_id] = cursor.lastrowid or 0
        self.connection.commit()

    def run(self, start: int, end: int | None, *, closed_incorrect: bool = False) -> None:
        """Add a run of the recorder; ``end`` is None while it goes on."""
        row = (_moment(start), None if end is None else _moment(end), closed_incorrect, _moment(start))
        self.connection.execute(
            'INSERT INTO recorder_runs (start, "end", closed_incorrect, created) VALUES (?, ?, ?, ?)', row
        )
        self.connection.commit()

    def write(self, rows: Iterable[StateRow]) -> None:
        """Append rows, in the order in which they come."""
        first = self._all("SELECT 1 FROM states LIMIT 1") == []
        if first:  # indexes that are made afterwards cost a fraction
            for line in filter(None, STATE_INDEXES.splitlines()):
                self.connection.execute(f"DROP INDEX {line.split()[2]}")
        self._insert(
            (
                row.state,
                None if row.changed_at is None else row.changed_at / SECOND,
                row.at / SECOND,
                self._attributes.get(row.entity_id),
                _USER if row.cause == USER else None,
                _PARENT if row.cause == AUTOMATION else None,
                self._metadata_id(row.entity_id),
            )
            for row in rows
        )
        if first:
            self.connection.executescript(STATE_INDEXES)

    def _insert(self, rows: Iterable[tuple[Any, ...]]) -> None:
        self.connection.executemany(
            "INSERT INTO states (state, last_changed_ts, last_updated_ts, attributes_id, origin_idx, context_id_bin, "
            "context_user_id_bin, context_parent_id_bin, metadata_id) VALUES (?, ?, ?, ?, 0, randomblob(16), ?, ?, ?)",
            rows,
        )
        self.connection.commit()

    def purge(self, before: int) -> None:
        """Forget rows before an instant, and runs that began before it, as Home Assistant's nightly purge does.

        The run that goes on stays, however long ago it began.
        """
        self.connection.execute("DELETE FROM states WHERE last_updated_ts < ?", (before / SECOND,))
        self.connection.execute(
            "DELETE FROM recorder_runs WHERE start < ? AND run_id <> (SELECT max(run_id) FROM recorder_runs)",
            (_moment(before),),
        )
        self.connection.commit()

    def _metadata_id(self, entity_id: str) -> int:
        if entity_id not in self._metadata:
            cursor = self.connection.execute("INSERT INTO states_meta (entity_id) VALUES (?)", (entity_id,))
            self._metadata[entity_id] = cursor.lastrowid or 0
        return self._metadata[entity_id]

    def _all(self, query: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(query).fetchall()


def from_samples(path: Path, samples: Samples) -> Path:
    """Write a recording as Home Assistant would have: its known spans are the recorder's runs.

    A sample that repeats the entity's state within a run only changed attributes; a gap is ``unavailable``.
    """
    order = np.argsort(samples.at, kind="stable")
    at, entity, state = samples.at[order], samples.entity[order], samples.state[order]
    run = np.searchsorted(samples.known[:, 0], at, side="right")
    by_entity = np.lexsort((np.arange(len(at)), entity))
    repeats = np.zeros(len(at), np.bool_)
    one, other = by_entity[1:], by_entity[:-1]
    repeats[one] = (entity[one] == entity[other]) & (state[one] == state[other]) & (run[one] == run[other])
    changed_at = at.copy()
    begins = np.maximum.accumulate(np.where(repeats[by_entity], 0, np.arange(len(at))))
    changed_at[by_entity] = at[by_entity[begins]]
    with RecorderDatabase(path) as recorder:
        for start, end in samples.known.tolist():
            recorder.run(start, end)
        for about in samples.entities:
            told = {
                "device_class": about.device_class,
                "unit_of_measurement": about.unit,
                "state_class": about.state_class,
                "friendly_name": about.entity_id,
            }
            recorder.describe(about.entity_id, {name: value for name, value in told.items() if value})
        texts = [*samples.states, "unavailable"]  # a gap is the last, at -1
        assert GAP == -1
        recorder.write(
            StateRow(instant, samples.entities[code].entity_id, texts[what], cause, changed if repeated else None)
            for instant, code, what, cause, changed, repeated in zip(
                at.tolist(),
                entity.tolist(),
                state.tolist(),
                samples.cause[order].tolist(),
                changed_at.tolist(),
                repeats.tolist(),
                strict=True,
            )
        )
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ANALYZE")
        connection.commit()
    return path


def _moment(instant: int) -> str:
    return from_instant(instant).strftime("%Y-%m-%d %H:%M:%S.%f")


@dataclass(frozen=True, slots=True)
class Registered:
    """An entity of the registries, as far as they matter here."""

    entity_id: str
    area: str | None = None
    device: str | None = None
    device_area: str | None = None
    device_class: str | None = None
    category: str | None = None


def write_registries(folder: Path, entities: Iterable[Registered]) -> Path:
    """Write a ``.storage`` folder with the registries of entities, devices and areas."""
    folder.mkdir(parents=True, exist_ok=True)
    entities = list(entities)
    devices = {entity.device: entity.device_area for entity in entities if entity.device is not None}
    areas = {area for entity in entities for area in (entity.area, entity.device_area) if area is not None}
    contents: dict[str, list[dict[str, object]]] = {
        "entities": [
            {
                "entity_id": entity.entity_id,
                "area_id": entity.area,
                "device_id": entity.device,
                "device_class": None,
                "original_device_class": entity.device_class,
                "entity_category": entity.category,
                "unit_of_measurement": None,
                "capabilities": None,
            }
            for entity in entities
        ],
        "devices": [{"id": device, "area_id": area} for device, area in devices.items()],
        "areas": [{"id": area, "name": area.title(), "floor_id": None} for area in sorted(areas)],
    }
    for name, key in (("entity", "entities"), ("device", "devices"), ("area", "areas")):
        document = {"version": 1, "key": f"core.{name}_registry", "data": {key: contents[key]}}
        (folder / f"core.{name}_registry").write_text(json.dumps(document), encoding="utf-8")
    return folder
