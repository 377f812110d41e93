"""The daemon: wakes the nightly job, at the local time of ``[schedule]`` and once at start.

It only wakes. Which days are due is for ``nightly`` to find in the ledger, so a night that came twice (clocks set
back), late (a laptop asleep) or never (the container was down) makes no difference to what is computed. A run that had
any trouble is tried again after a minute, then after two, four and so on up to an hour, until the next night begins
anew.

Everything happens in the thread that calls ``serve``; only the pages about health are made in others.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import secrets
import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack
from http import HTTPStatus
from typing import Any, Final
from zoneinfo import ZoneInfo

from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.base import BaseScheduler
from apscheduler.triggers.base import BaseTrigger

from jobs import nightly
from jobs.daemon import health
from jobs.daemon.http import Page, serving
from jobs.daemon.metrics import CONTENT_TYPE, Metrics
from jobs.exit_codes import EXIT_CODES
from jobs.logs import fields
from jobs.outcome import Outcome
from jobs.run_report import DayReport, RunReport
from jobs.wiring import Home
from storage.dates import ONE_DAY, DateRange
from storage.errors import PatternAggregatesError

_log = logging.getLogger(__name__)

FIRST_PAUSE: Final = dt.timedelta(minutes=1)
LONGEST_PAUSE: Final = dt.timedelta(hours=1)
LOOK_SECONDS: Final = 60.0  # how long a sleep may be: the clock may be set, or the machine asleep, meanwhile

Wait = Callable[[float], object]


class _EachDay(BaseTrigger):  # type: ignore[misc] # apscheduler has no types
    """A local time of each day, once: where it comes twice the first, where a clock change skips it right after.

    APScheduler's own cron trigger names the same instant again and again in an hour that is repeated, and leaves out a
    day on which the time is skipped.
    """

    def __init__(self, at: dt.time, zone: ZoneInfo) -> None:
        self._at = at
        self._zone = zone

    def get_next_fire_time(self, previous_fire_time: dt.datetime | None, now: dt.datetime) -> dt.datetime:
        """The first such instant after the previous one, or from now on."""
        since = now if previous_fire_time is None else previous_fire_time
        today = since.astimezone(self._zone).date()
        for day in DateRange(today - ONE_DAY, today + 3 * ONE_DAY):
            instant = dt.datetime.combine(day, self._at, self._zone).astimezone(dt.UTC)
            if instant > since or (instant == since and previous_fire_time is None):
                return instant
        raise AssertionError("one of five days is later")


class _Scheduler(BaseScheduler):  # type: ignore[misc] # apscheduler has no types
    """APScheduler without a thread or a sleep of its own: whoever calls ``work`` runs the jobs that are due.

    No run is too late to be made up for (the default is one second), several missed ones are one, none overlap.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - apscheduler's own options
        defaults = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        super().__init__(job_defaults=defaults, executors={"default": DebugExecutor()}, **options)

    def shutdown(self, wait: bool = True) -> None:
        """See ``BaseScheduler.shutdown``, which is abstract and does it all."""
        super().shutdown(wait)

    def wakeup(self) -> None:
        """Nothing: the caller looks again soon enough."""

    def work(self) -> float:
        """Run what is due. Returns after how many seconds something is again."""
        seconds: float | None = self._process_jobs()
        return LOOK_SECONDS if seconds is None else seconds


