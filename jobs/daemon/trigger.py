"""When the nightly job runs: at a local time of each day, exactly once a day, through every clock change.

APScheduler's own cron trigger fires twice where the time is repeated, and leaves out a day whose midnight is skipped if
the time lies in the skipped hour (3.11.3; ``tests/unit/jobs/daemon/test_trigger.py`` shows both).
"""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger

from storage.dates import ONE_DAY, DateRange


class DailyTrigger(BaseTrigger):  # type: ignore[misc] # apscheduler has no types
    """Fires once each local day: the first time if a clock change repeats the time, right after it if it is skipped.

    Args:
        at: The local time of day.
        zone: The home's time zone.
    """

    def __init__(self, at: dt.time, zone: ZoneInfo) -> None:
        self._at = at
        self._zone = zone

    def get_next_fire_time(self, previous_fire_time: dt.datetime | None, now: dt.datetime) -> dt.datetime:
        """Return the first instant after the previous one; without a previous one, the first that is not past."""
        since = now if previous_fire_time is None else previous_fire_time
        today = since.astimezone(self._zone).date()
        for day in DateRange(today - ONE_DAY, today + 3 * ONE_DAY):
            instant = dt.datetime.combine(day, self._at, self._zone).astimezone(dt.UTC)
            if instant > since or (instant == since and previous_fire_time is None):
                return instant
        raise AssertionError("one of five days is later")
