"""The daemon's metrics for Prometheus, in a registry of their own: without those of the Python process."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Gauge,
    Metric,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.registry import Collector

from jobs.exit_codes import EXIT_CODES
from jobs.outcome import Outcome
from jobs.run_report import DayReport, DayStatus, RunReport
from storage.errors import LedgerError, SourceError, StoreError
from storage.ledger.announcements import ChannelState
from storage.ledger.entry import Entry, Status

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4  # Prometheus 2 does not know the newer one

_PREFIX: Final = "pattern_aggregates_"
_DONE = (DayStatus.WRITTEN, DayStatus.SKIPPED)
_UNDONE = (Status.FAILED, Status.DEFERRED)
_OUTCOMES = (Outcome.DONE, Outcome.INCOMPLETE, Outcome.UNAVAILABLE, Outcome.INVALID_SETTINGS)
_REFUSED_BY = ((SourceError, "source"), (StoreError, "store"), (LedgerError, "ledger"))

# The time at which each counter was made would double the series, and nobody needs it.
disable_created_metrics()  # type: ignore[no-untyped-call]


def _gauge(name: str, about: str, *labels: str) -> Gauge:
    return Gauge(_PREFIX + name, about, labels, registry=None)


def _counter(name: str, about: str, *labels: str) -> Counter:
    return Counter(_PREFIX + name, about, labels, registry=None)


class _KnownMetrics(Collector):
    """Collects metrics in the order given; a gauge is left out until it has a value, because a 0 would be wrong.

    Args:
        metrics: The metrics.
        home: The name of the home, which every metric gets as a label; empty for none.
    """

    def __init__(self, metrics: Iterable[Gauge | Counter], home: str) -> None:
        self._labels = {"home": home} if home else {}
        self._metrics = tuple(metrics)
        self._known: set[Gauge | Counter] = {metric for metric in self._metrics if isinstance(metric, Counter)}

    def set(self, gauge: Gauge, value: float, label: str = "") -> None:
        """Give a gauge its value, for one label if it has labels."""
        (gauge.labels(label) if label else gauge).set(value)
        self._known.add(gauge)

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that the registry does not collect to learn the names."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield each metric that has a value."""
        for metric in self._metrics:
            if metric in self._known:
                for family in metric.collect():
                    if self._labels:
                        family.samples = [one._replace(labels={**self._labels, **one.labels}) for one in family.samples]
                    yield family


