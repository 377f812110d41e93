"""What the daemon counts, in Prometheus' text format."""

from __future__ import annotations

import datetime as dt
import shutil
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from jobs.exit_codes import EXIT_CODES
from jobs.outcome import Outcome
from jobs.run_report import DayReport, DayStatus, RunReport
from storage.errors import LedgerError, SourceError, StoreError
from storage.ledger.entry import Entry, Status

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_PREFIX: Final = "pattern_aggregates_"
_METRICS: Final[Mapping[str, tuple[str, str]]] = {
    "last_success_timestamp_seconds": ("gauge", "When a run last ended with everything written that was due."),
    "last_run_timestamp_seconds": ("gauge", "When a run last ended, whatever came of it."),
    "start_timestamp_seconds": ("gauge", "When this process started."),
    "running": ("gauge", "1 during a run, else 0."),
    "days_due": ("gauge", "Days that wait to be computed or written."),
    "days_staged": ("gauge", "Days with rows that wait for the store."),
    "days_failed": ("gauge", "Days of which a detector failed or was deferred, and is tried again."),
    "days_behind": ("gauge", "Days that are over but not in the source, when it was last asked."),
    "disk_free_bytes": ("gauge", "Space left under the files of the ledger, and of a store that is a file."),
    "days_total": ("counter", "Days worked on, by what became of them."),
    "runs_total": ("counter", "Runs, by exit code as of the command `run`."),
    "events_total": ("counter", "Activity events that detectors were given, each once."),
    "rows_total": ("counter", "Rows computed."),
    "detector_seconds_total": ("counter", "Time spent computing."),
    "detector_errors_total": ("counter", "Tries of a day at which a detector failed."),
    "errors_total": ("counter", "Refusals by source, store or ledger, and anything unforeseen."),
}
_DONE = (DayStatus.WRITTEN, DayStatus.SKIPPED)
_UNDONE = (Status.FAILED, Status.DEFERRED)
_OUTCOMES = (Outcome.DONE, Outcome.INCOMPLETE, Outcome.UNAVAILABLE, Outcome.INVALID_SETTINGS)
_KINDS = ((SourceError, "source"), (StoreError, "store"), (LedgerError, "ledger"))

Labels = tuple[tuple[str, str], ...]


