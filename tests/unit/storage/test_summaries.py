"""Summaries have the same names, types and order, whoever calculates them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.backends.memory import MemoryStore
from storage.backends.sql import SqlStore
from storage.dates import DateRange
from storage.models import DurationDaily, TimeBasedDaily
from storage.store import Fields, Function, Summary
from storage.summaries import SummaryPlan
from tests.support.rows import DAY, batch, duration, finding

ALL: list[Function] = ["sum", "mean", "count", "min", "max"]


def test_a_plan_says_what_to_read_each_column_once() -> None:
    fields: Fields = {"avg_duration_seconds": ["mean", "max"], "episodes": "sum"}
    assert SummaryPlan(DurationDaily, fields, ["entity_id", "date"]).columns == (
        *("entity_id", "date"),
        *("avg_duration_seconds", "episodes"),
    )
    assert SummaryPlan(DurationDaily, {"avg_duration_seconds": "max"}).columns == ("avg_duration_seconds",)
    assert SummaryPlan(DurationDaily, {}, ["date"]).columns == ("date",)


def test_only_a_mean_is_weighted() -> None:
    plan = SummaryPlan(DurationDaily, {"avg_duration_seconds": ALL, "episodes": "mean"})
    assert [(one.name, one.weight) for one in plan.calculations] == [
        ("avg_duration_seconds_sum", None),
        ("avg_duration_seconds_mean", "episodes"),
        ("avg_duration_seconds_count", None),
        ("avg_duration_seconds_min", None),
        ("avg_duration_seconds_max", None),
        ("episodes", None),
    ]


def test_records_are_taken_one_by_one_as_they_arrive() -> None:
    taken = []

    def arriving() -> Iterator[tuple[str, int | None]]:
        for record in (("light.b", 3), ("light.a", None), ("light.b", 5)):
            taken.append(record)
            yield record

    found = SummaryPlan(TimeBasedDaily, {"bouts": ["sum", "count"]}, ["entity_id"]).accumulate(arriving())
    assert len(taken) == 3
    assert found == [
        Summary({"entity_id": "light.a"}, {"bouts_sum": None, "bouts_count": 0}, 1),
        Summary({"entity_id": "light.b"}, {"bouts_sum": 8, "bouts_count": 2}, 2),
    ]


@pytest.mark.parametrize(
    ("function", "field", "result", "expected"),
    [
        ("sum", "occurrences", 12.0, 12),
        ("max", "occurrences", 12.0, 12),
        ("mean", "occurrences", 12, 12.0),
        ("sum", "frequency", 1, 1.0),
        ("min", "frequency", 0, 0.0),
        ("count", "peak_hours", 3.0, 3),
        ("count", "peak_hours", None, 0),
        ("sum", "occurrences", None, None),
        ("mean", "frequency", None, None),
    ],
)
def test_results_get_the_promised_type_whatever_a_driver_makes_of_them(
    function: Function, field: str, result: float | None, expected: float | None
) -> None:
    (one,) = SummaryPlan(TimeBasedDaily, {field: function}).finish([((), [result], 1)])
    assert (one[field], type(one[field])) == (expected, type(expected))


def test_groups_come_in_order_with_dates_as_dates_and_empty_ones_are_left_out() -> None:
    plan = SummaryPlan(TimeBasedDaily, {}, ["date", "entity_id"])
    found = plan.finish(
        [
            (("2026-03-03", "a"), [], 1),
            (("2026-03-02", "é"), [], 2),
            (("2026-03-02", "z"), [], 1),
            (("2026-03-01", "a"), [], 0),
        ]
    )
    assert [(one["date"], one["entity_id"], one.rows) for one in found] == [
        (dt.date(2026, 3, 2), "z", 1),
        (dt.date(2026, 3, 2), "é", 2),
        (dt.date(2026, 3, 3), "a", 1),
    ]


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["light.a", "light.b", "light.c"]),
        st.floats(0, 1e6),
        st.none() | st.integers(0, 1000),
        st.none() | st.floats(0, 1),
    ),
    max_size=20,
    unique_by=lambda row: row[0],
)


@pytest.fixture(scope="module")
def sql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlStore]:
    store = SqlStore(f"sqlite:///{tmp_path_factory.mktemp('summaries') / 'aggregates.db'}")
    yield store
    store.close()


@given(days=st.lists(ROWS, min_size=1, max_size=3))
@settings(max_examples=20, deadline=None)
def test_the_database_calculates_what_the_accumulator_calculates(sql: SqlStore, days: list[Any]) -> None:
    memory = MemoryStore()
    for offset in range(3):
        day = DAY + dt.timedelta(days=offset)
        rows = [
            duration(
                entity_id,
                day,
                avg_duration_seconds=mean,
                min_duration_seconds=mean,
                max_duration_seconds=mean,
                episodes=episodes,
                efficiency_score=score,
            )
            for entity_id, mean, episodes, score in (days[offset] if offset < len(days) else [])
        ]
        for store in (memory, sql):
            store.replace_day(batch(finding(DurationDaily, rows, day)))
    fields: Fields = {"avg_duration_seconds": ALL, "episodes": ALL, "efficiency_score": ALL}
    for by in ([], ["entity_id"], ["date"], ["date", "entity_id"]):
        expected, found = (
            store.summarize(DurationDaily, DateRange(DAY, DAY + dt.timedelta(days=2)), fields, by)
            for store in (memory, sql)
        )
        assert [(one.by, one.rows) for one in found] == [(one.by, one.rows) for one in expected]
        for one, other in zip(found, expected, strict=True):
            for name, value in other.values.items():
                assert type(one.values[name]) is type(value)
                assert one.values[name] == (None if value is None else pytest.approx(value, rel=1e-9, abs=1e-9))
