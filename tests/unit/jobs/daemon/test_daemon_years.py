"""The daemon over whole years of nights in zones that differ, over clocks that are set, and over a home that moves."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from zoneinfo import ZoneInfo

import pytest

from storage.dates import ONE_DAY, DateRange
from storage.models import DetectorRunDaily
from tests.support.nights import THIRTY_DAYS, Make, Nights

FIRST = THIRTY_DAYS.first
QUARTER = dt.timedelta(minutes=15)

YEARS = [
    ("Europe/Berlin", 2026, "02:30"),  # skipped on 29 March, repeated on 25 October
    ("America/New_York", 2026, "02:30"),  # skipped on 8 March
    ("Asia/Kolkata", 2026, "03:30"),
    ("Australia/Lord_Howe", 2026, "02:15"),  # half an hour is skipped on 4 October
    ("Africa/Cairo", 2026, "00:30"),  # 24 April begins at 01:00
    ("Pacific/Apia", 2026, "03:30"),
    ("Pacific/Apia", 2011, "03:30"),  # repeated on 2 April, skipped on 24 September; 30 December never was
]


def clock_faces(zone: ZoneInfo, days: DateRange) -> dict[dt.date, list[tuple[dt.time, dt.datetime]]]:
    """What a clock on the wall shows every quarter of an hour and when, by the date it shows: UTC is all it asks."""
    seen: dict[dt.date, list[tuple[dt.time, dt.datetime]]] = defaultdict(list)
    instant = dt.datetime.combine(days.first, dt.time(), dt.UTC) - ONE_DAY
    while instant.date() <= days.last + ONE_DAY:
        local = instant.astimezone(zone)
        if local.date() in days:
            seen[local.date()].append((local.time(), instant))
        instant += QUARTER
    return seen


@pytest.mark.parametrize(("zone", "year", "at"), YEARS)
def test_in_a_year_each_local_day_is_computed_once_after_a_night_at_the_right_time(
    nights: Make, zone: str, year: int, at: str
) -> None:
    days = DateRange(dt.date(year, 1, 1), dt.date(year, 12, 31))
    home = nights(days, zone=zone, at=at, retention_days=10)
    home.serve(until=days.last + ONE_DAY)
    assert home.counter.calls == list(days)
    assert home.store.writes == list(days)
    woken = defaultdict(list)
    for wake, instant in list(zip(home.wakes, home.instants, strict=True))[1:]:  # the first is the one at start
        woken[wake.date()].append(instant)
    time = dt.time.fromisoformat(at)
    shown = clock_faces(home.zone, DateRange(days.first + ONE_DAY, days.last))
    for day, faces in shown.items():
        (instant,) = woken.pop(day)
        named = [at for face, at in faces if face == time]
        if named:
            assert instant == named[0]
        else:  # the time is skipped
            after = next(at for face, at in faces if face > time)
            assert dt.timedelta(0) <= instant - after < dt.timedelta(hours=1)
    assert set(woken) == {days.last + ONE_DAY}


def computed(home: Nights) -> list[dt.date]:
    return [run.date for run in home.store.read(DetectorRunDaily, THIRTY_DAYS)]


@pytest.mark.parametrize("hour", [3, 4, 12, 23])  # before the night at 03:30, after it, by day, before midnight
@pytest.mark.parametrize("step_hours", [-72, -24, -5, -1, 1, 5, 24, 72])
def test_a_clock_that_is_set_back_or_forward_loses_no_day_and_repeats_none(
    nights: Make, step_hours: int, hour: int
) -> None:
    home = nights()
    stepped: list[int] = []

    def step() -> None:
        local = home.home.clock().astimezone(home.zone)
        if not stepped and local >= dt.datetime.combine(FIRST + 6 * ONE_DAY, dt.time(hour), home.zone):
            home.frozen.tick(dt.timedelta(hours=step_hours))
            stepped.append(len(home.instants))

    home.meanwhile = step
    home.serve(until=FIRST + 14 * ONE_DAY, clock_check_seconds=1800)
    assert home.counter.calls == list(THIRTY_DAYS)[:14]
    assert computed(home) == list(THIRTY_DAYS)[:14]
    after = [wake.date() for wake in home.wakes[stepped[0] :] if wake.time() == dt.time(3, 30)]
    assert after == list(DateRange(after[0], FIRST + 14 * ONE_DAY))  # each night from then on, once


@pytest.mark.parametrize("other", ["America/Los_Angeles", "Asia/Kolkata", "Pacific/Apia", "Pacific/Pago_Pago"])
def test_a_home_that_moves_to_another_zone_goes_on_with_the_day_after_the_last(nights: Make, other: str) -> None:
    home = nights()
    home.serve(until=FIRST + 6 * ONE_DAY)
    home.move(other)
    home.serve(until=FIRST + 12 * ONE_DAY)
    assert home.counter.calls == list(THIRTY_DAYS)[:12]
    assert {wake.time() for wake in home.wakes[-5:]} == {dt.time(3, 30)}
    home.move("Europe/Berlin")
    home.serve(until=FIRST + 15 * ONE_DAY)
    assert home.counter.calls == list(THIRTY_DAYS)[:15]


def test_days_that_are_looked_at_again_after_a_move_are_replaced_and_not_doubled(nights: Make) -> None:
    home = nights(recheck_days=2)
    home.serve(until=FIRST + 6 * ONE_DAY)
    home.move("Asia/Kolkata")
    home.serve(until=FIRST + 7 * ONE_DAY)
    assert computed(home) == list(THIRTY_DAYS)[:7]
    again = home.counter.calls[6:]
    assert again[-1] == FIRST + 6 * ONE_DAY
    assert set(again[:-1]) <= set(list(THIRTY_DAYS)[4:6])
