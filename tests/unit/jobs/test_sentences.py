"""What happened, in one plain sentence."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from jobs.sentences.groups import stories
from jobs.sentences.rows import sentence_of
from storage.backends.memory import MemoryStore
from storage.dates import DateRange
from storage.models import (
    ActiveTimeDaily,
    AnomalyDaily,
    CoOccurrenceDaily,
    DailyAggregate,
    RoomBasedDaily,
    SequenceDaily,
    Severity,
)
from storage.rollup_models import BoutTimesDaily, DriftWeekly, RoutineMonthly, RoutineWeekly
from tests.support.rows import duration, time_based

ZONE = ZoneInfo("Europe/Berlin")
DAY = dt.date(2026, 11, 24)  # a Tuesday
BEFORE = DateRange.ending(DAY, 29)


def anomaly(entity_id: str = "light.hall", anomaly_type: str = "count_high", **changes: Any) -> AnomalyDaily:
    values: dict[str, Any] = {
        "date": DAY,
        "entity_id": entity_id,
        "anomaly_type": anomaly_type,
        "anomaly_score": 0.5,
        "baseline_deviation": 5.0,
        "occurrences": 40,
        "severity": Severity.HIGH,
    }
    return AnomalyDaily(**{**values, **changes})


def at(*hours: int) -> list[int]:
    return [int(hour in hours) for hour in range(24)]


def history(entity_id: str, **changes: Any) -> MemoryStore:
    """Four weeks in which an entity was active 4, 5 or 6 times a day in the evening, and a lamp from 5 to 23."""
    rows: list[DailyAggregate] = []
    for number, day in enumerate(BEFORE):
        if day != DAY:
            rows.append(time_based(entity_id, day, **{"bouts": 4 + number % 3, **changes}))
            rows.append(time_based("light.other", day, hourly_distribution=at(*range(5, 24), 0)))
            rows.append(duration(entity_id, day, max_duration_seconds=6060.0 if number == 3 else 90.0))
    return MemoryStore(rows)


@pytest.mark.parametrize(
    ("row", "device_class", "sentence"),
    [
        (
            anomaly(),
            None,
            "light.hall was active 40 times; on the days before, it was 5 times on average, from 4 to 6",
        ),
        (
            anomaly(anomaly_type="count_low", occurrences=1),
            None,
            "light.hall was active only once; on the days before, it was 5 times on average, from 4 to 6",
        ),
        (
            anomaly(anomaly_type="count_low", occurrences=0),
            None,
            (
                "light.hall has been silent since Tuesday 2026-11-24; "
                "before that, it was active 5 times a day when it was used at all"
            ),
        ),
        (
            anomaly(anomaly_type="long_duration", duration_seconds=13 * 3600 + 240),
            None,
            "light.hall was on for 13 h 4 min; the longest of 56 times in four weeks before was 1 h 41 min",
        ),
        (
            anomaly(anomaly_type="long_duration", duration_seconds=13 * 3600, longest_before_seconds=6059.5),
            None,
            "light.hall was on for 13 h; the longest of 56 times in four weeks before was 1 h 41 min",
        ),
        (
            anomaly(anomaly_type="long_duration", duration_seconds=13 * 3600, longest_before_seconds=90.0),
            None,
            (
                "light.hall was on for 13 h; usually 2 min at most, "
                "but longer on 1 day in four weeks before, up to 1 h 41 min"
            ),
        ),
        (
            anomaly("binary_sensor.gate", "still_active", duration_seconds=2 * 3600 + 46 * 60),
            "garage_door",
            (
                "binary_sensor.gate has been open since Tuesday 21:14; "
                "the longest of 56 times in four weeks before was 1 h 41 min"
            ),
        ),
        (
            anomaly("binary_sensor.door", "unusual_hour", hours=[3]),
            "door",
            (
                "binary_sensor.door was used between 3:00 and 4:00; "
                "in four weeks before, nothing in the home was used between 1:00 and 5:00"
            ),
        ),
        (
            anomaly("binary_sensor.door", "unusual_hour", hours=[9]),
            "door",
            (
                "binary_sensor.door was used between 9:00 and 10:00; "
                "in four weeks before, it was never used between 0:00 and 19:00"
            ),
        ),
        (
            anomaly("binary_sensor.door", "activity_while_away", hours=[14]),
            "door",
            "binary_sensor.door opened between 14:00 and 15:00 while nobody was home",
        ),
        (
            anomaly("binary_sensor.hall", "activity_while_away", hours=[14]),
            "motion",
            "binary_sensor.hall noticed somebody between 14:00 and 15:00 while nobody was home",
        ),
        (
            anomaly(anomaly_type="of_another_package", muted="being repaired"),
            None,
            (
                "light.hall was unusual (of_another_package), +5.0 standard deviations from what is expected "
                "(muted: being repaired)"
            ),
        ),
    ],
)
def test_an_anomaly_says_what_happened_and_what_is_usual(
    row: AnomalyDaily, device_class: str | None, sentence: str
) -> None:
    assert sentence_of(row, ZONE, history(row.entity_id, device_class=device_class)) == sentence


@pytest.mark.parametrize(
    "anomaly_type",
    ["count_high", "count_low", "long_duration", "still_active", "unusual_hour", "activity_while_away", "other"],
)
def test_an_anomaly_has_a_sentence_where_nothing_else_is_stored(anomaly_type: str) -> None:
    row = anomaly(anomaly_type=anomaly_type, occurrences=0)
    for store in (None, MemoryStore()):
        sentence = sentence_of(row, ZONE, store)
        assert sentence.startswith("light.hall ")
        assert not {"None", "  "} & {part for part in ("None", "  ") if part in sentence}


def test_the_longest_usual_time_is_the_same_where_nothing_else_can_be_read() -> None:
    row = anomaly(anomaly_type="long_duration", duration_seconds=7200.0, longest_before_seconds=1020.0)
    assert sentence_of(row, ZONE) == "light.hall was on for 2 h; usually 17 min at most"
    row = anomaly(anomaly_type="long_duration", duration_seconds=7200.0, longest_before_seconds=0.0)
    assert sentence_of(row, ZONE) == "light.hall was on for 2 h"


def test_a_clock_change_does_not_move_the_beginning_of_an_episode() -> None:
    row = anomaly(anomaly_type="still_active", date=dt.date(2026, 10, 25), duration_seconds=24 * 3600)  # 25 hours long
    assert "since Sunday 01:00" in sentence_of(row, ZONE)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (
            time_based(bouts=5),
            "light.kitchen was active 5 times, most of all between 19:00 and 22:00",
        ),
        (
            time_based(bouts=2, peak_hours=[], hourly_distribution=at(7, 19)),
            "light.kitchen was active twice, between 7:00 and 8:00 and between 19:00 and 20:00",
        ),
        (
            time_based(bouts=9, peak_hours=[], hourly_distribution=at(*range(9))),
            "light.kitchen was active 9 times, in 9 hours of the day; no hour stands out",
        ),
        (
            time_based(bouts=2, peak_hours=[], hourly_distribution=at(*range(9))),
            "light.kitchen was active in 9 hours of the day, in 2 long stretches; no hour stands out",
        ),
        (
            duration("lock.front", efficiency_score=1.0),
            "lock.front was unlocked twice, for 1 min on average and 2 min at most; somebody was around all the time",
        ),
        (
            duration("lock.front", efficiency_score=0.0),
            "lock.front was unlocked twice, for 1 min on average and 2 min at most; nobody was around",
        ),
        (
            duration("lock.front", efficiency_score=0.8),
            (
                "lock.front was unlocked twice, for 1 min on average and 2 min at most; "
                "somebody was around for 80% of the time"
            ),
        ),
        (
            ActiveTimeDaily(
                date=DAY,
                entity_id="light.hall",
                active_seconds=7200,
                known_seconds=86400,
                still_active_seconds=3600,
                start_known="no",
            ),
            "light.hall was on for 2 h of the day; at midnight it still was, since Tuesday 23:00 or earlier",
        ),
        (
            ActiveTimeDaily(date=DAY, entity_id="person.ada", active_seconds=0, known_seconds=86400),
            "person.ada was not home all day",
        ),
        (
            CoOccurrenceDaily(
                date=DAY,
                device_pair="light.a|light.b",
                co_occurrence_count=4,
                time_window_seconds=300,
                confidence=0.5,
                typical_hours=[],
                expected_count=0.21,
                first_share=0.25,
            ),
            (
                "light.a and light.b were used together 4 times; by chance it would be about 0.21 times; "
                "light.b came first in 75% of them"
            ),
        ),
        (
            SequenceDaily(
                date=DAY,
                sequence_id="0" * 16,
                sequence=["light.a:on", "light.b:off"],
                frequency=3,
                avg_duration_seconds=20.0,
                confidence=0.5,
            ),
            "light.a on, then light.b off: 3 times, taking 20 s on average",
        ),
        (
            RoomBasedDaily(
                date=DAY,
                area_id="kitchen",
                activity_level=0.34,
                device_usage={"light.a": 4},
                transition_patterns=[{"to": "hall", "count": 12, "probability": 1.0, "median_seconds": 4.0}],
                peak_activity_hours=[7],
            ),
            (
                "kitchen had 34% of the home's activity, most of it between 7:00 and 8:00; "
                "from there, people went to hall (12 times)"
            ),
        ),
    ],
)
def test_each_measurement_has_a_plain_sentence(row: DailyAggregate, sentence: str) -> None:
    assert sentence_of(row, ZONE) == sentence


def test_anomalies_of_one_group_are_one_story() -> None:
    rows = [
        anomaly(f"light.{name}", group="light.b", home_activity="busy", anomaly_score=score)
        for name, score in zip("abcde", (0.2, 0.9, 0.3, 0.4, 0.5), strict=True)
    ]
    (story,) = stories(rows, ZONE)
    assert story.sentence == (
        "the whole home was busier than usual: 5 entities were active more often than usual: "
        "light.b, light.e, light.d and 2 more"
    )


def test_stories_are_in_the_order_of_their_severity_and_muted_ones_come_last() -> None:
    rows = [
        anomaly("light.a", severity=Severity.LOW),
        anomaly("light.b", severity=Severity.CRITICAL, muted="sold"),
        anomaly("light.c", severity=Severity.MEDIUM),
    ]
    found = stories(rows, ZONE)
    assert [story.rows[0].entity_id for story in found] == ["light.c", "light.a", "light.b"]
    assert [story.is_muted for story in found] == [False, False, True]


def test_a_muted_row_does_not_lead_its_story() -> None:
    rows = [
        anomaly("light.a", group="light.a", muted="sold", severity=Severity.CRITICAL, anomaly_score=1.0),
        anomaly("light.b", group="light.a", severity=Severity.LOW),
    ]
    (story,) = stories(rows, ZONE)
    assert (story.severity, story.is_muted, story.sentence.split()[0]) == (Severity.LOW, False, "light.b")


ROUTINE = RoutineWeekly(
    date=DAY,
    scope="entity",
    subject="light.hall",
    hourly_profile=[0.5] * 24,
    active_days=6,
    known_days=7,
    interdaily_stability=0.45,
    bouts_per_day=8.0,
    bouts_per_day_before=1.0,
    change="more",
)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (
            ROUTINE,
            (
                "light.hall was active on 6 of 7 complete days, 8 times a day; the time of day explains 45% of how "
                "much its hours differ; more than in the week before (once a day then)"
            ),
        ),
        (
            RoutineMonthly(
                date=DAY, scope="home", subject="home", hourly_profile=[0.0] * 24, active_days=1, known_days=1
            ),
            "The home was active on 1 of 1 complete day; not compared with the month before",
        ),
        (
            ROUTINE.model_copy(update={"scope": "area", "subject": "hall", "change": "other_hours"}),
            (
                "hall was active on 6 of 7 complete days, 8 times a day; the time of day explains 45% of how much its "
                "hours differ; at other hours than in the week before"
            ),
        ),
        (
            DriftWeekly(date=DAY, entity_id="light.hall", changed_on=DAY, before=8.0, after=4.25, score=9.0),
            "light.hall is used less often since Tuesday 2026-11-24: 4.2 times a day, 8 times a day before",
        ),
        (
            DriftWeekly(date=DAY, entity_id="light.hall", changed_on=DAY, before=8.0, after=0.0, score=9.0),
            "light.hall has not been used since Tuesday 2026-11-24; 8 times a day before",
        ),
        (
            BoutTimesDaily(date=DAY, entity_id="light.hall", starts=[7 * 3600, 8 * 3600, 9 * 3600, 22 * 3600 + 60]),
            "light.hall was used 4 times, first at 07:00 and last at 22:01",
        ),
        (
            BoutTimesDaily(date=DAY, entity_id="light.hall", starts=[7 * 3600]),
            "light.hall was used once, at 07:00",
        ),
        (
            BoutTimesDaily(
                date=dt.date(2026, 10, 25), entity_id="light.hall", starts=[3 * 3600]
            ),  # the clock goes back
            "light.hall was used once, at 02:00",
        ),
    ],
)
def test_weeks_and_bouts_are_one_plain_sentence(row: DailyAggregate, sentence: str) -> None:
    assert sentence_of(row, ZONE) == sentence


@pytest.mark.parametrize(
    ("device_class", "state"), [("door", "open"), ("motion", "active"), ("occupancy", "occupied"), (None, "on")]
)
def test_how_long_something_lasted_is_told_in_the_words_for_its_device_class(
    device_class: str | None, state: str
) -> None:
    store = MemoryStore([time_based("binary_sensor.it", DAY, device_class=device_class)])
    row = duration("binary_sensor.it", DAY, episodes=1, max_duration_seconds=60.0)
    assert sentence_of(row, ZONE, store).startswith(f"binary_sensor.it was {state} once, for 1 min")
    still = ActiveTimeDaily(date=DAY, entity_id="binary_sensor.it", active_seconds=3600, known_seconds=86400)
    assert sentence_of(still, ZONE, store) == f"binary_sensor.it was {state} for 1 h of the day"


@pytest.mark.parametrize(
    ("share", "who"),
    [
        (1.0, "light.a came first each time"),
        (0.56, "light.a came first in 56% of them"),
        (0.55, "each came first about as often"),
        (0.45, "each came first about as often"),
        (0.44, "light.b came first in 56% of them"),
        (0.0, "light.b came first each time"),
    ],
)
def test_which_of_two_came_first_is_told_unless_they_are_about_even(share: float, who: str) -> None:
    row = CoOccurrenceDaily(
        date=DAY,
        device_pair="light.a|light.b",
        co_occurrence_count=4,
        time_window_seconds=300,
        confidence=0.5,
        typical_hours=[],
        first_share=share,
    )
    assert sentence_of(row, ZONE) == f"light.a and light.b were used together 4 times; {who}"