class Metrics:
    """The daemon's metrics: written by the thread that runs the job, read by the threads that answer requests.

    Args:
        detectors: The names of the enabled detectors.
        started_at: When the process began, by the home's clock.
        home: The name of the home; empty for a home without a name.
    """

    def __init__(self, detectors: Iterable[str], started_at: dt.datetime, home: str = "") -> None:
        self._last_success = _gauge(
            "last_success_timestamp_seconds", "When a run last ended with everything written that was due."
        )
        self._last_run = _gauge("last_run_timestamp_seconds", "When a run last ended, successful or not.")
        self._start = _gauge("start_timestamp_seconds", "When this process started.")
        self._running = _gauge("running", "1 during a run, else 0.")
        self._days_due = _gauge("days_due", "Days that are still to be computed or written.")
        self._days_staged = _gauge("days_staged", "Days with rows that are still to be written to the store.")
        self._days_failed = _gauge("days_failed", "Days on which a detector failed or was deferred, to be tried again.")
        self._days_lost = _gauge("days_lost", "Days that are listed as written, but that the store no longer holds.")
        self._days_behind = _gauge("days_behind", "Past days that the source did not hold when it was last read.")
        self._disk_free = _gauge(
            "disk_free_bytes", "Free space on the disk of the ledger and of an SQLite store.", "of"
        )
        self._days = _counter("days_total", "Days worked on, by how they ended.", "status")
        self._runs = _counter("runs_total", "Runs, by the exit code that the command `run` would have.", "exit_code")
        self._events = _counter("events_total", "Activity events read by detectors, each counted once.")
        self._rows = _counter("rows_total", "Rows computed.", "detector")
        self._detector_seconds = _counter("detector_seconds_total", "Time spent computing.", "detector")
        self._detector_errors = _counter("detector_errors_total", "Days on which a detector failed.", "detector")
        self._waiting = _gauge("findings_waiting", "Findings that are still to be delivered.", "channel")
        self._publish_errors = _counter("publish_errors_total", "Failed attempts to publish something.", "channel")
        self._errors = _counter("errors_total", "Errors of source, store and ledger, and unexpected ones.", "of")
        metrics = [value for value in vars(self).values() if isinstance(value, Gauge | Counter)]
        self._metrics = _KnownMetrics(metrics, home)
        self._registry = CollectorRegistry()
        self._registry.register(self._metrics)
        self._metrics.set(self._start, started_at.timestamp())
        self._metrics.set(self._running, 0)
        self._start_counters_at_zero(detectors)

    def _start_counters_at_zero(self, detectors: Iterable[str]) -> None:
        """Start the counters that alerts watch at 0: for Prometheus, one that first appears as 1 has not increased."""
        for _, by in (*_REFUSED_BY, (Exception, "other")):
            self._errors.labels(by)
        for status in DayStatus:
            self._days.labels(status)
        for outcome in _OUTCOMES:
            self._runs.labels(str(EXIT_CODES[outcome]))
        for name in detectors:
            for counter in (self._rows, self._detector_seconds, self._detector_errors):
                counter.labels(name)

    def load_ledger(self, entries: Iterable[Entry]) -> None:
        """Set the gauges from the ledger, which has the results of earlier processes."""
        entries = list(entries)
        written = [entry.updated_at for entry in entries if entry.status is Status.WRITTEN]
        if written:
            self._metrics.set(self._last_success, dt.datetime.fromisoformat(max(written)).timestamp())
        self._count_waiting_days(entries)

    def set_lost_days(self, count: int) -> None:
        """Show of how many days the store has lost something."""
        self._metrics.set(self._days_lost, count)

    def set_channels(self, channels: Mapping[str, ChannelState]) -> None:
        """Show how many findings wait for each channel."""
        for name, state in channels.items():
            self._metrics.set(self._waiting, state.waiting, name)
            self._publish_errors.labels(name)  # so that the first error is an increase

    def count_publish_error(self, channel: str) -> None:
        """Count something that could not be published."""
        self._publish_errors.labels(channel).inc()

    def begin_run(self) -> None:
        """Show that a run has begun."""
        self._metrics.set(self._running, 1)

    def count_day(self, report: DayReport, remaining: int) -> None:
        """Count a day that was worked on, and show how many remain."""
        self._days.labels(report.status).inc()
        self._events.inc(report.events)
        for name, seconds in report.detector_seconds.items():
            one = report.detectors.get(name)
            self._detector_seconds.labels(name).inc(seconds)
            self._rows.labels(name).inc(one.rows if one is not None and not one.error else 0)
            self._detector_errors.labels(name).inc(one is not None and one.status == Status.FAILED)
        self._metrics.set(self._days_due, remaining)

    def end_run(self, report: RunReport, entries: Iterable[Entry], *, yesterday: dt.date, now: dt.datetime) -> None:
        """Count a run that no error ended.

        Args:
            report: The run's report.
            entries: All entries of the ledger after the run.
            yesterday: The newest past day when the run began.
            now: The current instant.
        """
        entries = list(entries)
        for error in report.errors:
            self.count_error(error)
        due = {planned.day for planned in report.plan} - {day.day for day in report.days if day.status in _DONE}
        if not any(entry.day == yesterday for entry in entries):
            due.add(yesterday)  # the source may not hold it yet
        self._metrics.set(self._days_due, len(due))
        if report.span is not None:  # otherwise the source may hold any day
            self._metrics.set(self._days_behind, max((yesterday - report.span.last).days, 0))
            tried = {(planned.day, name) for planned in report.plan for name in planned.detectors}
            entries = [one for one in entries if one.status not in _UNDONE or (one.day, one.detector) in tried]
        self._count_waiting_days(entries)
        self._end_run(report.outcome, now, success=report.outcome is Outcome.DONE and not due)

    def end_failed_run(self, error: Exception, *, now: dt.datetime) -> None:
        """Count a run that an error ended."""
        self.count_error(error)
        self._end_run(Outcome.of_error(error), now, success=False)

    def count_error(self, error: Exception) -> None:
        """Count an error by what it came from."""
        self._errors.labels(next((by for kind, by in _REFUSED_BY if isinstance(error, kind)), "other")).inc()

    def measure_disks(self, folders: Mapping[str, Path]) -> None:
        """Measure the free space.

        Args:
            folders: The folders of ledger and store, which need not exist yet.
        """
        for name, folder in folders.items():
            try:
                self._metrics.set(self._disk_free, _free_bytes(folder.absolute()), name)
            except OSError:  # no figure, because an old one would look fine
                with suppress(KeyError):
                    self._disk_free.remove(name)

    def text(self) -> str:
        """Return all metrics in Prometheus' text format, the most important first."""
        return generate_latest(self._registry).decode()

    def _count_waiting_days(self, entries: Iterable[Entry]) -> None:
        """Show how many days wait for the store, or for another try."""
        entries = list(entries)
        staged = {entry.day for entry in entries if entry.status is Status.STAGED}
        self._metrics.set(self._days_staged, len(staged))
        self._metrics.set(self._days_failed, len({entry.day for entry in entries if entry.status in _UNDONE}))

    def _end_run(self, outcome: Outcome, now: dt.datetime, *, success: bool) -> None:
        self._metrics.set(self._running, 0)
        self._runs.labels(str(EXIT_CODES[outcome])).inc()
        self._metrics.set(self._last_run, now.timestamp())
        if success:
            self._metrics.set(self._last_success, now.timestamp())


def _free_bytes(folder: Path) -> int:
    """Return the free space on the disk of a folder, or of the nearest parent that exists."""
    try:
        return shutil.disk_usage(folder).free
    except FileNotFoundError:
        return _free_bytes(folder.parent)
