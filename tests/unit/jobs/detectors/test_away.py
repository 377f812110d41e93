"""Which days nobody is home, what of them is reported, and what the baseline is without them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import pytest

from jobs.detector import NotJudged
from jobs.detectors.anomaly import Anomaly
from jobs.household import NO_HOUSEHOLD, Away, Household, Origin
from storage.backends.memory import MemoryStore
from storage.dates import ONE_DAY, DateRange, Day
from storage.models import ActiveTimeDaily, AnomalyDaily, DailyAggregate, DetectorRunDaily, TimeBasedDaily
from tests.support.golden import run
from tests.support.rows import time_based

LAST = dt.date(2026, 8, 30)  # a Sunday
DAYS = DateRange.ending(LAST, 75)
ROOMS = ("hall", "kitchen", "study", "attic")
EVENING = (7, 12, 18, 19, 20, 21, 22)


def at(*hours: int) -> list[int]:
    return [2 * int(hour in hours) for hour in range(24)]


def acted(day: Day, entity_id: str, hours: tuple[int, ...], device_class: str | None = None) -> DailyAggregate:
    domain = entity_id.partition(".")[0]
    return time_based(
        entity_id,
        day,
        domain=domain,
        device_class=device_class,
        hourly_distribution=at(*hours),
        occurrences=2 * len(hours),
        bouts=len(hours),
    )


def stored(
    away: DateRange | None,
    moved: Mapping[Day, tuple[str, int]] | None = None,
    persons: Mapping[str, bool] | None = None,
    *,
    until: Day = LAST,
    lives_on: bool = False,
) -> MemoryStore:
    """Return a home with motion, doors and lamps in four rooms; nothing acts while it is empty but what moved.

    Args:
        away: The days on which it is empty.
        moved: By day, the room in which a door and motion act although it is empty, and the hour.
        persons: For each person, whether he or she is away then. Others are always home.
        until: The last stored day.
        lives_on: Whether the home is as active as usual on the days away.
    """
    rows: list[DailyAggregate] = []
    for day in DateRange(DAYS.first, until):
        rows.append(run(day))
        is_empty = away is not None and day in away
        for room in ROOMS:
            if not is_empty or lives_on:
                rows.append(acted(day, f"binary_sensor.{room}_motion", EVENING, "motion"))
                rows.append(acted(day, f"binary_sensor.{room}_door", EVENING[::2], "door"))
                rows.append(acted(day, f"light.{room}", EVENING[2:]))
        if moved and day in moved:
            room, hour = moved[day]
            rows.append(acted(day, f"binary_sensor.{room}_motion", (hour,), "motion"))
            rows.append(acted(day, f"binary_sensor.{room}_door", (hour,), "door"))
        for person, is_away in (persons or {}).items():
            seconds = 0.0 if is_empty and is_away else 50_000.0
            rows.append(ActiveTimeDaily(date=day, entity_id=person, active_seconds=seconds, known_seconds=86_400))
            if seconds:
                rows.append(acted(day, person, (8, 17)))
    return MemoryStore(rows)


def judge(store: MemoryStore, day: Day = LAST, household: Household = NO_HOUSEHOLD) -> tuple[list[AnomalyDaily], str]:
    found = Anomaly().judge(day, store, household)
    return [row for row in found.rows if isinstance(row, AnomalyDaily)], found.reason


FORTNIGHT = DateRange(LAST - 20 * ONE_DAY, LAST - 7 * ONE_DAY)


def entered(days: DateRange, origin: Origin = "entered") -> Household:
    return Household((Away(days.first, days.last, "Norway", origin),))


@pytest.mark.parametrize(
    ("persons", "household", "is_away"),
    [
        ({"person.ada": True, "person.bob": True}, NO_HOUSEHOLD, True),
        ({"person.ada": True, "person.bob": False}, NO_HOUSEHOLD, False),
        ({}, NO_HOUSEHOLD, False),
        ({}, entered(FORTNIGHT), True),
        ({}, entered(FORTNIGHT, "calendar"), True),
        ({"person.ada": False}, entered(FORTNIGHT), True),
    ],
)
def test_nobody_is_home_if_every_person_is_away_or_somebody_entered_it(
    persons: dict[str, bool], household: Household, is_away: bool
) -> None:
    day = FORTNIGHT.first + 5 * ONE_DAY
    _, reason = judge(stored(FORTNIGHT, persons=persons, until=day), day, household)
    assert reason.startswith("nobody was home: ") == is_away


@pytest.mark.parametrize(
    ("persons", "household", "is_away"),
    [
        ({"person.ada": True}, NO_HOUSEHOLD, False),  # a tracker that reports nothing, a resident without a person
        ({}, entered(FORTNIGHT, "calendar"), False),  # the journey was cancelled
        ({}, entered(FORTNIGHT), True),
    ],
)
def test_a_home_as_active_as_usual_is_away_only_if_somebody_entered_it(
    persons: dict[str, bool], household: Household, is_away: bool
) -> None:
    day = FORTNIGHT.first + 5 * ONE_DAY
    _, reason = judge(stored(FORTNIGHT, persons=persons, until=day, lives_on=True), day, household)
    assert reason.startswith("nobody was home: ") == is_away


def test_a_person_who_is_never_home_says_nothing() -> None:
    day = FORTNIGHT.first + 5 * ONE_DAY
    ghost = [
        ActiveTimeDaily(date=date, entity_id="person.ghost", active_seconds=0, known_seconds=86_400)
        for date in DateRange(DAYS.first, day)
    ]
    for persons, is_away in (({"person.ada": True}, True), ({"person.ada": False}, False)):
        store = stored(FORTNIGHT, persons=persons, until=day)
        rows = [*store.read(ActiveTimeDaily, DAYS), *ghost]
        both = MemoryStore([*_all(store), *rows, acted(day - 9 * ONE_DAY, "person.ghost", (3,))])
        assert judge(both, day)[1].startswith("nobody was home: ") == is_away


def _all(store: MemoryStore) -> list[DailyAggregate]:
    return [row for model in (TimeBasedDaily, ActiveTimeDaily, DetectorRunDaily) for row in store.read(model, DAYS)]


def test_a_burglar_is_found_with_the_hour_and_in_one_group() -> None:
    day = FORTNIGHT.first + 6 * ONE_DAY
    rows, reason = judge(stored(FORTNIGHT, {day: ("attic", 3)}, until=day), day, entered(FORTNIGHT))
    assert {(row.entity_id, row.anomaly_type) for row in rows} == {
        ("binary_sensor.attic_motion", "activity_while_away"),
        ("binary_sensor.attic_door", "activity_while_away"),
    }
    assert [row.hours for row in rows] == [[3], [3]]
    assert len({row.group for row in rows}) == 1
    assert "it was entered as a day away (Norway)" in reason


@pytest.mark.parametrize(("hours", "is_reported"), [((), False), ((3,), True), ((3, 4), True), ((3, 9, 15), False)])
def test_on_the_first_day_with_an_animal_at_home_a_door_is_news_unless_somebody_is_at_home(
    hours: tuple[int, ...], is_reported: bool
) -> None:
    store = stored(DateRange(LAST, LAST), persons={"person.ann": True})
    animal = acted(LAST, "binary_sensor.kitchen_motion", (1, 4, 8, 11, 16, 20, 23), "motion")
    door = [acted(LAST, "binary_sensor.hall_door", hours, "door")] if hours else []
    rows, reason = judge(MemoryStore([*_all(store), animal, *door]))
    assert [row.entity_id for row in rows] == ["binary_sensor.hall_door"] * is_reported
    assert "nobody was home" in reason


def test_what_moved_on_earlier_days_away_is_no_news() -> None:
    day = FORTNIGHT.first + 6 * ONE_DAY
    moved = dict.fromkeys(DateRange(FORTNIGHT.first + ONE_DAY, day), ("attic", 3))
    assert judge(stored(FORTNIGHT, moved, until=day), day, entered(FORTNIGHT))[0] == []


@pytest.mark.parametrize(
    ("place", "hour", "is_news"),
    [
        ("first", 9, False),  # they may be leaving
        ("first", 14, True),
        ("last", 20, False),  # they may have come back
        ("last", 14, True),
        ("second", 9, True),
    ],
)
def test_on_the_first_and_last_day_only_movement_that_cannot_be_the_residents_is_news(
    place: str, hour: int, is_news: bool
) -> None:
    offset = {"first": 0, "second": 1, "last": len(FORTNIGHT) - 1}[place]
    day = FORTNIGHT.first + offset * ONE_DAY
    rows, _ = judge(stored(FORTNIGHT, {day: ("attic", hour)}, until=day), day, entered(FORTNIGHT))
    assert bool(rows) == is_news


def test_persons_decide_what_the_first_day_of_an_absence_leaves_open() -> None:
    store = stored(FORTNIGHT, {FORTNIGHT.first: ("attic", 9)}, {"person.ada": True}, until=FORTNIGHT.first)
    assert judge(store, FORTNIGHT.first, entered(FORTNIGHT))[0]


def test_days_away_are_no_baseline_which_reaches_further_back_instead() -> None:
    rows, reason = judge(stored(FORTNIGHT), household=entered(FORTNIGHT))
    assert rows == []
    assert "compared with 28 complete days" in reason
    assert "14 days on which nobody was home left out" in reason


@pytest.mark.parametrize(("days", "is_judged"), [(2, True), (3, False)])
def test_the_day_of_the_return_is_not_judged_after_three_days_or_more(days: int, is_judged: bool) -> None:
    absence = DateRange.ending(LAST - ONE_DAY, days)
    _, reason = judge(stored(absence), household=entered(absence))
    assert ("the day of the return" in reason) != is_judged


def test_a_day_away_that_was_not_computed_is_not_judged() -> None:
    found = Anomaly().judge(FORTNIGHT.last, stored(FORTNIGHT, until=FORTNIGHT.first), entered(FORTNIGHT))
    assert isinstance(found, NotJudged)


def test_what_was_active_on_the_day_of_the_return_has_not_been_silent_since_before_the_journey() -> None:
    absence = DateRange(LAST - 16 * ONE_DAY, LAST - 2 * ONE_DAY)  # the return, on the day before the last, is left out
    silent = {LAST, LAST - ONE_DAY, *DateRange.ending(absence.first - ONE_DAY, 3)}
    rows = [
        row
        for row in _all(stored(absence))
        if not (getattr(row, "entity_id", "") == "light.attic" and row.date in silent)
    ]
    household = Household((Away(absence.first, absence.last),))
    found, _ = judge(MemoryStore(rows), household=household)
    assert [(row.entity_id, row.anomaly_type) for row in found] == [("light.attic", "count_low")]
    on_return = acted(LAST - ONE_DAY, "light.attic", (20,))
    assert judge(MemoryStore([*rows, on_return]), household=household)[0] == []
