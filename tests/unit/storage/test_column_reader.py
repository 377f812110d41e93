"""Columns of staged and renamed rows, and what is refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.backends.memory import MemoryStore
from storage.backends.sql import SqlStore
from storage.column_reader import read_columns
from storage.dates import ONE_DAY, DateRange
from storage.errors import DaysMissing, StoreCorrupt, UsageError
from storage.models import DetectorRunDaily, DurationDaily, TimeBasedDaily
from storage.overlay import OverlaidReader
from storage.query import AggregateQuery
from storage.renamed import RenamedReader
from storage.store import AggregateReader, Where
from tests.support.rows import DAY, finding, time_based, time_based_batch

DAYS = DateRange(DAY, DAY + 3 * ONE_DAY)
NAMES = ("entity_id", "occurrences")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    """Four days of two lamps."""
    store = SqlStore(f"sqlite:///{tmp_path / 'rows.db'}")
    for place, day in enumerate(DAYS):
        rows = [time_based(name, day, occurrences=10 * place + 1) for name in ("light.a", "light.old")]
        store.replace_day(time_based_batch(*rows, day=day))
    yield store
    store.close()


def fields_of_rows(reader: AggregateReader, where: Where) -> dict[str, list[object]]:
    rows = reader.read(TimeBasedDaily, DAYS, where)
    return {name: [getattr(row, name) for row in rows] for name in NAMES}


@pytest.mark.parametrize("where", [{}, {"entity_id": "light.a"}, {"entity_id": ["light.new", "light.z"]}])
@pytest.mark.parametrize("renames", [{}, {"light.old": "light.new"}, {"light.gone": "light.a"}])
@pytest.mark.parametrize("staged_day", [None, 1, 3])
def test_columns_of_staged_and_renamed_rows_are_those_of_the_rows(
    store: SqlStore, where: Where, renames: dict[str, str], staged_day: int | None
) -> None:
    staged = []
    if staged_day is not None:
        day = DAY + staged_day * ONE_DAY
        rows = (time_based("light.z", day, occurrences=99), time_based("light.a", day, occurrences=98))
        staged = [finding(TimeBasedDaily, rows, day)]
    reader = RenamedReader(OverlaidReader(store, staged), renames)
    assert read_columns(reader, TimeBasedDaily, NAMES, DAYS, where) == fields_of_rows(reader, where)


def test_the_runs_of_a_day_are_staged_and_written_ones(store: SqlStore) -> None:
    staged = finding(DurationDaily, (), detector="other")
    reader = OverlaidReader(store, [staged])
    assert read_columns(reader, DetectorRunDaily, ["detector"], DateRange(DAY, DAY))["detector"] == [
        "other",
        "time_based",
    ]


@pytest.mark.parametrize("text", ["[1, 2", '"words"', "[1, -2]", "[0.5]", "null"])
def test_a_value_that_does_not_satisfy_its_model_is_an_error_that_names_its_row(
    store: SqlStore, tmp_path: Path, text: str
) -> None:
    with sqlite3.connect(tmp_path / "rows.db") as connection:
        connection.execute(
            "UPDATE time_based_daily SET hourly_distribution = ? WHERE entity_id = 'light.old' AND date = ?",
            (text, str(DAY + ONE_DAY)),
        )
    connection.close()
    with pytest.raises(StoreCorrupt, match=r"light\.old"):
        read_columns(store, TimeBasedDaily, ["hourly_distribution"], DAYS)
    assert len(read_columns(store, TimeBasedDaily, ["occurrences"], DAYS)["occurrences"]) == 8


def test_a_field_that_the_aggregate_does_not_have_is_refused_with_the_nearest_one(store: SqlStore) -> None:
    with pytest.raises(UsageError) as caught:
        AggregateQuery(store).columns(TimeBasedDaily, DAYS, fields=["occurences"])
    assert "occurrences" in caught.value.hint


def test_days_that_were_never_computed_are_refused_unless_allowed() -> None:
    aggregates = AggregateQuery(MemoryStore())
    with pytest.raises(DaysMissing):
        aggregates.columns(TimeBasedDaily, DAYS, fields=["date"])
    assert aggregates.columns(TimeBasedDaily, DAYS, fields=["date"], allow_missing=True) == {"date": []}
