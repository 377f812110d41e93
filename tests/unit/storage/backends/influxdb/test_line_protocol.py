"""Rows as line protocol."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar

import pytest

from storage.backends.influxdb.line_protocol import line
from storage.errors import StoreError
from storage.models import DailyAggregate, Tag
from tests.support.rows import DAY, duration, time_based


def test_a_row_is_one_line_with_sorted_tags_typed_fields_and_midnight_in_utc() -> None:
    assert line(duration(avg_duration_seconds=60, episodes=None)) == (
        "duration_daily,date=2026-03-02,entity_id=light.kitchen avg_duration_seconds=60.0,min_duration_seconds=30.0,"
        "max_duration_seconds=90.0,duration_variance=900.0 1772409600"
    )
    assert ",bouts=5i 1772409600" in line(time_based())


def test_a_tag_value_is_escaped_where_it_would_end() -> None:
    assert ',entity_id=a\\,b\\=c\\ d\\\\,e"f ' in line(duration('a,b=c d\\,e"f'))


@pytest.mark.parametrize("day", [dt.date(1677, 9, 21), dt.date(2262, 4, 11), dt.date.max, dt.date.min])
def test_a_day_that_influxdb_cannot_count_to_is_refused(day: dt.date) -> None:
    with pytest.raises(StoreError, match="1677-09-22 to 2262-04-10"):
        line(duration(day=day))


def test_a_model_with_a_name_that_influxdb_keeps_for_itself_is_refused() -> None:
    class TimedDaily(DailyAggregate):
        measurement: ClassVar[str] = "timed_daily"
        thing: Tag
        time: int

    with pytest.raises(StoreError, match="named time"):
        line(TimedDaily(date=DAY, thing="a", time=1))
