"""What changed against the four weeks before: found where it is there, and hardly ever where it is not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest

from jobs.names import NO_NAMES
from jobs.report.changes import MIN_DAYS, MIN_DAYS_BEFORE, find_changes
from jobs.report.stored_rows import StoredRows
from storage.dates import ONE_DAY, DateRange
from storage.models import ActiveTimeDaily, DailyAggregate
from tests.quality.changes import multiplied, unchanged
from tests.support.report_rows import DETECTORS, LAST, WEEKS, query, runs, used

BEFORE = DateRange.ending(WEEKS.first - ONE_DAY, 28)
ALL_DAYS = DateRange(BEFORE.first, LAST)


def stored(rows: list[DailyAggregate], days: DateRange = WEEKS) -> StoredRows:
    return StoredRows(query(rows), days, DETECTORS)


def lamp(count: Callable[[dt.date], int]) -> list[DailyAggregate]:
    return [used("light.lamp", day, count(day)) for day in ALL_DAYS if count(day)]


def test_a_device_that_is_used_twice_as_often_is_reported_with_both_numbers() -> None:
    rows = [*runs(ALL_DAYS), *lamp(lambda day: (6 if day in WEEKS else 3) + day.day % 3)]
    (change,) = find_changes(stored(rows), NO_NAMES).found
    assert (change.id, change.sentence, change.before, change.after) == (
        "light.lamp",
        "is used more often",
        "4 times a day",
        "7 times a day",
    )


def test_a_device_that_is_not_used_any_more_is_reported_so() -> None:
    rows = [*runs(ALL_DAYS), *lamp(lambda day: 0 if day in WEEKS else 3)]
    (change,) = find_changes(stored(rows), NO_NAMES).found
    assert (change.sentence, change.factor) == ("is no longer used", 0)


def test_a_device_that_is_on_for_longer_is_reported_in_time() -> None:
    on = [
        ActiveTimeDaily(
            date=day,
            entity_id="light.lamp",
            active_seconds=3600.0 * (2 + (day in WEEKS)) + day.day,
            known_seconds=86_400,
        )
        for day in ALL_DAYS
    ]
    (change,) = find_changes(stored([*runs(ALL_DAYS), *lamp(lambda _: 4), *on]), NO_NAMES).found
    assert (change.sentence, change.before, change.after) == ("is on for longer", "2 h a day", "3 h a day")


@pytest.mark.parametrize(("after", "is_found"), [(12, False), (13, True)])
def test_a_change_by_less_than_a_quarter_is_not_shown(after: int, *, is_found: bool) -> None:
    rows = [*runs(ALL_DAYS), *lamp(lambda day: after if day in WEEKS else 10)]
    assert bool(find_changes(stored(rows), NO_NAMES).found) is is_found


@pytest.mark.parametrize(("known_before", "is_tested"), [(MIN_DAYS_BEFORE - 1, False), (MIN_DAYS_BEFORE, True)])
def test_nothing_is_compared_with_too_few_known_days(known_before: int, *, is_tested: bool) -> None:
    known = DateRange(BEFORE.last - (known_before - 1) * ONE_DAY, LAST)
    found = find_changes(stored([*runs(known), *lamp(lambda day: 5 if day in WEEKS else 2)]), NO_NAMES)
    assert bool(found.tests) is is_tested
    assert (f"{known_before} of the 28 days before" in found.not_tested) is not is_tested


@pytest.mark.parametrize(("days", "is_tested"), [(MIN_DAYS - 1, False), (MIN_DAYS, True)])
def test_a_report_of_less_than_a_week_is_not_compared(days: int, *, is_tested: bool) -> None:
    rows = [*runs(ALL_DAYS), *lamp(lambda _: 3)]
    found = find_changes(stored(rows, DateRange.ending(LAST, days)), NO_NAMES)
    assert bool(found.tests) is is_tested


def test_days_of_which_a_part_is_not_known_do_not_count() -> None:
    half = [one.model_copy(update={"known_seconds": 43_200.0}) for one in runs(WEEKS)]
    found = find_changes(stored([*runs(BEFORE), *half, *lamp(lambda day: 1 if day in WEEKS else 9)]), NO_NAMES)
    assert (found.found, found.tests) == ([], 0)
    assert "0 of 28 days are known" in found.not_tested


def test_a_new_device_is_named_as_first_used_and_not_as_changed() -> None:
    rows = [*runs(ALL_DAYS), *(used("light.new", day, 5) for day in WEEKS)]
    found = find_changes(stored(rows), NO_NAMES)
    assert found.appeared == [("light.new", "light.new", WEEKS.first)]
    assert not found.found


def test_weekends_do_not_look_like_a_change() -> None:
    """Ten days with four weekend days hold more of them than the weeks before; only whole weeks are compared."""
    days = DateRange.ending(LAST, 9)
    rows = [*runs(ALL_DAYS), *lamp(lambda day: 20 if day.weekday() > 4 else 2)]
    assert not find_changes(stored(rows, days), NO_NAMES).found


def test_homes_in_which_nothing_changes_have_hardly_a_change() -> None:
    found = unchanged(range(9_300, 9_312))
    assert found.tests > 900
    assert found.homes_with_changes <= 3, found
    assert found.changes <= 6, found


def test_a_device_that_is_used_three_times_as_often_is_found_in_such_homes() -> None:
    found = multiplied(range(9_320, 9_324), 3)
    assert found.planted >= 10
    assert found.found >= 0.7 * found.planted, found