class Metrics:
    """Counted by the thread that works, read by those that answer.

    Args:
        detectors: The names of those that will compute.
        started_at: When the process began, by the home's clock.
    """

    def __init__(self, detectors: Iterable[str], started_at: dt.datetime) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, dict[Labels, float]] = {name: {} for name in _METRICS}
        self._set("start_timestamp_seconds", started_at.timestamp())
        self._set("running", 0)
        self._begin_at_zero(detectors)

    def _begin_at_zero(self, detectors: Iterable[str]) -> None:
        """An increase needs a 0 to begin with: a counter that appears as 1 has never increased."""
        self._add("events_total", 0)
        for _, kind in (*_KINDS, (Exception, "other")):
            self._add("errors_total", 0, of=kind)
        for status in DayStatus:
            self._add("days_total", 0, status=status)
        for outcome in _OUTCOMES:
            self._add("runs_total", 0, exit_code=str(EXIT_CODES[outcome]))
        for name in detectors:
            for counter in ("rows_total", "detector_seconds_total", "detector_errors_total"):
                self._add(counter, 0, detector=name)

    def begin(self, entries: Iterable[Entry]) -> None:
        """Take up what the ledger says of the time before this process."""
        entries = list(entries)
        written = [entry.updated_at for entry in entries if entry.status is Status.WRITTEN]
        if written:
            self._set("last_success_timestamp_seconds", dt.datetime.fromisoformat(max(written)).timestamp())
        self._left(entries)

    def begin_run(self) -> None:
        """Note that a run is under way."""
        self._set("running", 1)

    def day(self, report: DayReport, remaining: int) -> None:
        """Count a day."""
        self._add("days_total", status=report.status)
        self._add("events_total", report.events)
        for name, seconds in report.detector_seconds.items():
            self._add("detector_seconds_total", seconds, detector=name)
            one = report.detectors.get(name)
            self._add("rows_total", one.rows if one is not None and not one.error else 0, detector=name)
            self._add("detector_errors_total", one is not None and one.status == Status.FAILED, detector=name)
        self._set("days_due", remaining)

    def run(self, report: RunReport, entries: Iterable[Entry], *, yesterday: dt.date, now: dt.datetime) -> None:
        """Count a run that came to its end."""
        entries = list(entries)
        for error in report.errors:
            self.error(error)
        due = {planned.day for planned in report.plan} - {day.day for day in report.days if day.status in _DONE}
        if not any(entry.day == yesterday for entry in entries):
            due.add(yesterday)  # the source may not have been able to offer it
        self._set("days_due", len(due))
        if report.span is not None:  # else the source may hold any day
            self._set("days_behind", max((yesterday - report.span.last).days, 0))
            tried = {(planned.day, name) for planned in report.plan for name in planned.detectors}
            entries = [one for one in entries if one.status not in _UNDONE or (one.day, one.detector) in tried]
        self._left(entries)
        self._ended(report.outcome, now, success=report.outcome is Outcome.DONE and not due)

    def failed_run(self, error: Exception, *, now: dt.datetime) -> None:
        """Count a run that an error ended."""
        self.error(error)
        self._ended(Outcome.of_error(error), now, success=False)

    def error(self, error: Exception) -> None:
        """Count an error by who refused."""
        self._add("errors_total", of=next((kind for one, kind in _KINDS if isinstance(error, one)), "other"))

    def disk(self, folders: Mapping[str, Path]) -> None:
        """Look how much space is left.

        Args:
            folders: Where files lie or will lie, by whose they are.
        """
        for name, folder in folders.items():
            try:
                self._set("disk_free_bytes", _free_bytes(folder.absolute()), of=name)
            except OSError:  # told by its absence: an old figure would calm
                self._forget("disk_free_bytes", of=name)

    def text(self) -> str:
        """Everything, in Prometheus' text format; the most telling first."""
        lines = []
        with self._lock:
            for name, (kind, about) in _METRICS.items():
                lines += [f"# HELP {_PREFIX}{name} {about}", f"# TYPE {_PREFIX}{name} {kind}"]
                lines += [f"{_PREFIX}{name}{_braced(at)} {value!r}" for at, value in self._values[name].items()]
        return "\n".join(lines) + "\n"

    def _left(self, entries: Iterable[Entry]) -> None:
        """Count the days that wait for the store, or for another try."""
        entries = list(entries)
        self._set("days_staged", len({entry.day for entry in entries if entry.status is Status.STAGED}))
        self._set("days_failed", len({entry.day for entry in entries if entry.status in _UNDONE}))

    def _ended(self, outcome: Outcome, now: dt.datetime, *, success: bool) -> None:
        self._set("running", 0)
        self._add("runs_total", exit_code=str(EXIT_CODES[outcome]))
        self._set("last_run_timestamp_seconds", now.timestamp())
        if success:
            self._set("last_success_timestamp_seconds", now.timestamp())

    def _set(self, name: str, value: float, **labels: str) -> None:
        with self._lock:
            self._values[name][tuple(labels.items())] = float(value)

    def _forget(self, name: str, **labels: str) -> None:
        with self._lock:
            self._values[name].pop(tuple(labels.items()), None)

    def _add(self, name: str, amount: float = 1, **labels: str) -> None:
        with self._lock:
            values, at = self._values[name], tuple(labels.items())
            values[at] = values.get(at, 0.0) + amount


def _free_bytes(folder: Path) -> int:
    """Space left under a folder, or where it will be made."""
    try:
        return shutil.disk_usage(folder).free
    except FileNotFoundError:
        return _free_bytes(folder.parent)


def _braced(labels: Labels) -> str:
    if not labels:
        return ""
    escaped = ((name, value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")) for name, value in labels)
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped) + "}"
