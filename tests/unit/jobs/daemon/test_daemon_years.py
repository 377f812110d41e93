"""The daemon in zones whose clocks change in different ways, over clocks that are set, and in a home that moves."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest

from storage.dates import ONE_DAY, DateRange
from storage.models import DetectorRunDaily
from tests.support.nights import THIRTY_DAYS, Make, Nights

FIRST = THIRTY_DAYS.first
QUARTER = dt.timedelta(minutes=15)

# zone, time of the nightly job, and days on which the clock changes
WHOLE_YEAR = [
    ("Europe/Berlin", "02:30", ["2026-03-29", "2026-10-25"]),  # skipped, repeated
    ("Australia/Lord_Howe", "02:15", ["2026-04-05", "2026-10-04"]),  # by half an hour, the second skips it
    ("Pacific/Apia", "03:30", ["2011-04-02", "2011-09-24", "2011-12-30"]),  # repeated, skipped; 30 December never was
]
CLOCK_CHANGES = [
    *WHOLE_YEAR,
    ("America/New_York", "02:30", ["2026-03-08", "2026-11-01"]),  # skipped, not repeated
    ("Asia/Kolkata", "03:30", ["2026-06-15"]),  # never changes
    ("Africa/Cairo", "00:30", ["2026-04-24", "2026-10-30"]),  # 24 April begins at 01:00
    ("Pacific/Apia", "03:30", ["2026-06-15"]),  # never changes
]


def nights_around(zone: str, at: str, changes: list[str]) -> Iterator[object]:
    """The nights around each change of the clock, and in some zones as a slow case the whole year."""
    for change in map(dt.date.fromisoformat, changes):
        yield pytest.param(
            zone, DateRange(change - 3 * ONE_DAY, change + 3 * ONE_DAY), at, id=f"{zone} around {change}"
        )
    if (zone, at, changes) not in WHOLE_YEAR:
        return
    year = dt.date.fromisoformat(changes[0]).year
    days = DateRange(dt.date(year, 1, 1), dt.date(year, 12, 31))
    yield pytest.param(zone, days, at, id=f"{zone} in {year}", marks=pytest.mark.slow)


def clock_faces(zone: ZoneInfo, days: DateRange) -> dict[dt.date, list[tuple[dt.time, dt.datetime]]]:
    """Return what a wall clock shows every quarter of an hour, and when, by the date it shows; computed from UTC."""
    seen: dict[dt.date, list[tuple[dt.time, dt.datetime]]] = defaultdict(list)
    instant = dt.datetime.combine(days.first, dt.time(), dt.UTC) - ONE_DAY
    while instant.date() <= days.last + ONE_DAY:
        local = instant.astimezone(zone)
        if local.date() in days:
            seen[local.date()].append((local.time(), instant))
        instant += QUARTER
    return seen


@pytest.mark.parametrize(
    ("zone", "days", "at"), [case for changes in CLOCK_CHANGES for case in nights_around(*changes)]
)
def test_each_local_day_is_computed_once_after_a_night_at_the_right_time(
    nights: Make, zone: str, days: DateRange, at: str
) -> None:
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


@pytest.mark.parametrize("hour", [3, 4, 23])  # before and after the job at 03:30, before midnight
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


def test_days_checked_again_after_a_move_are_replaced_and_not_doubled(nights: Make) -> None:
    home = nights(recheck_days=2)
    home.serve(until=FIRST + 6 * ONE_DAY)
    home.move("Asia/Kolkata")
    home.serve(until=FIRST + 7 * ONE_DAY)
    assert computed(home) == list(THIRTY_DAYS)[:7]
    again = home.counter.calls[6:]
    assert again[-1] == FIRST + 6 * ONE_DAY
    assert set(again[:-1]) <= set(list(THIRTY_DAYS)[4:6])
