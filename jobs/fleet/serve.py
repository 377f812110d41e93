"""``fleet serve``: all day long, run the homes of each time zone once its night has come.

A zone's night comes at ``schedule.at`` of its local time; every zone is run once at the start. A run that failed, or in
which a home failed, is repeated after 1, 2, 4 and so on up to 60 minutes, with the homes that are still due. Settings
and catalogue are read again before each run, and every hour. Which homes are due is read from the ledger, so it does
not matter for the result how often that is.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Collection
from http import HTTPStatus
from typing import Final
from zoneinfo import ZoneInfo

from jobs.daemon.http import Response, Routes
from jobs.described_home import Clock
from jobs.fleet.metrics import CONTENT_TYPE, FleetMetrics
from jobs.fleet.report import FleetReport
from jobs.fleet.run import FleetRun
from jobs.outcome import Outcome
from jobs.signals import StopRequest
from storage.clean_text import clean_json
from storage.dates import ONE_DAY
from storage.errors import PatternAggregatesError
from storage.plurals import counted

_log = logging.getLogger(__name__)

CHECK_SECONDS: Final = 60.0  # how often the clock is looked at, as it may be set, and zones have their nights
MIN_RETRY_PAUSE: Final = dt.timedelta(minutes=1)
MAX_RETRY_PAUSE: Final = dt.timedelta(hours=1)
READING_PAUSE: Final = dt.timedelta(hours=1)  # until a zone is noticed that is new in the catalogue


class FleetServer:
    """The nightly job of a fleet, for as long as the process lives.

    Args:
        open_run: Reads settings and catalogue and returns what a run works with.
        clock: Returns the current instant.
        wait: Waits for that many seconds, or until ``stop`` is called; a test passes a shorter way.

    Attributes:
        metrics: The metrics, for Prometheus.
        last_error: Why the newest run could not be done at all; empty if it could.
    """

    def __init__(
        self, open_run: Callable[[], FleetRun], clock: Clock, wait: Callable[[float], object] | None = None
    ) -> None:
        self.metrics = FleetMetrics(clock())
        self.last_error = ""
        self._open_run = open_run
        self._clock = clock
        self._stop_request = StopRequest()
        self._wait = wait or self._stop_request.wait
        self._starts_at = dt.time.min  # as the settings had it when they were read last
        self._read_at: dt.datetime | None = None
        self._newest: dict[str, dt.date] = {}
        self._failing: set[str] = set()  # homes that were not done when they were last tried
        self._failing_elsewhere = 0  # those that the newest run did not try
        self._retry_at: dt.datetime | None = None
        self._pause = MIN_RETRY_PAUSE
        self._report: FleetReport | None = None

    def serve(self) -> None:
        """Run until ``stop`` is called."""
        while not self._stop_request.is_made():
            self.step()
            if not self._stop_request.is_made():
                self._wait(CHECK_SECONDS)

    def stop(self) -> None:
        """End after the tasks that are at work; can be called from a signal handler."""
        self._stop_request.make()

    def step(self) -> None:
        """Run the zones whose night has come since they were last run, and those with homes to try again."""
        is_retry = self._retry_at is not None and self._clock() >= self._retry_at
        if not is_retry and not self._is_reading_due():
            return
        self._read_at = self._clock()
        try:
            run = self._open_run()
            self._starts_at = dt.time.fromisoformat(run.fleet.common.settings.schedule.at)
            nights = {home.time_zone: self._night(home.time_zone) for home in run.catalogue.homes.values()}
            zones = {zone for zone, night in nights.items() if night > self._newest.get(zone, dt.date.min)}
            if is_retry:
                zones |= {home.time_zone for name, home in run.catalogue.homes.items() if name in self._failing}
            if zones or is_retry or self._report is None:
                self._work(run, zones)
        except PatternAggregatesError as error:
            _log.error("%s%s", error, f" ({error.hint})" if error.hint else "")
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - the server must survive whatever goes wrong in one night
            _log.exception("the run failed")
            self._fail(error)
        else:
            self._newest = {zone: nights[zone] if zone in zones else self._newest[zone] for zone in nights}

    def _is_reading_due(self) -> bool:
        """Return whether a zone's night has come, or the catalogue may have changed; never before a planned retry."""
        if self.last_error:
            return False
        if self._read_at is None or self._clock() >= self._read_at + READING_PAUSE:
            return True
        return any(self._night(zone) > newest for zone, newest in self._newest.items())

    def _work(self, run: FleetRun, zones: Collection[str]) -> None:
        homes = run.catalogue.homes
        left = {name for name in self._failing if name in homes and homes[name].time_zone not in zones}
        self._failing_elsewhere = len(left)
        self.metrics.begin_run()
        report = run.run(zones=zones, stop=self._stop_request.is_made, progress=self._show)
        self._failing_elsewhere = len(left - report.failing.keys())
        self._show(report)
        self.metrics.end_run(report.outcome, self._clock(), is_success=not self._failing_elsewhere)
        self._report, self.last_error = report, ""
        for home, reason in report.failing.items():
            _log.warning("%s: %s", home, reason)
        _log.info("%d of %d homes that were due are done", report.done, report.due)
        self._failing = left | (report.failing.keys() & homes.keys())  # a retry cannot mend the row of a catalogue
        if self._failing:
            self._plan_retry()
        else:
            self._retry_at, self._pause = None, MIN_RETRY_PAUSE

    def _fail(self, error: Exception) -> None:
        self.last_error = f"{type(error).__name__}: {error}"
        self.metrics.end_run(max(Outcome.INCOMPLETE, Outcome.of_error(error)), self._clock())
        self._plan_retry()

    def _plan_retry(self) -> None:
        self._retry_at = self._clock() + self._pause
        self._pause = min(2 * self._pause, MAX_RETRY_PAUSE)

    def _show(self, report: FleetReport) -> None:
        self.metrics.show(report, failing_elsewhere=self._failing_elsewhere)

    def _night(self, zone: str) -> dt.date:
        """Return the newest day whose night has come in a zone."""
        now = self._clock().astimezone(ZoneInfo(zone))
        return now.date() - (ONE_DAY if now.time() >= self._starts_at else 2 * ONE_DAY)

    def routes(self) -> Routes:
        """Return what answers monitors."""
        return {"/metrics": self._metrics, "/health": self._health, "/ready": self._ready}

    def _metrics(self) -> Response:
        return Response(HTTPStatus.OK, self.metrics.text(), CONTENT_TYPE)

    def _health(self) -> Response:
        report = self._report
        failed = report.failed + self._failing_elsewhere if report is not None else 0
        reason = self.last_error or (f"{counted(failed, 'home')} failed" if failed else "")
        if report is None and not reason:
            reason = "the first run has not ended yet"
        status = HTTPStatus.SERVICE_UNAVAILABLE if self.last_error or report is None else HTTPStatus.OK
        return Response(status, clean_json({"ok": status is HTTPStatus.OK, "reason": reason}) + "\n")

    def _ready(self) -> Response:
        ready = not self._stop_request.is_made()
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        return Response(status, clean_json({"ready": ready}) + "\n")
