"""long_duration and still_active: what is reported of episodes that last too long, and what is not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import pytest

from jobs.detectors.anomaly import Anomaly
from storage.backends.memory import MemoryStore
from storage.dates import DateRange
from storage.models import (
    ActiveTimeDaily,
    AnomalyDaily,
    DailyAggregate,
    DetectorRunDaily,
    DurationDaily,
    TimeBasedDaily,
)
from tests.support.golden import history_row, run

LAST: Final = dt.date(2026, 3, 30)
DAYS: Final = DateRange.ending(LAST, 29)
HOUR: Final = 3600.0
HEATER: Final = [HOUR * hours for hours in (1.0, 0.7, 1.3, 0.9, 1.1, 1.6, 0.8)] * 4


class Lengths(NamedTuple):
    """The longest episode of each day in seconds (0 for none), and how long the last day's open one has lasted.

    ``number`` is how many episodes a day has; on the last day ``last_number``.
    """

    longest: Sequence[float]
    still_active: float = 0.0
    number: int = 2
    last_number: int = 2


def history(entities: Mapping[str, Lengths], detectors: Sequence[str] = ("duration", "active_time")) -> MemoryStore:
    rows: list[DailyAggregate] = [run(day, detector=name) for day in DAYS for name in ("time_based", *detectors)]
    for entity_id, one in entities.items():
        for day, longest in zip(DateRange.ending(LAST, len(one.longest)), one.longest, strict=True):
            rows.append(history_row(day, entity_id, 4))
            if longest:
                rows.append(duration_row(day, entity_id, longest, one.last_number if day == LAST else one.number))
        if one.still_active:
            rows.append(still_active_row(LAST, entity_id, one.still_active))
    return MemoryStore(rows)


def still_active_row(day: dt.date, entity_id: str, seconds: float) -> ActiveTimeDaily:
    return ActiveTimeDaily(
        date=day,
        entity_id=entity_id,
        active_seconds=min(seconds, 86_400.0),
        known_seconds=86_400.0,
        still_active_seconds=seconds,
        start_known="yes",
    )


def duration_row(day: dt.date, entity_id: str, longest: float, number: int) -> DurationDaily:
    return DurationDaily(
        date=day,
        entity_id=entity_id,
        avg_duration_seconds=longest,
        min_duration_seconds=longest,
        max_duration_seconds=longest,
        duration_variance=0.0,
        episodes=number,
    )


def others(number: int = 12) -> dict[str, Lengths]:
    """Entities whose lengths vary like the heater's, as most things in a home do."""
    rng = np.random.default_rng(3)
    return {f"switch.other_{i}": Lengths((HOUR * rng.lognormal(0, 0.3, 29)).tolist()) for i in range(number)}


def judged(heater: Lengths, entity_id: str = "switch.heater") -> list[AnomalyDaily]:
    finding = Anomaly().judge(LAST, history({**others(), entity_id: heater}))
    return [row for row in finding.rows if isinstance(row, AnomalyDaily) and row.entity_id == entity_id]


def test_a_heater_that_was_on_for_thirteen_hours_is_reported_with_its_length_and_the_longest_before() -> None:
    (row,) = judged(Lengths([*HEATER, 13 * HOUR]))
    assert row.anomaly_type == "long_duration"
    assert row.duration_seconds == pytest.approx(13 * HOUR)
    assert row.longest_before_seconds == pytest.approx(1.6 * HOUR)
    assert row.baseline_deviation > 4


@pytest.mark.parametrize("hours", [1.0, 1.7, 2.3])
def test_a_length_that_is_a_little_longer_than_ever_is_not_reported(hours: float) -> None:
    assert not judged(Lengths([*HEATER, hours * HOUR]))


def test_an_episode_under_twenty_minutes_is_not_reported_however_short_the_others_are() -> None:
    seconds = [20.0, 15.0, 25.0, 18.0] * 7
    assert not judged(Lengths([*seconds, 1199.0]), "binary_sensor.door")
    (row,) = judged(Lengths([*seconds, 1201.0]), "binary_sensor.door")
    assert row.anomaly_type == "long_duration"


def test_an_earlier_long_episode_does_not_hide_the_next_one() -> None:
    earlier = [*HEATER[:20], 13 * HOUR, *HEATER[21:]]
    assert [row.anomaly_type for row in judged(Lengths([*earlier, 13 * HOUR]))] == ["long_duration"]


@pytest.mark.parametrize(("hours", "is_news"), [(5.9, False), (6.1, True)])
def test_what_was_twice_as_long_once_in_four_weeks_is_no_news(hours: float, is_news: bool) -> None:
    assert bool(judged(Lengths([*HEATER[:20], 12 * HOUR, *HEATER[21:], hours * HOUR]))) is is_news


@pytest.mark.parametrize(("hours", "is_news"), [(11.9, False), (12.1, True)])
def test_what_was_as_long_twice_in_four_weeks_is_news_only_if_it_is_longer_still(hours: float, is_news: bool) -> None:
    lengths = Lengths([*HEATER[:8], 11 * HOUR, *HEATER[9:20], 12 * HOUR, *HEATER[21:], hours * HOUR])
    assert bool(judged(lengths)) is is_news


def test_what_has_been_long_on_more_than_an_eighth_of_the_days_is_usual() -> None:
    earlier = [13 * HOUR if day % 5 == 0 else one for day, one in enumerate(HEATER)]
    assert not judged(Lengths([*earlier, 13 * HOUR]))


