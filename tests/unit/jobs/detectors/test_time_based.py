"""``time_based`` to the letter: counts by local hour, frequency, peaks, bouts and confidence, on hand-made days."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Sequence
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.activity.building import Recording, SampleBuilder, example_day
from jobs.activity.entities import EntityRules
from jobs.activity.events import DayLog
from jobs.activity.window import HOUR, MINUTE, SECOND, DayWindow
from jobs.detectors.time_based import TimeBased
from storage.models import TimeBasedDaily

DAY = dt.date(2026, 3, 2)
TODAY = DayWindow(DAY, ZoneInfo("UTC"))
LAMP = "light.lamp"


def toggles(at_minutes: Iterable[float], entity_id: str = LAMP) -> list[tuple[float, str, str]]:
    """An entity that opens off and changes at each of these minutes of the day."""
    states = ("on", "off")
    events = [(minute, entity_id, states[number % 2]) for number, minute in enumerate(sorted(at_minutes))]
    return [(0, entity_id, "off"), *events]


def rows(log: DayLog, detector: TimeBased | None = None) -> list[TimeBasedDaily]:
    found = (detector or TimeBased()).detect(log).rows
    assert all(isinstance(row, TimeBasedDaily) for row in found)
    return [row for row in found if isinstance(row, TimeBasedDaily)]


def only(log: DayLog) -> TimeBasedDaily:
    (row,) = rows(log)
    return row


def row_at(minutes: Iterable[float], known: Sequence[tuple[int, int]] | None = None) -> TimeBasedDaily:
    """The row of a lamp that changes at these minutes of a day in UTC, known in these hours."""
    builder = SampleBuilder()
    spans = [(TODAY.start + a * HOUR, TODAY.start + b * HOUR) for a, b in known or [(0, 24)]]
    builder.add(spans[0][0], LAMP, "off")
    for minute, entity_id, state in toggles(minutes)[1:]:
        builder.add(TODAY.start + round(minute * MINUTE), entity_id, state)
    return only(Recording.of(builder.build(spans), EntityRules()).day(TODAY))


def wilson(successes: int, trials: int) -> float:
    """The formula as Wilson gave it, centre minus half width."""
    z, share = 1.96, successes / trials
    centre = (successes + z * z / 2) / (trials + z * z)
    return centre - z / (trials + z * z) * math.sqrt(trials * share * (1 - share) + z * z / 4)


def test_an_event_counts_in_the_hour_it_happens_in_and_the_counts_sum_to_occurrences() -> None:
    row = only(example_day(toggles([0.001, 59.999, 60, 12 * 60, 12 * 60 + 59.99, 1439.99])))
    expected = [0] * 24
    expected[0], expected[1], expected[12], expected[23] = 2, 1, 2, 1
    assert row.hourly_distribution == expected
    assert row.occurrences == sum(expected) == 6
    assert (row.date, row.entity_id, row.domain) == (DAY, LAMP, "light")


def test_one_row_for_each_entity_with_an_event_and_none_for_the_others() -> None:
    day = [*toggles([600]), *toggles([], "light.idle"), *toggles([601], "M001"), (5, "sensor.power", "1")]
    found = rows(example_day([*day, (6, "sensor.power", "2")]))
    assert [(row.entity_id, row.domain) for row in found] == [("M001", "other"), (LAMP, "light")]


def test_frequency_is_the_share_of_the_days_hours_with_activity() -> None:
    assert only(example_day(toggles([60, 61, 125, 600]))).frequency == 3 / 24
    assert only(example_day(toggles(range(30, 1440, 60)))).frequency == 1.0


def test_on_a_day_of_23_hours_the_skipped_hour_is_0_and_no_hour_of_the_day() -> None:
    log = example_day(toggles([119.9, 120, 121]), day=dt.date(2025, 3, 30), zone="Europe/Berlin")
    row = only(log)
    assert log.known_seconds == 23 * 3600
    assert row.hourly_distribution[1:4] == [1, 0, 2]
    assert row.frequency == 2 / 23


def test_on_a_day_of_25_hours_the_repeated_hour_holds_both_and_is_one_hour_of_the_day() -> None:
    row = only(example_day(toggles([125, 185, 250]), day=dt.date(2025, 10, 26), zone="Europe/Berlin"))
    assert row.hourly_distribution[1:5] == [0, 2, 1, 0]
    assert row.frequency == 2 / 24


def test_hours_are_those_of_the_wall_clock_in_zones_off_the_full_hour() -> None:
    row = only(example_day(toggles([19 * 60 + 1]), zone="Asia/Kolkata"))
    assert row.hourly_distribution.index(1) == 19


def test_bouts_are_runs_of_events_at_most_300_seconds_apart() -> None:
    assert only(example_day(toggles([600, 605, 610]))).bouts == 1
    assert only(example_day(toggles([600, 605, 610 + 1 / 60]))).bouts == 2
    assert only(example_day(toggles([600, 700, 800]))).bouts == 3


def test_entities_do_not_join_each_others_bouts() -> None:
    day = [*toggles([600, 604], "light.a"), *toggles([602, 900], "light.b")]
    assert [(row.entity_id, row.bouts) for row in rows(example_day(day))] == [("light.a", 1), ("light.b", 2)]


def test_a_clear_peak_is_found_and_its_confidence_is_the_wilson_bound_of_its_share() -> None:
    row = only(example_day(toggles([*range(19 * 60, 20 * 60, 6), 200, 700])))
    assert row.peak_hours == [19]
    assert row.occurrences == 12
    assert row.confidence == pytest.approx(wilson(10, 12), abs=1e-12)


def test_the_share_of_several_peaks_is_that_of_their_events_together() -> None:
    busy = [*range(7 * 60, 8 * 60, 5), *range(21 * 60, 22 * 60, 5)]
    row = only(example_day(toggles([*busy, 800, 900])))
    assert row.peak_hours == [7, 21]
    assert row.confidence == pytest.approx(wilson(24, 26), abs=1e-12)


def test_more_events_give_more_confidence() -> None:
    few = only(example_day(toggles(range(19 * 60, 20 * 60, 12))))
    many = only(example_day(toggles(range(19 * 60, 20 * 60, 5))))
    assert few.peak_hours == many.peak_hours == [19]
    assert few.confidence == pytest.approx(wilson(5, 5))
    assert many.confidence == pytest.approx(wilson(12, 12))
    assert few.confidence < many.confidence < 1


@pytest.mark.parametrize(
    ("case", "minutes"),
    [
        ("five events spread over the day", [100, 400, 700, 1000, 1300]),
        ("one event an hour", [60 * hour + 7 * hour % 60 for hour in range(24)]),
        ("a single event", [600]),
        ("two slots only, however often", [600 + second / 60 for second in range(0, 590, 10)]),
        ("one burst over three slots", [600 + second / 10 for second in range(140)]),
    ],
)
def test_no_peak_without_proof_and_no_confidence_without_a_peak(case: str, minutes: list[float]) -> None:
    row = only(example_day(toggles(minutes)))
    assert (row.peak_hours, row.confidence) == ([], 0.0), case
    assert row.occurrences == len(minutes)


def test_uniform_noise_has_almost_no_peaks() -> None:
    random = Random(5)
    day = [
        sample
        for number in range(200)
        for sample in toggles((random.uniform(0.1, 1439) for _ in range(random.randrange(4, 40))), f"light.{number:03}")
    ]
    with_peak = sum(bool(row.peak_hours) for row in rows(example_day(sorted(day))))
    assert with_peak <= 6


def test_on_a_day_with_an_outage_the_rate_is_that_of_the_known_minutes() -> None:
    every_six_minutes = list(range(8 * 60 + 3, 11 * 60, 6))
    assert row_at(every_six_minutes).peak_hours == [8, 9, 10]
    assert row_at(every_six_minutes, known=[(8, 11)]).peak_hours == []


def test_the_slots_of_an_hour_are_judged_among_the_known_ones() -> None:
    """Every slot of three known hours is occupied, so however many events 9 o'clock has, it has no slots too many."""
    every_slot = [8 * 60 + 5 * slot + 2 for slot in range(36) if not 12 <= slot < 24]
    assert row_at([*every_slot, *(9 * 60 + 2.07 * n for n in range(29))], known=[(8, 11)]).peak_hours == []


