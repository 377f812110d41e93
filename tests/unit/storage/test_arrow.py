"""Rows as Arrow tables: typed columns, the same with and without rows, readable by other libraries."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path
from typing import ClassVar, Literal

import pyarrow as pa
import pytest

from storage.arrow import schema_of, table_of
from storage.backends.memory import MemoryStore
from storage.errors import DaysMissing
from storage.models import (
    AGGREGATES,
    AnomalyDaily,
    DailyAggregate,
    DetectorRunDaily,
    DurationDaily,
    RoomBasedDaily,
    Tag,
    TimeBasedDaily,
)
from storage.query import AggregateQuery
from tests.support.rows import COMPUTED_AT, DAY, batch, duration, finding, time_based, time_based_batch

ROOT = Path(__file__).resolve().parents[3]
ROOM = RoomBasedDaily(
    date=DAY,
    area_id="kitchen",
    activity_level=0.5,
    device_usage={"light.küche": 12, "binary_sensor.door": 3},
    transition_patterns=[{"to": "hall", "count": 3, "probability": 1.0, "median_seconds": None}],
    peak_activity_hours=[],
)


class MeterDaily(DailyAggregate):
    """A plug-in's model with types that the six do not have."""

    measurement: ClassVar[str] = "meter_daily"
    meter: Tag
    installed_on: dt.date
    tariff: Literal["day", "night"]
    readings: list[float]
    notes: list[str] | None = None
    limits: dict[str, float] | None = None
    pair: tuple[int, str] = (1, "x")
    nested: list[list[int]]


def test_columns_have_the_types_of_the_fields() -> None:
    schema = schema_of(TimeBasedDaily)
    assert schema.names == [name for name in TimeBasedDaily.model_fields if name != "home"]
    assert schema_of(TimeBasedDaily, with_home=True).names == list(TimeBasedDaily.model_fields)
    assert {name: str(schema.field(name).type) for name in schema.names} == {
        "date": "date32[day]",
        "entity_id": "string",
        "domain": "string",
        "hourly_distribution": "list<item: int64>",
        "peak_hours": "list<item: int64>",
        "frequency": "double",
        "confidence": "double",
        "occurrences": "int64",
        "bouts": "int64",
        "device_class": "string",
    }
    assert [name for name in schema.names if schema.field(name).nullable] == ["bouts", "device_class"]
    assert schema.metadata == {b"measurement": b"time_based_daily"}


@pytest.mark.parametrize("model", [*AGGREGATES, DetectorRunDaily, MeterDaily], ids=lambda model: model.measurement)
def test_a_table_without_rows_has_the_same_columns(model: type[DailyAggregate]) -> None:
    table = table_of(model, [])
    assert table.num_rows == 0
    assert table.schema.equals(schema_of(model), check_metadata=True)


def test_values_come_as_they_are_and_mixed_json_as_text() -> None:
    (row,) = table_of(RoomBasedDaily, [ROOM]).to_pylist()
    assert row == {
        "date": DAY,
        "area_id": "kitchen",
        "activity_level": 0.5,
        "device_usage": [("light.küche", 12), ("binary_sensor.door", 3)],
        "transition_patterns": '[{"to":"hall","count":3,"probability":1.0,"median_seconds":null}]',
        "peak_activity_hours": [],
    }


def test_instants_and_words_and_absent_values_keep_their_meaning() -> None:
    run = finding(TimeBasedDaily, [time_based()]).run
    (record,) = table_of(DetectorRunDaily, [run]).to_pylist()
    assert record["computed_at"] == COMPUTED_AT
    anomaly = AnomalyDaily.model_validate(
        {
            "date": DAY,
            "entity_id": "light.a",
            "anomaly_type": "count_high",
            "anomaly_score": 0.5,
            "baseline_deviation": -3.0,
            "occurrences": 4,
            "severity": "high",
        }
    )
    assert table_of(AnomalyDaily, [anomaly]).column("severity").to_pylist() == ["high"]
    assert table_of(DurationDaily, [duration(efficiency_score=None)]).column("efficiency_score").null_count == 1


def test_a_plug_ins_model_becomes_a_table_too() -> None:
    row = MeterDaily(
        date=DAY, meter="main", installed_on=DAY, tariff="night", readings=[1.5], limits={"a": 2.0}, nested=[[1]]
    )
    (record,) = table_of(MeterDaily, [row]).to_pylist()
    assert record == {
        "date": DAY,
        "meter": "main",
        "installed_on": DAY,
        "tariff": "night",
        "readings": [1.5],
        "notes": None,
        "limits": [("a", 2.0)],
        "pair": '[1,"x"]',
        "nested": "[[1]]",
    }


def test_a_frame_holds_what_daily_returns() -> None:
    store = MemoryStore()
    store.replace_day(time_based_batch(time_based("light.a"), time_based("light.b")))
    aggregates = AggregateQuery(store)
    table = aggregates.frame(TimeBasedDaily, DAY, entity_id=["light.b", "light.c"])
    assert isinstance(table, pa.Table)
    assert table.column("entity_id").to_pylist() == ["light.b"]
    assert table.column("hourly_distribution").to_pylist() == [time_based().hourly_distribution]
    with pytest.raises(DaysMissing):
        aggregates.frame(DurationDaily, DAY)
    assert aggregates.frame(DurationDaily, DAY, allow_missing=True).num_rows == 0
    store.replace_day(batch(finding(DurationDaily, [])))
    assert aggregates.frame(DurationDaily, DAY).schema.equals(schema_of(DurationDaily))


def test_without_pyarrow_the_error_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from storage.backends.memory import MemoryStore\n"
        "from storage.query import AggregateQuery, SettingsError, TimeBasedDaily\n"
        "try:\n"
        "    AggregateQuery(MemoryStore()).frame(TimeBasedDaily, '2026-03-02')\n"
        "except SettingsError as error:\n"
        "    print(error, error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "frame() needs pyarrow, which is not installed Install pattern-aggregates[arrow].\n"
