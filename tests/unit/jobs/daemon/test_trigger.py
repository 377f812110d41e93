"""The trigger of the nightly run, and why it is not APScheduler's own cron trigger."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger

from jobs.daemon.trigger import DailyTrigger

BERLIN = ZoneInfo("Europe/Berlin")
CAIRO = ZoneInfo("Africa/Cairo")
HALF_PAST_TWO = dt.time(2, 30)


def fire_times(trigger: BaseTrigger, first: str, count: int, zone: ZoneInfo = BERLIN) -> list[str]:
    """The next instants, as a scheduler asks for them that woke a little late."""
    found: list[dt.datetime] = []
    now = dt.datetime.fromisoformat(first).replace(tzinfo=zone)
    for _ in range(count):
        at = trigger.get_next_fire_time(found[-1] if found else None, now)
        found.append(at)
        now = at.astimezone(dt.UTC) + dt.timedelta(milliseconds=5)
    return [at.astimezone(zone).isoformat() for at in found]


def test_a_time_that_a_clock_change_skips_comes_right_after_it() -> None:
    found = fire_times(DailyTrigger(HALF_PAST_TWO, BERLIN), "2026-03-28", 3)
    assert found == ["2026-03-28T02:30:00+01:00", "2026-03-29T03:30:00+02:00", "2026-03-30T02:30:00+02:00"]


def test_a_time_that_a_clock_change_repeats_comes_once() -> None:
    found = fire_times(DailyTrigger(HALF_PAST_TWO, BERLIN), "2026-10-24", 3)
    assert found == ["2026-10-24T02:30:00+02:00", "2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]


def test_an_instant_that_is_just_now_is_not_missed_and_not_repeated() -> None:
    trigger = DailyTrigger(HALF_PAST_TWO, BERLIN)
    now = dt.datetime(2026, 6, 1, 2, 30, tzinfo=BERLIN)
    assert trigger.get_next_fire_time(None, now) == now
    assert trigger.get_next_fire_time(now, now) == now + dt.timedelta(days=1)
    assert trigger.get_next_fire_time(None, now + dt.timedelta(microseconds=1)) == now + dt.timedelta(days=1)


def test_apschedulers_cron_trigger_repeats_a_night_and_leaves_one_out() -> None:
    in_berlin = fire_times(CronTrigger(hour=2, minute=30, timezone=BERLIN), "2026-10-24", 3)
    assert [at[:10] for at in in_berlin] == ["2026-10-24", "2026-10-25", "2026-10-25"]
    in_cairo = fire_times(CronTrigger(hour=0, minute=30, timezone=CAIRO), "2026-04-23", 2, CAIRO)
    assert [at[:10] for at in in_cairo] == ["2026-04-23", "2026-04-25"]
    ours = fire_times(DailyTrigger(dt.time(0, 30), CAIRO), "2026-04-23", 3, CAIRO)
    assert [at[:10] for at in ours] == ["2026-04-23", "2026-04-24", "2026-04-25"]