def test_the_events_of_an_hour_are_judged_by_its_share_of_the_known_time() -> None:
    """9 of 16 events in one of three known hours prove nothing; in one of 24 hours they would."""
    few_slots = [8 * 60 + 0.2, 8 * 60 + 2.4, 8 * 60 + 4.6, 10 * 60 + 1, 10 * 60 + 4, 10 * 60 + 31, 10 * 60 + 34]
    minutes = [*few_slots, *(9 * 60 + 5 * slot + 2 for slot in range(9))]
    assert row_at(minutes, known=[(8, 11)]).peak_hours == []
    assert row_at(minutes).peak_hours == [9]


def test_an_hour_that_stands_out_of_the_known_time_is_a_peak_on_a_day_with_an_outage() -> None:
    row = row_at([*range(9 * 60, 10 * 60, 5), 6 * 60 + 30, 11 * 60 + 30], known=[(6, 12)])
    assert row.peak_hours == [9]


def test_the_false_discovery_rate_is_a_parameter() -> None:
    log = example_day(toggles([605, 615, 625, 100, 1300]))
    assert rows(log, TimeBased(peak_false_discovery_rate=1e-9))[0].peak_hours == []
    assert rows(log, TimeBased(peak_false_discovery_rate=0.9))[0].peak_hours == [10]


