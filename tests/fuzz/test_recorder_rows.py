"""Whatever is in a recorder database or in a registry: other entities are as they would be without it."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import hypothesis
import hypothesis.strategies as st

from jobs.activity.window import HOUR, MINUTE, DayWindow
from tests.fuzz.promises import FIRST, LAST, call, check_files, examples, new_home, rows
from tests.support.home import Home
from tests.support.recorder import RecorderDatabase, Registered, StateRow, write_registries

ZONE = ZoneInfo("Europe/Berlin")
CONFIG = """
[home]
time_zone = "Europe/Berlin"
[source]
kind = "home_assistant_db"
url = "sqlite:///recorder.db"
registry_dir = "storage"
[store]
url = "sqlite:///aggregates.db"
retention_days = 0
[ledger]
path = "ledger.db"
"""
DISTURBED = "light.disturbed"
ENTITIES = ("light.kitchen", "binary_sensor.motion", DISTURBED)
COLUMNS = (
    *("state", "last_changed_ts", "last_reported_ts", "last_updated_ts", "old_state_id", "attributes_id", "origin_idx"),
    *("context_id_bin", "context_user_id_bin", "context_parent_id_bin", "attributes", "entity_id", "event_id"),
    *("last_changed", "last_updated", "context_id", "context_user_id", "context_parent_id"),
)
VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(max_size=12),
    st.binary(max_size=20),
    st.sampled_from([0, -1, 1e300, 1e18, "", "on", "2026-03-02 07:00:00", b"\xff\xfe", "\x00", "nan", 1772409600.0]),
)


def build(folder: Path) -> None:
    """Write three days of three entities."""
    first = dt.date.fromisoformat(FIRST)
    start, end = DayWindow(first, ZONE).start, DayWindow(dt.date.fromisoformat(LAST), ZONE).end
    with RecorderDatabase(folder / "recorder.db", journal="delete") as recorder:
        recorder.run(start - HOUR, None)
        for entity_id in ENTITIES:
            recorder.describe(entity_id, {"friendly_name": entity_id, "device_class": "motion"})
        recorder.write(
            StateRow(at + number * MINUTE, entity_id, ("off", "on")[(at // HOUR) % 2])
            for at in range(start - HOUR, end + HOUR, HOUR)
            for number, entity_id in enumerate(ENTITIES)
        )
    write_registries(folder / "storage", [Registered(one, "kitchen", f"device {one}") for one in ENTITIES])


@contextmanager
def home() -> Iterator[Home]:
    with new_home(CONFIG, None) as made:
        build(made.folder)
        yield made


def stored(made: Home) -> list[dict[str, Any]]:
    """Return the rows of all entities but the disturbed one that the job stores."""
    call(made, "backfill", FIRST, LAST, "--json")
    check_files(made)
    return [row for row in rows(made) if row["entity_id"] != DISTURBED]


@cache
def undisturbed() -> list[dict[str, Any]]:
    with home() as made:
        return stored(made)


@examples(3)
@hypothesis.given(
    changes=st.lists(st.tuples(st.sampled_from(COLUMNS), VALUES, st.integers(0, 60)), min_size=1, max_size=5)
)
@hypothesis.example(changes=[("last_updated_ts", -31828417627961.0, 0)])  # found by make fuzz
@hypothesis.example(changes=[("last_updated_ts", float("-inf"), 0)])
@hypothesis.example(changes=[("last_updated_ts", float("inf"), 0)])
@hypothesis.example(changes=[("last_changed_ts", -1.7e308, 0)])
def test_a_row_costs_its_own_entity_only(changes: list[tuple[str, Any, int]]) -> None:
    with home() as made:
        with closing(sqlite3.connect(made.folder / "recorder.db")) as connection:
            of = "FROM states JOIN states_meta USING (metadata_id) WHERE states_meta.entity_id = ? ORDER BY state_id"
            ids = [one for (one,) in connection.execute(f"SELECT state_id {of}", (DISTURBED,))]
            for column, value, number in changes:
                row = (storable(value), ids[number % len(ids)])
                connection.execute(f"UPDATE states SET {column} = ? WHERE state_id = ?", row)  # noqa: S608 - one of ours
            connection.commit()
        assert stored(made) == undisturbed()
        call(made, "doctor", "--json")


def storable(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


@examples(2)
@hypothesis.given(
    table=st.sampled_from(["recorder_runs", "states_meta", "state_attributes", "schema_changes"]),
    number=st.integers(0, 10),
    value=VALUES,
)
@hypothesis.example(table="schema_changes", number=0, value="")
def test_whatever_another_table_holds_a_run_ends_as_documented(table: str, number: int, value: Any) -> None:
    with home() as made:
        with closing(sqlite3.connect(made.folder / "recorder.db")) as connection:
            columns = [one[1] for one in connection.execute(f"PRAGMA table_info({table})") if not one[5]]
            column = columns[number % len(columns)]
            try:
                connection.execute(f'UPDATE {table} SET "{column}" = ?', (storable(value),))  # noqa: S608 - ours
            except sqlite3.IntegrityError:
                hypothesis.reject()
            connection.commit()
        stored(made)
        call(made, "doctor", "--json")


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["data", "entities", "id", "x"]), inner)
    ),
    max_leaves=6,
)
REGISTRY_KEYS = (
    "version",
    "key",
    "data",
    "entities",
    "devices",
    "areas",
    "entity_id",
    "area_id",
    "device_id",
    "id",
    "name",
)


@examples(3)
@hypothesis.given(
    name=st.sampled_from(["core.entity_registry", "core.device_registry", "core.area_registry"]),
    key=st.sampled_from([*REGISTRY_KEYS, "device_class", "original_device_class", "capabilities", "entity_category"]),
    value=JSON,
)
def test_whatever_a_registry_says_a_run_ends_as_documented(name: str, key: str, value: Any) -> None:
    def replaced(found: Any) -> Any:
        if isinstance(found, dict):
            return {one: value if one == key else replaced(of) for one, of in found.items()}
        return [replaced(one) for one in found] if isinstance(found, list) else found

    with home() as made:
        file = made.folder / "storage" / name
        file.write_text(json.dumps(replaced(json.loads(file.read_text(encoding="utf-8")))), encoding="utf-8")
        stored(made)
        call(made, "doctor", "--json")


@examples(2)
@hypothesis.given(data=st.binary(max_size=60), at=st.integers(0, 2000))
def test_whatever_bytes_a_registry_holds_a_run_ends_as_documented(data: bytes, at: int) -> None:
    with home() as made:
        file = made.folder / "storage" / "core.entity_registry"
        whole = file.read_bytes()
        file.write_bytes(whole[: at % len(whole)] + data)
        stored(made)


def test_there_are_rows_that_could_be_disturbed() -> None:
    assert len(undisturbed()) >= 4