class Daemon:
    """The nightly job, for as long as the process lives.

    Args:
        home: The home, with the clock that tells the day.
        wait: Sleeps so many seconds, or less; by default until ``stop`` is called.
        look_seconds: How long to sleep at most.

    Attributes:
        metrics: What was counted.
        ready: Whether nights will be noticed.
        trouble: What the last run says went wrong; empty if nothing did.
    """

    def __init__(self, home: Home, *, wait: Wait | None = None, look_seconds: float = LOOK_SECONDS) -> None:
        self.metrics = Metrics(home.enabled_detectors, home.clock())
        self.ready = False
        self.trouble = ""
        self._home = home
        self._stopping = threading.Event()
        self._wait = wait or self._stopping.wait
        self._look_seconds = look_seconds
        self._scheduler = _Scheduler(
            timezone=dt.UTC
        )  # it computes with what the clock shows; only the trigger is local
        self._wakes = 0
        at = dt.time.fromisoformat(home.settings.schedule.at)
        self._trigger = _EachDay(at, home.zone)
        self._catch_up: nightly.CatchUp = home.settings.schedule.catch_up

    def stop(self) -> None:
        """Leave ``serve`` at the next safe point: between two days."""
        self._stopping.set()

    def serve(self) -> None:
        """Work until told to stop.

        Raises:
            SettingsError: The port of ``[health]`` cannot be had.
        """
        listen = self._home.settings.health
        with ExitStack() as stack:
            if listen.port:
                pages = {"/healthz": self._health, "/readyz": self._readiness, "/metrics": self._counts}
                stack.enter_context(serving(listen.host, listen.port, pages))
            self._scheduler.add_job(self._wake, args=(self._catch_up, FIRST_PAUSE))
            night = self._scheduler.add_job(self._night, self._trigger)
            self._scheduler.start()
            stack.callback(self._scheduler.shutdown)
            _log.info("the next night begins at %s", night.next_run_time.astimezone(self._home.zone))
            self._begin()
            self.ready = True
            self._work()
            self.ready = False
        _log.info("stopped")

    def _work(self) -> None:
        looked = self._home.clock()
        while not self._stopping.is_set():
            seconds = self._scheduler.work()
            self._wait(min(seconds, self._look_seconds))
            now = self._home.clock()
            if now < looked:  # else nights between the wrong time and the right one would pass unnoticed
                _log.warning("the clock was set back from %s to %s", looked, now)
                self._scheduler.remove_all_jobs()
                self._scheduler.add_job(self._wake, args=(self._catch_up, FIRST_PAUSE))
                self._scheduler.add_job(self._night, self._trigger)
            looked = now

    def _night(self) -> None:
        """The night that is due is not a missed one, whatever ``catch_up`` says."""
        self._wake("latest" if self._catch_up == "none" else self._catch_up, FIRST_PAUSE)

    def _wake(self, catch_up: nightly.CatchUp, pause: dt.timedelta) -> None:
        """Run, and see to it that trouble is tried again after a pause."""
        self._wakes += 1
        with fields(run=secrets.token_hex(4)):
            self.trouble = self._run(catch_up)
            if self.trouble and not self._stopping.is_set():
                at = self._home.clock() + pause
                _log.info("to be tried again at %s", at.astimezone(self._home.zone))
                again = self._wakes, catch_up, min(2 * pause, LONGEST_PAUSE)
                self._scheduler.add_job(self._again, "date", run_date=at, args=again)

    def _again(self, wake: int, catch_up: nightly.CatchUp, pause: dt.timedelta) -> None:
        if wake == self._wakes:  # else a night has begun since, which sees to it
            self._wake(catch_up, pause)

    def _run(self, catch_up: nightly.CatchUp) -> str:
        """Run the nightly job. Returns what went wrong; it is logged and counted, never raised."""
        settings, yesterday = self._home.settings, self._home.yesterday()
        self.metrics.begin_run()
        try:
            with self._home.open_pipeline() as pipeline:
                report = nightly.run(
                    pipeline,
                    yesterday=yesterday,
                    retention_days=self._home.store_settings.kept_days,
                    recheck_days=settings.schedule.recheck_days,
                    catch_up=catch_up,
                    stop=self._stopping.is_set,
                    progress=self._told,
                )
        except PatternAggregatesError as error:
            _log.error("%s%s", error, f" ({error.hint})" if error.hint else "")
            self.metrics.failed_run(error, now=self._home.clock())
            return str(error)
        except Exception as error:  # noqa: BLE001 - a daemon outlives whatever one night does to it
            _log.exception("the run broke off")
            self.metrics.failed_run(error, now=self._home.clock())
            return f"{type(error).__name__}: {error}"
        self.metrics.run(report, report.entries.values(), yesterday=yesterday, now=self._home.clock())
        for notice in report.notices:
            _log.warning("%s", notice)
        code = EXIT_CODES[report.outcome]
        _log.info("%d days of a plan of %d done, exit code %d", len(report.days), len(report.plan), code)
        return _trouble(report)

    def _told(self, day: DayReport, number: int, total: int) -> None:
        self.metrics.day(day, total - number)
        rows = sum(one.rows for one in day.detectors.values())
        with fields(day=day.day):
            _log.info("%s: %s, %d rows in %.2f s (%d of %d)", day.day, day.status, rows, day.seconds, number, total)

    def _begin(self) -> None:
        """Take up what the ledger knows; a ledger that cannot be read is the first run's affair."""
        try:
            with self._home.open_ledger(read_only=True) as ledger:
                self.metrics.begin(ledger.entries().values())
        except PatternAggregatesError:
            _log.debug("the ledger cannot be read yet")

    def _health(self) -> Page:
        found = health.look(self._home, self.trouble)
        body = {"status": found.state, "day": found.day.isoformat(), "reason": found.reason}
        status = HTTPStatus.OK if found.state is health.State.FRESH else HTTPStatus.SERVICE_UNAVAILABLE
        return Page(status, json.dumps(body) + "\n")

    def _readiness(self) -> Page:
        ready = self.ready and not self._stopping.is_set()
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        return Page(status, json.dumps({"ready": ready}) + "\n")

    def _counts(self) -> Page:
        self.metrics.disk(self._home.folders)
        return Page(HTTPStatus.OK, self.metrics.text(), CONTENT_TYPE)


def obey_signals(daemon: Daemon) -> None:
    """Let SIGTERM and SIGINT stop a daemon at the next safe point, instead of interrupting the day at hand."""

    def stop(_number: int, _frame: object) -> None:
        daemon.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def _trouble(report: RunReport) -> str:
    """What went wrong in a run, the newest last; empty if nothing did."""
    if report.outcome is Outcome.DONE:
        return ""
    days = [
        f"{day.day}: {day.error or '; '.join(one.error for one in day.detectors.values() if one.error)}"
        for day in report.days
        if day.error or any(one.error for one in day.detectors.values())
    ]
    told = [*report.notices, *days[-1:]]
    return "; ".join(told) or f"exit code {EXIT_CODES[report.outcome]}"
