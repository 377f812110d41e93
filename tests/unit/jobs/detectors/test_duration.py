"""``duration`` to the letter: which episodes are measured, on which day, how long, and how useful the time was."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from itertools import accumulate
from random import Random
from statistics import fmean, pvariance
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.activity.building import Recording, SampleBuilder, example_day
from jobs.activity.entities import Description, EntityRules
from jobs.activity.events import DayLog
from jobs.activity.window import HOUR, MINUTE, DayWindow
from jobs.detector import Finding
from jobs.detectors.duration import Duration
from storage.models import DurationDaily

DAY = dt.date(2026, 3, 2)
UTC = ZoneInfo("UTC")
TODAY = DayWindow(DAY, UTC)
TOMORROW = DayWindow(DAY + dt.timedelta(days=1), UTC)
LAMP, MOTION = "light.lamp", "binary_sensor.motion"

Minutes = tuple[float, str, str | None]  # minutes since the day's start, entity, state


def rows(found: Finding) -> list[DurationDaily]:
    kept = [row for row in found.rows if isinstance(row, DurationDaily)]
    assert len(kept) == len(found.rows)
    return kept


def detected(log: DayLog, around_seconds: int = 600) -> dict[str, DurationDaily]:
    return {row.entity_id: row for row in rows(Duration(around_seconds=around_seconds).detect(log))}


def recording(
    samples: Iterable[Minutes],
    *,
    known: Sequence[tuple[float, float]] = ((-1440, 4 * 1440),),
    starts: Sequence[float] = (),
    areas: dict[str, str] | None = None,
) -> Recording:
    """A recording in minutes from the day's start; binary sensors show motion, everything lies in the hall."""
    builder = SampleBuilder()
    for minute, entity_id, state in samples:
        device_class = "motion" if entity_id.startswith("binary_sensor.") else None
        area = (areas or {}).get(entity_id, "hall")
        builder.describe(Description(entity_id, device_class=device_class, area_id=area))
        builder.add(instant(minute), entity_id, state)
    spans = [(instant(start), instant(end)) for start, end in known]
    return Recording.of(builder.build(spans, [instant(start) for start in starts]), EntityRules())


def instant(minute: float) -> int:
    return TODAY.start + round(minute * MINUTE)


def score(samples: Iterable[Minutes], areas: dict[str, str] | None = None, around_seconds: int = 600) -> float | None:
    """The lamp's efficiency on the day."""
    return detected(recording(samples, areas=areas).day(TODAY), around_seconds)[LAMP].efficiency_score


def burning(first: float, last: float) -> list[Minutes]:
    return [(first - 1, LAMP, "off"), (first, LAMP, "on"), (last, LAMP, "off")]


def test_finished_episodes_give_mean_shortest_longest_population_variance_and_number() -> None:
    day = [(0, LAMP, "off"), *((m, LAMP, s) for m, s in [(60, "on"), (61, "off"), (100, "on"), (103, "off")])]
    row = detected(example_day([*day, (200, LAMP, "on"), (208, LAMP, "off")]))[LAMP]
    lengths = [60.0, 180.0, 480.0]
    assert (row.date, row.episodes) == (DAY, 3)
    assert (row.avg_duration_seconds, row.min_duration_seconds, row.max_duration_seconds) == (240.0, 60.0, 480.0)
    assert row.duration_variance == pytest.approx(pvariance(lengths))


def test_one_episode_has_no_variance() -> None:
    row = detected(example_day([(0, LAMP, "off"), (60, LAMP, "on"), (70.5, LAMP, "off")]))[LAMP]
    assert (row.avg_duration_seconds, row.min_duration_seconds, row.max_duration_seconds) == (630.0, 630.0, 630.0)
    assert (row.duration_variance, row.episodes) == (0.0, 1)


@pytest.mark.parametrize(
    ("entity_id", "idle", "active"),
    [
        ("cover.blind", "closed", "open"),
        ("lock.door", "locked", "unlocked"),
        ("person.ann", "not_home", "home"),
        ("media_player.tv", "idle", "playing"),
        ("vacuum.robot", "docked", "cleaning"),
        ("M001", "off", "on"),
    ],
)
def test_an_episode_is_a_stretch_in_a_state_that_is_active_for_its_domain(
    entity_id: str, idle: str, active: str
) -> None:
    row = detected(example_day([(0, entity_id, idle), (60, entity_id, active), (75, entity_id, idle)]))[entity_id]
    assert (row.avg_duration_seconds, row.episodes) == (900.0, 1)


def test_an_episode_over_midnight_is_counted_once_on_the_day_it_ends_with_its_full_length() -> None:
    whole = recording([(1000, LAMP, "off"), (1430, LAMP, "on"), (1450, LAMP, "off")])
    first = Duration().detect(whole.day(TODAY))
    assert (list(first.rows), first.reason) == ([], "no finished episode")
    row = detected(whole.day(TOMORROW))[LAMP]
    assert (row.avg_duration_seconds, row.episodes, row.date) == (1200.0, 1, TOMORROW.day)


