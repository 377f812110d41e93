"""What each section of the report says, number by number."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from jobs.names import NO_NAMES, Names
from jobs.report.calendar import NOT_COMPUTED, find_unusual, stretches
from jobs.report.gaps import find_gaps, in_words
from jobs.report.relations import find_relations
from jobs.report.rhythm import find_rhythms
from jobs.report.stored_rows import StoredRows
from jobs.report.usage import find_usage
from storage.dates import ONE_DAY, DateRange
from storage.models import (
    ActiveTimeDaily,
    CoOccurrenceDaily,
    DailyAggregate,
    DurationDaily,
    RoomBasedDaily,
    SequenceDaily,
    Severity,
)
from tests.support.report_rows import DETECTORS, LAST, WEEKS, anomaly, query, run, runs, used

ZONE = ZoneInfo("Europe/Berlin")
LAMP = "light.lamp"
MONDAYS = [day for day in WEEKS if day.weekday() == 0]


def stored(rows: list[DailyAggregate], days: DateRange = WEEKS) -> StoredRows:
    return StoredRows(query(rows), days, DETECTORS)


# the rhythm of the week


def test_an_hour_is_averaged_over_all_computed_days_of_its_day_of_the_week_also_those_without_a_row() -> None:
    rows = [*runs(WEEKS), used(LAMP, MONDAYS[0], 2), used(LAMP, MONDAYS[1], 4)]
    ((group,),) = [find_rhythms(stored(rows), NO_NAMES).groups]
    (lamp,) = group.devices
    assert lamp.values[0] is not None
    assert lamp.values[0][19] == (4 + 8) / 4  # four Mondays, each bout of two changes
    assert lamp.a_day == 12 / 28
    assert lamp.paths == [(5, "M19 0h1")]


def test_a_day_of_the_week_that_was_never_computed_is_not_known() -> None:
    rows = [*runs(day for day in WEEKS if day.weekday() != 6), used(LAMP, MONDAYS[0], 2)]
    (group,) = find_rhythms(stored(rows), NO_NAMES).groups
    assert [of_day is None for of_day in group.devices[0].values] == [False] * 6 + [True]


@pytest.mark.parametrize(("peaks", "dots"), [(1, ""), (2, "M19.5 0h0")])
def test_an_hour_that_is_a_peak_on_half_of_the_days_is_marked(peaks: int, dots: str) -> None:
    rows = [used(LAMP, day, 3, peak_hours=[19] if number < peaks else []) for number, day in enumerate(MONDAYS)]
    (group,) = find_rhythms(stored([*runs(WEEKS), *rows]), NO_NAMES).groups
    assert group.devices[0].peaks == dots


def test_a_room_is_the_sum_of_its_devices() -> None:
    room = RoomBasedDaily(
        date=MONDAYS[0],
        area_id="hall",
        activity_level=1.0,
        device_usage={LAMP: 4, "light.other": 6},
        transition_patterns=[],
        peak_activity_hours=[],
    )
    rows = [
        *runs(WEEKS),
        room,
        used(LAMP, MONDAYS[0], 2),
        used("light.other", MONDAYS[0], 3),
        used("light.no", LAST, 9),
    ]
    found = find_rhythms(stored(rows), Names({}, {"hall": "Hall"}))
    assert [(one.name, one.a_day) for one in found.rooms] == [("Hall", 10 / 28)]
    assert [(group.room, len(group.devices)) for group in found.groups] == [("Hall", 2), ("", 1)]


# what is on for how long


def active(seconds: float, day: dt.date = LAST, entity_id: str = LAMP) -> ActiveTimeDaily:
    return ActiveTimeDaily(date=day, entity_id=entity_id, active_seconds=seconds, known_seconds=86_400.0)


def ended(score: float | None, day: dt.date = LAST, entity_id: str = LAMP) -> DurationDaily:
    return DurationDaily(
        date=day,
        entity_id=entity_id,
        avg_duration_seconds=600.0,
        min_duration_seconds=600.0,
        max_duration_seconds=600.0,
        duration_variance=0.0,
        efficiency_score=score,
    )


def test_time_on_is_averaged_over_all_computed_days() -> None:
    days = DateRange.ending(LAST, 4)
    (lamp,) = find_usage(stored([*runs(days), active(3_600.0), active(7_200.0, LAST - ONE_DAY)], days), NO_NAMES)
    assert (lamp.seconds, lamp.state, lamp.wasted_seconds) == (10_800.0 / 4, "on", None)


@pytest.mark.parametrize(
    ("seconds", "score", "wasted", "is_waste"),
    [
        (3_600.0, 0.74, 936.0, True),
        (3_600.0, 0.76, 864.0, False),  # less than 15 minutes
        (36_000.0, 0.76, 8_640.0, False),  # less than a quarter
        (36_000.0, 0.74, 9_360.0, True),
    ],
)
def test_time_with_nobody_around_is_marked_from_a_quarter_and_15_minutes_a_day_on(
    seconds: float, score: float, wasted: float, *, is_waste: bool
) -> None:
    day = DateRange(LAST, LAST)
    (lamp,) = find_usage(stored([*runs(day), active(seconds), ended(score)], day), NO_NAMES)
    assert lamp.wasted_seconds == pytest.approx(wasted)
    assert lamp.is_waste is is_waste


def test_a_door_that_is_open_wastes_nothing_and_movement_is_not_time_on() -> None:
    day = DateRange(LAST, LAST)
    door, motion = "binary_sensor.door", "binary_sensor.motion"
    rows = [
        *runs(day),
        active(7_200.0, entity_id=door),
        ended(0.1, entity_id=door),
        used(door, LAST, 1, device_class="door"),
        active(7_200.0, entity_id=motion),
        used(motion, LAST, 1, device_class="motion"),
    ]
    (found,) = find_usage(stored(rows, day), NO_NAMES)
    assert (found.id, found.state, found.wasted_seconds) == (door, "open", None)


# what goes together


def pair(day: dt.date, **changes: Any) -> CoOccurrenceDaily:
    values: dict[str, Any] = {
        "date": day,
        "device_pair": "binary_sensor.door|light.lamp",
        "co_occurrence_count": 6,
        "time_window_seconds": 300,
        "confidence": 0.5,
        "typical_hours": [],
        "first_share": 0.1,
    }
    return CoOccurrenceDaily(**{**values, **changes})


@pytest.mark.parametrize(
    ("share", "first", "is_ordered"),
    [(0.1, LAMP, True), (0.9, "binary_sensor.door", True), (0.6, "binary_sensor.door", False)],
)
def test_an_arrow_points_away_from_the_one_that_is_usually_first(share: float, first: str, *, is_ordered: bool) -> None:
    rows = [*runs(WEEKS), pair(LAST, first_share=share), pair(MONDAYS[0], first_share=share, co_occurrence_count=4)]
    (found,) = find_relations(stored(rows), NO_NAMES).pairs
    assert (found.first, found.is_ordered, found.days, found.a_day) == (first, is_ordered, 2, 5.0)


def test_a_pair_of_a_single_day_is_shown_in_the_report_of_that_day_only() -> None:
    rows = [*runs(WEEKS), pair(LAST)]
    assert not find_relations(stored(rows), NO_NAMES).pairs
    assert find_relations(stored(rows, DateRange(LAST, LAST)), NO_NAMES).pairs


def test_the_steps_of_a_chain_are_said_as_people_say_them() -> None:
    chain = SequenceDaily(
        date=LAST,
        sequence_id="0" * 16,
        sequence=["binary_sensor.door:on", "binary_sensor.motion:on", "lock.door:unlocked", "binary_sensor.door:off"],
        frequency=4,
        avg_duration_seconds=20.0,
        confidence=0.5,
        linked_by="automation",
    )
    rows = [
        *runs(WEEKS),
        chain,
        used("binary_sensor.door", LAST, 1, device_class="door"),
        used("binary_sensor.motion", LAST, 1, device_class="motion"),
    ]
    (found,) = find_relations(stored(rows, DateRange(LAST, LAST)), NO_NAMES).chains
    assert [state for _, state in found.steps] == ["opens", "notices movement", "unlocked", "closes"]
    assert (found.takes, found.note) == ("20 s", "by an automation")


def test_ways_between_rooms_are_counted_a_day_and_the_most_frequent_is_the_thickest() -> None:
    def room(area_id: str, to: str, count: int) -> RoomBasedDaily:
        moves = [{"to": to, "count": count, "probability": 1.0, "median_seconds": 9.0}]
        return RoomBasedDaily(
            date=LAST,
            area_id=area_id,
            activity_level=0.5,
            device_usage={},
            transition_patterns=moves,
            peak_activity_hours=[],
        )

    days = DateRange.ending(LAST, 2)
    found = find_relations(
        stored([*runs(days), room("hall", "kitchen", 8), room("kitchen", "hall", 2)], days), NO_NAMES
    )
    assert [(move.start, move.end, move.a_day) for move in found.moves] == [
        ("hall", "kitchen", 4.0),
        ("kitchen", "hall", 1.0),
    ]
    assert found.moves[0].width > found.moves[1].width


# what was unusual


def test_what_goes_on_for_days_is_one_thing_and_a_day_without_it_ends_it() -> None:
    silent = [anomaly(LAMP, LAST - ago * ONE_DAY, anomaly_type="count_low", occurrences=0) for ago in (0, 1, 2, 5)]
    other = anomaly("light.other", LAST, severity=Severity.CRITICAL)
    found = find_unusual(stored([*runs(WEEKS), *silent, other]), NO_NAMES, ZONE)
    assert [(item.days.first, item.days.last, item.severity) for item in found.items] == [
        (LAST, LAST, "critical"),
        (LAST - 2 * ONE_DAY, LAST, "high"),
        (LAST - 5 * ONE_DAY, LAST - 5 * ONE_DAY, "high"),
    ]
    cells = {cell.day: cell for week in found.weeks for cell in week}
    assert (cells[LAST].label, cells[LAST].unusual, cells[LAST].item) == ("unusual", 2, 1)
    assert (cells[LAST - ONE_DAY].unusual, cells[LAST - ONE_DAY].item) == (1, 2)


def test_what_is_muted_makes_no_day_unusual_and_is_listed_apart() -> None:
    found = find_unusual(stored([*runs(WEEKS), anomaly(LAMP, LAST, muted="known")]), NO_NAMES, ZONE)
    assert (found.items, len(found.muted), dict(found.days)) == ([], 1, {"usual": 28})


def test_days_that_were_not_computed_or_not_judged_are_not_called_usual() -> None:
    some = list(WEEKS)
    rows = [
        *runs(some[:10]),
        *runs(some[10:12], reason="not judged: the baseline has 3 of the 14 complete days that are needed"),
        *runs(some[12:14], ["time_based"]),
    ]
    found = find_unusual(stored(list(rows)), NO_NAMES, ZONE)
    assert dict(found.days) == {"usual": 10, "not judged": 4, NOT_COMPUTED: 14}


# what is missing


def test_gaps_are_grouped_by_what_is_missing_with_the_reason_of_the_newest_day() -> None:
    some = list(WEEKS)
    reasons = [f"not judged: the baseline has {number} of the 14 complete days" for number in range(3)]
    rows: list[DailyAggregate] = [
        *runs(some[3:20]),
        *runs(some[:3], [one for one in DETECTORS if one != "anomaly"]),
        *(run("anomaly", day, reason=reason) for day, reason in zip(some[:3], reasons, strict=True)),
        *runs(some[22:], [one for one in DETECTORS if one != "sequence"]),
    ]
    gaps = find_gaps(query(rows), stored(rows))
    assert [(gap.what, gap.days, gap.day_count) for gap in gaps] == [
        ("Nothing was computed", "22 to 23 November", 2),
        ("No result of sequence", "24 to 29 November", 6),
        ("Not judged whether anything was unusual", "2 to 4 November", 3),
    ]
    assert gaps[2].why == "the baseline has 2 of the 14 complete days"


@pytest.mark.parametrize(("known", "is_listed"), [(86_400.0 - 299, False), (86_400.0 - 300, True)])
def test_time_that_was_not_recorded_is_listed_from_five_minutes_on(known: float, *, is_listed: bool) -> None:
    rows = [*runs(list(WEEKS)[:-1]), *runs([LAST], known_seconds=known)]
    gaps = find_gaps(query(rows), stored(list(rows)))
    assert [gap.what for gap in gaps] == (["5 min were not recorded"] if is_listed else [])


def test_days_in_words() -> None:
    days = [LAST, LAST - ONE_DAY, LAST - 3 * ONE_DAY]
    assert in_words(days) == "26 November and 28 to 29 November"
    assert (
        in_words([LAST - 2 * number * ONE_DAY for number in range(6)]) == "6 days between 19 November and 29 November"
    )
    assert [len(one) for one in stretches(days)] == [1, 2]