def test_an_empty_day_has_no_rows_and_says_why() -> None:
    found = TimeBased().detect(example_day([(0, LAMP, "on"), (600, LAMP, "on")]))
    assert list(found.rows) == []
    assert found.reason == "no entity had an activity event"


def test_the_reason_of_a_day_says_what_was_found() -> None:
    found = TimeBased().detect(example_day([*toggles(range(600, 660, 5), "light.a"), *toggles([100], "light.b")]))
    assert found.reason == "2 entities had 13 activity events; 1 with a peak hour"


DAYS = st.lists(st.tuples(st.integers(1, 14_399), st.sampled_from("abcd"), st.sampled_from(["on", "off"])), max_size=60)


def rows_of(day: list[tuple[int, str, str]], names: dict[str, str]) -> dict[str, TimeBasedDaily]:
    """The row of each letter, with the entities named so."""
    builder = SampleBuilder()
    for tenths, letter, state in day:
        builder.add(TODAY.start + tenths * 6 * SECOND, names[letter], state)
    log = Recording.of(builder.build([(TODAY.start, TODAY.end)]), EntityRules()).day(TODAY)
    letters = {name: letter for letter, name in names.items()}
    return {letters[row.entity_id]: row.model_copy(update={"entity_id": ""}) for row in rows(log)}


@given(DAYS.filter(bool), st.permutations(["light.k", "light.q", "light.z", "light.b"]), st.randoms())
@settings(max_examples=60, deadline=None)
def test_neither_the_order_of_rows_nor_the_names_of_entities_change_a_number(
    day: list[tuple[int, str, str]], names: list[str], random: Random
) -> None:
    day = list({(tenths, letter): (tenths, letter, state) for tenths, letter, state in day}.values())
    shuffled = random.sample(day, len(day))
    plain = rows_of(day, {letter: f"light.{letter}" for letter in "abcd"})
    assert rows_of(shuffled, dict(zip("abcd", names, strict=True))) == plain


@given(DAYS.filter(bool))
@settings(max_examples=60, deadline=None)
def test_every_row_is_consistent_in_itself(day: list[tuple[int, str, str]]) -> None:
    for row in rows_of(day, {letter: f"light.{letter}" for letter in "abcd"}).values():
        counts = row.hourly_distribution
        assert sum(counts) == row.occurrences >= (row.bouts or 0) >= 1
        assert row.frequency == sum(count > 0 for count in counts) / 24
        assert row.peak_hours == sorted(set(row.peak_hours))
        in_peaks = sum(counts[hour] for hour in row.peak_hours)
        assert row.confidence == pytest.approx(wilson(in_peaks, row.occurrences) if in_peaks else 0.0, abs=1e-12)
        assert all(counts[hour] >= 3 for hour in row.peak_hours)
