"""The metrics of a fleet for Prometheus: homes counted by state, never one series for each home."""

from __future__ import annotations

import datetime as dt
from typing import Final

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, Counter, Gauge, generate_latest

from jobs.fleet.report import FleetReport
from jobs.outcome import Outcome
from jobs.run_report import DayStatus

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
STATES: Final = ("done", "failed", "waiting", "nothing_due")

_PREFIX: Final = "pattern_aggregates_fleet_"


class FleetMetrics:
    """The metrics of ``fleet serve``.

    Args:
        started_at: When the process began.
    """

    def __init__(self, started_at: dt.datetime) -> None:
        self._registry = CollectorRegistry()
        self._homes = self._gauge("homes", "Homes by state: of the newest run; failed, of all runs.", "state")
        self._catalogue = self._gauge("catalogue_homes", "Homes in the catalogue, rows that are not valid included.")
        self._running = self._gauge("running", "1 during a run, else 0.")
        self._start = self._gauge("start_timestamp_seconds", "When this process started.")
        self._last_run = self._gauge("last_run_timestamp_seconds", "When a run last ended; 0 if none has.")
        self._last_success = self._gauge(
            "last_success_timestamp_seconds", "When a run last ended with every home done; 0 if none has."
        )
        self._home_days = self._counter("home_days_total", "Home-days worked on, by how they ended.", "status")
        self._rows = self._counter("rows_total", "Rows computed.")
        self._events = self._counter("events_total", "Activity events read.")
        self._processor = self._counter("processor_seconds_total", "Processor time that workers have spent on homes.")
        self._runs = self._counter("runs_total", "Runs, by how they ended.", "outcome")
        self._start.set(started_at.timestamp())
        for status in DayStatus:  # for Prometheus, a counter that first appears as 1 has not increased
            self._home_days.labels(status)
        for outcome in Outcome:
            self._runs.labels(outcome.name.lower())
        for state in STATES:
            self._homes.labels(state)
        self._counted = FleetReport()

    def begin_run(self) -> None:
        """Show that a run has begun."""
        self._counted = FleetReport()
        self._running.set(1)

    def show(self, report: FleetReport, *, failing_elsewhere: int = 0) -> None:
        """Show how far the present run is.

        Args:
            report: The run.
            failing_elsewhere: Homes that this run does not try, and that were not done when they were last tried.
        """
        before = self._counted
        for status, count in report.days.items():
            self._home_days.labels(status).inc(count - before.days[status])
        self._rows.inc(report.rows - before.rows)
        self._events.inc(report.events - before.events)
        self._processor.inc(max(0.0, report.processor_seconds - before.processor_seconds))
        self._counted = FleetReport(
            days=report.days.copy(),
            rows=report.rows,
            events=report.events,
            processor_seconds=report.processor_seconds,
        )
        waiting = report.due - report.done - report.failed
        counts = (report.done, report.failed + failing_elsewhere, waiting, report.nothing_due)
        for state, count in zip(STATES, counts, strict=True):
            self._homes.labels(state).set(count)
        self._catalogue.set(report.homes)

    def end_run(self, outcome: Outcome, now: dt.datetime, *, is_success: bool = True) -> None:
        """Count a run that has ended.

        Args:
            outcome: How it ended.
            now: The present instant.
            is_success: Whether no home is left that an earlier run could not do.
        """
        self._running.set(0)
        self._runs.labels(outcome.name.lower()).inc()
        self._last_run.set(now.timestamp())
        if outcome is Outcome.DONE and is_success:
            self._last_success.set(now.timestamp())

    def text(self) -> str:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry).decode()

    def _gauge(self, name: str, about: str, *labels: str) -> Gauge:
        return Gauge(_PREFIX + name, about, labels, registry=self._registry)

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(_PREFIX + name, about, labels, registry=self._registry)
