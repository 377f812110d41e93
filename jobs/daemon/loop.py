"""The daemon: runs the nightly job at the local time of ``[schedule]``, and once at the start.

Which days are due is read from the ledger each time, so it does not matter for the result whether a night comes twice
(the clock is set back), late (a laptop was asleep) or never (the container was down). A run with any error is tried
again after 1, 2, 4 and so on up to 60 minutes, until the next night begins.

APScheduler's background thread does the runs, one at a time. The thread that calls ``serve`` waits for the stop and
watches the clock, because a scheduler sleeps until an instant and would not notice that the clock was set meanwhile.
"""

from __future__ import annotations

import datetime as dt
import logging
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from http import HTTPStatus
from typing import Final

from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from jobs import nightly
from jobs.daemon import health
from jobs.daemon.http import Response, http_server
from jobs.daemon.metrics import CONTENT_TYPE, Metrics
from jobs.daemon.overview import RunState
from jobs.daemon.pages import Pages
from jobs.daemon.publishing import DaemonPublishing
from jobs.daemon.trigger import DailyTrigger
from jobs.exit_codes import EXIT_CODES
from jobs.logs import fields
from jobs.lost_days import LostDays
from jobs.outcome import Outcome
from jobs.planning import CatchUp
from jobs.run_report import DayReport, RunReport
from jobs.signals import StopRequest
from jobs.wiring import Home
from storage.clean_text import clean_json
from storage.errors import HomeMismatch, PatternAggregatesError

_log = logging.getLogger(__name__)

MIN_RETRY_PAUSE: Final = dt.timedelta(minutes=1)
MAX_RETRY_PAUSE: Final = dt.timedelta(hours=1)
CLOCK_CHECK_SECONDS: Final = 60.0
STORE_CHECK_PAUSE: Final = dt.timedelta(minutes=5)
MIN_STORE_CHECK_PAUSE: Final = dt.timedelta(seconds=30)  # however often a monitor looks

Wait = Callable[[float], object]


