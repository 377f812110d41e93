"""Known time and restarts, found from samples alone: homes as lists of samples, with the bursts of their restarts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest

from jobs.activity.entities import Description
from jobs.activity.settling import MAX_DOWNTIME
from jobs.activity.window import DAY, HOUR, MINUTE, SECOND
from jobs.sources.influxdb_points import Points, evidence_of
from jobs.sources.recorder_uptime import (
    MAX_RESTART,
    MIN_DAYS_RECURRING,
    alive_before,
    known_time,
    longest_silence,
    restarts,
    usual_silence,
)

NONE = np.empty(0, np.int64)
NOON = 12 * HOUR


class Sample(NamedTuple):
    at: int
    entity_id: str
    state: str


def starts(samples: Sequence[Sample], *, certain: bool = False) -> list[int]:
    """The starts that are certain, or all that are possible."""
    samples = sorted(samples, key=lambda one: one.at)
    ids = sorted({one.entity_id for one in samples})
    states = sorted({one.state for one in samples})
    points = Points(
        at=np.array([one.at for one in samples], np.int64),
        entity=np.array([ids.index(one.entity_id) for one in samples], np.int32),
        state=np.array([states.index(one.state) for one in samples], np.int32),
        about=[Description(entity_id) for entity_id in ids],
        states=states,
        nameless=0,
    )
    found = restarts(evidence_of(points, [entity_id.partition(".")[0] for entity_id in ids]))
    return sorted((found.certain if certain else np.union1d(*found)).tolist())


def home(switches: int, *, others: int = 0, thermometer: int = 5 * MINUTE) -> list[Sample]:
    """A day of a home: things that were seen once, spread over the first two hours, and a thermometer."""
    things = [f"switch.s{number}" for number in range(switches)]
    things += [f"binary_sensor.b{number}" for number in range(others)]
    spread = 2 * HOUR // max(len(things), 1)
    samples = [Sample(7 * SECOND + place * spread, entity_id, "off") for place, entity_id in enumerate(things)]
    return samples + [Sample(at, "sensor.temperature", f"{20 + at // MINUTE % 7}") for at in range(0, DAY, thermometer)]


def without(samples: Sequence[Sample], start: int, end: int) -> list[Sample]:
    """What is left when nothing was recorded for a while."""
    return [one for one in samples if not start <= one.at < end]


def burst(at: int, entity_ids: Sequence[str], seconds: float, state: str = "off") -> list[Sample]:
    """Entities that report one after the other."""
    step = round(seconds * SECOND / max(len(entity_ids), 1))
    return [Sample(at + place * step, entity_id, state) for place, entity_id in enumerate(entity_ids)]


def some(count: int, others: int = 0) -> list[str]:
    return [f"switch.s{number}" for number in range(count)] + [f"binary_sensor.b{number}" for number in range(others)]


def test_nothing_recorded_is_nothing_known() -> None:
    assert known_time(NONE, HOUR, NONE).tolist() == []
    assert starts([]) == []


def test_a_silence_up_to_the_bound_is_known_and_a_longer_one_is_not() -> None:
    instants = np.array([3 * HOUR + 1, 0, HOUR, 2 * HOUR, HOUR])
    assert known_time(instants, HOUR, NONE).tolist() == [[0, 2 * HOUR]]
    assert known_time(instants, HOUR + 1, NONE).tolist() == [[0, 3 * HOUR + 1]]


def test_a_sample_that_has_no_other_near_it_vouches_for_nothing() -> None:
    assert known_time(np.array([0, 80 * DAY, 80 * DAY + MINUTE]), HOUR, NONE).tolist() == [
        [80 * DAY, 80 * DAY + MINUTE]
    ]


def test_the_time_before_a_start_is_not_known() -> None:
    instants = np.array([0, MINUTE, 2 * MINUTE, 3 * MINUTE])
    assert known_time(instants, HOUR, np.array([2 * MINUTE])).tolist() == [[0, MINUTE], [2 * MINUTE, 3 * MINUTE]]


@pytest.mark.parametrize("seconds", [1, 9, 30, 75, 119])
@pytest.mark.parametrize("downtime", [20 * SECOND, 20 * MINUTE])
def test_a_burst_of_repeats_is_a_start_however_slow_it_is(seconds: int, downtime: int) -> None:
    day = without(home(20, others=20), NOON - downtime, NOON)
    assert starts([*day, *burst(NOON, some(20, 20), seconds)]) == [NOON]


@pytest.mark.parametrize(
    ("switches", "others", "found"),
    [(3, 3, True), (4, 3, True), (3, 2, True), (2, 2, False), (14, 0, False), (19, 0, False), (20, 0, True)],
)
def test_some_of_thirty_two_entities_are_enough_if_they_are_of_two_domains_or_half(
    switches: int, others: int, found: bool
) -> None:
    """Without a silence that would be unusual: 0.15 of 40 are 6, of 32 are 5."""
    size = 16 if switches < 10 else 20
    day = without(home(size, others=size), NOON - 20 * SECOND, NOON)
    assert bool(starts([*day, *burst(NOON, some(switches, others), 10)])) is found


@pytest.mark.parametrize(("count", "found"), [(2, True), (1, False)])
def test_after_an_unusual_silence_a_tenth_is_enough(count: int, found: bool) -> None:
    day = without(home(10, others=10), NOON - 20 * MINUTE, NOON)
    assert bool(starts([*day, *burst(NOON, some(count, count), 5)])) is found
    usual = without(home(10, others=10), NOON - 20 * SECOND, NOON)
    assert starts([*usual, *burst(NOON, some(count, count), 5)]) == []


@pytest.mark.parametrize(("count", "found"), [(4, True), (3, False)])
def test_in_a_small_home_half_of_it_is_enough_if_it_is_four(count: int, found: bool) -> None:
    day = without(home(2 * count), NOON - 20 * SECOND, NOON)
    assert bool(starts([*day, *burst(NOON, some(count), 3)])) is found


@pytest.mark.parametrize(("silence", "found"), [(2 * SECOND, True), (2 * SECOND - 1, False)])
def test_before_a_start_nothing_comes_in_for_two_seconds(silence: int, found: bool) -> None:
    day = [*home(8, others=8), Sample(NOON - silence, "sensor.power", "7")]
    chatter = [Sample(NOON - 20 * SECOND + part * SECOND, "sensor.power", f"{part}") for part in range(18)]
    burst_of_all = burst(NOON, some(8, 8), 2)
    assert bool(starts([*day, *chatter, *burst_of_all])) is found


@pytest.mark.parametrize("every", [30 * SECOND, 5 * MINUTE, HOUR])
@pytest.mark.parametrize("count", [8, 40])
def test_trackers_that_are_polled_together_are_no_start(every: int, count: int) -> None:
    polled = [
        Sample(at + number * 10_000, f"device_tracker.d{number}", "home")
        for at in range(11 * SECOND, DAY, every)
        for number in range(count)
    ]
    assert starts([*home(3, others=3), *polled]) == []


@pytest.mark.parametrize(("repeats", "found"), [(8, True), (11, False)])
def test_who_repeats_a_state_more_than_eight_times_a_day_does_not_count(repeats: int, found: bool) -> None:
    """Once more in the burst: the bound of a whole day is 10, 2 and 8 a day; of the 22 hours here 9."""
    day = without(home(8, others=8), NOON - 20 * SECOND, NOON)
    for number in range(repeats):
        at = 3 * HOUR + number * 35 * MINUTE + 31 * SECOND
        for place, entity_id in enumerate(some(8, 8)):
            day.append(Sample(at + place * 2 * MINUTE + place * SECOND, entity_id, "off"))
    assert bool([start for start in starts([*day, *burst(NOON, some(8, 8), 5)]) if start == NOON]) is found


def test_many_that_change_at_once_are_no_start() -> None:
    assert starts([*home(8, others=8), *burst(NOON + MINUTE, some(8, 8), 2, state="on")]) == []


@pytest.mark.parametrize(("state", "found"), [("on", False), ("off", True)])
def test_a_scene_that_dims_all_lamps_is_no_start_but_lamps_that_say_off_again_are(state: str, found: bool) -> None:
    lamps = [f"light.l{number}" for number in range(10)]
    seen = [Sample(20 * SECOND + place * 9 * MINUTE, lamp, state) for place, lamp in enumerate(lamps)]
    day = without([*home(1), *seen], NOON - 20 * SECOND, NOON)
    assert bool(starts([*day, *burst(NOON, lamps, 1, state=state)])) is found


def test_counters_that_say_zero_again_at_midnight_are_no_start() -> None:
    counters = [f"sensor.energy_{number}" for number in range(12)]
    day = [*home(4), *(Sample(HOUR + place * MINUTE, one, "0.0") for place, one in enumerate(counters))]
    assert starts([*day, *burst(NOON + 2 * MINUTE, counters, 1, state="0.0")]) == []


@pytest.mark.parametrize(("repeats", "uptime", "found"), [(2, True, True), (1, True, False), (2, False, False)])
def test_a_sensor_of_uptime_that_changes_makes_two_repeats_enough(repeats: int, uptime: bool, found: bool) -> None:
    day = [*without(home(10, others=10), NOON - 20 * SECOND, NOON)]
    day.append(Sample(MINUTE, "sensor.uptime", "2026-03-01T00:00:12+00:00"))
    if uptime:
        day.append(Sample(NOON + 5 * SECOND, "sensor.uptime", "2026-03-02T12:00:00+00:00"))
    assert bool(starts([*day, *burst(NOON, some(repeats), 4)])) is found


@pytest.mark.parametrize(
    ("silence", "before", "back_after", "moved"),
    [
        (40 * SECOND, SECOND, None, True),  # close to the burst
        (40 * SECOND, 9 * SECOND, None, False),  # a change like any other
        (40 * SECOND, 9 * SECOND, 50 * SECOND, True),  # wrong at first: it takes the change back
        (40 * SECOND, 9 * SECOND, 11 * MINUTE, False),  # too late to be wrong at first
        (HOUR, 9 * SECOND, None, True),  # after a silence that is unusual for the home
        (HOUR, 58 * SECOND, None, True),
        (HOUR, 61 * SECOND, None, False),  # too early to be of the same start
    ],
)
def test_a_burst_begins_with_what_came_before_its_first_repeat_if_it_belongs_to_it(
    silence: int, before: int, back_after: int | None, moved: bool
) -> None:
    everybody = burst(NOON, some(8, 8), 5)[2:]
    stray = Sample(everybody[0].at - before, "switch.s1", "on")
    day = [*without(home(8, others=8), stray.at - silence, NOON + MINUTE), stray]
    if back_after is not None:
        day.append(Sample(NOON + back_after, "switch.s1", "off"))
    assert starts([*day, *everybody]) == [stray.at if moved else everybody[0].at]


def test_a_wrong_state_at_first_does_not_hide_a_start() -> None:
    day = without(home(8, others=8), NOON - MINUTE, NOON)
    wrong = [Sample(NOON + place * SECOND, entity_id, "on") for place, entity_id in enumerate(some(4))]
    right = [Sample(NOON + (50 + place) * SECOND, entity_id, "off") for place, entity_id in enumerate(some(4))]
    assert starts([*day, *wrong, *right, *burst(NOON + 4 * SECOND, [f"binary_sensor.b{n}" for n in range(8)], 8)]) == [
        NOON
    ]


def test_each_of_several_starts_is_found() -> None:
    times = [5 * HOUR, NOON, 20 * HOUR]
    day = home(8, others=8)
    for at in times:
        day = [*without(day, at - 30 * SECOND, at), *burst(at, some(8, 8), 10)]
    assert starts(day) == times


def test_one_chatty_entity_is_no_burst() -> None:
    chatter = [Sample(NOON + number * 1000, "switch.s0", "off") for number in range(500)]
    assert starts([*home(8), *chatter]) == []


def test_a_recording_that_begins_with_a_burst_begins_with_a_start() -> None:
    things = some(5, 5)
    assert starts([*burst(0, things, 5), *(Sample(HOUR, one, "on") for one in things[:2])]) == [0]


# --- certain and possible starts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "silence", "certain"),
    [
        (8, 20 * SECOND, False),  # a hub, or a quick restart
        (10, 20 * SECOND, True),  # half the home
        (3, 20 * MINUTE, True),  # after a silence that is unusual
    ],
)
def test_a_part_of_the_home_that_reports_again_without_silence_may_be_a_hub(
    count: int, silence: int, certain: bool
) -> None:
    day = without(home(10, others=10), NOON - silence, NOON)
    together = [*day, *burst(NOON, some(count // 2, count - count // 2), 2)]
    assert starts(together) == [NOON]
    assert starts(together, certain=True) == ([NOON] if certain else [])


@pytest.mark.parametrize(("state", "found"), [("blocked", True), ("create_backup", False)])
def test_a_backup_manager_that_is_blocked_shows_a_start(state: str, found: bool) -> None:
    day = without(home(10, others=10), NOON - 20 * SECOND, NOON)
    day += [Sample(MINUTE, "sensor.backup_backup_manager_state", "idle")]
    day += [Sample(NOON + 3 * SECOND, "sensor.backup_backup_manager_state", state)]
    assert (starts([*day, *burst(NOON, some(1, 1), 1)], certain=True) == [NOON]) is found


@pytest.mark.parametrize(("silence", "found"), [(22 * SECOND, True), (20 * SECOND, False)])
def test_in_a_home_that_reports_all_the_time_twenty_seconds_of_silence_are_unusual(silence: int, found: bool) -> None:
    power = [Sample(at, "sensor.power", f"{at // SECOND % 9}") for at in range(0, DAY, 2 * SECOND)]
    day = without([*home(20, others=20, thermometer=HOUR), *power], NOON - silence + SECOND, NOON)
    assert (starts([*day, *burst(NOON, some(2, 2), 2)]) == [NOON]) is found


# --- known time ------------------------------------------------------------------------------------------------------


def test_the_usual_silence_is_the_one_in_which_half_of_the_time_lies() -> None:
    assert usual_silence(NONE) == 0
    assert usual_silence(np.array([5])) == 0
    assert usual_silence(np.array([0, 1, 2, 3, 10, 17])) == 7


@pytest.mark.parametrize(
    ("silence", "usual", "unknown"),
    [
        (90 * SECOND, MINUTE, 90 * SECOND),
        (10 * MINUTE, 5 * MINUTE, MAX_RESTART),
        (10 * MINUTE + 1, 5 * MINUTE, 10 * MINUTE + 1),  # longer than silences of this home are
        (MAX_DOWNTIME, HOUR, MAX_RESTART),
        (MAX_DOWNTIME + 1, HOUR, MAX_DOWNTIME + 1),
    ],
)
def test_before_a_start_a_restart_s_time_is_not_known_and_more_only_after_an_unusual_silence(
    silence: int, usual: int, unknown: int
) -> None:
    assert NOON - alive_before(NOON, NOON - silence, usual) == unknown


@pytest.mark.parametrize(
    ("every", "bound"), [(2 * MINUTE, HOUR), (10 * MINUTE, HOUR), (30 * MINUTE, 3 * HOUR), (2 * HOUR, 6 * HOUR)]
)
def test_a_long_silence_is_six_times_the_usual_one_between_an_hour_and_the_setting(every: int, bound: int) -> None:
    assert longest_silence(np.arange(0, 2 * DAY, every), 2 * DAY, 6 * HOUR) == bound


@pytest.mark.parametrize("days", [MIN_DAYS_RECURRING, MIN_DAYS_RECURRING - 1])
def test_silences_that_recur_each_night_are_known_in_a_home_with_few_sensors(days: int) -> None:
    """Nights of nine hours, after which nothing starts: ``known_time`` ends at a start anyway."""
    instants = np.array([day * DAY + hour * HOUR for day in range(days + 1) for hour in (7, 8, 12, 18, 22)])
    bound = longest_silence(instants, (days + 1) * DAY, 6 * HOUR)
    assert bound == (13.5 * HOUR if days == MIN_DAYS_RECURRING else 6 * HOUR)


@pytest.mark.parametrize(("setting", "bound"), [(DAY, HOUR), (DAY + 1, DAY + 1)])
def test_a_setting_of_more_than_a_day_means_that_silence_is_no_outage(setting: int, bound: int) -> None:
    assert longest_silence(np.arange(0, 2 * DAY, 2 * MINUTE), 2 * DAY, setting) == bound


def test_one_long_silence_before_does_not_make_the_next_one_known() -> None:
    instants = np.arange(0, 8 * DAY, 10 * MINUTE)
    instants = instants[(instants < 5 * DAY) | (instants > 5 * DAY + 9 * HOUR)]
    assert longest_silence(instants, 8 * DAY, 6 * HOUR) == HOUR