def test_an_episode_of_several_days_is_counted_on_its_last_only() -> None:
    whole = recording([(100, LAMP, "off"), (600, LAMP, "on"), (3 * 1440 + 600, LAMP, "off")])
    windows = [DayWindow(DAY + dt.timedelta(days=shift), UTC) for shift in range(5)]
    found = [[row.avg_duration_seconds for row in detected(whole.day(one)).values()] for one in windows]
    assert found == [[], [], [], [3 * 86_400.0], []]


def test_an_episode_that_ends_at_midnight_ends_in_the_new_day() -> None:
    whole = recording([(1000, LAMP, "off"), (1430, LAMP, "on"), (1440, LAMP, "off")])
    assert detected(whole.day(TODAY)) == {}
    assert detected(whole.day(TOMORROW))[LAMP].avg_duration_seconds == 600.0


def test_lengths_are_real_time_on_days_with_a_change_of_clocks() -> None:
    for day in (dt.date(2025, 3, 30), dt.date(2025, 10, 26)):
        log = example_day([(0, LAMP, "off"), (60, LAMP, "on"), (240, LAMP, "off")], day=day, zone="Europe/Berlin")
        assert detected(log)[LAMP].avg_duration_seconds == 3 * 3600.0


@pytest.mark.parametrize(
    ("case", "samples", "starts"),
    [
        ("its begin is not known", [(600, LAMP, "on"), (660, LAMP, "off")], []),
        ("a long gap cut it", [*burning(600, 610)[:2], (630, LAMP, None), (635.1, LAMP, "on"), (660, LAMP, "off")], []),
        ("a long gap ended it", [*burning(600, 610)[:2], (630, LAMP, None), (640, LAMP, "off")], []),
        ("a restart found another state", [*burning(600, 610)[:2], (630.5, LAMP, "off")], [630]),
        ("it began within a restart", [(590, LAMP, "off"), (600.5, LAMP, "on"), (630, LAMP, "off")], [600]),
    ],
)
def test_an_episode_that_was_not_seen_whole_is_not_measured(
    case: str, samples: list[Minutes], starts: list[float]
) -> None:
    found = Duration().detect(recording(samples, starts=starts).day(TODAY))
    assert list(found.rows) == [], case
    assert found.reason.startswith("no finished episode; ")
    assert "interrupted or whose start is not known" in found.reason


def test_an_outage_of_over_5_minutes_interrupts_an_episode_and_a_shorter_one_does_not() -> None:
    samples: list[Minutes] = [(590, LAMP, "off"), (600, LAMP, "on"), (640, LAMP, "on"), (660, LAMP, "off")]
    short = recording(samples, known=[(0, 635), (640, 1440)]).day(TODAY)
    long = recording(samples, known=[(0, 634.9), (640, 1440)]).day(TODAY)
    assert detected(short)[LAMP].avg_duration_seconds == 3600.0
    assert detected(long) == {}


def test_a_short_gap_and_a_restart_that_repeats_the_state_leave_an_episode_whole() -> None:
    samples: list[Minutes] = [*burning(600, 660)[:2], (630, LAMP, None), (635, LAMP, "on"), (640.5, LAMP, "on")]
    row = detected(recording([*samples, (660, LAMP, "off")], starts=[640]).day(TODAY))[LAMP]
    assert (row.avg_duration_seconds, row.episodes) == (3600.0, 1)


def test_measured_and_unmeasured_episodes_of_a_day_are_both_reported() -> None:
    samples: list[Minutes] = [(10, LAMP, "on"), (20, LAMP, "off"), (30, LAMP, "on"), (40, LAMP, "off")]
    found = Duration().detect(recording(samples).day(TODAY))
    assert [row.episodes for row in rows(found)] == [1]
    assert found.reason.startswith("1 entity had 1 finished episode; 1 episode that was interrupted")


def test_an_empty_day_has_no_rows_and_says_why() -> None:
    found = Duration().detect(example_day([(0, LAMP, "off")]))
    assert (list(found.rows), found.reason) == ([], "no finished episode")


def test_a_light_left_on_in_an_empty_room_scores_low() -> None:
    still: list[Minutes] = [(0, MOTION, "off")]
    assert score([*still, *burning(600, 660)]) == 0.0


def test_a_light_that_is_on_while_somebody_is_around_scores_1() -> None:
    assert score([(0, MOTION, "off"), (590, MOTION, "on"), (700, MOTION, "off"), *burning(600, 660)]) == 1.0


def test_somebody_is_around_until_10_minutes_after_the_last_event_of_a_sensor() -> None:
    moving: list[Minutes] = [(0, MOTION, "off"), (600, MOTION, "on"), (610, MOTION, "off"), *burning(600, 660)]
    assert score(moving) == pytest.approx(20 / 60)
    assert score(moving, around_seconds=0) == pytest.approx(10 / 60)
    assert score(moving, around_seconds=3600) == 1.0


