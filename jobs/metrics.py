"""What the daemon counts, in Prometheus' text format."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterable, Mapping
from typing import Final

from jobs.nightly import RunReport
from jobs.pipeline import DayReport, DayStatus
from storage.errors import LedgerError, PatternAggregatesError, SourceError, StoreError
from storage.ledger import Entry, Status

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_PREFIX: Final = "pattern_aggregates_"
_METRICS: Final[Mapping[str, tuple[str, str]]] = {
    "last_success_timestamp_seconds": ("gauge", "When a run last ended with everything written that was due."),
    "last_run_timestamp_seconds": ("gauge", "When a run last ended, whatever came of it."),
    "days_due": ("gauge", "Days that wait to be computed or written."),
    "days_staged": ("gauge", "Days with rows that wait for the store."),
    "days_failed": ("gauge", "Days of which a detector failed or was deferred."),
    "days_total": ("counter", "Days worked on, by what became of them."),
    "runs_total": ("counter", "Runs, by exit code as of the command `run`."),
    "events_total": ("counter", "Activity events that detectors were given, each once."),
    "rows_total": ("counter", "Rows computed."),
    "detector_seconds_total": ("counter", "Time spent computing."),
    "errors_total": ("counter", "Refusals by source, store or ledger, and anything unforeseen."),
}
_DONE = (DayStatus.WRITTEN, DayStatus.SKIPPED)
_KINDS = ((SourceError, "source"), (StoreError, "store"), (LedgerError, "ledger"))

Labels = tuple[tuple[str, str], ...]


class Metrics:
    """Counted by the thread that works, read by those that answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, dict[Labels, float]] = {name: {} for name in _METRICS}
        for _, kind in (*_KINDS, (Exception, "other")):  # an alert on an increase needs a 0 to begin with
            self._add("errors_total", 0, of=kind)

    def begin(self, entries: Iterable[Entry]) -> None:
        """Take up what the ledger says of the time before this process."""
        written = [entry.updated_at for entry in entries if entry.status is Status.WRITTEN]
        if written:
            self._set("last_success_timestamp_seconds", dt.datetime.fromisoformat(max(written)).timestamp())

    def day(self, report: DayReport, remaining: int) -> None:
        """Count a day."""
        self._add("days_total", status=report.status)
        self._add("events_total", report.events)
        for name, seconds in report.detector_seconds.items():
            self._add("detector_seconds_total", seconds, detector=name)
            one = report.detectors.get(name)
            self._add("rows_total", one.rows if one is not None and not one.error else 0, detector=name)
        self._set("days_due", remaining)

    def run(self, report: RunReport, entries: Iterable[Entry], *, yesterday: dt.date, now: dt.datetime) -> None:
        """Count a run that came to its end."""
        entries = list(entries)
        for error in report.errors:
            self.error(error)
        due = {planned.day for planned in report.plan} - {day.day for day in report.days if day.status in _DONE}
        if not any(entry.day == yesterday for entry in entries):
            due.add(yesterday)  # the source may not have been able to offer it
        staged = {entry.day for entry in entries if entry.status is Status.STAGED}
        failed = {entry.day for entry in entries if entry.status in (Status.FAILED, Status.DEFERRED)}
        for name, days in (("days_due", due), ("days_staged", staged), ("days_failed", failed)):
            self._set(name, len(days))
        self._ended(report.exit_code, now, success=report.exit_code == 0 and not due)

    def failed_run(self, error: Exception, *, now: dt.datetime) -> None:
        """Count a run that an error ended."""
        self.error(error)
        self._ended(error.exit_code if isinstance(error, PatternAggregatesError) else 1, now, success=False)

    def error(self, error: Exception) -> None:
        """Count an error by who refused."""
        self._add("errors_total", of=next((kind for one, kind in _KINDS if isinstance(error, one)), "other"))

    def text(self) -> str:
        """Everything, in Prometheus' text format; the most telling first."""
        lines = []
        with self._lock:
            for name, (kind, about) in _METRICS.items():
                lines += [f"# HELP {_PREFIX}{name} {about}", f"# TYPE {_PREFIX}{name} {kind}"]
                lines += [f"{_PREFIX}{name}{_braced(at)} {value!r}" for at, value in self._values[name].items()]
        return "\n".join(lines) + "\n"

    def _ended(self, exit_code: int, now: dt.datetime, *, success: bool) -> None:
        self._add("runs_total", exit_code=str(exit_code))
        self._set("last_run_timestamp_seconds", now.timestamp())
        if success:
            self._set("last_success_timestamp_seconds", now.timestamp())

    def _set(self, name: str, value: float) -> None:
        with self._lock:
            self._values[name][()] = float(value)

    def _add(self, name: str, amount: float = 1, **labels: str) -> None:
        with self._lock:
            values, at = self._values[name], tuple(labels.items())
            values[at] = values.get(at, 0.0) + amount


def _braced(labels: Labels) -> str:
    if not labels:
        return ""
    escaped = ((name, value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")) for name, value in labels)
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped) + "}"
