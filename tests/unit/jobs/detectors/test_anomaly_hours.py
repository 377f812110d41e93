"""unusual_hour: what is reported of activity at hours at which the home is quiet, and what is not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Final

import pytest

from jobs.detectors.anomaly import Anomaly
from storage.backends.memory import MemoryStore
from storage.dates import DateRange
from storage.models import AnomalyDaily, DailyAggregate, TimeBasedDaily
from tests.support.golden import run

LAST: Final = dt.date(2026, 3, 30)
DAYS: Final = list(DateRange.ending(LAST, 29))
WAKING: Final = range(7, 23)
CLASSES: Final = ("motion", "door", None, "window")

Night = Mapping[int, int]  # how many events in which hour


def row(day: dt.date, entity_id: str, device_class: str | None, hours: Mapping[int, int]) -> TimeBasedDaily:
    counts = [hours.get(hour, 0) for hour in range(24)]
    return TimeBasedDaily(
        date=day,
        entity_id=entity_id,
        domain=entity_id.partition(".")[0],
        hourly_distribution=counts,
        peak_hours=[],
        frequency=0.5,
        confidence=0,
        occurrences=sum(counts),
        bouts=sum(counts) // 2,
        device_class=device_class,
    )


def found(
    tonight: Night, *, before: Iterable[tuple[int, str, Night]] = (), also: Iterable[str] = (), hours: range = WAKING
) -> list[AnomalyDaily]:
    """Return what is found of the door ``e1`` in a home of 20 entities that is active in some hours.

    Args:
        tonight: The door's events on the judged day, beside the usual ones.
        before: Events of earlier days: the day's index, the entity's name, and its events beside the usual ones.
        also: Entities that act with the door.
        hours: The hours in which each entity acts every day.
    """
    extra: dict[tuple[dt.date, str], Night] = {(DAYS[index], name): night for index, name, night in before}
    extra |= {(LAST, name): tonight for name in ("e1", *also)}
    rows: list[DailyAggregate] = [run(day) for day in DAYS]
    for day in DAYS:
        for number in range(20):
            usual = {hour: 2 for hour in hours if (hour + number) % 3 == day.toordinal() % 3}
            name = f"e{number}"
            rows.append(row(day, f"binary_sensor.{name}", CLASSES[number % 4], {**usual, **extra.get((day, name), {})}))
    return [
        one
        for one in Anomaly(types=("unusual_hour",)).judge(LAST, MemoryStore(rows)).rows
        if isinstance(one, AnomalyDaily)
    ]


def test_a_single_opening_at_night_is_reported_with_its_hour() -> None:
    (door,) = found({3: 2})
    assert (door.entity_id, door.anomaly_type, door.hours) == ("binary_sensor.e1", "unusual_hour", [3])
    assert door.severity == "low"
    assert door.baseline_deviation > 5


def test_an_ordinary_day_is_not_reported() -> None:
    assert not found({})


def test_a_single_change_is_the_end_of_something_and_not_reported() -> None:
    assert not found({3: 1})
    assert found({2: 1, 3: 1})


@pytest.mark.parametrize(("hour", "is_reported"), [(23, False), (0, True), (5, True), (6, False)])
def test_the_hours_beside_those_in_which_it_acts_are_not_unusual(hour: int, is_reported: bool) -> None:
    assert bool(found({hour: 2})) == is_reported


def test_a_door_that_has_been_opened_at_that_time_before_is_not_reported() -> None:
    assert not found({3: 2}, before=[(10, "e1", {2: 2})])
    assert not found({3: 2}, before=[(10, "e1", {4: 2})])


@pytest.mark.parametrize(("days", "is_reported"), [(2, True), (3, False)])
def test_where_other_doors_open_at_night_on_more_than_two_days_it_is_no_news(days: int, is_reported: bool) -> None:
    nights = [(4 * index, f"e{5 + 4 * index}", {3: 2}) for index in range(days)]
    assert bool(found({3: 2}, before=nights)) == is_reported


@pytest.mark.parametrize(("days", "is_reported"), [(4, True), (5, False)])
def test_where_anything_acts_at_night_on_more_than_four_days_it_is_no_news(days: int, is_reported: bool) -> None:
    nights = [(4 * index, f"e{(0, 2, 3, 4, 6)[index]}", {3: 2}) for index in range(days)]
    assert bool(found({3: 2}, before=nights)) == is_reported


@pytest.mark.parametrize(("days", "is_reported"), [(1, True), (2, False)])
def test_two_hours_from_its_usual_hours_it_needs_more_proof(days: int, is_reported: bool) -> None:
    nights = [(4 * index, f"e{(0, 2, 3)[index]}", {3: 2}) for index in range(days)]
    assert bool(found({5: 2}, before=nights)) == is_reported


@pytest.mark.parametrize(("others", "is_reported"), [(3, True), (4, False)])
def test_where_somebody_is_up_single_devices_are_not_reported(others: int, is_reported: bool) -> None:
    rows = found({3: 2}, also=[f"e{number}" for number in range(2, 2 + others)])
    assert len(rows) == (others + 1) * is_reported


@pytest.mark.parametrize(("others", "is_reported"), [(4, True), (5, False)])
def test_where_many_act_at_unusual_hours_of_a_day_the_residents_were_up(others: int, is_reported: bool) -> None:
    nights: list[tuple[int, str, Night]] = [(28, f"e{2 + number}", {number % 4: 2}) for number in range(others)]
    assert len(found({3: 2}, before=nights)) == (others + 1) * is_reported


def night_with_guests(others_at: int, others: int = 6) -> list[AnomalyDaily]:
    """Return what is found of a door at 3 if others, of six that may act at any hour, all act in one hour."""
    rows: list[DailyAggregate] = [run(day) for day in DAYS]
    for day in DAYS:
        for number in range(26):
            at_any_hour = number >= 20
            every, used = (8, range(24)) if at_any_hour else (3, WAKING)
            counts = {hour: 2 for hour in used if (hour + number) % every == day.toordinal() % every}
            if day == LAST and number in range(20, 20 + others):
                counts[others_at] = 2
            if day == LAST and number == 1:
                counts[3] = 2
            rows.append(row(day, f"binary_sensor.e{number}", CLASSES[number % 4], counts))
    judged = Anomaly(types=("unusual_hour",)).judge(LAST, MemoryStore(rows)).rows
    return [one for one in judged if isinstance(one, AnomalyDaily) and one.entity_id == "binary_sensor.e1"]


@pytest.mark.parametrize(("hour", "is_reported"), [(1, True), (2, False), (3, False), (4, False), (5, True)])
def test_beside_an_hour_in_which_many_are_up_single_devices_are_not_reported(hour: int, is_reported: bool) -> None:
    assert bool(night_with_guests(hour)) == is_reported


@pytest.mark.parametrize(("others", "is_reported"), [(3, True), (6, False)])
def test_devices_that_act_at_any_hour_also_show_that_somebody_is_up(others: int, is_reported: bool) -> None:
    assert bool(night_with_guests(3, others)) == is_reported


def test_a_home_that_is_active_at_all_hours_has_no_unusual_one() -> None:
    assert not found({3: 2}, hours=range(24))


def test_an_entity_needs_enough_days() -> None:
    rows = [run(day) for day in DAYS]
    assert (
        "1 entity with fewer than 14 days"
        in Anomaly().judge(LAST, MemoryStore([*rows, row(LAST, "binary_sensor.new", "door", {3: 2})])).reason
    )