def test_an_event_before_midnight_still_shows_somebody_after_it() -> None:
    moving: list[Minutes] = [(-100, MOTION, "off"), (-10, MOTION, "on"), (-5, MOTION, "off"), *burning(1, 11)]
    assert score(moving) == pytest.approx(4 / 10)


def test_the_score_covers_the_active_time_within_the_day_including_unfinished_episodes() -> None:
    moving: list[Minutes] = [(-500, MOTION, "off"), (15, MOTION, "on"), (25, MOTION, "off"), (1430, MOTION, "on")]
    evening: list[Minutes] = [(1400, LAMP, "on"), (1500, LAMP, "off")]
    assert score([*moving, *burning(-60, 30), *evening]) == pytest.approx((15 + 10) / (30 + 40))


def test_several_sensors_count_together_and_overlaps_once() -> None:
    other = "binary_sensor.other"
    sensors: list[Minutes] = [(0, MOTION, "off"), (0, other, "off"), (600, MOTION, "on"), (615, MOTION, "off")]
    assert score([*sensors, (610, other, "on"), (620, other, "off"), *burning(600, 660)]) == pytest.approx(30 / 60)


@pytest.mark.parametrize(
    "areas", [{MOTION: "bath"}, {LAMP: ""}, {LAMP: "", MOTION: ""}], ids=["another area", "no area", "no area at all"]
)
def test_without_a_sensor_of_its_area_an_entity_has_no_score(areas: dict[str, str]) -> None:
    assert score([(0, MOTION, "off"), (600, MOTION, "on"), *burning(600, 660)], areas) is None


def test_a_sensor_that_shows_no_presence_gives_no_score() -> None:
    assert score([(0, "switch.fan", "off"), (600, "switch.fan", "on"), *burning(600, 660)]) is None


def test_time_in_which_no_sensor_was_known_does_not_count() -> None:
    samples: list[Minutes] = [(0, MOTION, "off"), (600, MOTION, "on"), (610, MOTION, "unavailable")]
    assert score([*samples, (630, MOTION, "off"), *burning(600, 660)]) == pytest.approx(10 / 40)


def test_where_no_sensor_was_known_at_all_there_is_no_score() -> None:
    assert score([(0, MOTION, "off"), (500, MOTION, "unavailable"), *burning(600, 660)]) is None


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(1, 10**9)), min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_shortest_mean_and_longest_are_ordered_and_exact(stretches: list[tuple[int, int]]) -> None:
    edges = list(accumulate((length for pair in stretches for length in (pair[1], pair[0])), initial=TODAY.start))
    builder = SampleBuilder()
    for number, at in enumerate(edges):
        builder.add(at, LAMP, "on" if number % 2 else "off")
    log = Recording.of(builder.build([(TODAY.start, edges[-1] + HOUR)]), EntityRules()).day(TODAY)
    row = detected(log)[LAMP]
    lengths = [pair[0] / 1e6 for pair in stretches]
    assert row.episodes == len(lengths)
    assert row.min_duration_seconds == min(lengths)
    assert row.max_duration_seconds == max(lengths)
    assert row.min_duration_seconds <= row.avg_duration_seconds <= row.max_duration_seconds
    assert row.avg_duration_seconds == pytest.approx(fmean(lengths))
    assert row.duration_variance == pytest.approx(pvariance(lengths), rel=1e-6, abs=1e-9)


@given(
    st.lists(
        st.tuples(st.integers(0, 1439), st.sampled_from("abc"), st.sampled_from(["on", "off", None])),
        min_size=1,
        max_size=50,
        unique_by=lambda row: row[:2],
    ),
    st.permutations(["x", "y", "z"]),
    st.randoms(),
)
@settings(max_examples=60, deadline=None)
def test_neither_the_order_of_rows_nor_the_names_of_entities_change_a_number(
    day: list[tuple[int, str, str | None]], names: list[str], random: Random
) -> None:
    domains = {"a": "light", "b": "binary_sensor", "c": "switch"}

    def numbers(samples: list[tuple[int, str, str | None]], called: dict[str, str]) -> dict[str, DurationDaily]:
        ids = {letter: f"{domains[letter]}.{called[letter]}" for letter in "abc"}
        opened: list[Minutes] = [(-1, name, "off") for name in ids.values()]
        log = recording([*opened, *((minute, ids[letter], state) for minute, letter, state in samples)]).day(TODAY)
        letters = {name: letter for letter, name in ids.items()}
        return {letters[name]: row.model_copy(update={"entity_id": ""}) for name, row in detected(log).items()}

    plain = numbers(day, {letter: letter for letter in "abc"})
    assert numbers(random.sample(day, len(day)), dict(zip("abc", names, strict=True))) == plain