class Daemon:
    """The nightly job, for as long as the process lives.

    Args:
        home: The home; its clock must be the one that APScheduler reads, the system's.
        wait: Waits for that many seconds, or until ``stop`` is called; a test passes a shorter way.
        clock_check_seconds: How often to check whether the clock was set.

    Attributes:
        metrics: The metrics, for Prometheus.
        ready: Whether runs are scheduled.
        last_error: What went wrong in the last run; empty if nothing did.
    """

    def __init__(
        self, home: Home, *, wait: Wait | None = None, clock_check_seconds: float = CLOCK_CHECK_SECONDS
    ) -> None:
        self.metrics = Metrics(home.enabled_detectors, home.clock(), home.settings.home.name)
        self.ready = False
        self.last_error = ""
        self._home = home
        self._stop_request = StopRequest()
        self._wait = wait or self._stop_request.wait
        self._clock_check_seconds = clock_check_seconds
        self._attempts = 0
        self._began_at: dt.datetime | None = None
        self._retry_at: dt.datetime | None = None
        self._has_new_days = False
        self._pages = Pages(home, self.run_state)
        self._lost: LostDays | None = None
        self._mismatch = ""
        self._store_checked_at = home.clock()
        self._trigger = DailyTrigger(dt.time.fromisoformat(home.settings.schedule.at), home.zone)
        self._catch_up: CatchUp = home.settings.schedule.catch_up
        self._scheduler = _new_scheduler()
        self._planned_deliveries = 0
        self._publishing = DaemonPublishing(home, self.metrics, self._plan_publishing)

    def stop(self) -> None:
        """Make ``serve`` return, once the day at work is done; may be called from any thread or signal handler."""
        self._stop_request.make()

    def next_run_at(self) -> dt.datetime | None:
        """Return when the next run is scheduled; None while nothing is. Waits for the end of a run at work."""
        return min((job.next_run_time for job in self._scheduler.get_jobs()), default=None)

    def run_state(self) -> RunState:
        """Return what is done now and next; waits for nothing."""
        now = self._home.clock()
        night = self._trigger.get_next_fire_time(None, now)
        retry_at = self._retry_at
        next_at = min(night, retry_at) if retry_at is not None and retry_at >= now else night
        return RunState(self._began_at, next_at, self.last_error, self._lost, self._mismatch)

    def serve(self) -> None:
        """Run the job every night until ``stop`` is called.

        Raises:
            SettingsError: The address of ``[health]`` cannot be used.
        """
        listen = self._home.settings.health
        with ExitStack() as stack:
            if listen.port:
                routes = dict(self._pages.routes)
                routes |= {"/healthz": self._health, "/readyz": self._readiness, "/metrics": self._metrics}
                server = http_server(
                    listen.host,
                    listen.port,
                    routes,
                    forms=self._pages.forms,
                    only_client=listen.ingress,
                    names=listen.hosts,
                )
                stack.enter_context(server)
            self._load_ledger()
            stack.callback(self._publishing.close)
            self._start_scheduler()
            stack.callback(self._stop_scheduler)
            night = self._trigger.get_next_fire_time(None, self._home.clock())
            _log.info("the next nightly run is at %s", night.astimezone(self._home.zone))
            self.ready = True
            self._watch_clock()
            self.ready = False
        _log.info("stopped")

    def _start_scheduler(self) -> None:
        """Schedule one run now and one each night."""
        self._scheduler.add_job(self._run, args=(self._catch_up, MIN_RETRY_PAUSE))
        self._scheduler.add_job(self._run_night, self._trigger)
        self._scheduler.start()

    def _stop_scheduler(self) -> None:
        """Stop the scheduler, once the run at work has ended; ``stop`` ends it between two days."""
        self._scheduler.pause()
        self._scheduler.get_jobs()  # waits until the run's job is removed, which would fail after the shutdown
        self._scheduler.shutdown()

    def _watch_clock(self) -> None:
        """Wait for the stop; wake the scheduler often, in case the clock was set forward or the machine was asleep."""
        checked_at = self._home.clock()
        while not self._stop_request.is_made():
            self._wait(self._clock_check_seconds)
            now = self._home.clock()
            if self._stop_request.is_made():
                return
            if now < checked_at:  # otherwise no night would run until the clock is back at the wrong time
                _log.warning("the clock was set back from %s to %s", checked_at, now)
                self._stop_scheduler()  # a new one, because this one may just have read the wrong time
                self._scheduler = _new_scheduler()
                self._start_scheduler()
            self._plan_store_check(STORE_CHECK_PAUSE)
            self._scheduler.wakeup()
            checked_at = now

    def _run_night(self) -> None:
        """Run with the day of this night, which is not a missed one even where ``catch_up`` is "none"."""
        self._run("latest" if self._catch_up == "none" else self._catch_up, MIN_RETRY_PAUSE)

    def _retry(self, attempt: int, catch_up: CatchUp, pause: dt.timedelta) -> None:
        if attempt == self._attempts:  # otherwise a night has run since, with retries of its own
            self._run(catch_up, pause)

    def _run(self, catch_up: CatchUp, pause: dt.timedelta) -> None:
        """Run the job, and schedule another try after a pause if anything went wrong."""
        self._attempts += 1
        name = self._home.settings.home.name
        with fields(run=secrets.token_hex(4), **({"home": name} if name else {})):
            self._began_at, self._retry_at = self._home.clock(), None
            self.last_error = self._run_once(catch_up)
            self._began_at = None
            if self._home.settings.health.port and not self._stop_request.is_made():  # otherwise nobody would see it
                self._pages.refresh(has_new_days=self._has_new_days)
            if self.last_error and not self._stop_request.is_made():
                at = self._retry_at = self._home.clock() + pause
                _log.info("the next try is at %s", at.astimezone(self._home.zone))
                next_try = self._attempts, catch_up, min(2 * pause, MAX_RETRY_PAUSE)
                self._scheduler.add_job(self._retry, "date", run_date=at, args=next_try)

    def _run_once(self, catch_up: CatchUp) -> str:
        """Run the job and return what went wrong; errors are logged and counted, never raised."""
        settings, yesterday = self._home.settings, self._home.yesterday()
        self._has_new_days = False
        self.metrics.begin_run()
        self._publishing.begin_run()
        try:
            with self._home.open_pipeline() as pipeline:
                report = nightly.run(
                    pipeline,
                    yesterday=yesterday,
                    retention_days=self._home.store_settings.kept_days,
                    rollup_retention_days=self._home.store_settings.kept_rollup_days,
                    recheck_days=settings.schedule.recheck_days,
                    catch_up=catch_up,
                    stop=self._stop_request.is_made,
                    progress=self._show_day,
                )
        except PatternAggregatesError as error:
            _log.error("%s%s", error, f" ({error.hint})" if error.hint else "")
            self.metrics.end_failed_run(error, now=self._home.clock())
            self._publishing.fail_run(error)
            return str(error)
        except Exception as error:  # noqa: BLE001 - the daemon must survive whatever goes wrong in one night
            _log.exception("the run failed")
            self.metrics.end_failed_run(error, now=self._home.clock())
            self._publishing.fail_run(error)
            return f"{type(error).__name__}: {error}"
        self._has_new_days = bool(report.days)
        self._note_lost(report.lost)
        self.metrics.end_run(report, report.entries.values(), yesterday=yesterday, now=self._home.clock())
        for notice in report.notices:
            _log.warning("%s", notice)
        code = EXIT_CODES[report.outcome]
        _log.info("%d of %d planned days done, exit code %d", len(report.days), len(report.plan), code)
        self._publishing.end_run(report)
        return _errors(report)

    def _plan_publishing(self, publish: Callable[[], object], pause: dt.timedelta) -> None:
        """Have something published after a pause, in place of what was planned before."""
        self._planned_deliveries += 1
        at = self._home.clock() + pause
        self._scheduler.add_job(self._publish, "date", run_date=at, args=(self._planned_deliveries, publish))

    def _publish(self, number: int, publish: Callable[[], object]) -> None:
        if number == self._planned_deliveries:  # a job's id would not do: one that plans itself anew is removed with it
            publish()

    def _plan_store_check(self, pause: dt.timedelta) -> None:
        """Have the store checked in the scheduler's thread, beside no run, if the last time is that long ago."""
        now = self._home.clock()
        if abs(now - self._store_checked_at) >= pause and self.ready:
            self._store_checked_at = now
            self._scheduler.add_job(self._check_store)

    def _check_store(self) -> None:
        """Look, between the runs, whether the store is still this home's and holds what is listed as written."""
        try:
            lost = health.check_store(self._home)
        except HomeMismatch as error:
            self._mismatch = f"{error}. {error.hint}"
            _log.error("%s", self._mismatch)
        except PatternAggregatesError as error:
            _log.debug("the store cannot be checked: %s", error)
        else:
            self._mismatch = ""
            self._note_lost(lost)

    def _note_lost(self, lost: LostDays | None) -> None:
        if lost is None:  # what was known before stays true until the store can be read
            return
        if lost and lost != self._lost:
            _log.error("%s. %s", lost, lost.hint)
        self._lost = lost
        self.metrics.set_lost_days(len(lost.days))

    def _show_day(self, day: DayReport, number: int, total: int) -> None:
        self.metrics.count_day(day, total - number)
        rows = sum(one.rows for one in day.detectors.values())
        with fields(day=day.day):
            _log.info("%s: %s, %d rows in %.2f s (%d of %d)", day.day, day.status, rows, day.seconds, number, total)

    def _load_ledger(self) -> None:
        """Start the metrics from the ledger; if it cannot be read, the first run reports that."""
        try:
            with self._home.open_ledger(read_only=True) as ledger:
                self.metrics.load_ledger(ledger.entries().values())
        except PatternAggregatesError:
            _log.debug("the ledger cannot be read yet")

    def _health(self) -> Response:
        self._plan_store_check(MIN_STORE_CHECK_PAUSE)  # for the next request: this one does not wait for a server
        found = health.check_health(self._home, self.last_error, self._lost, self._mismatch)
        body = {"status": found.state, "day": found.day.isoformat(), "reason": found.reason}
        status = HTTPStatus.OK if found.state is health.State.FRESH else HTTPStatus.SERVICE_UNAVAILABLE
        return Response(status, clean_json(body) + "\n")

    def _readiness(self) -> Response:
        ready = self.ready and not self._stop_request.is_made()
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        return Response(status, clean_json({"ready": ready}) + "\n")

    def _metrics(self) -> Response:
        self.metrics.measure_disks(self._home.folders)
        return Response(HTTPStatus.OK, self.metrics.text(), CONTENT_TYPE)


def _new_scheduler() -> BackgroundScheduler:
    return BackgroundScheduler(
        timezone=dt.UTC,
        # In the scheduler's own thread, so that runs never overlap and a shutdown waits for the one at work.
        executors={"default": DebugExecutor()},
        # A run is never too late (the default is one second), and several missed ones are one.
        job_defaults={"misfire_grace_time": None, "coalesce": True},
    )


def _errors(report: RunReport) -> str:
    """Return what went wrong in a run: its notices and its newest error; empty if nothing did."""
    if report.outcome is Outcome.DONE:
        return ""
    days = [
        f"{day.day}: {day.error or '; '.join(one.error for one in day.detectors.values() if one.error)}"
        for day in report.days
        if day.error or any(one.error for one in day.detectors.values())
    ]
    return "; ".join([*report.notices, *days[-1:]]) or f"exit code {EXIT_CODES[report.outcome]}"
