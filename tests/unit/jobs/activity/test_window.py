"""What ``jobs.activity.window`` promises of local calendar days, in every IANA zone."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.activity.window import DAY, HOUR, MINUTE, SECOND, DayWindow, Instants, from_instant, midnight, to_instant

ZONES = sorted(available_timezones())
FIRST, LAST = dt.date(1970, 1, 1), dt.date(2037, 12, 31)
ONE_DAY = dt.timedelta(days=1)
SAMPLE = 30 * SECOND  # no offset since 1970 is finer than half a minute


def local(instant: int, zone: ZoneInfo) -> dt.datetime:
    return from_instant(int(instant)).astimezone(zone)


def change_days(zone: ZoneInfo, year: int) -> list[dt.date]:
    """The days of a year on which the zone changes its offset, give or take one day."""
    noons = [dt.datetime(year, 1, 1, 12, tzinfo=dt.UTC) + number * ONE_DAY for number in range(366)]
    offsets = [noon.astimezone(zone).utcoffset() for noon in noons]
    changed = [
        noon.date() for noon, (before, after) in zip(noons[1:], pairwise(offsets), strict=True) if before != after
    ]
    return [day + shift * ONE_DAY for day in changed for shift in (-1, 0, 1)]


@st.composite
def windows(draw: st.DrawFn) -> DayWindow:
    """Any day of any zone; days with a change of clocks are as frequent as all others."""
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    day = draw(st.dates(FIRST, LAST))
    special = change_days(zone, day.year)
    at_change = draw(st.booleans())
    return DayWindow(draw(st.sampled_from(special)) if special and at_change else day, zone)


def hours_by_sampling(window: DayWindow, start: int, end: int) -> list[int]:
    """Microseconds of each local hour, counted half minute by half minute with datetime alone."""
    middles = range(start + SAMPLE // 2, end, SAMPLE)
    counted = Counter(local(middle, window.zone).hour for middle in middles)
    return [counted[hour] * SAMPLE for hour in range(24)]


def window(zone: str, day: str) -> DayWindow:
    return DayWindow(dt.date.fromisoformat(day), ZoneInfo(zone))


def hours_in(one: DayWindow) -> dict[int, float]:
    """Length in hours of the local hours that are not exactly one hour long."""
    return {hour: length / HOUR for hour, length in enumerate(one.microseconds_by_hour().tolist()) if length != HOUR}


@given(windows())
@settings(max_examples=150, deadline=None)
def test_consecutive_days_tile_time_without_gap_or_overlap(one: DayWindow) -> None:
    before, after = DayWindow(one.day - ONE_DAY, one.zone), DayWindow(one.day + ONE_DAY, one.zone)
    assert before.end == one.start <= one.end == after.start


@given(windows())
@settings(max_examples=150, deadline=None)
def test_a_day_starts_at_the_first_instant_whose_local_date_is_that_day_or_later(one: DayWindow) -> None:
    assert local(one.start, one.zone).date() >= one.day
    assert local(one.start - 1, one.zone).date() < one.day
    earlier = range(one.start - 30 * HOUR, one.start, 5 * MINUTE)
    assert all(local(instant, one.zone).date() < one.day for instant in earlier)


@given(windows(), st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=20))
@settings(max_examples=150, deadline=None)
def test_the_local_hour_of_every_instant_is_what_the_wall_clock_shows(one: DayWindow, shares: list[float]) -> None:
    if one.start == one.end:
        return
    around_turns = [turn + shift for turn in one.turns.tolist() for shift in (-1, 0, 1)]
    chosen = [one.start, one.end - 1, *around_turns, *(one.start + int(s * (one.end - one.start)) for s in shares)]
    instants = np.array([at for at in chosen if one.start <= at < one.end], np.int64)
    hours = one.hours_of(instants)
    assert hours.min() >= 0
    assert hours.max() <= 23
    assert hours.tolist() == [local(at, one.zone).hour for at in instants.tolist()]


@given(windows())
@settings(max_examples=100, deadline=None)
def test_the_lengths_of_the_hours_sum_to_the_day_and_are_what_the_wall_clock_shows(one: DayWindow) -> None:
    lengths = one.microseconds_by_hour()
    assert lengths.shape == (24,)
    assert int(lengths.sum()) == one.end - one.start
    assert one.seconds == (one.end - one.start) / SECOND
    assert lengths.tolist() == hours_by_sampling(one, one.start, one.end)


@given(windows(), st.lists(st.integers(-3, 31 * 4), min_size=2, max_size=8, unique=True))
@settings(max_examples=100, deadline=None)
def test_the_lengths_of_the_hours_within_spans_count_only_what_lies_in_them(
    one: DayWindow, quarters: list[int]
) -> None:
    edges = sorted(one.start + quarter * 15 * MINUTE + 7 * MINUTE for quarter in quarters)
    spans = list(zip(edges[::2], edges[1::2], strict=False))
    expected = np.zeros(24, np.int64)
    for start, end in spans:
        expected += hours_by_sampling(one, max(start, one.start), min(end, one.end))
    assert one.microseconds_by_hour(np.array(spans, np.int64)).tolist() == expected.tolist()


def test_days_of_every_zone_tile_time_around_its_changes_of_clocks() -> None:
    for number, name in enumerate(ZONES):
        zone = ZoneInfo(name)
        days = change_days(zone, 1970 + number % 68)[:6] or [dt.date(2026, 3, 2)]
        for day in days:
            one = DayWindow(day, zone)
            assert one.end == midnight(day + ONE_DAY, zone)
            assert one.start <= one.end, (name, day)
            assert int(one.microseconds_by_hour().sum()) == one.end - one.start, (name, day)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("UTC", "2026-03-29", 24),
        ("Asia/Kolkata", "2026-03-02", 24),
        ("Europe/Berlin", "2025-03-30", 23),
        ("Europe/Berlin", "2025-10-26", 25),
        ("Australia/Lord_Howe", "2025-04-06", 24.5),
        ("Australia/Lord_Howe", "2025-10-05", 23.5),
        ("Pacific/Apia", "2011-12-29", 24),
        ("Pacific/Apia", "2011-12-30", 0),
        ("Pacific/Apia", "2011-12-31", 24),
        ("Pacific/Kwajalein", "1993-08-21", 0),
        ("Antarctica/Troll", "2025-03-30", 22),
        ("Antarctica/Troll", "2025-10-26", 26),
        ("Antarctica/Casey", "2010-03-05", 27),
        ("Antarctica/Casey", "2009-10-18", 21),
        ("Antarctica/Vostok", "1994-01-31", 31),  # the longest and the shortest since 1970, but for those of 0 h
        ("Antarctica/Vostok", "1994-11-01", 17),
        ("America/Danmarkshavn", "1996-01-01", 21),
        ("America/Montevideo", "1974-01-13", 22.5),
        ("Asia/Kathmandu", "1986-01-01", 23.75),
        ("America/Guyana", "1975-08-01", 23.25),
        ("Africa/Cairo", "2023-04-28", 23),
        ("Africa/Cairo", "2023-10-26", 25),
        ("America/Santiago", "2023-09-03", 23),
        ("Asia/Beirut", "2022-03-27", 23),
        ("America/St_Johns", "2008-03-09", 23),
        ("America/St_Johns", "2008-11-02", 25),
        ("America/St_Johns", "1988-04-03", 22),
        ("America/St_Johns", "1988-10-30", 26),
    ],
)
def test_a_day_is_as_long_as_its_zone_makes_it(zone: str, day: str, hours: float) -> None:
    one = window(zone, day)
    assert one.end - one.start == round(hours * HOUR)
    assert one.seconds == hours * 3600


@pytest.mark.parametrize(
    ("zone", "day", "odd"),
    [
        ("Asia/Kolkata", "2026-03-02", {}),
        ("Europe/Berlin", "2025-03-30", {2: 0}),
        ("Europe/Berlin", "2025-10-26", {2: 2}),
        ("Australia/Lord_Howe", "2025-10-05", {2: 0.5}),
        ("Australia/Lord_Howe", "2025-04-06", {1: 1.5}),
        ("Antarctica/Troll", "2025-03-30", {1: 0, 2: 0}),
        ("Antarctica/Troll", "2025-10-26", {1: 2, 2: 2}),
        ("Africa/Cairo", "2023-04-28", {0: 0}),
        ("Africa/Cairo", "2023-10-26", {23: 2}),
        ("America/Santiago", "2023-09-03", {0: 0}),
        ("Asia/Beirut", "2022-03-27", {0: 0}),
        ("America/St_Johns", "2008-03-09", {0: 1 / 60, 1: 59 / 60}),
        ("America/St_Johns", "2008-11-02", {0: 61 / 60, 23: 119 / 60}),
        ("Pacific/Apia", "2011-12-30", dict.fromkeys(range(24), 0)),
    ],
)
def test_skipped_hours_are_empty_and_repeated_ones_longer(zone: str, day: str, odd: dict[int, float]) -> None:
    assert hours_in(window(zone, day)) == pytest.approx(odd)


@pytest.mark.parametrize(
    ("zone", "day", "start"),
    [
        ("Africa/Cairo", "2023-04-28", "2023-04-28T01:00:00+03:00"),
        ("America/Santiago", "2023-09-03", "2023-09-03T01:00:00-03:00"),
        ("Asia/Beirut", "2022-03-27", "2022-03-27T01:00:00+03:00"),
        ("Pacific/Apia", "2011-12-30", "2011-12-31T00:00:00+14:00"),
        ("America/Toronto", "1919-03-31", "1919-03-31T00:30:00-04:00"),  # clocks went from 23:30 to 00:30
        ("America/St_Johns", "2008-11-02", "2008-11-02T00:00:00-02:30"),
        ("America/St_Johns", "2008-03-09", "2008-03-09T00:00:00-03:30"),
        ("Asia/Kolkata", "2026-03-02", "2026-03-02T00:00:00+05:30"),
    ],
)
def test_a_day_begins_where_its_midnight_is_or_first_is_or_was_skipped_to(zone: str, day: str, start: str) -> None:
    assert window(zone, day).start == to_instant(dt.datetime.fromisoformat(start))


def test_both_passes_of_a_repeated_hour_count_in_that_hour() -> None:
    one = window("Europe/Berlin", "2025-10-26")
    twice: Instants = one.start + np.array([[2 * HOUR, 3 * HOUR], [HOUR, 4 * HOUR]], np.int64)
    assert one.hours_of(twice).tolist() == [[2, 2], [1, 3]]


def test_a_day_that_does_not_exist_has_no_hours_and_no_instants() -> None:
    one = window("Pacific/Apia", "2011-12-30")
    assert one.seconds == 0
    assert one.hours_of(np.empty(0, np.int64)).tolist() == []
    assert one.microseconds_by_hour(np.array([[one.start - DAY, one.end + DAY]], np.int64)).tolist() == [0] * 24


def test_windows_of_the_same_day_are_equal_and_hashable() -> None:
    one, same = window("Europe/Berlin", "2025-10-26"), window("Europe/Berlin", "2025-10-26")
    assert one == same
    assert len({one, same, window("Europe/Berlin", "2025-10-27")}) == 2


@given(st.integers(-(2**52), 2**52))
def test_instants_and_datetimes_convert_exactly(instant: int) -> None:
    assert to_instant(from_instant(instant)) == instant


def test_an_instant_is_the_same_from_any_offset() -> None:
    assert to_instant(dt.datetime.fromisoformat("1970-01-01T01:00:00.000001+01:00")) == 1
    assert from_instant(-1) == dt.datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC)