def test_a_length_says_less_the_more_episodes_it_is_the_longest_of() -> None:
    (of_two,) = judged(Lengths([*HEATER, 8 * HOUR], last_number=2))
    (of_ten,) = judged(Lengths([*HEATER, 8 * HOUR], last_number=10))
    assert of_two.anomaly_score > of_ten.anomaly_score


def test_where_all_lengths_have_heavy_tails_there_are_no_more_false_alarms_than_accepted() -> None:
    rng, found, homes = np.random.default_rng(1), 0, 12
    for _ in range(homes):
        longest = (600 * (1 + rng.pareto(1.5, (60, 29, 3)))).max(axis=2)
        home = {
            f"light.l{code}": Lengths(of_one.tolist(), number=3, last_number=3) for code, of_one in enumerate(longest)
        }
        found += len(Anomaly(types=("long_duration",)).judge(LAST, history(home)).rows)
    assert found <= 1  # 0.4 are expected in 12 days


def test_a_garage_that_is_still_open_is_reported_at_the_end_of_the_day() -> None:
    minutes = [60.0 * one for one in (3, 5, 2, 8, 4, 6, 3)] * 4
    (row,) = judged(Lengths([*minutes, 240.0], still_active=5 * HOUR), "cover.garage")
    assert row.anomaly_type == "still_active"
    assert row.duration_seconds == pytest.approx(5 * HOUR)
    assert row.longest_before_seconds == pytest.approx(480.0)


@pytest.mark.parametrize(("days", "is_reported"), [(0.3, True), (1.3, True), (2.3, True), (3.3, False), (30, False)])
def test_what_is_still_open_is_reported_on_three_days_and_then_is_the_new_normal(
    days: float, is_reported: bool
) -> None:
    minutes = [60.0 * one for one in (3, 5, 2, 8, 4, 6, 3)] * 4
    found = judged(Lengths([*minutes, 240.0], still_active=days * 24 * HOUR), "cover.garage")
    assert [row.anomaly_type for row in found] == ["still_active"] * is_reported


@pytest.mark.parametrize("days", [1, 2, 3, 4, 5, 7, 15])
def test_what_is_on_from_now_on_is_reported_on_three_days_and_never_as_silent(days: int) -> None:
    rows: list[DailyAggregate] = [*history(others()).read(DetectorRunDaily, DAYS)]
    rows += history(others()).read(DurationDaily, DAYS)
    rows += history(others()).read(TimeBasedDaily, DAYS)
    before = list(DAYS)[:-days]
    rows += [history_row(day, "switch.coffee", 4) for day in [*before, list(DAYS)[-days]]]
    rows += [duration_row(day, "switch.coffee", longest, 2) for day, longest in zip(before, HEATER, strict=False)]
    rows += [
        still_active_row(day, "switch.coffee", (14 + 24 * number) * HOUR)
        for number, day in enumerate(list(DAYS)[-days:])
    ]
    found = Anomaly().judge(LAST, MemoryStore(rows)).rows
    assert [row.anomaly_type for row in found if isinstance(row, AnomalyDaily)] == ["still_active"] * (days <= 3)


def test_a_device_that_is_off_and_silent_for_days_is_still_reported() -> None:
    rows: list[DailyAggregate] = [*history(others()).read(DetectorRunDaily, DAYS)]
    rows += history(others()).read(TimeBasedDaily, DAYS)
    rows += [history_row(day, "switch.coffee", 8) for day in list(DAYS)[:-3]]
    found = Anomaly().judge(LAST, MemoryStore(rows)).rows
    assert [(row.entity_id, row.anomaly_type) for row in found if isinstance(row, AnomalyDaily)] == [
        ("switch.coffee", "count_low")
    ]


def test_the_end_of_what_was_reported_as_still_open_for_days_is_no_news() -> None:
    minutes = [60.0 * one for one in (3, 5, 2, 8, 4, 6, 3)] * 4
    store = history({**others(), "cover.garage": Lengths([*minutes, 10 * 24 * HOUR])})
    finding = Anomaly().judge(LAST, store)
    assert not finding.rows
    assert "1 episode that has been unusually long for days left out" in finding.reason


def test_a_lamp_that_burns_over_every_midnight_is_not_reported() -> None:
    assert not judged(Lengths([10 * HOUR + 60 * day for day in range(29)], still_active=5 * HOUR), "light.porch")


def test_that_a_person_stays_at_home_for_days_is_not_reported() -> None:
    assert not judged(Lengths([*HEATER, 40 * HOUR], still_active=70 * HOUR), "person.anna")
    assert judged(Lengths([*HEATER, 40 * HOUR]), "switch.heater")


@pytest.mark.parametrize(("before", "is_judged"), [(6, False), (7, True)])
def test_an_entity_needs_seven_days_with_an_episode(before: int, is_judged: bool) -> None:
    longest = [*HEATER[:before], *[0.0] * (28 - before), 20 * HOUR]
    assert bool(judged(Lengths(longest))) == is_judged


def test_what_was_not_computed_is_named_as_not_judged() -> None:
    heater = {**others(), "switch.heater": Lengths([*HEATER, 13 * HOUR])}
    reason = Anomaly().judge(LAST, history(heater, detectors=("duration",))).reason
    assert "still_active not judged: active_time has not computed this day" in reason
    assert "long_duration not judged" not in reason
